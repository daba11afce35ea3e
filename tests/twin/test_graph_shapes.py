"""The twin's own rules: each one lets a twin in order pass and stops what it is there for."""

from pathlib import Path

import pytest

from twin.graph import Graph, Text, Triple
from twin.shapes import validate, validate_brick, validate_nodes

A = "rdf:type"
GOOD: list[Triple] = [
    ("site:r1", A, "rec:Room"),
    ("site:z1", A, "rec:HVACZone"),
    ("site:z1", "rec:hasPart", "site:r1"),
    ("site:vav", A, "brick:VAV"),
    ("site:vav", "rdfs:label", Text("VAV")),
    ("site:vav", "brick:feeds", "site:z1"),
    ("site:vav", "brick:hasLocation", "site:r1"),
    ("site:p", A, "brick:Zone_Air_Temperature_Sensor"),
    ("site:p", "rdfs:label", Text("ZN-T")),
    ("site:p", "brick:isPointOf", "site:vav"),
    ("site:p", "brick:hasUnit", "unit:DEG_C"),
    ("unit:DEG_C", A, "qudt:Unit"),
    ("site:p", "ref:hasExternalReference", "site:p-address"),
    ("site:p-address", A, "ref:BACnetReference"),
    ("site:p-address", "bacnet:object-identifier", Text("analog-input,1")),
    ("site:p-address", "bacnet:contains", "site:device-d"),
    ("site:p-address", "tw:address", Text("bacnet:d/analog-input,1")),
    ("site:device-d", A, "bacnet:device"),
]


def findings(*, without: tuple[str, str] = ("", ""), extra: list[Triple] | None = None) -> list[tuple[str, str]]:
    triples = [t for t in GOOD if (t[0], t[1]) != without] + (extra or [])
    return [(f.node, f.rule) for f in validate(Graph.from_triples("s", triples))]


def test_a_twin_in_order_has_no_finding() -> None:
    assert findings() == []


@pytest.mark.parametrize(
    ("without", "found"),
    [
        (("site:p", "brick:isPointOf"), ("p", "brick:isPointOf")),
        (("site:p", "brick:hasUnit"), ("p", "brick:hasUnit")),
        (("unit:DEG_C", A), ("p", "brick:hasUnit")),
        (("site:p", "rdfs:label"), ("p", "rdfs:label")),
        (("site:vav", "rdfs:label"), ("vav", "rdfs:label")),
        (("site:z1", "rec:hasPart"), ("z1", "rec:hasPart")),
        (("site:p-address", "bacnet:contains"), ("p-address", "bacnet:contains")),
        (("site:device-d", A), ("p-address", "bacnet:contains")),
        (("site:p-address", "bacnet:object-identifier"), ("p-address", "bacnet:object-identifier")),
        (("site:p-address", "tw:address"), ("p-address", "tw:address")),
        (("site:p-address", A), ("p-address", "shape")),
    ],
)
def test_what_is_missing_is_found_on_its_node(without: tuple[str, str], found: tuple[str, str]) -> None:
    assert found in findings(without=without)


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        (("site:p", "brick:isPointOf", "site:r1"), ("p", "brick:isPointOf")),
        (("site:p", "brick:hasLocation", "site:r1"), ("p", "brick:hasLocation")),
        (("site:vav", "brick:hasLocation", "site:z1"), ("vav", "brick:hasLocation")),
        (("site:vav", "brick:feeds", "site:p"), ("vav", "brick:feeds")),
        (("site:p", A, "brick:No_Such_Class"), ("p", "class")),
        (("site:p", A, "brick:Zone_Air_Temperature_Setpoint"), ("p", "class")),
        (("site:q-address", "tw:writable", Text("true")), ("q-address", "tw:address")),
        (("site:r2", A, "brick:Room"), ("r2", "class")),
        (("site:r2", A, "rec:LightingZone"), ("r2", "class")),
        (("site:vav", "brick:hasLocation", "site:p-address"), ("vav", "brick:hasLocation")),
        (("site:p-address", "bacnet:objectOf", "site:device-d"), ("p-address", "bacnet:objectOf")),
        (("site:vav", "brick:meters", "site:r1"), ("vav", "shape")),
    ],
)
def test_what_is_wrong_is_found_on_its_node(extra: Triple, found: tuple[str, str]) -> None:
    assert found in findings(extra=[extra])


EXTRA: dict[str, list[Triple]] = {
    "tank": [("site:tank", A, "brick:Storage_Tank"), ("site:tank", "rdfs:label", Text("Tank"))],
    "boiler": [("site:boiler", A, "brick:Boiler"), ("site:boiler", "rdfs:label", Text("Boiler"))],
    "pump": [("site:pump", A, "brick:Pump"), ("site:pump", "rdfs:label", Text("Pump"))],
    "meter": [("site:meter", A, "brick:Water_Meter"), ("site:meter", "rdfs:label", Text("Meter"))],
    "actuator": [("site:actuator", A, "brick:Equipment"), ("site:actuator", "rdfs:label", Text("Actuator"))],
    "damper": [("site:damper", A, "brick:Damper"), ("site:damper", "rdfs:label", Text("Damper"))],
    "light": [("site:light", A, "brick:Luminaire"), ("site:light", "rdfs:label", Text("Light"))],
    "switch": [("site:switch", A, "brick:Switch"), ("site:switch", "rdfs:label", Text("Switch"))],
    "ddc": [("site:ddc", A, "brick:BACnet_Controller"), ("site:ddc", "rdfs:label", Text("DDC"))],
    "ddc2": [("site:ddc2", A, "brick:BACnet_Controller"), ("site:ddc2", "rdfs:label", Text("DDC 2"))],
    "system": [("site:system", A, "brick:HVAC_System"), ("site:system", "rdfs:label", Text("System"))],
}


@pytest.mark.parametrize(
    ("right", "wrong", "found"),
    [
        (("boiler", "tw:flowsTo", "tank"), ("boiler", "brick:feeds", "actuator"), ("boiler", "brick:feeds")),
        (("meter", "brick:meters", "vav"), ("pump", "brick:feeds", "meter"), ("pump", "brick:feeds")),
        (("light", "brick:feeds", "z1"), ("light", "brick:feeds", "vav"), ("light", "brick:feeds")),
        (("vav", "brick:hasPart", "damper"), ("vav", "brick:hasPart", "actuator"), ("vav", "brick:hasPart")),
        (("vav", "brick:isControlledBy", "ddc"), ("light", "brick:isControlledBy", "switch"), ("light", "brick:isControlledBy")),
        (("ddc", "brick:controls", "vav"), ("switch", "brick:controls", "light"), ("switch", "shape")),
        (("ddc", "brick:hosts", "p"), ("ddc2", "brick:hosts", "p"), ("p", "shape")),
        (("meter", "brick:meters", "r1"), ("meter", "brick:hasSubMeter", "pump"), ("meter", "brick:hasSubMeter")),
        (("system", "rec:includes", "vav"), ("system", "brick:hasPart", "vav"), ("system", "brick:hasPart")),
    ],
)
def test_each_trap_of_brick_has_a_way_that_passes_and_one_that_does_not(
    right: tuple[str, str, str], wrong: tuple[str, str, str], found: tuple[str, str]
) -> None:
    def triple(said: tuple[str, str, str]) -> Triple:
        return f"site:{said[0]}", said[1], f"site:{said[2]}"

    cast = [t for some in EXTRA.values() for t in some]
    assert findings(extra=[*cast, triple(right)]) == []
    assert found[0] in {node for node, _ in findings(extra=[*cast, triple(right), triple(wrong)])}


def test_a_reference_class_of_our_own_says_what_it_is() -> None:
    modbus: list[Triple] = [
        ("site:p-address", A, "tw:ModbusReference"),
        ("tw:ModbusReference", "rdfs:label", Text("Modbus reference")),
        ("tw:ModbusReference", "skos:definition", Text("Where a point lives.")),
    ]
    assert findings(extra=modbus) == []
    assert ("p-address", "shape") in findings(extra=modbus[:1])


def test_after_an_edit_only_its_surroundings_are_checked_and_found_the_same() -> None:
    graph = Graph.from_triples("s", [t for t in GOOD if t[:2] != ("site:p-address", "tw:address")])

    assert [f.node for f in validate_nodes(graph, ["p"])] == ["p-address"]
    assert validate_nodes(graph, ["vav", "r1"]) == []
    assert len(graph.around(["vav"])) < len(graph)


@pytest.mark.long
@pytest.mark.parametrize("site", ["demo_office", "corner_clinic"])
def test_the_sample_sites_violate_none_of_bricks_own_rules(site: str) -> None:
    graph = Graph.read(Path(__file__).parents[2] / "sites" / site / "twin.ttl")

    assert validate_brick(graph) == []


@pytest.mark.long
def test_bricks_own_rules_find_what_violates_them() -> None:
    bad: list[Triple] = [*GOOD, *EXTRA["actuator"], ("site:vav", "brick:hasPart", "site:actuator")]

    assert "vav" in {f.node for f in validate_brick(Graph.from_triples("s", bad))}
