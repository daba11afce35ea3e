"""Site time moves only forward, and only by whoever drives it."""

from datetime import UTC, datetime, timedelta

import pytest

from twin.clock import SteppedClock, WallClock, monotonic_s, wall_now

START = datetime(2025, 7, 14, tzinfo=UTC)


def test_a_stepped_clock_stands_until_it_is_moved():
    clock = SteppedClock(START)
    clock.advance(timedelta(minutes=10))

    assert clock.now() == START + timedelta(minutes=10)
    with pytest.raises(ValueError, match="never goes back"):
        clock.advance(timedelta(minutes=-1))


def test_a_clock_needs_an_aware_start():
    with pytest.raises(ValueError, match="aware"):
        SteppedClock(START.replace(tzinfo=None))


def test_wall_time_is_aware_and_monotonic_time_rises():
    assert WallClock().now().tzinfo is not None
    assert wall_now().utcoffset() == timedelta(0)
    assert monotonic_s() <= monotonic_s()
