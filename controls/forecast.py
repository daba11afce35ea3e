"""Who will be in the building when: a forecast from what the counters saw in past weeks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo

import numpy as np

from twin.history import History
from twin.words import Quality

SLOT_MIN = 30
SLOTS = 24 * 60 // SLOT_MIN
DAYS_NEEDED = 7  # every day of the week seen once
DAYS_USED = 56  # habits of two months; older ones are history
LAG_WEEKS = 4
QUANTILES = (0.1, 0.5, 0.9)
PRESENT_SHARE = 0.03  # of the largest number seen on such a day: below it nobody speaks of arrival (the porter, a cleaner, who works late)
PRESENT_PEOPLE = 1.5  # one alone is served where he sits; a floor is got ready for people. Of few, half of them.
REPORTED_SHARE = 0.5  # a slot counts when at least half of the counters spoke in it
TREES, LEARNING_RATE, LEAVES, LEAF_SAMPLES = 50, 0.2, 8, 24
"""Small, so that some hundred half hours are not learnt by heart; enough steps that nothing of the overall quantile is left at night."""
ASSUMED_HOURS = {
    # day of the week, 0 Monday -> (low, mid, high): hours of the day in which people are assumed; empty: nobody
    **dict.fromkeys(range(5), ((8.5, 16.5), (7.5, 18.5), (7.0, 19.5))),
    5: ((0.0, 0.0), (8.5, 13.0), (7.5, 16.5)),
    6: ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0)),
}
"""Usual office hours, for a building without a week of history; counters of people correct them on the spot."""
ASSUMED_SHARE = (0.3, 0.5, 0.8)

Quantiles = tuple[float, float, float]
Hours = tuple[tuple[int, int] | None, ...]
"""By day of the week: half hour of first arrival and of last departure; None: nobody."""


@dataclass(frozen=True)
class Habit:
    """When the first of a group of rooms are likely to come and the last to leave, by day of the week."""

    zone: tzinfo
    hours: Hours
    most: tuple[float, ...] = (0.0,) * 7  # by day of the week: the most people seen in one half hour of such a day; 0: not known

    @property
    def largest(self) -> float:
        """The most people ever seen in one half hour; 0: not known."""
        return max(self.most)

    def present(self, day: date) -> float:
        """From how many people on the rooms count as in use, and not as one where somebody is by chance."""
        return present_people(self.most[day.weekday()])

    def first_arrival(self, day: date) -> datetime | None:
        """The earliest time people are likely to come; None: nobody is expected."""
        hours = self.hours[day.weekday()]
        return self._at(day, hours[0]) if hours else None

    def last_departure(self, day: date) -> datetime | None:
        """The latest time the last are likely to leave."""
        hours = self.hours[day.weekday()]
        return self._at(day, hours[1]) if hours else None

    def _at(self, day: date, slot: int) -> datetime:
        return datetime.combine(day, time(), self.zone) + timedelta(minutes=slot * SLOT_MIN)


@dataclass(frozen=True)
class OccupancyForecast:
    """People as a share of the largest number seen: low, mid and high for every half hour of the seven days to come.

    Beyond them the same day of the week stands in.
    """

    model: str
    made_from_days: int
    zone: tzinfo
    week: tuple[tuple[Quantiles, ...], ...]  # by day of the week, then half hour of local time
    habit: Habit  # of the whole building
    largest: float = 0.0
    counted: Mapping["Slot", Mapping[str, float]] = field(default_factory=dict, compare=False, repr=False)  # what each counter saw

    @classmethod
    def fit(cls, history: History, people_points: Sequence[str], end: datetime, zone: tzinfo) -> "OccupancyForecast":
        """Learn from the readings before `end`; below a week of them it assumes office hours and says so in `model`."""
        counted = _slot_counts(history, people_points, end, zone)
        counts = _together(counted, people_points)
        days = len({day for day, _ in counts})
        largest = max(counts.values(), default=0.0)
        if days < DAYS_NEEDED or largest <= 0:
            return cls.assumed(zone, days)
        shares = {slot: count / largest for slot, count in counts.items()}
        first = end.astimezone(zone).date()
        return cls("gradient-boosted quantiles", days, zone, _learn(shares, first), _habit(zone, counts), largest, counted)

    @classmethod
    def assumed(cls, zone: tzinfo, days: int = 0) -> "OccupancyForecast":
        """Usual office hours, for want of anything learnt."""
        week = tuple(tuple(_assumed(weekday, slot) for slot in range(SLOTS)) for weekday in range(7))
        return cls(
            f"assumed office hours ({days} days of counts, {DAYS_NEEDED} are needed)", days, zone, week, Habit(zone, _assumed_hours())
        )

    def people(self, at: datetime) -> Quantiles:
        """Share of the largest number seen: low, mid, high."""
        local = at.astimezone(self.zone)
        return self.week[local.weekday()][(local.hour * 60 + local.minute) // SLOT_MIN]

    def habit_of(self, points: Sequence[str]) -> Habit:
        """The habit of those that these counters count: a shop, a floor, a room; the building's where they were not seen for a week."""
        counts = _together(self.counted, points)
        largest = max(counts.values(), default=0.0)
        if len({day for day, _ in counts}) < DAYS_NEEDED or largest <= 0:
            return Habit(self.zone, self.habit.hours)
        return _habit(self.zone, counts)


Slot = tuple[date, int]


def present_people(largest: float) -> float:
    """From how many people on rooms count as in use, by the most ever seen in them."""
    return max(PRESENT_SHARE * largest, min(PRESENT_PEOPLE, largest / 2))


def _slot_counts(history: History, points: Sequence[str], end: datetime, zone: tzinfo) -> dict[Slot, dict[str, float]]:
    """People by half hour and counter: the mean of what it told."""
    sums: dict[Slot, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for point in points:
        for reading in history.series(point, end - timedelta(days=DAYS_USED), end):
            if reading.value is not None and reading.quality in (Quality.GOOD, Quality.UNCERTAIN):
                local = reading.at.astimezone(zone)
                sums[local.date(), (local.hour * 60 + local.minute) // SLOT_MIN][point].append(reading.value)
    return {slot: {point: _mean(values) for point, values in seen.items()} for slot, seen in sums.items()}


def _together(counted: Mapping[Slot, Mapping[str, float]], points: Sequence[str]) -> dict[Slot, float]:
    """People of all these counters by half hour; where some were silent, as many as the others make likely."""
    enough = max(1.0, REPORTED_SHARE * len(points))
    known = {slot: [seen[p] for p in points if p in seen] for slot, seen in counted.items()}
    return {slot: sum(values) * len(points) / len(values) for slot, values in known.items() if len(values) >= enough}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _learn(shares: dict[Slot, float], first: date) -> tuple[tuple[Quantiles, ...], ...]:
    """Fit one model a quantile on the past and ask each for the seven days from `first`."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits  # comes with scikit-learn, without types

    past = sorted(shares)
    x, y = _features(past, shares), np.array([shares[slot] for slot in past])
    ahead = [(first + timedelta(days=d), s) for d in range(7) for s in range(SLOTS)]
    telling = [n for n in range(x.shape[1]) if len(np.unique(x[~np.isnan(x[:, n]), n])) > 1]  # a column of nan stops the fit
    x, asked = x[:, telling], _features(ahead, shares)[:, telling]
    answers = []
    for quantile in QUANTILES:
        model = HistGradientBoostingRegressor(
            loss="quantile",
            quantile=quantile,
            max_iter=TREES,
            learning_rate=LEARNING_RATE,
            max_leaf_nodes=LEAVES,
            min_samples_leaf=LEAF_SAMPLES,
            random_state=0,
        )
        with threadpool_limits(1):  # so little data is learnt eight times faster by one thread than by two that wait for each other
            answers.append(np.clip(model.fit(x, y).predict(asked), 0.0, 1.0))
    seen = [_seen_range(shares, day, slot) for day, slot in ahead]
    rows = np.clip(
        np.sort(np.array(answers), axis=0).T, [[low] for low, _ in seen], [[high] for _, high in seen]
    )  # fitted apart, they may cross
    week: list[tuple[Quantiles, ...]] = [()] * 7
    for d in range(7):
        rows_of_day = rows[d * SLOTS : (d + 1) * SLOTS]
        week[(first + timedelta(days=d)).weekday()] = tuple((float(a), float(b), float(c)) for a, b, c in rows_of_day)
    return tuple(week)


def _habit(zone: tzinfo, counts: Mapping[Slot, float]) -> Habit:
    """First arrival and last departure of each day of the week: quantiles over the past days of that kind.

    Taken from the days themselves: where nearly nobody is, the fitted quantiles are too coarse for it.
    """
    most = tuple(max((c for (day, _), c in counts.items() if _kind(day) == _kind_of(weekday)), default=0.0) for weekday in range(7))
    seen: dict[date, list[int]] = defaultdict(list)
    for (day, slot), count in counts.items():
        if 0 < count >= present_people(most[day.weekday()]):
            seen[day].append(slot)
    hours: list[tuple[int, int] | None] = []
    for weekday in range(7):
        alike = [slots for day, slots in seen.items() if _kind(day) == _kind_of(weekday)]
        if not any(day.weekday() == weekday for day in seen):
            hours.append(None)
            continue
        first, last = np.quantile([min(s) for s in alike], QUANTILES[0]), np.quantile([max(s) for s in alike], QUANTILES[2])
        hours.append((int(first), int(np.ceil(last)) + 1))
    return Habit(zone, tuple(hours), most)


def _features(slots: Iterable[Slot], shares: dict[Slot, float]) -> np.ndarray:
    """Day of the week, working day or not, half hour, and what that half hour held before; what is not known is nan.

    Before: the mean of the same day of the week, and of all days of that kind, both over the last four weeks.
    """
    rows = []
    for day, slot in slots:
        before = [day - timedelta(days=n) for n in range(1, 7 * LAG_WEEKS + 1)]
        same_day = _known_mean(shares, [d for d in before if d.weekday() == day.weekday()], slot)
        same_kind = _known_mean(shares, [d for d in before if _kind(d) == _kind(day)], slot)
        rows.append([day.weekday(), _kind(day), slot, same_day, same_kind])
    return np.array(rows, dtype=float)


def _seen_range(shares: dict[Slot, float], day: date, slot: int) -> tuple[float, float]:
    """Least and most that this half hour held on past days of the kind; 0 to 1 when there was none."""
    known = [share for (d, s), share in shares.items() if s == slot and _kind(d) == _kind(day)]
    return (min(known), max(known)) if known else (0.0, 1.0)


def _kind(day: date) -> int:
    """Monday to Friday 0, Saturday 1, Sunday 2; where the week is different, the mean of the same day of the week tells."""
    return _kind_of(day.weekday())


def _kind_of(weekday: int) -> int:
    return max(0, weekday - 4)


def _known_mean(shares: dict[Slot, float], days: Sequence[date], slot: int) -> float:
    known = [v for d in days if (v := shares.get((d, slot))) is not None]
    return _mean(known) if known else float("nan")


def _assumed(weekday: int, slot: int) -> Quantiles:
    hour = slot * SLOT_MIN / 60
    low, mid, high = (
        share if begin <= hour < end else 0.0 for (begin, end), share in zip(ASSUMED_HOURS[weekday], ASSUMED_SHARE, strict=True)
    )
    return low, mid, high


def _assumed_hours() -> Hours:
    ends = [ASSUMED_HOURS[weekday][2] for weekday in range(7)]
    return tuple((int(begin * 60 / SLOT_MIN), int(end * 60 / SLOT_MIN)) if end > begin else None for begin, end in ends)
