"""Interlocks over a ruling: who gives way, who waits, and what stands."""

from datetime import UTC, datetime, timedelta

import pytest

from controls.arbiter import Ruling, rule
from controls.interlocks import interlocked, moved, waits
from controls.leases import Leases
from twin.interlocks import parse_rule
from twin.points import PointBook
from twin.words import Authority, Binding, Image, Limits, Point, Quality, Reading, Request

NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)
BOOK = PointBook(
    Point(
        p,
        "Valve_Command",
        "PERCENT",
        "u",
        writable=True,
        limits=Limits(0, 100, float("inf"), 0),
        binding=Binding(p, f"bacnet:u/analog-output,{n}"),
    )
    for n, p in enumerate(("hot", "cold", "fan"))
)
APART = parse_rule("apart", "hot > 5 forbids cold > 5", "", "")
AIR = parse_rule("air", "hot > 5 only while fan > 0.5", "", "")


def wish(point, value, by="idea", authority=Authority.STRATEGY):
    return Request(point, value, by, "a test", NOW + timedelta(minutes=15), authority)


def seen(**values):
    return Image(NOW, {p: Reading(p, NOW, v) for p, v in values.items() if v is not None})


@pytest.fixture
def decide():
    """Rule on wishes under interlocks, holding `held` already; gives the ruling."""

    def decided(*wishes: Request, locks=(APART, AIR), held=None, **values) -> Ruling:
        leases = Leases()
        for command in rule([wish(p, v) for p, v in (held or {}).items()], BOOK, seen(), NOW, {}, cycle="1", lease_s=900).commands:
            leases.grant(command, has_slots=True, prior=None)
        image = seen(**({"hot": 0.0, "cold": 0.0, "fan": 1.0} | values))
        return interlocked(rule(wishes, BOOK, image, NOW, leases, cycle="2", lease_s=900), leases, image, locks)

    return decided


def commands(ruling):
    return {c.point: c.value for c in ruling.commands}


def reasons(ruling):
    return {r.point: r.refused_because for r in ruling.refusals}


def test_of_two_equal_wishes_the_second_of_the_rule_gives_way_by_name(decide):
    ruling = decide(wish("cold", 50), wish("hot", 50))

    assert commands(ruling) == {"hot": 50}
    assert reasons(ruling) == {"cold": "interlock apart: hot > 5 forbids cold > 5"}


def test_the_wish_with_more_authority_stays(decide):
    assert commands(decide(wish("cold", 50, "ann", Authority.OPERATOR), wish("hot", 50))) == {"cold": 50}
    assert commands(decide(wish("cold", 50), wish("hot", 50, "ann", Authority.OPERATOR))) == {"hot": 50}


def test_what_the_building_itself_opened_forbids_too(decide):
    assert commands(decide(wish("hot", 50), cold=40.0)) == {}
    assert commands(decide(wish("hot", 4), wish("cold", 40), cold=40.0)) == {"hot": 4, "cold": 40}


def test_both_below_their_conditions_is_nobodys_business(decide):
    assert commands(decide(wish("hot", 5), wish("cold", 5), hot=5.0, cold=5.0)) == {"hot": 5, "cold": 5}


@pytest.mark.parametrize("unseen", [{"cold": None}, {"fan": None}])
def test_what_is_not_seen_counts_as_dangerous(decide, unseen):
    ruling = decide(wish("hot", 50), **unseen)

    assert commands(ruling) == {}
    assert f"; {next(iter(unseen))} is not seen" in reasons(ruling)["hot"]


def test_a_stale_value_is_not_seen(decide):
    leases, image = Leases(), Image(NOW, {"hot": Reading("hot", NOW, 0.0), "cold": Reading("cold", NOW, 0.0, Quality.STALE)})
    ruling = interlocked(rule([wish("hot", 50)], BOOK, image, NOW, leases, cycle="1", lease_s=900), leases, image, [APART])

    assert commands(ruling) == {}


def test_a_change_over_takes_one_cycle_so_that_the_order_of_writes_does_not_matter(decide):
    stays = {"hot": 50.0, "fan": 1.0}
    first = decide(wish("hot", 0), wish("cold", 50), wish("fan", 1), held=stays, hot=50.0)
    assert commands(first) == {"hot": 0}
    assert "cold" in reasons(first)

    second = decide(wish("hot", 0), wish("cold", 50), wish("fan", 1), held={"hot": 0.0, "fan": 1.0})
    assert commands(second) == {"cold": 50}


def test_a_coil_waits_until_its_fan_is_seen_running(decide):
    assert commands(decide(wish("fan", 1), wish("hot", 50), fan=0.0)) == {"fan": 1}
    assert commands(decide(wish("hot", 50), wish("fan", 1), held={"fan": 1.0})) == {"hot": 50}


def test_a_fan_that_is_to_stop_waits_as_it_is_until_the_coil_is_let_go(decide):
    ruling = decide(wish("hot", 50), wish("fan", 0, "ann", Authority.OPERATOR), held={"hot": 50.0, "fan": 1.0}, hot=50.0)

    assert commands(ruling) == {}
    assert list(ruling.renewed) == ["fan"]  # and the coil, in nobody's list, is let go
    assert reasons(ruling) == {"hot": f"interlock air: {AIR.rule}", "fan": "interlock air: waits until hot is let go"}
    assert [r.point for r in ruling.refusals if waits(r)] == ["fan"]
    assert commands(decide(wish("fan", 0, "ann", Authority.OPERATOR), held={"fan": 1.0})) == {"fan": 0}


def test_life_safety_stops_a_fan_at_once(decide):
    ruling = decide(wish("hot", 50), wish("fan", 0, "alarm", Authority.EQUIPMENT), held={"hot": 50.0, "fan": 1.0}, hot=50.0)

    assert commands(ruling) == {"fan": 0}
    assert "hot" not in ruling.renewed


def test_a_fan_that_somebody_else_stopped_takes_the_coil_from_us(decide):
    ruling = decide(wish("hot", 50), held={"hot": 50.0}, hot=50.0, fan=0.0)

    assert not ruling.commands
    assert not ruling.renewed
    assert ruling.refusals[0].by == "idea"


def test_a_refused_wish_leaves_what_stands_where_that_is_safe(decide):
    ruling = decide(wish("cold", 50), wish("hot", 40, "ann", Authority.OPERATOR), held={"cold": 2.0, "hot": 40.0}, cold=2.0, hot=40.0)

    assert commands(ruling) == {"hot": 40}  # another authority than the one that holds it
    assert list(ruling.renewed) == ["cold"]


def test_letting_go_is_never_refused_and_what_becomes_of_it_counts_as_dangerous(decide):
    ruling = decide(wish("hot", 50), wish("cold", None), held={"hot": 50.0, "cold": 0.0}, hot=50.0)

    assert "hot" in reasons(ruling)  # nobody knows what the building does with the cooling valve; next cycle it is seen
    assert decide(wish("cold", None), held={"cold": 50.0}, cold=50.0).refusals == []


def test_one_that_gives_way_takes_the_ground_from_under_another(decide):
    chain = parse_rule("chain", "cold > 5 only while hot > 5", "", "")

    ruling = decide(wish("hot", 50), wish("cold", 50), locks=[chain, AIR], held={"hot": 50.0}, hot=50.0, fan=0.0)

    assert set(reasons(ruling)) == {"hot", "cold"}


def test_a_reading_that_crosses_a_condition_asks_for_a_look_now():
    image = seen(hot=0.0, cold=0.0, fan=1.0)

    assert moved([AIR], [Reading("fan", NOW, 0.0)], image)
    assert not moved([AIR], [Reading("fan", NOW, 1.0), Reading("cold", NOW, 90.0)], image)
