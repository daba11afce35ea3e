"""People who come and go."""

from datetime import date

import numpy as np
import pytest

from simulators.people import simulate_history, simulate_people

ZONES = {"hall": 40.0, "office": 12.0, "meeting": 8.0}
MONDAY = date(2025, 7, 14)


def total(occupancy):
    return sum(occupancy.counts.values())


def test_the_same_seed_brings_the_same_people_and_another_seed_others():
    first, again, other = (simulate_people(ZONES, MONDAY, 1, seed) for seed in (1, 1, 2))

    assert all(np.array_equal(first.counts[z], again.counts[z]) for z in ZONES)
    assert not all(np.array_equal(first.counts[z], other.counts[z]) for z in ZONES)


def test_a_day_is_the_same_whatever_period_it_is_part_of():
    week, tuesday = simulate_people(ZONES, MONDAY, 7, 1), simulate_people(ZONES, date(2025, 7, 15), 1, 1)

    assert all(np.array_equal(week.counts[z][144:288], tuesday.counts[z]) for z in ZONES)


def test_nobody_is_there_at_night_and_on_sunday_and_few_on_saturday():
    week = total(simulate_people(ZONES, MONDAY, 7, 1)).reshape(7, 144)

    assert week[:, :30].max() == 0  # before five
    assert week[6].max() == 0
    assert 0 < week[5].max() < 0.4 * week[0].max()


def test_most_design_people_come_on_a_weekday_and_leave_for_lunch():
    weekdays = total(simulate_people(ZONES, MONDAY, 5, 1)).reshape(5, 144).mean(axis=0)
    morning, lunch = weekdays[66], weekdays[72:78].min()

    assert 0.5 * 60 < morning < 0.9 * 60
    assert lunch < 0.9 * morning


def test_nobody_is_lost_or_counted_twice():
    counts = simulate_people(ZONES, MONDAY, 7, 3).counts

    assert min(series.min() for series in counts.values()) == 0
    assert max(total(simulate_people(ZONES, MONDAY, 7, 3))) <= sum(ZONES.values())


def test_people_follow_no_schedule():
    mondays = [total(simulate_people(ZONES, date(2025, 7, d), 1, 1)) for d in (7, 14, 21)]

    assert len({tuple(m) for m in mondays}) == 3


def test_history_ends_where_the_run_begins():
    history = simulate_history(ZONES, MONDAY, 1, 28)
    whole = simulate_people(ZONES, history.start, 29, 1)

    assert history.start == date(2025, 6, 16)
    assert all(len(series) == 28 * 144 for series in history.counts.values())
    assert np.array_equal(history.counts["hall"], whole.counts["hall"][: 28 * 144])
    assert history.at(66) == {zone: whole.counts[zone][66] for zone in ZONES}


@pytest.mark.parametrize("zones", [{}, {"alone": 0.3}])
def test_a_building_may_be_small(zones):
    assert set(simulate_people(zones, MONDAY, 1, 1).counts) == set(zones)
