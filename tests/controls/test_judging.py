"""How far an answered value may be trusted."""

from datetime import UTC, datetime, timedelta

from controls.drivers import Sample
from controls.judging import Judge
from twin.words import Quality, Reason

START = datetime(2026, 1, 12, 8, tzinfo=UTC)
ZONE = "Zone_Air_Temperature_Sensor"


def story(values: list[float], every: timedelta, brick: str = ZONE) -> list[str]:
    judge = Judge()
    samples = [Sample("t", value, Quality.GOOD, Reason.NONE, 0.0) for value in values]
    return [judge.reading(sample, brick, START + n * every).reason.value for n, sample in enumerate(samples)]


def test_a_step_that_no_room_can_make_is_doubted_once():
    assert story([21.0, 21.1, 33.0, 33.1], timedelta(seconds=5)) == ["", "", "implausible", ""]


def test_the_same_step_over_ten_minutes_is_believed():
    assert story([21.0, 33.0], timedelta(minutes=10)) == ["", ""]


def test_a_sensor_that_hangs_for_a_day_is_no_longer_believed():
    assert story([21.37] * 4 + [21.38], timedelta(hours=11)) == ["", "", "", "implausible", ""]


def test_a_value_that_no_such_sensor_can_see_is_doubted():
    assert story([85.0], timedelta(seconds=5)) == ["implausible"]


def test_a_class_nobody_knows_is_believed():
    assert story([1e9, -1e9, -1e9], timedelta(days=3), "Nothing_Known") == ["", "", ""]
