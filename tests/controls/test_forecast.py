"""The forecast of people learns habits, beats last week, and says when it only assumes."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from controls.forecast import OccupancyForecast
from simulators.people import simulate_people
from twin.history import History
from twin.words import Quality, Reading

ZONE = ZoneInfo("Asia/Shanghai")
ROOMS = {"north": 20.0, "south": 12.0, "core": 53.0}
MONDAY = date(2025, 7, 14)


def at(day: date, hour: float = 0.0) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZONE) + timedelta(hours=hour)


def seen_by_counters(folder: Path, days: int, seed: int = 1) -> History:
    """The weeks before MONDAY as the building's counters recorded them, every ten minutes."""
    history = History(folder / "history.db")
    start = MONDAY - timedelta(days=days)
    counted = simulate_people(ROOMS, start, days, seed).counts if days else {}
    for room, counts in counted.items():
        history.add(Reading(f"{room}.zn_occ", at(start) + timedelta(minutes=10 * n), float(v)) for n, v in enumerate(counts))
    return history


def forecast_from(folder: Path, days: int, seed: int = 1) -> OccupancyForecast:
    return OccupancyForecast.fit(seen_by_counters(folder, days, seed), [f"{r}.zn_occ" for r in ROOMS], at(MONDAY), ZONE)


def test_four_weeks_give_a_working_day_its_shape(tmp_path: Path) -> None:
    forecast = forecast_from(tmp_path, 28)

    night, morning, noon = (forecast.people(at(MONDAY, h)) for h in (3, 10.5, 12.5))

    assert forecast.model == "gradient-boosted quantiles"
    assert forecast.made_from_days == 28
    assert night[2] < 0.05
    assert morning[0] <= morning[1] <= morning[2]
    assert morning[1] > 0.6 > noon[1]  # people go to lunch


def test_people_come_in_the_morning_leave_in_the_evening_and_not_on_sunday(tmp_path: Path) -> None:
    forecast = forecast_from(tmp_path, 28)

    arrival, departure = forecast.habit.first_arrival(MONDAY), forecast.habit.last_departure(MONDAY)

    assert arrival is not None
    assert departure is not None
    assert at(MONDAY, 5) <= arrival <= at(MONDAY, 8)
    assert at(MONDAY, 18) <= departure <= at(MONDAY, 24)
    assert forecast.habit.first_arrival(MONDAY + timedelta(days=6)) is None


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_nobody_is_expected_at_night_whatever_the_weeks_before(tmp_path: Path, seed: int) -> None:
    forecast = forecast_from(tmp_path, 28, seed)

    assert max(forecast.people(at(MONDAY + timedelta(days=d), h))[2] for d in range(7) for h in (0, 2, 4)) < 0.02
    assert all(
        at(day, 5.5) <= (forecast.habit.first_arrival(day) or at(day)) <= at(day, 8)
        for day in (MONDAY + timedelta(days=d) for d in range(5))
    )


def test_over_several_weeks_it_beats_the_same_hour_of_last_week(tmp_path: Path) -> None:
    errors, naive_errors = [], []
    for seed in (1, 2, 3, 4):
        (tmp_path / str(seed)).mkdir()
        forecast = forecast_from(tmp_path / str(seed), 28, seed)
        truth, last_week = (
            sum(simulate_people(ROOMS, start, 7, seed).counts.values()) / forecast.largest for start in (MONDAY, MONDAY - timedelta(days=7))
        )
        mid = np.array([forecast.people(at(MONDAY) + timedelta(minutes=10 * n))[1] for n in range(len(truth))])
        errors.append(np.abs(mid - truth).mean())
        naive_errors.append(np.abs(last_week - truth).mean())

    assert sum(errors) < 0.9 * sum(naive_errors)  # 0.81 when written


def test_its_range_holds_most_of_what_comes(tmp_path: Path) -> None:
    forecast = forecast_from(tmp_path, 28)
    truth = sum(simulate_people(ROOMS, MONDAY, 5, 1).counts.values()) / forecast.largest
    ranges = [forecast.people(at(MONDAY) + timedelta(minutes=10 * n)) for n in range(len(truth))]

    inside = np.mean([low - 0.05 <= t <= high + 0.05 for (low, _, high), t in zip(ranges, truth, strict=True)])

    assert inside > 0.75  # nominal 0.8


@pytest.mark.parametrize("days", [0, 3])
def test_less_than_a_week_is_said_to_be_assumed(tmp_path: Path, days: int) -> None:
    forecast = forecast_from(tmp_path, days)

    assert forecast.model == f"assumed office hours ({days} days of counts, 7 are needed)"
    assert forecast.habit.first_arrival(MONDAY) == at(MONDAY, 7)
    assert forecast.habit.last_departure(MONDAY) == at(MONDAY, 19.5)
    assert forecast.people(at(MONDAY, 12)) == (0.3, 0.5, 0.8)


def test_one_week_is_enough_to_learn(tmp_path: Path) -> None:
    assert forecast_from(tmp_path, 7).made_from_days == 7


def test_counters_that_were_bad_are_not_learnt_from(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db")
    history.add(Reading("a", at(MONDAY) - timedelta(hours=h), 5.0, Quality.BAD) for h in range(1, 24 * 28))

    assert OccupancyForecast.fit(history, ["a"], at(MONDAY), ZONE).made_from_days == 0


def test_the_same_history_gives_the_same_forecast_whatever_the_machine_s_time_zone(tmp_path: Path) -> None:
    history = seen_by_counters(tmp_path, 14)
    points = [f"{r}.zn_occ" for r in ROOMS]

    here, there = (OccupancyForecast.fit(history, points, end, ZONE) for end in (at(MONDAY), at(MONDAY).astimezone(UTC)))

    assert here == there


def test_each_group_of_rooms_has_its_own_hours_and_one_late_worker_does_not_stretch_them(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db")
    for day in (MONDAY - timedelta(days=n) for n in range(1, 15)):
        for step in range(144):
            hour = step / 6
            history.add([Reading("early", at(day, hour), 8.0 if 7 <= hour < 15 else 0.0)])
            history.add([Reading("late", at(day, hour), 8.0 if 11 <= hour < 20 else 1.0)])

    forecast = OccupancyForecast.fit(history, ["early", "late"], at(MONDAY), ZONE)
    early, late, unknown = (forecast.habit_of(points) for points in (["early"], ["late"], ["new"]))

    assert (early.first_arrival(MONDAY), early.last_departure(MONDAY)) == (at(MONDAY, 7), at(MONDAY, 15))
    assert (late.first_arrival(MONDAY), late.last_departure(MONDAY)) == (at(MONDAY, 11), at(MONDAY, 20))
    assert (late.largest, late.present(MONDAY)) == (8.0, 1.5)
    assert unknown.hours == forecast.habit.hours
    assert unknown.largest == 0.0
