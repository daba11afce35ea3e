"""The graph: what is written comes back, and every named query finds what a strategy needs, subclasses included."""

from pathlib import Path

import pytest

from twin.errors import SiteError
from twin.graph import Graph, Text, Triple, binding_kinds, brick, query_names

A = "rdf:type"


def thing(key: str, kind: str, name: str, *more: tuple[str, str | Text]) -> list[Triple]:
    node = f"site:{key}"
    return [(node, A, kind), (node, "rdfs:label", Text(name)), *((node, predicate, value) for predicate, value in more)]


def point(key: str, kind: str, owner: str, unit: str, address: str, scale: str | None = None) -> list[Triple]:
    reference = f"site:{key}.ref"
    triples = thing(key, kind, key, ("brick:isPointOf", f"site:{owner}"), ("brick:hasUnit", f"unit:{unit}"))
    triples += [(f"unit:{unit}", A, "qudt:Unit"), (f"site:{key}", "ref:hasExternalReference", reference)]
    triples += [(reference, A, "ref:BACnetReference"), (reference, "tw:address", Text(address))]
    return triples + ([(reference, "tw:scale", Text(scale))] if scale else [])


def small_site() -> list[Triple]:
    """One air handler (a rooftop unit), one box, one zone of one room with a luminaire and an emergency light, one meter."""
    return [
        *thing("house", "rec:Building", "House", ("rec:hasPart", "site:level_1")),
        *thing("level_1", "rec:Level", "Level 1", ("rec:hasPart", "site:r1")),
        *thing("r1", "rec:Office", "Room 1", ("tw:area_m2", Text("20.5", number=True))),
        *thing("zone_1", "rec:HVACZone", "Zone 1", ("rec:hasPart", "site:r1")),
        *thing("roof", "brick:RTU", "Roof unit", ("brick:feeds", "site:vav"), ("brick:hasLocation", "site:level_1")),
        *thing("vav", "brick:RVAV", "VAV 1", ("brick:feeds", "site:zone_1"), ("brick:hasLocation", "site:r1")),
        *thing("lt", "brick:Luminaire", "LT 1", ("brick:hasLocation", "site:r1"), ("tw:ifcType", Text("IfcLightFixture"))),
        *thing("exit", "brick:Luminaire", "Exit sign", ("brick:hasLocation", "site:r1"), ("tw:protected", Text("emergency light"))),
        *thing("em", "brick:Building_Electrical_Meter", "EM", ("brick:hasLocation", "site:r1")),
        *point("r1.zn_t", "brick:Zone_Air_Temperature_Sensor", "vav", "DEG_C", "bacnet:floor_1/analog-input,0"),
        *point("r1.co2", "brick:CO2_Level_Sensor", "r1", "PPM", "bacnet:floor_1/analog-input,1"),
        *point("lt.level", "brick:Luminance_Command", "lt", "PERCENT", "modbus:lights_1/1/holding/0:int16", "0.1"),
        *point("em.power", "brick:Electric_Power_Sensor", "em", "W", "modbus:meters/1/input/0:float32:big"),
        *point("roof.sa_t", "brick:Supply_Air_Temperature_Sensor", "roof", "DEG_C", "bacnet:ahu_1/analog-input,0"),
    ]


@pytest.fixture
def graph() -> Graph:
    return Graph.from_triples("small", small_site())


def test_what_is_written_comes_back_with_the_same_bytes(graph: Graph, tmp_path: Path) -> None:
    graph.write(tmp_path / "twin.ttl", ["models/a.ifc sha256 00ff", "wattproof 0.1.0"])
    written = (tmp_path / "twin.ttl").read_bytes()

    again = Graph.read(tmp_path / "twin.ttl")
    shuffled = Graph.from_triples("small", reversed(small_site()))

    assert written.startswith(b"# models/a.ifc sha256 00ff\n# wattproof 0.1.0\n@prefix")
    assert again.site == "small"
    assert again.turtle(["models/a.ifc sha256 00ff", "wattproof 0.1.0"]) == written
    assert shuffled.turtle() == graph.turtle()


@pytest.mark.parametrize(
    ("query", "bindings", "rows"),
    [
        (
            "points_of",
            {"brick_class": "Temperature_Sensor"},
            [{"owner": "roof", "point": "roof.sa_t"}, {"owner": "vav", "point": "r1.zn_t"}],
        ),
        ("zone_points", {"brick_class": "Air_Temperature_Sensor"}, [{"zone": "zone_1", "point": "r1.zn_t"}]),
        ("zone_points", {"brick_class": "CO2_Sensor"}, [{"zone": "zone_1", "point": "r1.co2"}]),
        ("zone_points", {"brick_class": "Luminance_Command"}, [{"zone": "zone_1", "point": "lt.level"}]),
        ("zone_points", {"brick_class": "Electric_Power_Sensor"}, []),
        ("zones", {}, [{"zone": "zone_1", "name": "Zone 1", "room": "r1", "level": "level_1", "area_m2": "20.5"}]),
        ("rooms", {}, [{"room": "r1", "name": "Room 1", "level": "level_1", "area_m2": "20.5"}]),
        ("terminals", {}, [{"terminal": "vav", "zone": "zone_1", "air_handler": "roof"}]),
        ("air_handlers", {}, [{"air_handler": "roof", "name": "Roof unit"}]),
        (
            "meters",
            {},
            [
                {
                    "meter": "em",
                    "class": "Building_Electrical_Meter",
                    "point": "em.power",
                    "point_class": "Electric_Power_Sensor",
                    "unit": "W",
                }
            ],
        ),
        ("feeds", {}, [{"source": "roof", "target": "vav"}, {"source": "vav", "target": "zone_1"}]),
        ("lighting", {}, [{"luminaire": "lt", "zone": "zone_1", "room": "r1", "command": "lt.level"}]),
        ("protected", {}, [{"equipment": "exit", "reason": "emergency light"}]),
    ],
)
def test_a_named_query_finds_subclasses_and_answers_in_keys(
    graph: Graph, query: str, bindings: dict[str, str], rows: list[dict[str, str]]
) -> None:
    assert graph.ask(query, **bindings) == rows


def test_equipment_tells_its_room_its_level_and_its_ifc_type(graph: Graph) -> None:
    rows = {row["equipment"]: row for row in graph.ask("equipment")}

    assert rows["lt"] == {
        "equipment": "lt", "class": "Luminaire", "name": "LT 1", "room": "r1", "level": "level_1", "ifc_type": "IfcLightFixture",
    }  # fmt: skip
    assert rows["roof"] == {"equipment": "roof", "class": "RTU", "name": "Roof unit", "level": "level_1"}
    assert sorted(rows) == ["em", "exit", "lt", "roof", "vav"]


def test_points_come_bound_and_none_is_writable_by_the_model_alone(graph: Graph) -> None:
    points = {p.id: p for p in graph.points()}

    level = points["lt.level"]
    assert (level.brick, level.unit, level.owner, level.writable) == ("Luminance_Command", "PERCENT", "lt", False)
    assert level.binding is not None
    assert (level.binding.address, level.binding.scale) == ("modbus:lights_1/1/holding/0:int16", 0.1)
    assert sorted(points) == ["em.power", "lt.level", "r1.co2", "r1.zn_t", "roof.sa_t"]


def test_every_query_opens_with_what_for_bindings_and_columns() -> None:
    folder = Path(__file__).parents[2] / "twin" / "queries"
    for name in query_names():
        comments = [line for line in (folder / f"{name}.rq").read_text().splitlines() if line.startswith("# ")]
        text = "\n".join(comments)
        assert len(comments) >= 3, name
        assert "# Bindings: " in text, name
        assert "# Columns: " in text, name
        assert "# Order: " in text, name


def test_a_misspelt_query_or_class_is_said_and_never_answers_nothing(graph: Graph) -> None:
    with pytest.raises(ValueError, match="no query named 'zone'"):
        graph.ask("zone")
    with pytest.raises(ValueError, match=r"'Zone_Temperature' is not a class of Brick 1\.5"):
        graph.ask("points_of", brick_class="Zone_Temperature")


def test_a_twin_that_is_absent_broken_or_empty_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="wattproof import"):
        Graph.read(tmp_path / "twin.ttl")
    (tmp_path / "twin.ttl").write_text("@prefix x: <urn:x> . this is not Turtle")
    with pytest.raises(SiteError, match="not readable as Turtle"):
        Graph.read(tmp_path / "twin.ttl")
    (tmp_path / "twin.ttl").write_text("<urn:a> <urn:b> <urn:c> .")
    with pytest.raises(SiteError, match="nothing of a building in it"):
        Graph.read(tmp_path / "twin.ttl")


def test_the_hierarchy_knows_brick_and_real_estate_core() -> None:
    assert brick().is_a("brick:RVAV", "brick:VAV")
    assert brick().is_a("rec:Office", "rec:Room")
    assert not brick().is_a("brick:VAV", "brick:AHU")
    assert "brick:Zone_Air_Temperature_Setpoint" in brick().deprecated


def many_points(count: int) -> list[Triple]:
    """Sites as in practice: ten points a box, twenty boxes an air handler."""
    triples: list[Triple] = []
    for n in range(count // 10):
        handler, box, zone, room = f"ahu_{n // 20}", f"vav_{n}", f"zone_{n}", f"r{n}"
        triples += thing(handler, "brick:AHU", handler, ("brick:feeds", f"site:{box}"))
        triples += thing(box, "brick:VAV", box, ("brick:feeds", f"site:{zone}"), ("brick:hasLocation", f"site:{room}"))
        triples += [*thing(zone, "rec:HVACZone", zone, ("rec:hasPart", f"site:{room}")), *thing(room, "rec:Room", room)]
        for i in range(10):
            kind = "brick:Zone_Air_Temperature_Sensor" if i == 0 else "brick:CO2_Level_Sensor"
            triples += point(f"p{n}.{i}", kind, box, "DEG_C", f"bacnet:b{n}/analog-input,{i}")
    return triples


def test_ten_thousand_points_are_all_answered() -> None:
    graph = Graph.from_triples("big", many_points(10_000))

    assert len(graph.ask("zone_points", brick_class="Temperature_Sensor")) == 1000
    assert [len(graph.ask(name)) for name in ("terminals", "zones", "air_handlers")] == [1000, 1000, 50]


def test_every_question_is_answered_on_both_sample_sites(sample: Graph) -> None:
    equipment = sample.ask("air_handlers")[0]["air_handler"]
    rooms, storeys = sample.ask("rooms"), sample.ask("storeys")
    words = {
        "air_handler": equipment, "source": equipment, "node": equipment, "target": sample.ask("terminals")[0]["zone"],
        "room": rooms[0]["room"], "storey": storeys[0]["storey"], "connection": sample.ask("connections")[0]["connection"],
        "brick_class": "Zone_Air_Temperature_Sensor",
    }  # fmt: skip
    counts = {name: len(sample.ask(name, **{kind: words[kind] for kind in binding_kinds(name)})) for name in query_names()}

    absent = {
        "alarms",
        "blinds",
        "heat_emitters",
        "life_safety",
        "meter_tree",
        "plant",
        "points_without_unit",
        "ratings",
        "unbound_points",
        "uncertain",
    }
    assert {name for name, count in counts.items() if not count} <= absent
    assert counts["boxes_of"] == len([row for row in sample.ask("terminals") if row["air_handler"] == equipment])
    assert all("temperature" in row for row in sample.ask("boxes_of", air_handler=equipment))
    assert {
        row["point"] for row in sample.ask("handler_zone_points", air_handler=equipment, brick_class="Zone_Air_Temperature_Sensor")
    } == {row["temperature"] for row in sample.ask("boxes_of", air_handler=equipment)}


@pytest.fixture(params=["demo_office", "corner_clinic"])
def sample(request: pytest.FixtureRequest) -> Graph:
    return Graph.read(Path(__file__).parents[2] / "sites" / request.param / "twin.ttl")


def test_a_key_is_looked_up_and_never_read_as_a_question(graph: Graph) -> None:
    assert graph.ask("room_points", room="r1")[1] == {"point": "lt.level", "class": "Luminance_Command", "owner": "lt", "unit": "PERCENT"}
    for key in ("no_such_room", "r1> ?p ?o } #", ""):
        with pytest.raises(SiteError, match="is no node of the twin"):
            graph.ask("room_points", room=key)
    assert graph.ask("connection_points", connection='x" } #') == []


def test_what_a_thing_feeds_and_is_fed_by_is_followed_however_far(graph: Graph) -> None:
    assert [row["target"] for row in graph.ask("downstream", source="roof")] == ["vav", "zone_1"]
    assert [row["source"] for row in graph.ask("upstream", target="zone_1")] == ["roof", "vav"]


def test_texts_with_quotes_line_ends_and_other_scripts_come_back_as_they_were(tmp_path: Path) -> None:
    label = 'Büro "A"\t1\n空调 \\ <urn:wattproof:site:x#y>'
    Graph.from_triples("x", thing("ahu", "brick:AHU", label)).write(tmp_path / "twin.ttl")

    graph = Graph.read(tmp_path / "twin.ttl")

    assert graph.ask("air_handlers") == [{"air_handler": "ahu", "name": label}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff\xfe\x00", "not readable as Turtle"),
        (b"<urn:wattproof:site:a#x> a <urn:c> . <urn:wattproof:site:b#x> a <urn:c> .", "nodes of several sites"),
        (b"<urn:wattproof:site:a#x> a <urn:c", "not readable as Turtle"),
        (b"", "nothing of a building"),
    ],
)
def test_hostile_turtle_is_one_clear_line(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "twin.ttl").write_bytes(text)
    with pytest.raises(SiteError, match=said):
        Graph.read(tmp_path / "twin.ttl")
    with pytest.raises(SiteError, match="cannot be read"):
        Graph.read(tmp_path)


def test_a_point_with_an_impossible_scale_is_said_by_name() -> None:
    graph = Graph.from_triples(
        "s", [*thing("a", "brick:AHU", "a"), *point("p", "brick:CO2_Sensor", "a", "PPM", "bacnet:d/analog-input,1", "x")]
    )
    with pytest.raises(SiteError, match="twin of s: "):
        graph.points()
