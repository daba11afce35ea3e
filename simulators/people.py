"""The people of a simulated building: they come, go to lunch and to meetings, and leave, each in their own way and never by a schedule.

One seed gives the same people on the same date, whatever period is asked for, so a history and a run after it fit together.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import simpy

DAY_S = 24 * 3600
# What a day is like: share of the design people who come (mean, spread by zone and day), arrival and departure (mean h, spread h).
WEEKDAY = {"share": (0.70, 0.20), "arrive_h": (8.2, 0.7), "leave_h": (18.0, 1.1)}
SATURDAY = {"share": (0.15, 0.06), "arrive_h": (9.0, 0.8), "leave_h": (14.0, 1.2)}
LUNCH_OUT_SHARE, LUNCH_H, LUNCH_SPREAD_H, LUNCH_LENGTH_H = 0.6, 12.1, 0.35, 0.75
MEETINGS_A_DAY = 0.8  # mean per person
MEETING_H = (0.5, 1.5)
HABIT_LEVEL = (0.70, 0.20)  # share of a habit's people who come on a day: mean, spread by zone and day
HABIT_CLOCK_H = 0.4  # spread of people's own clocks
LATE_SHARE, LATE_H = 0.05, 2.0  # late workers stay on average so much longer


@dataclass(frozen=True)
class Occupancy:
    """Head-counts by zone: one number a step, the people present in the middle of it."""

    start: date
    step_s: int
    counts: Mapping[str, np.ndarray]

    def joined(self, other: "Occupancy") -> "Occupancy":
        """The zones of both."""
        return Occupancy(self.start, self.step_s, {**self.counts, **other.counts})

    def at(self, step: int) -> dict[str, int]:
        """Head-count of every zone in a step, 0 the first."""
        return {zone: int(series[step]) for zone, series in self.counts.items()}


def simulate_people(zones: Mapping[str, float], start: date, days: int, seed: int, step_s: int = 600) -> Occupancy:
    """Days of people for zones given with their design people."""
    per_day = [_day(zones, start + timedelta(days=n), seed, step_s) for n in range(days)]
    counts = {zone: np.concatenate([day[i] for day in per_day]) for i, zone in enumerate(zones)}
    return Occupancy(start, step_s, counts)


@dataclass(frozen=True)
class Presence:
    """A zone whose people come by a known habit: design people and the mean share of them that is there, for each step of the year."""

    people: float
    share: np.ndarray


def simulate_presence(zones: Mapping[str, Presence], start: date, days: int, seed: int, step_s: int = 600) -> Occupancy:
    """People of shops, schools, hotels: each zone-day has its own level, each person an own taste and an own clock.

    The habit is the mean; on no day and in no zone do people follow it.
    """
    steps = DAY_S // step_s
    counts = {key: np.zeros(days * steps, dtype=int) for key in zones}
    for n in range(days):
        day = start + timedelta(days=n)
        for place, (key, presence) in enumerate(zones.items()):
            rng = np.random.default_rng([seed, day.toordinal(), place])
            counts[key][n * steps : (n + 1) * steps] = _presence_of_day(presence, day, rng, steps)
    return Occupancy(start, step_s, counts)


def _presence_of_day(presence: Presence, day: date, rng: np.random.Generator, steps: int) -> np.ndarray:
    people = round(presence.people)
    level = float(np.clip(rng.normal(*HABIT_LEVEL), 0.05, 1.0))
    taste = rng.random(people)
    late = np.rint(rng.normal(0.0, HABIT_CLOCK_H, people) * 3600 / (DAY_S / steps)).astype(int)
    first = (day.timetuple().tm_yday - 1) * steps
    moments = (first + np.arange(steps)[None, :] - late[:, None]) % presence.share.size
    there: np.ndarray = (taste[:, None] < level * presence.share[moments]).sum(axis=0)
    return there


def simulate_history(zones: Mapping[str, float], before: date, seed: int, days: int) -> Occupancy:
    """The weeks before a start, as the counters of the building would have recorded them."""
    return simulate_people(zones, before - timedelta(days=days), days, seed)


def _day(zones: Mapping[str, float], day: date, seed: int, step_s: int) -> np.ndarray:
    steps = DAY_S // step_s
    counts = np.zeros((len(zones), steps), dtype=int)
    if day.weekday() == 6:
        return counts
    rng = np.random.default_rng([seed, day.toordinal()])
    kind = WEEKDAY if day.weekday() < 5 else SATURDAY
    env = simpy.Environment()
    here = [0] * len(zones)
    for home, design in enumerate(zones.values()):
        share = float(np.clip(rng.normal(*kind["share"]), 0.05, 1.0))
        for _ in range(int(rng.binomial(round(design), share))):
            env.process(_person(env, rng, kind, home, here))
    env.process(_count(env, here, counts, step_s))
    env.run(until=DAY_S)
    return counts


def _count(env: simpy.Environment, here: list[int], counts: np.ndarray, step_s: int) -> Generator[simpy.Event, None, None]:
    yield env.timeout(step_s / 2)
    for step in range(counts.shape[1]):
        counts[:, step] = here
        yield env.timeout(step_s)


def _person(
    env: simpy.Environment, rng: np.random.Generator, kind: Mapping[str, tuple[float, float]], home: int, here: list[int]
) -> Generator[simpy.Event, None, None]:
    """One person's day: arrive, perhaps meetings elsewhere, lunch, leave."""
    arrive = float(np.clip(rng.normal(*kind["arrive_h"]), 5.5, 12.0))
    leave = max(arrive + 1, float(rng.normal(*kind["leave_h"])) + (rng.exponential(LATE_H) if rng.random() < LATE_SHARE else 0.0))
    stay = [(arrive, home)]
    for begin in np.sort(rng.uniform(arrive + 0.5, leave, rng.poisson(MEETINGS_A_DAY))):
        length, room = float(rng.uniform(*MEETING_H)), int(rng.integers(len(here)))
        stay += [(float(begin), room), (float(begin) + length, home)]
    if rng.random() < LUNCH_OUT_SHARE and arrive < LUNCH_H < leave:
        lunch = float(rng.normal(LUNCH_H, LUNCH_SPREAD_H))
        stay = [s for s in stay if not lunch <= s[0] <= lunch + LUNCH_LENGTH_H] + [(lunch, -1), (lunch + LUNCH_LENGTH_H, home)]
    place = -1  # out of the house
    for hour, room in [*sorted(s for s in stay if s[0] < leave), (min(leave, 23.5), -1)]:
        yield env.timeout(max(0.0, hour * 3600 - env.now))
        if place >= 0:
            here[place] -= 1
        if room >= 0:
            here[room] += 1
        place = room
