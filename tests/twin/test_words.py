"""The words check themselves when made."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from twin.words import Authority, Binding, Command, Image, Limits, Point, Quality, Reading, Reason, Request, slug

NOW = datetime(2025, 7, 14, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("low", "high", "step", "fallback", "said"),
    [
        (30, 20, math.inf, 25, "above high"),
        (10, 20, 0, 15, "step must be above 0"),
        (10, 20, math.inf, 25, "fallback 25 lies outside"),
        (math.nan, 20, math.inf, 15, "finite"),
    ],
)
def test_limits_that_cannot_hold_do_not_exist(low, high, step, fallback, said):
    with pytest.raises(ValueError, match=said):
        Limits(low, high, step, fallback)


def test_a_writable_point_needs_limits():
    with pytest.raises(ValueError, match="needs limits"):
        Point("ahu_1.fan_run", "Start_Stop_Command", "NUM", "ahu_1", writable=True)


def test_a_point_id_is_plain():
    with pytest.raises(ValueError, match="lower-case"):
        Point("Zone 1", "Zone_Air_Temperature_Sensor", "DEG_C", "zone_1")


def test_a_good_reading_has_a_finite_value_and_an_aware_time():
    with pytest.raises(ValueError, match="finite value"):
        Reading("z.t", NOW, math.nan)
    with pytest.raises(ValueError, match="aware"):
        Reading("z.t", NOW.replace(tzinfo=None), 21.0)
    assert Reading("z.t", NOW, None, Quality.BAD, Reason.FAULT).value is None


@pytest.mark.parametrize(
    ("quality", "expected"), [(Quality.GOOD, 21.0), (Quality.UNCERTAIN, 21.0), (Quality.STALE, 5.0), (Quality.BAD, 5.0)]
)
def test_who_asks_for_a_value_says_what_then(quality, expected):
    image = Image(NOW, {"z.t": Reading("z.t", NOW - timedelta(minutes=5), 21.0, quality)})

    assert image.value("z.t", otherwise=5.0) == expected
    assert image.value("z.unknown") is None
    assert image.age_s("z.t") == 300
    assert image.age_s("z.unknown") == math.inf


def test_a_request_says_who_and_why():
    with pytest.raises(ValueError, match="who asks and why"):
        Request("z.t", 21.0, "lighting", "", NOW)


@pytest.mark.parametrize("priority", [1, 8, 9, 15, 16])
def test_no_command_takes_a_priority_outside_10_to_14(priority):
    with pytest.raises(ValueError, match="10 to 14"):
        Command("1", "z.t", 21.0, priority, "rules", "why", NOW, NOW, Authority.STRATEGY)


def test_a_binding_needs_a_usable_scale():
    with pytest.raises(ValueError, match="scale"):
        Binding("z.t", "bacnet:a/analog-input,1", 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Perimeter_bot_ZN_1.zn_t", "perimeter_bot_zn_1.zn_t"), ("AHU-1", "ahu_1"), ("  Büro 2 ", "b_ro_2"), ("风机", "unnamed")],
)
def test_slugs_are_plain(text, expected):
    assert slug(text) == expected
