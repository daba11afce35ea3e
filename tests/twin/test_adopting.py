"""Brick models that others made: they become twins that answer the same questions, and what was put right is told."""

from pathlib import Path

import pytest

from twin.adopting import adopt, class_of_today
from twin.errors import SiteError
from twin.graph import Graph

ROOT = Path(__file__).parents[2]
PLACES = [folder / "shared" / "data" / "brick" for folder in ROOT.parents[:2]]
PUBLIC = next((place for place in PLACES if place.is_dir()), PLACES[0])
HEAD = "@prefix brick: <https://brickschema.org/schema/Brick#> . @prefix b: <urn:b#> . "
HEAD += "@prefix old: <https://brickschema.org/schema/1.0.2/Brick#> .\n"


def model(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "other.ttl"
    path.write_text(HEAD + text, encoding="utf-8")
    return path


def test_old_names_and_both_directions_of_a_relation_become_those_of_today(tmp_path: Path) -> None:
    text = """b:AHU-1 a brick:AHU ; brick:hasPoint b:T . b:V a brick:VAV ; brick:isFedBy b:AHU-1 ; brick:feeds b:Z . b:Z a brick:HVAC_Zone ;
    brick:hasPart b:R . b:R a brick:Room ; brick:isLocationOf b:V . b:T a old:Outside_Air_Temperature . b:W a brick:Warp_Drive ."""

    adopted = adopt(model(tmp_path, text))

    assert adopted.graph.ask("terminals") == [{"terminal": "v", "zone": "z", "air_handler": "ahu_1"}]
    assert adopted.graph.ask("points_of", brick_class="Temperature_Sensor") == [{"owner": "ahu_1", "point": "t"}]
    assert adopted.graph.ask("zones") == [{"zone": "z", "name": "Z", "room": "r"}]
    assert "brick:HVAC_Zone is rec:HVACZone today (1 nodes)" in adopted.notes
    assert "brick:Warp_Drive is no class of Brick 1.5 (1 nodes); they stay without one" in adopted.notes


def test_a_name_that_no_iri_may_hold_is_told_with_its_line_and_read_all_the_same(tmp_path: Path) -> None:
    adopted = adopt(model(tmp_path, "<urn:b#AHU 1> a brick:AHU .\n<urn:b#AHU{2}> a brick:AHU ."))

    assert [row["air_handler"] for row in adopted.graph.ask("air_handlers")] == ["ahu_1", "ahu_2"]
    assert [note.split(":")[0] for note in adopted.notes] == ["line 2", "line 3"]


def test_the_same_model_gives_the_same_bytes_also_with_nodes_that_have_no_name(tmp_path: Path) -> None:
    prefix = "@prefix ref: <https://brickschema.org/schema/Brick/ref#> . "
    path = model(tmp_path, prefix + "b:p a brick:CO2_Sensor ; ref:hasExternalReference [ ref:a 1 ] , [ ref:a 2 ] .")

    assert adopt(path).graph.turtle() == adopt(path).graph.turtle()


@pytest.mark.parametrize(
    ("old", "today"),
    [
        ("Fire_Zone", "rec:Zone"),
        ("Rest_Room", "rec:Bathroom"),
        ("Zone_Air_Temperature_Setpoint", "brick:Target_Zone_Air_Temperature_Setpoint"),
        ("VAV", "brick:VAV"),
        ("Temperature", ""),
        ("No_Such", ""),
    ],
)
def test_a_replacement_is_followed_unless_it_is_plainly_wrong(old: str, today: str) -> None:
    assert class_of_today(f"https://brickschema.org/schema/Brick#{old}") == today


@pytest.mark.parametrize("text", ["this is no Turtle", "b:x b:y b:z .", "b:AHU a brick:AHU ; brick:feeds ["])
def test_what_is_no_brick_model_is_one_clear_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(SiteError, match=r"other\.ttl"):
        adopt(model(tmp_path, text))


@pytest.mark.parametrize(
    ("name", "air_handlers", "terminals", "zones", "points"),
    [
        ("soda_hall.ttl", 5, 241, 243, 942),
        ("buildingmotif_mediumoffice.ttl", 3, 15, 15, 306),
        ("g36_ahu_vav.ttl", 1, 1, 1, 28),
        ("rice.ttl", 4, 4, 8, 533),
        ("lighting.ttl", 0, 0, 0, 11),
        ("bacnet_ref.ttl", 0, 0, 0, 2),
        ("ifc_ref.ttl", 0, 0, 0, 0),
    ],
)
def test_public_brick_models_answer_the_named_questions(name: str, air_handlers: int, terminals: int, zones: int, points: int) -> None:
    if not (PUBLIC / name).exists():
        pytest.skip(f"public model {name} is not at hand ({PUBLIC})")

    graph = Graph.read(PUBLIC / name)

    assert len(graph.ask("air_handlers")) == air_handlers
    assert len(graph.ask("terminals")) == terminals
    assert len(graph.ask("air_zones")) == zones
    assert len(graph.points()) == points
