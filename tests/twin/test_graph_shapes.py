"""The twin's own rules: each one lets a twin in order pass and stops what it is there for."""

import pytest

from twin.graph import Graph, Text, Triple
from twin.shapes import validate

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
    ],
)
def test_what_is_wrong_is_found_on_its_node(extra: Triple, found: tuple[str, str]) -> None:
    assert found in findings(extra=[extra])
