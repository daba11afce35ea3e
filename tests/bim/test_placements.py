"""Placements of damaged models: circles, holes and nonsense are counted, and the import goes on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ifcopenshell
import pytest

from bim.importing import import_models
from bim.placements import Placements

ModelFile = Callable[..., Path]


def in_a_circle(model: Any) -> None:
    one, two = (box.ObjectPlacement for box in model.by_type("IfcAirTerminalBox"))
    one.PlacementRelTo, two.PlacementRelTo = two, one


def nowhere(model: Any) -> None:
    for box in model.by_type("IfcAirTerminalBox"):
        box.ObjectPlacement = None


def without_a_room_s_body(model: Any) -> None:
    for space in model.by_type("IfcSpace"):
        space.Representation = None
        space.ObjectPlacement = None


@pytest.mark.parametrize("damage", [in_a_circle, nowhere, without_a_room_s_body])
def test_a_damaged_placement_loses_no_element(model_file: ModelFile, tmp_path: Path, damage: Callable[[Any], None]) -> None:
    model = ifcopenshell.open(str(model_file(contain="storey")))
    damage(model)
    model.write(str(tmp_path / "damaged.ifc"))

    imported = import_models([tmp_path / "damaged.ifc"], tmp_path / "out", "house")

    elements = imported.counts["elements"]
    assert elements["mapped"] + elements["unmapped"] + elements["passive"] == elements["total"] == 9
    assert {"vav_1", "vav_2"} <= {row["equipment"] for row in imported.graph.ask("equipment")}
    assert imported.report["violations"] == []


def test_a_circle_of_placements_is_counted_and_not_followed(model_file: ModelFile) -> None:
    model = ifcopenshell.open(str(model_file()))
    in_a_circle(model)
    placements = Placements(1.0)

    assert [placements.position(box) for box in model.by_type("IfcAirTerminalBox")] == [None, None]
    assert placements.damaged == 2


def test_only_a_turned_thing_has_axes(model_file: ModelFile) -> None:
    model = ifcopenshell.open(str(model_file()))
    box, other = model.by_type("IfcAirTerminalBox")
    own = box.ObjectPlacement.RelativePlacement
    own.Axis, own.RefDirection = model.create_entity("IfcDirection", (0.0, 0.0, 1.0)), model.create_entity("IfcDirection", (0.0, 2.0, 0.0))
    placements = Placements(1.0)

    assert placements.axes(other) is None
    axes = placements.axes(box)
    assert axes is not None
    assert axes[0] == pytest.approx((0.0, 1.0, 0.0))
    assert axes[1] == pytest.approx((-1.0, 0.0, 0.0))
