"""How far a value may be trusted by what its sensor showed before."""

from datetime import UTC, datetime, timedelta

import pytest

from controls.trust import AGREEING, Trust
from twin.points import PointBook
from twin.words import Binding, Point, Quality, Reading, Reason

START = datetime(2026, 1, 12, 8, tzinfo=UTC)


@pytest.fixture
def look():
    """Show values one after the other, ten minutes apart; the qualities that come of it."""

    def make(brick, values, quality=Quality.GOOD):
        point = Point("p", brick, "NUM", "o", binding=Binding("p", "bacnet:a/analog-input,1"))
        trust = Trust(PointBook([point]))
        found = []
        for n, value in enumerate(values):
            (reading,) = trust.judged([Reading("p", START + timedelta(minutes=10 * n), value, quality)])
            found.append(reading)
        return found

    return make


def test_a_value_that_moves_as_rooms_do_is_good(look):
    assert {r.quality for r in look("Zone_Air_Temperature_Sensor", [20.0, 20.5, 23.0, 19.0])} == {Quality.GOOD}


def test_a_leap_is_doubted_until_as_many_values_agree_as_it_takes(look):
    found = look("Zone_Air_Temperature_Sensor", [20.0] + [45.0 + 0.1 * n for n in range(AGREEING)])

    assert [r.quality for r in found] == [Quality.GOOD] + [Quality.UNCERTAIN] * (AGREEING - 1) + [Quality.GOOD]
    assert found[1].reason is Reason.IMPLAUSIBLE


def test_values_that_leap_about_never_agree(look):
    found = look("Zone_Air_Temperature_Sensor", [20.0, 45.0, -5.0, 45.0, -5.0, 45.0, 20.0])

    assert [r.quality.value for r in found] == ["good", *["uncertain"] * 5, "good"]


def test_a_long_silence_allows_a_long_way(look):
    point = Point("p", "Zone_Air_Temperature_Sensor", "DEG_C", "o", binding=Binding("p", "bacnet:a/analog-input,1"))
    trust = Trust(PointBook([point]))
    trust.judged([Reading("p", START, 20.0)])

    assert trust.judged([Reading("p", START + timedelta(hours=2), 35.0)])[0].quality is Quality.GOOD


def test_a_day_to_the_last_digit_is_a_stuck_input(look):
    found = look("Zone_Air_Temperature_Sensor", [21.34] * 146 + [21.35])

    assert [r.quality for r in found] == [Quality.GOOD] * 144 + [Quality.UNCERTAIN] * 2 + [Quality.GOOD]


@pytest.mark.parametrize("brick", ["Occupancy_Count_Sensor", "Illuminance_Sensor", "Electric_Energy_Sensor", "Unknown_Sensor"])
def test_what_may_stand_still_or_leap_is_left_alone(look, brick):
    assert {r.quality for r in look(brick, [0.0] * 400 + [10_000.0, 0.0])} == {Quality.GOOD}


def test_what_is_not_good_already_stays_as_it_is(look):
    (reading,) = look("Zone_Air_Temperature_Sensor", [20.0], Quality.STALE)

    assert (reading.quality, reading.reason) == (Quality.STALE, Reason.NONE)
