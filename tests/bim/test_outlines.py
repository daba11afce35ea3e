"""Rooms without a body: their floor from a footprint, from boundaries, from a bounding box; mended where it crosses itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ifcopenshell
import ifcopenshell.guid
import pytest

from bim.importing import Imported, import_models

ModelFile = Callable[..., Path]
Corners = list[tuple[float, float]]
L_SHAPE: Corners = [(0, 0), (5, 0), (5, 3), (2, 3), (2, 6), (0, 6)]


def without_body(path: Path) -> tuple[Any, Any, Any]:
    """(model, first room, its representation context) with the rooms' bodies and quantities taken away."""
    model = ifcopenshell.open(str(path))
    for space in model.by_type("IfcSpace"):
        space.Representation = None
    for quantities in model.by_type("IfcElementQuantity"):
        model.remove(quantities)
    return model, model.by_type("IfcSpace")[0], model.by_type("IfcGeometricRepresentationContext", include_subtypes=False)[0]


def polyline(model: Any, corners: Corners) -> Any:
    points = [model.create_entity("IfcCartesianPoint", (float(x), float(y))) for x, y in corners]
    return model.create_entity("IfcPolyline", [*points, points[0]])


def represent(model: Any, space: Any, context: Any, name: str, items: list[Any]) -> None:
    shape = model.create_entity("IfcShapeRepresentation", context, name, "Curve2D" if name == "FootPrint" else "BoundingBox", items)
    space.Representation = model.create_entity("IfcProductDefinitionShape", Representations=[shape])


def bound(model: Any, space: Any, wall: Any, surface: Any) -> None:
    geometry = model.create_entity("IfcConnectionSurfaceGeometry", SurfaceOnRelatingElement=surface)
    model.create_entity(
        "IfcRelSpaceBoundary",
        GlobalId=ifcopenshell.guid.new(),
        RelatingSpace=space,
        RelatedBuildingElement=wall,
        ConnectionGeometry=geometry,
        PhysicalOrVirtualBoundary="PHYSICAL",
        InternalOrExternalBoundary="INTERNAL",
    )


def axes(model: Any, at: tuple[float, float, float], z: tuple[float, float, float], x: tuple[float, float, float]) -> Any:
    point = model.create_entity("IfcCartesianPoint", at)
    return model.create_entity("IfcAxis2Placement3D", point, model.create_entity("IfcDirection", z), model.create_entity("IfcDirection", x))


def imported(model: Any, folder: Path) -> Imported:
    model.write(str(folder / "bare.ifc"))
    return import_models([folder / "bare.ifc"], folder / "out", "house")


def area(found: Imported) -> Any:
    return found.plan["rooms"][0]["area_m2"]


def test_a_footprint_curve_is_a_floor(model_file: ModelFile, tmp_path: Path) -> None:
    model, space, context = without_body(model_file())
    represent(model, space, context, "FootPrint", [polyline(model, L_SHAPE)])

    found = imported(model, tmp_path)

    assert area(found) == pytest.approx(21.0)
    assert any("no usable body" in w for w in found.report["warnings"])
    assert any("1 rooms have no body with a floor, so no polygon: R2" in w for w in found.report["warnings"])


def test_a_footprint_that_crosses_itself_is_mended(model_file: ModelFile, tmp_path: Path) -> None:
    model, space, context = without_body(model_file())
    represent(model, space, context, "FootPrint", [polyline(model, [(0, 0), (4, 4), (4, 0), (0, 4)])])

    found = imported(model, tmp_path)

    assert 0 < area(found) <= 8.0
    assert found.plan["rooms"][0]["polygons"]


def test_a_bounding_box_is_better_than_nothing(model_file: ModelFile, tmp_path: Path) -> None:
    model, space, context = without_body(model_file())
    corner = model.create_entity("IfcCartesianPoint", (1.0, 1.0, 0.0))
    represent(model, space, context, "Box", [model.create_entity("IfcBoundingBox", corner, 3.0, 2.0, 2.5)])

    assert area(imported(model, tmp_path)) == pytest.approx(6.0)


@pytest.mark.parametrize("with_floor", [True, False])
def test_boundaries_enclose_a_floor(model_file: ModelFile, tmp_path: Path, with_floor: bool) -> None:
    model, space, _ = without_body(model_file())
    wall = model.create_entity("IfcWall", GlobalId=ifcopenshell.guid.new())
    for (x0, y0), (x1, y1) in zip(L_SHAPE, [*L_SHAPE[1:], L_SHAPE[0]], strict=True):
        length = abs(x1 - x0) + abs(y1 - y0)
        along = ((x1 - x0) / length, (y1 - y0) / length, 0.0)
        out = (along[1], -along[0], 0.0)
        plane = model.create_entity("IfcPlane", axes(model, (float(x0), float(y0), 0.0), out, along))
        bound(
            model,
            space,
            wall,
            model.create_entity("IfcCurveBoundedPlane", plane, polyline(model, [(0, 0), (length, 0), (length, 3), (0, 3)]), []),
        )
    if with_floor:
        plane = model.create_entity("IfcPlane", axes(model, (0.0, 0.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)))
        bound(model, space, wall, model.create_entity("IfcCurveBoundedPlane", plane, polyline(model, L_SHAPE), []))

    assert area(imported(model, tmp_path)) == pytest.approx(21.0, abs=0.3)


def test_a_damaged_outline_costs_its_room_only_its_polygon(model_file: ModelFile, tmp_path: Path) -> None:
    model, space, context = without_body(model_file())
    represent(model, space, context, "FootPrint", [polyline(model, [(0, 0), (0, 0)])])

    found = imported(model, tmp_path)

    assert found.counts["rooms"] == 2
    assert found.plan["rooms"][0]["polygons"] == []
