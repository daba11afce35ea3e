"""The order of authority as a table: life safety and equipment, limits, a person's override, air, comfort, strategies."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from controls.arbiter import rule
from controls.guard import GuardState, guard
from controls.interlocks import interlocked
from controls.leases import Leases
from twin.interlocks import parse_rule
from twin.words import Authority, Request

NOON = datetime(2025, 7, 14, 4, 0, tzinfo=UTC)
LIGHT, FAN, COOLING, OUTDOOR = "east_1.light_level", "ahu_1.fan_run", "east_1.clg_sp", "ahu_1.oa_f_sp"


def wish(point, value, authority=Authority.STRATEGY):
    return Request(point, value, authority.name, "a test asks", NOON + timedelta(hours=9), authority)


@pytest.fixture
def decide(graph, site, book, image_of, quiet):
    """From wishes to commands, through guard, arbiter and interlocks; `before` was ruled just before. Gives {point: (value, by)}."""

    def decided(*wishes, seen=None, before=(), locks=()):
        image = image_of(NOON, quiet | {p: 0.0 for p in book if book[p].writable} | (seen or {}))
        state = guard(before, book, image, GuardState.at_start(graph, site), NOON - timedelta(minutes=1)).state
        leases = Leases()
        guarded = guard(wishes, book, image, state, NOON)
        ruling = interlocked(rule(guarded.requests, book, image, NOON, leases, cycle="1", lease_s=900), leases, image, locks)
        return {c.point: (c.value, c.by) for c in ruling.commands}

    return decided


@pytest.mark.parametrize(("one", "other"), permutations(Authority, 2), ids=lambda a: a.name)
def test_of_two_wishes_the_one_with_more_authority_rules_whoever_came_first(decide, one, other):
    assert decide(wish(LIGHT, 30.0, one), wish(LIGHT, 60.0, other))[LIGHT] == ((30.0, one.name) if one < other else (60.0, other.name))


NO_AIR = {"core_1.zn_co2": 1500.0, "core_1.zn_occ": 9.0}
PEOPLE = {"east_1.zn_occ": 3.0}
APART = (parse_rule("apart", f"{FAN} > 0.5 forbids {LIGHT} > 20", "", ""),)
TABLE = [
    # who asks what, when, and what becomes of it
    ("life safety stands above a fan's minimum time", wish(FAN, 0.0, Authority.EQUIPMENT), {"before": [wish(FAN, 1.0)]}, 0.0),
    ("a fan's minimum time stands above a person", wish(FAN, 0.0, Authority.OPERATOR), {"before": [wish(FAN, 1.0)]}, 1.0),
    ("a point's limits stand above life safety", wish(LIGHT, 180.0, Authority.EQUIPMENT), {}, 100.0),
    ("a point's limits stand above a person", wish(LIGHT, 180.0, Authority.OPERATOR), {}, 100.0),
    ("a room's hard limits stand above a person", wish(COOLING, 31.5, Authority.OPERATOR), {}, 30.0),
    ("an interlock stands above a person", wish(LIGHT, 50.0, Authority.OPERATOR), {"seen": {FAN: 1.0}, "locks": APART}, None),
    ("a person stands above air", wish(FAN, 0.0, Authority.OPERATOR), {"seen": NO_AIR}, 0.0),
    ("air stands above comfort", wish(FAN, 0.0, Authority.COMFORT), {"seen": NO_AIR}, 1.0),
    ("air stands above strategies", wish(FAN, 0.0), {"seen": NO_AIR}, 1.0),
    ("a person stands above comfort", wish(COOLING, 29.0, Authority.OPERATOR), {"seen": PEOPLE}, 29.0),
    ("comfort stands above strategies", wish(COOLING, 29.0), {"seen": PEOPLE}, 26.0),
    ("a strategy rules where nobody stands above it", wish(COOLING, 29.0), {}, 29.0),
]


@pytest.mark.parametrize(("request_", "situation", "value"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_order_of_authority(decide, request_, situation, value):
    assert decide(request_, **situation).get(request_.point, (None, ""))[0] == value
