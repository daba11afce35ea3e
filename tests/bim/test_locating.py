"""Rooms found by geometry in authored buildings whose truth is known: walls, corners, voids, roofs, L-shapes, courts, galleries, slopes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ifcopenshell
import pytest

from bim.importing import Imported, import_models
from bim.writing import ModelWriter, PointMark, Spot

Build = Callable[[ModelWriter], None]
LEFT, RIGHT, NORTH, SOUTH = (-1.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.0, -1.0)


def put(writer: ModelWriter, storey: Any, room: str, at: tuple[float, float, float], what: str = "light", **more: Any) -> None:
    """One item whose true room is the first word of its name; `-` for none."""
    kinds = {
        "light": ("IfcLightFixture", "POINTSOURCE"),
        "box": ("IfcAirTerminalBox", "VARIABLEFLOWPRESSUREDEPENDANT"),
        "heater": ("IfcSpaceHeater", "RADIATOR"),
        "switch": ("IfcSwitchingDevice", "TOGGLESWITCH"),
        "sensor": ("IfcSensor", "TEMPERATURESENSOR"),
        "roof": ("IfcUnitaryEquipment", "ROOFTOPUNIT"),
        "ahu": ("IfcUnitaryEquipment", "AIRHANDLER"),
        "fan": ("IfcFan", "CENTRIFUGALAIRFOIL"),
    }
    number = put.count = getattr(put, "count", 0) + 1  # type: ignore[attr-defined]
    element = writer.element(kinds[what][0], f"{room} {what} {number}", kinds[what][1], Spot(storey, *at, looks=more.get("looks")))
    if what == "sensor":
        writer.mark(element, PointMark(f"bacnet:ddc/analog-input,{number}", "DEG_C"))


def offices(writer: ModelWriter) -> None:
    """Two storeys of eight rooms with walls 0.2 m thick: devices hang on both sides of every wall, boxes above, fans under the floor."""
    for n in range(2):
        storey, z = writer.storey(f"Level {n}", 4.0 * n), 4.0 * n
        for y in range(2):
            for x in range(4):
                x0, y0, name = 5.2 * x, 6.2 * y, f"O{n}{y}{x}"
                writer.room(name, storey, [(x0, y0), (x0 + 5, y0), (x0 + 5, y0 + 6), (x0, y0 + 6)], 3.0)
                put(writer, storey, name, (x0 + 2.5, y0 + 3.0, z + 2.9))
                put(writer, storey, name, (x0 + 2.5, y0 + 2.0, z + 3.3), "box")
                put(writer, storey, name, (x0 + 0.0, y0 + 1.5, z + 1.2), "switch", looks=RIGHT)  # on the face of its wall
                put(writer, storey, name, (x0 + 5.1, y0 + 4.0, z + 1.2), "switch", looks=LEFT)  # drawn on the wall's middle line
                put(writer, storey, name, (x0 + 2.5, y0 + 6.02, z + 0.4), "heater", looks=SOUTH)  # set into the wall a little
                put(writer, storey, name, (x0 + 4.95, y0 + 5.95, z + 2.9))  # in the corner
                put(writer, storey, name, (x0 + 1.0, y0 + 1.0, z - 0.2), "fan")  # in the raised floor's void


def shared_walls(writer: ModelWriter) -> None:
    """Rooms drawn to the middle of their walls, so that a device on the wall stands on the line of two rooms."""
    storey = writer.storey("Level 0", 0.0)
    for x in range(6):
        writer.room(f"S{x}", storey, [(5 * x, 0), (5 * x + 5, 0), (5 * x + 5, 6), (5 * x, 6)], 3.0)
    for x in range(5):
        put(writer, storey, f"S{x}", (5 * x + 5.0, 1.5, 1.5), "sensor", looks=LEFT)
        put(writer, storey, f"S{x + 1}", (5 * x + 5.0, 4.5, 1.5), "sensor", looks=RIGHT)
        put(writer, storey, f"S{x}", (5 * x + 2.5, 3.0, 2.9))
        put(writer, storey, f"S{x}", (5 * x + 2.5, 3.0, 4.2), "ahu")  # high in the void above the ceiling of its storey


def shapes(writer: ModelWriter) -> None:
    """An L-shaped room round a small one, a ring of offices round a court, and a hall with a gallery on half of its length."""
    storey, upper = writer.storey("Level 0", 0.0), writer.storey("Gallery", 4.0)
    writer.room("L1", storey, [(0, 0), (8, 0), (8, 3), (3, 3), (3, 8), (0, 8)], 3.0)
    writer.room("L2", storey, [(3, 3), (8, 3), (8, 8), (3, 8)], 3.0)
    for at in ((1.5, 1.5, 2.9), (7.0, 1.5, 2.9), (1.5, 7.0, 2.9), (2.9, 2.9, 2.9)):
        put(writer, storey, "L1", at)
    for at in ((5.5, 5.5, 2.9), (3.1, 3.1, 2.9), (7.9, 7.9, 2.9)):
        put(writer, storey, "L2", at)
    court = [(24, 4), (28, 4), (28, 8), (24, 8)]
    writer.room("Ring", storey, [(20, 0), (32, 0), (32, 12), (20, 12)], 3.0, holes=[court])
    writer.room("Court", storey, court, 9.0)
    for at in ((22, 2, 2.9), (30, 10, 2.9), (26, 2, 2.9), (23.9, 6, 1.5)):
        put(writer, storey, "Ring", at)
    for at in ((26, 6, 1.0), (26, 6, 5.0), (24.1, 6, 8.0)):
        put(writer, storey, "Court", at)
    writer.room("Hall", storey, [(40, 0), (60, 0), (60, 10), (40, 10)], 9.0)
    writer.room("Gallery", upper, [(40, 0), (60, 0), (60, 3), (40, 3)], 3.0)
    for at in ((50, 8, 1.0), (50, 8, 6.0), (50, 1.5, 2.5), (50, 8, 8.8)):
        put(writer, storey, "Hall", at)
    for at in ((50, 1.5, 5.0), (45, 2.9, 6.8)):
        put(writer, upper, "Gallery", at)


def roofs(writer: ModelWriter) -> None:
    """What stands on the roof is in no room, whichever storey the exporter hung it on; what hangs below it is."""
    storey, roof = writer.storey("Level 0", 0.0), writer.storey("Roof", 3.6)
    for x in range(4):
        writer.room(f"T{x}", storey, [(5 * x, 0), (5 * x + 5, 0), (5 * x + 5, 6), (5 * x, 6)], 3.0)
        put(writer, storey, f"T{x}", (5 * x + 2.5, 3, 3.2), "box")
        put(writer, roof, "-", (5 * x + 2.5, 3, 3.6), "ahu")
        put(writer, storey, "-", (5 * x + 2.5, 5, 3.6), "roof")
        put(writer, storey, "-", (-3.0 - x, 3, 1.0), "fan")  # in the yard


@pytest.fixture
def placed(tmp_path: Path) -> Callable[[Build], Imported]:
    def run(build: Build) -> Imported:
        writer = ModelWriter("Truth")
        build(writer)
        writer.write(tmp_path / "truth.ifc")
        return import_models([tmp_path / "truth.ifc"], tmp_path / "out", "truth")

    return run


def judged(imported: Imported) -> tuple[list[str], list[str]]:
    """(items in a wrong room, those of them that no review lists)."""
    rooms = {row["room"]: row["name"] for row in imported.graph.ask("rooms")}
    items = {row["name"]: row.get("room") for row in imported.graph.ask("equipment")}
    items |= {row["label"]: row["owner"] for row in imported.graph.ask("points") if "sensor" in row["label"]}
    doubted = {item["name"] for item in imported.report["review"]}
    wrong = [
        f"{name}: in {rooms.get(room or '', '-')}" for name, room in sorted(items.items()) if rooms.get(room or "", "-") != name.split()[0]
    ]
    assert items
    return wrong, [line for line in wrong if line.split(":")[0] not in doubted]


@pytest.mark.parametrize(("build", "total"), [(offices, 112), (shared_walls, 20), (shapes, 20), (roofs, 16)])
def test_nine_of_ten_items_are_in_their_true_room_and_no_wrong_one_is_sure(
    placed: Callable[[Build], Imported], build: Build, total: int
) -> None:
    imported = placed(build)
    wrong, unsaid = judged(imported)

    assert imported.counts["elements"]["total"] == total
    assert len(wrong) <= 0.1 * total, f"{total - len(wrong)} of {total} right; wrong: {wrong}"
    assert len(unsaid) <= 0.02 * total, f"wrong and not for review: {unsaid}"


def test_devices_on_a_shared_line_that_look_nowhere_are_ties_for_a_person(placed: Callable[[Build], Imported]) -> None:
    def unturned(writer: ModelWriter) -> None:
        storey = writer.storey("Level 0", 0.0)
        for x in range(2):
            writer.room(f"S{x}", storey, [(5 * x, 0), (5 * x + 5, 0), (5 * x + 5, 6), (5 * x, 6)], 3.0)
        put(writer, storey, "S0", (5.0, 3.0, 1.5), "sensor")

    imported = placed(unturned)

    assert imported.counts["placed_low_confidence"] == 1
    assert [item["why"] for item in imported.report["review"]] == [["stands between rooms; S1 is one of them"]]


def test_large_map_coordinates_keep_their_precision(placed: Callable[[Build], Imported], tmp_path: Path) -> None:
    writer = ModelWriter("Truth")
    offices(writer)
    model = ifcopenshell.file.from_string(writer.content().decode())
    model.by_type("IfcSite")[0].ObjectPlacement.RelativePlacement.Location.Coordinates = (691_000.123, 5_334_000.456, 520.0)
    model.write(str(tmp_path / "far.ifc"))

    imported = import_models([tmp_path / "far.ifc"], tmp_path / "far", "far")

    wrong, _ = judged(imported)
    assert len(wrong) <= 11, wrong
    corners = imported.plan["rooms"][0]["polygons"][0]["outer"]
    assert sorted({x for x, _ in corners}) == pytest.approx([691_000.123, 691_005.123], abs=0.0011)
