"""An opening in the slab is a hole in the room's polygon; a pipe's opening and a slab that is all opening are not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ifcopenshell
import ifcopenshell.guid
import pytest

from bim.importing import import_models

ModelFile = Callable[..., Path]


def slab_with(model: Any, x: float, y: float, width: float, depth: float) -> None:
    """A slab under both rooms with one opening, its low corner at x, y."""
    slab, opening = (model.create_entity(c, GlobalId=ifcopenshell.guid.new()) for c in ("IfcSlab", "IfcOpeningElement"))
    body = next(c for c in model.by_type("IfcGeometricRepresentationSubContext") if c.ContextIdentifier == "Body")
    for item, size, corner in ((slab, (10.0, 6.0), (0.0, 0.0)), (opening, (width, depth), (x, y))):
        at = model.create_entity("IfcCartesianPoint", (corner[0] + size[0] / 2, corner[1] + size[1] / 2))
        profile = model.create_entity("IfcRectangleProfileDef", "AREA", None, model.create_entity("IfcAxis2Placement2D", at), *size)
        low = model.create_entity("IfcAxis2Placement3D", model.create_entity("IfcCartesianPoint", (0.0, 0.0, -0.3)))
        solid = model.create_entity("IfcExtrudedAreaSolid", profile, low, model.create_entity("IfcDirection", (0.0, 0.0, 1.0)), 0.3)
        shape = model.create_entity("IfcShapeRepresentation", body, "Body", "SweptSolid", [solid])
        item.Representation = model.create_entity("IfcProductDefinitionShape", Representations=[shape])
        origin = model.create_entity("IfcAxis2Placement3D", model.create_entity("IfcCartesianPoint", (0.0, 0.0, 0.0)))
        item.ObjectPlacement = model.create_entity("IfcLocalPlacement", None, origin)
    model.create_entity("IfcRelVoidsElement", GlobalId=ifcopenshell.guid.new(), RelatingBuildingElement=slab, RelatedOpeningElement=opening)


@pytest.mark.parametrize(
    ("opening", "holes"), [((1.0, 1.0, 2.0, 2.0), 1), ((1.0, 1.0, 0.3, 0.3), 0), ((0.0, 0.0, 5.0, 5.9), 0)], ids=["stair", "pipe", "shaft"]
)
def test_a_large_opening_is_a_hole_on_the_plan(
    model_file: ModelFile, tmp_path: Path, opening: tuple[float, float, float, float], holes: int
) -> None:
    model = ifcopenshell.open(str(model_file()))
    slab_with(model, *opening)
    model.write(str(tmp_path / "open.ifc"))

    imported = import_models([tmp_path / "open.ifc"], tmp_path / "out", "house")
    room = imported.plan["rooms"][0]

    assert [len(polygon["holes"]) for polygon in room["polygons"]] == [holes]
    assert room["area_m2"] == 30.0
    assert {row["equipment"]: row.get("room") for row in imported.graph.ask("equipment")}["vav_1"] == "r1"
