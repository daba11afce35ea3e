"""Elements for which Brick has no class get one of ours, from the model to the twin."""

from pathlib import Path

import pytest

from bim import tables
from bim.importing import import_models
from bim.writing import ModelWriter, Spot
from twin.errors import SiteError
from twin.graph import Graph, brick


def openings(path: Path) -> Path:
    """A floor full of grilles that take air out, a few that give it, and what guards and moves them."""
    writer = ModelWriter("Grilles", "IFC4")
    storey = writer.storey("Level 1", 0.0)
    room = writer.room("R1", storey, [(0, 0), (20, 0), (20, 20), (0, 20)], 3.0)
    returns = [writer.element("IfcAirTerminal", f"Grille {n}", "GRILLE", Spot(room, 0.5 + n % 20, 1.0 + n // 20, 2.8)) for n in range(40)]
    writer.system("Return air", "AIRCONDITIONING", returns)
    for n in range(3):
        writer.element("IfcFireSuppressionTerminal", f"SP-{n}", "SPRINKLER", Spot(room, 2.0 + n, 8.0, 2.9))
        writer.element("IfcActuator", f"Damper actuator {n}", "ELECTRICACTUATOR", Spot(room, 2.0 + n, 9.0, 2.9))
        writer.element("IfcAirTerminal", f"LV-{n}", "LOUVRE", Spot(room, 2.0 + n, 10.0, 2.9))
    path.write_bytes(writer.content())
    return path


def test_a_model_full_of_return_grilles_is_named_whole(tmp_path: Path) -> None:
    imported = import_models([openings(tmp_path / "grilles.ifc")], tmp_path / "out", "grilles")
    graph = Graph.read(tmp_path / "out" / "twin.ttl")
    counted: dict[str, int] = {}
    for row in graph.ask("equipment"):
        counted[row["class"]] = counted.get(row["class"], 0) + 1

    assert counted == {"Return_Air_Opening": 40, "Sprinkler": 3, "Damper_Actuator": 3, "Louver": 3}
    assert imported.counts["elements"]["generic"] == imported.counts["elements"]["unmapped"] == 0
    assert imported.counts["elements"]["share_percent"]["hvac"] == imported.counts["elements"]["share_percent"]["all"] == 100.0
    assert imported.report["violations"] == []
    assert {row["equipment"] for row in graph.ask("protected")} == {"sp_0", "sp_1", "sp_2"}


def test_a_class_is_declared_once_and_only_where_it_is_used(tmp_path: Path) -> None:
    import_models([openings(tmp_path / "grilles.ifc")], tmp_path / "out", "grilles")
    text = (tmp_path / "out" / "twin.ttl").read_text(encoding="utf-8")

    assert text.count("\ntw:Sprinkler a owl:Class") == text.count("\ntw:Air_Opening a owl:Class") == 1
    assert "tw:Fire_Hydrant" not in text


def test_a_person_may_decide_for_an_own_class_but_for_no_place(tmp_path: Path) -> None:
    model = openings(tmp_path / "grilles.ifc")
    import_models([model], tmp_path / "out", "grilles")
    asked = Graph.read(tmp_path / "out" / "twin.ttl").ask("things")
    known_by = next(row["global_id"] for row in asked if row["name"] == "LV-0")
    decision = f'["{known_by}"]\nbrick = "%s"\nby = "Kim"\nwhy = "seen on site"\n'
    (tmp_path / "out" / "review.toml").write_text(decision % "Outside_Air_Opening")
    import_models([model], tmp_path / "out", "grilles")

    classes = {row["name"]: row["class"] for row in Graph.read(tmp_path / "out" / "twin.ttl").ask("equipment")}
    assert (classes["LV-0"], classes["LV-1"]) == ("Outside_Air_Opening", "Louver")
    (tmp_path / "out" / "review.toml").write_text(decision % "rec:Room")
    with pytest.raises(SiteError, match="rec:Room"):
        import_models([model], tmp_path / "out", "grilles")


def test_every_own_class_is_reached_by_some_table() -> None:
    reached = {row.brick for row in tables.mapping().values()} | {rule.brick for rule, _ in tables.name_rules()}
    reached |= set(tables.refinements().values()) | {"tw:ModbusReference"}
    ours = {name for name in brick().classes if name.startswith("tw:")}

    assert {name for name in ours if not any(brick().is_a(one, name) for one in reached)} == set()
