"""Architecture and services of one building in two files that disagree: shifted, in feet, with other storey names, turned, or lost."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ifcopenshell
import ifcopenshell.guid
import pytest

from bim.importing import Imported, import_models
from bim.writing import ModelWriter, Spot

Change = Callable[[Any], None]
ROOMS = [(x, y) for y in range(2) for x in range(4)]  # 5 m x 6 m each, on two storeys
FOOT = 0.3048


def architecture() -> ModelWriter:
    writer = ModelWriter("House")
    for n, name in enumerate(("Level 1", "Level 2")):
        storey = writer.storey(name, 3.6 * n)
        for x, y in ROOMS:
            corners = [(5 * x, 6 * y), (5 * x + 5, 6 * y), (5 * x + 5, 6 * y + 6), (5 * x, 6 * y + 6)]
            writer.room(f"{n + 1}{y}{x}", storey, corners, 3.0)
    return writer


def services(names: tuple[str, str] = ("Level 1", "Level 2")) -> ModelWriter:
    """A radiator in each room, named by it, hung on the storey as most exports do."""
    writer = ModelWriter("Services")
    for n, name in enumerate(names):
        storey = writer.storey(name, 3.6 * n)
        for x, y in ROOMS:
            writer.element("IfcSpaceHeater", f"RAD {n + 1}{y}{x}", "RADIATOR", Spot(storey, 5 * x + 2.0, 6 * y + 2.5, 3.6 * n + 0.4))
    return writer


def site_at(x: float, y: float, z: float, turn_deg: float = 0.0) -> Change:
    """The site's placement: everything in the file comes to lie elsewhere."""

    def change(model: Any) -> None:
        axes = model.by_type("IfcSite")[0].ObjectPlacement.RelativePlacement
        axes.Location.Coordinates = (x, y, z)
        if turn_deg:
            turn = math.radians(turn_deg)
            axes.Axis = model.create_entity("IfcDirection", (0.0, 0.0, 1.0))
            axes.RefDirection = model.create_entity("IfcDirection", (math.cos(turn), math.sin(turn), 0.0))

    return change


def in_feet(model: Any) -> None:
    for point in model.by_type("IfcCartesianPoint"):
        point.Coordinates = tuple(v / FOOT for v in point.Coordinates)
    for solid in model.by_type("IfcExtrudedAreaSolid"):
        solid.Depth /= FOOT
    for profile in model.by_type("IfcRectangleProfileDef"):
        profile.XDim, profile.YDim = profile.XDim / FOOT, profile.YDim / FOOT
    for storey in model.by_type("IfcBuildingStorey"):
        storey.Elevation /= FOOT
    metre = next(unit for unit in model.by_type("IfcSIUnit") if unit.UnitType == "LENGTHUNIT")
    measure = model.create_entity("IfcMeasureWithUnit", model.create_entity("IfcLengthMeasure", FOOT), metre)
    powers = model.create_entity("IfcDimensionalExponents", 1, 0, 0, 0, 0, 0, 0)
    foot = model.create_entity("IfcConversionBasedUnit", powers, "LENGTHUNIT", "FOOT", measure)
    units = model.by_type("IfcUnitAssignment")[0]
    units.Units = [foot, *(unit for unit in units.Units if unit != metre)]


def on_the_map(east: float, north: float, height: float, turn_deg: float = 0.0) -> Change:
    def change(model: Any) -> None:
        context = model.by_type("IfcGeometricRepresentationContext", include_subtypes=False)[0]
        metre = next(unit for unit in model.by_type("IfcSIUnit") if unit.UnitType == "LENGTHUNIT")
        crs = model.create_entity("IfcProjectedCRS", Name="EPSG:25832", MapUnit=metre)
        turn = math.radians(turn_deg)
        model.create_entity("IfcMapConversion", context, crs, east, north, height, math.cos(turn), math.sin(turn), 1.0)

    return change


def north_at(turn_deg: float) -> Change:
    def change(model: Any) -> None:
        context = model.by_type("IfcGeometricRepresentationContext", include_subtypes=False)[0]
        turn = math.radians(turn_deg)
        context.TrueNorth = model.create_entity("IfcDirection", (-math.sin(turn), math.cos(turn)))

    return change


@pytest.fixture
def both(tmp_path: Path) -> Callable[..., Imported]:
    """Import architecture and services, each changed first."""

    def run(house: list[Change], plant: list[Change], names: tuple[str, str] = ("Level 1", "Level 2")) -> Imported:
        paths = []
        for file, writer, changes in (("house", architecture(), house), ("services", services(names), plant)):
            model = ifcopenshell.file.from_string(writer.content().decode())
            for place in model.by_type("IfcSpatialStructureElement"):  # two tools never agree on these
                place.GlobalId = ifcopenshell.guid.new()
            for change in changes:
                change(model)
            paths.append(tmp_path / f"{file}.ifc")
            model.write(str(paths[-1]))
        return import_models(paths, tmp_path / "out", "house")

    return run


def right(imported: Imported) -> int:
    names = {row["room"]: row["name"] for row in imported.graph.ask("rooms")}
    rows = imported.graph.ask("equipment")
    return sum(names.get(row.get("room", ""), "?") == row["name"].removeprefix("RAD ") for row in rows)


@pytest.mark.parametrize(
    ("house", "plant", "note"),
    [
        ([], [], ""),
        ([], [in_feet], ""),
        ([in_feet], [], ""),
        ([site_at(0, 0, 100)], [], "shifted by (0.00, 0.00, 100.00) m"),  # another base point's height
        ([site_at(300, 200, 12)], [], "a guess: confirm it"),
        ([site_at(300, 200, 12, 30)], [], "turned by 30.00 degrees"),
        ([], [site_at(-80, 40, 0, -57), in_feet], "turned by 57.00 degrees"),
        ([site_at(0, 0, 0, 20), north_at(20)], [], "turned by 20.00 degrees"),
        ([on_the_map(500_000, 5_400_000, 100)], [on_the_map(500_020, 5_400_000, 100), site_at(-20, 0, 0)], "by map conversion"),
        ([on_the_map(500_000, 5_400_000, 100, 25)], [on_the_map(500_000, 5_400_000, 100), site_at(0, 0, 0, 25)], "by map conversion"),
    ],
    ids=["same", "feet", "feet too", "height", "shifted", "turned", "turned feet", "north", "map", "map turned"],
)
def test_files_that_lie_differently_are_brought_together_or_doubted(
    both: Callable[..., Imported], house: list[Change], plant: list[Change], note: str
) -> None:
    imported = both(house, plant)
    warnings = " | ".join(imported.report["warnings"])

    assert right(imported) == 16, f"{right(imported)} of 16 right; {warnings}"
    assert note in warnings
    assert (imported.counts["placed_low_confidence"] > 0) == ("guess" in warnings)
    assert len(imported.plan["storeys"]) == 2


def test_a_services_model_elsewhere_is_never_placed_as_if_all_were_well(both: Callable[..., Imported]) -> None:
    overlapping = both([], [site_at(12, 3, 0)])
    lost = both([], [move_all(512, 3)])

    assert overlapping.counts["placed_low_confidence"] == overlapping.counts["placed"] > 0
    assert lost.counts["placed"] == lost.counts["placed_low_confidence"] == 0
    assert any("0% of 16 elements lie in or near rooms of house.ifc" in w and "expected" in w for w in lost.report["warnings"])


def move_all(x: float, y: float) -> Change:
    """Shift every element itself: nothing in the file says that it lies elsewhere."""

    def change(model: Any) -> None:
        for heater in model.by_type("IfcSpaceHeater"):
            location = heater.ObjectPlacement.RelativePlacement.Location
            location.Coordinates = tuple(a + b for a, b in zip(location.Coordinates, (x, y, 0.0), strict=True))

    return change


@pytest.mark.parametrize("names", [("Erdgeschoss", "1. OG"), ("F1", "F2"), ("Level 0", "Level 1"), ("一层", "二层")])
def test_storeys_called_otherwise_are_the_same_storeys(both: Callable[..., Imported], names: tuple[str, str]) -> None:
    imported = both([], [], names)

    assert right(imported) == 16
    assert [s["name"] for s in imported.plan["storeys"]] == ["Level 1", "Level 2"]


def test_structural_and_finished_floor_are_one_storey(both: Callable[..., Imported]) -> None:
    def lower(model: Any) -> None:
        for storey in model.by_type("IfcBuildingStorey"):
            x, y, z = storey.ObjectPlacement.RelativePlacement.Location.Coordinates
            storey.ObjectPlacement.RelativePlacement.Location.Coordinates = (x, y, z - 0.12)

    imported = both([], [lower], ("SSL 1", "SSL 2"))

    assert right(imported) == 16
    assert len(imported.plan["storeys"]) == 2
    assert not any("shifted" in w for w in imported.report["warnings"])


def test_rooms_of_both_files_are_one_by_number_or_by_floor(tmp_path: Path) -> None:
    one, two = architecture(), ModelWriter("Services")
    storey = two.storey("EG", 0.0)
    two.room("100", storey, [(0, 0), (5, 0), (5, 6), (0, 6)], 2.7)
    two.room("Büro", storey, [(5.05, 0.05), (9.95, 0.05), (9.95, 5.95), (5.05, 5.95)], 2.7)
    two.room("Annex", storey, [(20, 0), (25, 0), (25, 6), (20, 6)], 2.7)
    one.write(tmp_path / "house.ifc")
    two.write(tmp_path / "services.ifc")

    imported = import_models([tmp_path / "house.ifc", tmp_path / "services.ifc"], tmp_path / "out", "house")

    assert imported.counts["rooms"] == 17
    assert {"Annex"} == {row["name"] for row in imported.graph.ask("rooms")} - {f"{n}{y}{x}" for n in (1, 2) for x, y in ROOMS}
