"""How far a value may be trusted by what its sensor showed before: no leap that nothing physical makes, and no day without a movement.

What a kind of sensor can do stands in plausible.csv: `leap` at once and `rate` a minute beyond it, `frozen_h` hours without any change.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path

from twin.points import PointBook
from twin.words import Quality, Reading, Reason

AGREEING = 3  # readings in a row that agree on a new level: then it is the world that leapt, not the sensor


@dataclass(frozen=True, slots=True)
class Habit:
    """What sensors of one kind do; None: no such limit."""

    leap: float | None
    rate: float
    frozen_h: float | None


@dataclass(frozen=True, slots=True)
class _Seen:
    """A sensor's last believed value, since when it has not moved, and a level that it leapt to."""

    value: float
    at: datetime
    still_since: datetime
    raw: float
    leapt_to: float = 0.0
    leapt_times: int = 0


class Trust:
    """Remembers each sensor's last believed value; good readings that it cannot believe become uncertain, implausible."""

    def __init__(self, book: PointBook) -> None:
        self._habits = {p.id: habit for p in book.bound if not p.writable and (habit := _habits().get(p.brick))}
        self._seen: dict[str, _Seen] = {}

    def judged(self, readings: Iterable[Reading]) -> list[Reading]:
        """The readings of one scan, each as it may be used."""
        return [self._judged(r) if r.point in self._habits and r.quality is Quality.GOOD else r for r in readings]

    def _judged(self, reading: Reading) -> Reading:
        assert reading.value is not None
        habit, before = self._habits[reading.point], self._seen.get(reading.point)
        if before is None:
            self._seen[reading.point] = _Seen(reading.value, reading.at, reading.at, reading.value)
            return reading
        since = before.still_since if reading.value == before.raw else reading.at
        if _leaps(habit, before, reading):
            near = before.leapt_times and abs(reading.value - before.leapt_to) <= (habit.leap or 0.0)
            times = before.leapt_times + 1 if near else 1
            if times < AGREEING:
                self._seen[reading.point] = replace(before, still_since=since, raw=reading.value, leapt_to=reading.value, leapt_times=times)
                return _doubted(reading)
        self._seen[reading.point] = _Seen(reading.value, reading.at, since, reading.value)
        frozen = habit.frozen_h is not None and (reading.at - since).total_seconds() >= habit.frozen_h * 3600
        return _doubted(reading) if frozen else reading


def _leaps(habit: Habit, before: _Seen, reading: Reading) -> bool:
    assert reading.value is not None
    if habit.leap is None:
        return False
    minutes = (reading.at - before.at).total_seconds() / 60
    return abs(reading.value - before.value) > habit.leap + habit.rate * minutes


def _doubted(reading: Reading) -> Reading:
    return replace(reading, quality=Quality.UNCERTAIN, reason=Reason.IMPLAUSIBLE)


@cache
def _habits() -> dict[str, Habit]:
    with (Path(__file__).parent / "plausible.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["brick"]: Habit(_number(row["leap"]), _number(row["rate"]) or 0.0, _number(row["frozen_h"])) for row in csv.DictReader(file)
        }


def _number(text: str) -> float | None:
    return float(text) if text else None
