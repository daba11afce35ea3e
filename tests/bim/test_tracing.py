"""Feeds from ports: downstream only, through ducts, to the next equipment; what has no direction is counted, not guessed."""

from bim.inventory import PortLink
from bim.tracing import trace

AHU, DUCT, BEND, VAV1, VAV2, PUMP = ((0, n) for n in range(6))
EQUIPMENT = {AHU, VAV1, VAV2, PUMP}


def link(a: tuple[int, int], a_side: str, b: tuple[int, int], b_side: str) -> PortLink:
    return PortLink(a, a_side, b, b_side, "")


def pairs(*links: PortLink) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    return [(f.source, f.target) for f in trace(links, EQUIPMENT).feeds]


def test_the_ports_tell_the_direction_not_the_order_of_the_relation() -> None:
    assert pairs(link(AHU, "SOURCE", VAV1, "SINK")) == [(AHU, VAV1)]
    assert pairs(link(VAV1, "SINK", AHU, "SOURCE")) == [(AHU, VAV1)]


def test_segments_and_bends_are_steps_and_the_trace_stops_at_the_next_equipment() -> None:
    found = trace(
        [
            link(AHU, "SOURCE", DUCT, "SINK"),
            link(DUCT, "SOURCE", BEND, "SINK"),
            link(VAV1, "SINK", BEND, "SOURCE"),
            link(VAV1, "SOURCE", VAV2, "SINK"),
        ],
        EQUIPMENT,
    )

    assert [(f.source, f.target, f.steps) for f in found.feeds] == [(AHU, VAV1, 2), (VAV1, VAV2, 0)]


def test_a_closed_loop_ends_and_nothing_feeds_itself() -> None:
    assert pairs(link(PUMP, "SOURCE", DUCT, "SINK"), link(DUCT, "SOURCE", PUMP, "SINK")) == []
    assert pairs(link(PUMP, "SOURCE", VAV1, "SINK"), link(VAV1, "SOURCE", PUMP, "SINK")) == [(VAV1, PUMP), (PUMP, VAV1)]


def test_a_connection_without_direction_is_counted_and_makes_no_feed() -> None:
    found = trace([link(AHU, "NOTDEFINED", VAV1, "NOTDEFINED"), link(AHU, "SOURCE", VAV2, "SOURCE")], EQUIPMENT)

    assert (found.feeds, found.undirected) == ((), 2)


def test_one_side_that_knows_is_enough() -> None:
    assert pairs(link(AHU, "SOURCE", VAV1, "NOTDEFINED"), link(VAV2, "NOTDEFINED", PUMP, "SINK")) == [(AHU, VAV1), (VAV2, PUMP)]
