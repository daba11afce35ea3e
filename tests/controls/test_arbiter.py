"""The arbiter is pure: wishes in, a ruling out."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from controls.arbiter import PRIORITY, relinquish, rule
from controls.leases import Lease, Leases
from twin.points import PointBook
from twin.words import Authority, Binding, Command, Image, Limits, Point, Reading, Request, Result

NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)
SETPOINT, FAN = Binding("sp", "bacnet:a/analog-value,1"), Binding("fan", "bacnet:a/binary-output,1")
SENSOR = Binding("t", "bacnet:a/analog-input,1")
BOOK = PointBook(
    [
        Point("sp", "Zone_Setpoint", "DEG_C", "box", writable=True, limits=Limits(12, 24, 2, 20), binding=SETPOINT),
        Point("fan", "Start", "NUM", "ahu", writable=True, limits=Limits(0, 1, math.inf, 1), binding=FAN),
        Point("t", "Sensor", "DEG_C", "box", binding=SENSOR),
    ]
)
IMAGE = Image(NOW, {"sp": Reading("sp", NOW, 20.0)})


def wish(point: str, value: float | None, by: str = "idea", authority: Authority = Authority.STRATEGY, minutes: float = 15) -> Request:
    return Request(point, value, by, "a test", NOW + timedelta(minutes=minutes), authority)


def ruled(*requests: Request, held: dict[str, Lease] | None = None, image: Image = IMAGE):
    return rule(requests, BOOK, image, NOW, held or {}, cycle="7", lease_s=900)


def test_the_strongest_authority_wins_a_point_then_the_earliest_wish():
    ann = wish("sp", 21, "ann", Authority.OPERATOR)
    ruling = ruled(wish("sp", 19, "first"), wish("sp", 18, "second"), ann, wish("fan", 0), wish("fan", 1))
    assert [(c.id, c.point, c.value, c.by, c.priority) for c in ruling.commands] == [
        ("7.1", "sp", 21, "ann", PRIORITY),
        ("7.2", "fan", 0, "idea", PRIORITY),
    ]
    assert ruling.commands[0].before == 20.0


@pytest.mark.parametrize(
    ("request_", "because"),
    [
        (wish("sp", 25), "25 lies outside 12 to 24 DEG_C"),
        (wish("sp", math.nan), "nan is not a number"),
        (wish("sp", math.inf), "inf is not a number"),
        (wish("fan", 0.5), "no state of a binary"),
        (wish("t", 20), "not writable"),
        (wish("nowhere", 20), "no such point"),
        (wish("sp", 20, minutes=0), "it ended"),
    ],
)
def test_what_a_point_cannot_do_is_refused_with_a_reason(request_, because):
    ruling = ruled(request_)
    assert ruling.commands == []
    assert because in ruling.refusals[0].refused_because


def test_when_the_strongest_wish_is_refused_the_next_one_rules():
    ruling = ruled(wish("sp", 40, "ann", Authority.OPERATOR), wish("sp", 19))
    assert [c.by for c in ruling.commands] == ["idea"]
    assert [r.by for r in ruling.refusals] == ["ann"]


def test_a_change_larger_than_the_step_is_met_part_of_the_way():
    assert ruled(wish("sp", 14)).commands[0].value == 18.0
    lease = Lease("sp", 18.0, "6.1", "idea", Authority.STRATEGY, NOW, result=Result.APPLIED)
    assert ruled(wish("sp", 14), held={"sp": lease}).commands[0].value == 16.0
    unread = Image(NOW, {})
    assert ruled(wish("sp", 14), image=unread).commands[0].value == 14.0


def test_a_lease_never_lives_longer_than_the_site_allows_nor_longer_than_the_wish():
    assert ruled(wish("sp", 19, minutes=600)).commands[0].until == NOW + timedelta(seconds=900)
    assert ruled(wish("sp", 19, minutes=5)).commands[0].until == NOW + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("lease", "commands"),
    [
        (Lease("sp", 19.0, "6.1", "idea", Authority.STRATEGY, NOW, result=Result.APPLIED), 0),
        (Lease("sp", 19.0, "6.1", "idea", Authority.STRATEGY, NOW, result=Result.MASKED), 0),
        (Lease("sp", 19.0, "6.1", "idea", Authority.STRATEGY, NOW, result=Result.NOT_EFFECTIVE, gone=True), 1),
        (Lease("sp", 19.0, "6.1", "idea", Authority.STRATEGY, NOW, result=Result.UNVERIFIED), 1),
        (Lease("sp", 19.0, "6.1", "ann", Authority.OPERATOR, NOW, result=Result.APPLIED), 1),
        (Lease("sp", None, "6.1", "idea", Authority.STRATEGY, NOW), 1),
    ],
)
def test_only_what_the_device_holds_already_is_merely_renewed(lease, commands):
    ruling = ruled(wish("sp", 19), held={"sp": lease})
    assert len(ruling.commands) == commands
    assert len(ruling.renewed) == 1 - commands


def test_a_wish_to_let_go_holds_the_point_against_weaker_wishes():
    ruling = ruled(wish("sp", None, "ann", Authority.OPERATOR), wish("sp", 19))
    assert (ruling.commands, ruling.renewed) == ([], {})


def test_relinquishing_is_a_command_too():
    lease = Lease("sp", 19.0, "6.1", "idea", Authority.STRATEGY, NOW)
    (command,) = relinquish([lease], NOW, cycle="8", by="ann", why="home time")
    assert (command.id, command.value, command.by) == ("8.r1", None, "ann")


# The lease table


def command(value: float, until: timedelta = timedelta(minutes=15)) -> Command:
    return Command("7.1", "sp", value, PRIORITY, "idea", "a test", NOW, NOW + until, Authority.STRATEGY)


def test_a_lease_ends_by_the_sites_time():
    leases = Leases()
    leases.grant(command(19), has_slots=True, prior=None)
    assert leases.expired(NOW + timedelta(minutes=14)) == []
    assert [lease.point for lease in leases.expired(NOW + timedelta(minutes=15))] == ["sp"]


def test_a_clock_put_back_does_not_make_a_lease_longer():
    ticks = iter([100.0, 100.0 + 899, 100.0 + 900])
    leases = Leases(lambda: next(ticks))
    leases.grant(command(19), has_slots=True, prior=None)
    earlier = NOW - timedelta(hours=1)
    assert leases.expired(earlier) == []
    assert len(leases.expired(earlier)) == 1


def test_a_lease_remembers_every_value_that_is_ours_to_take_back():
    leases = Leases()
    leases.grant(command(19), has_slots=True, prior=None)
    leases.grant(command(18), has_slots=True, prior=None)
    assert leases["sp"].written == {18, 19}


def test_renewing_never_shortens_and_ending_is_at_once():
    leases = Leases()
    leases.grant(command(19), has_slots=True, prior=None)
    leases.renew("sp", NOW, NOW + timedelta(minutes=5))
    assert leases["sp"].until == NOW + timedelta(minutes=15)
    leases.end("sp", NOW)
    assert len(leases.expired(NOW)) == 1
