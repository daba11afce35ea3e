"""Feeds from ports: downstream only, through ducts, to the next equipment; what nothing tells is counted, not guessed."""

from bim.inventory import Group, Inventory
from bim.ports import Port, PortLink
from bim.tracing import Trace, trace

Ref = tuple[int, int]
AHU, DUCT, BEND, VAV1, VAV2, PUMP, BOILER = ((0, n) for n in range(7))
EQUIPMENT = {AHU: "brick:AHU", VAV1: "brick:VAV", VAV2: "brick:VAV", PUMP: "brick:Pump", BOILER: "brick:Boiler"}
Link = tuple[Port, Port]


def link(a: Ref, a_side: str, b: Ref, b_side: str, medium: str = "") -> Link:
    number = 10 * len(_COUNT) + 100
    _COUNT.append(number)
    return Port((0, number), a, a_side, medium), Port((0, number + 1), b, b_side, medium)


_COUNT: list[int] = []


def traced(*links: Link, systems: tuple[Group, ...] = ()) -> Trace:
    ports = {port.ref: port for pair in links for port in pair}
    return trace(Inventory(ports=ports, links=[PortLink(a.ref, b.ref) for a, b in links]), EQUIPMENT, systems)


def pairs(*links: Link) -> list[tuple[Ref, Ref]]:
    return [(f.source, f.target) for f in traced(*links).feeds]


def test_the_ports_tell_the_direction_not_the_order_of_the_relation() -> None:
    assert pairs(link(AHU, "SOURCE", VAV1, "SINK")) == [(AHU, VAV1)]
    assert pairs(link(VAV1, "SINK", AHU, "SOURCE")) == [(AHU, VAV1)]


def test_segments_and_bends_are_steps_and_the_trace_stops_at_the_next_equipment() -> None:
    found = traced(
        link(AHU, "SOURCE", DUCT, "SINK"),
        link(DUCT, "SOURCE", BEND, "SINK"),
        link(VAV1, "SINK", BEND, "SOURCE"),
        link(VAV1, "SOURCE", VAV2, "SINK"),
    )

    assert [(f.source, f.target, f.steps) for f in found.feeds] == [(AHU, VAV1, 2), (VAV1, VAV2, 0)]


def test_a_closed_loop_ends_and_nothing_feeds_itself() -> None:
    assert pairs(link(PUMP, "SOURCE", DUCT, "SINK"), link(DUCT, "SOURCE", PUMP, "SINK")) == []


def test_the_way_back_from_what_used_the_water_is_no_feed() -> None:
    found = traced(
        link(BOILER, "SOURCE", VAV1, "SINK", "HEATING"),
        link(VAV1, "SOURCE", PUMP, "SINK", "HEATING"),
        link(PUMP, "SOURCE", BOILER, "SINK", "HEATING"),
    )

    assert [(f.source, f.target) for f in found.feeds] == [(BOILER, VAV1)]
    assert [(f.source, f.target) for f in found.returns] == [(VAV1, PUMP), (PUMP, BOILER)]


def test_a_connection_without_direction_is_counted_and_makes_no_feed() -> None:
    found = traced(link(PUMP, "NOTDEFINED", BOILER, "NOTDEFINED"), link(AHU, "SOURCE", VAV2, "SOURCE"))

    assert (found.feeds, found.undirected, found.contradicted) == ((), 2, 1)


def test_one_side_that_knows_is_enough() -> None:
    assert pairs(link(AHU, "SOURCE", VAV1, "NOTDEFINED"), link(VAV2, "NOTDEFINED", PUMP, "SINK")) == [(AHU, VAV1), (VAV2, PUMP)]


def test_in_a_named_supply_the_kind_of_equipment_tells_who_gives() -> None:
    found = traced(link(BOILER, "", DUCT, "", "HEATING"), link(DUCT, "", VAV1, "", "HEATING"))
    named = traced(
        link(BOILER, "", DUCT, "", "HEATING"),
        link(DUCT, "", VAV1, "", "HEATING"),
        systems=(Group((0, 99), "IfcDistributionSystem", "HEATING", "", "Heizung Vorlauf", (DUCT,)),),
    )

    assert found.feeds == ()
    assert [(f.source, f.target, f.confidence) for f in named.feeds] == [(BOILER, VAV1, 0.75)]


def test_a_bypass_from_supply_to_return_makes_no_short_cut() -> None:
    systems = (
        Group((0, 98), "IfcSystem", "", "", "Heating supply", (DUCT,)),
        Group((0, 99), "IfcSystem", "", "", "Heating return", (BEND,)),
    )
    found = traced(
        link(BOILER, "SOURCE", DUCT, "SINK"),
        link(DUCT, "SOURCE", VAV1, "SINK"),
        link(VAV2, "SOURCE", BEND, "SINK"),
        link(BEND, "", DUCT, ""),
        systems=systems,
    )

    assert [(f.source, f.target) for f in found.feeds] == [(BOILER, VAV1)]
