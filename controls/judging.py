"""Judging: how far an answered value may be trusted, by what such a sensor can see, how fast it can change, and whether it lives."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from controls.drivers import Sample
from twin.words import Quality, Reading, Reason

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Plausible:
    """What points of a Brick class can show, in their unit (plausible.csv); unlimited where nothing is known."""

    low: float = -math.inf
    high: float = math.inf
    step_per_min: float = math.inf  # the largest change in a minute, and the largest at once
    frozen: timedelta | None = None  # the same to the last digit for longer than this: a sensor that hangs


UNLIMITED = Plausible()


class Judge:
    """Judges values one after the other; remembers what each point showed last, and since when."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[float, datetime, datetime]] = {}  # value, since when, last seen

    def reading(self, sample: Sample, brick: str, at: datetime) -> Reading:
        """A reading from an answered sample. A step is doubted once: if the next value agrees, it was real."""
        if sample.quality is not Quality.GOOD or sample.value is None:
            return Reading(sample.point, at, sample.value, sample.quality, sample.reason)
        able, new = plausible(brick), sample.value
        old, since, seen = self._shown.get(sample.point, (new, at, at))
        self._shown[sample.point] = (new, since if new == old else at, at)
        if able is UNLIMITED or (able.low <= new <= able.high and not _doubtful(able, old, new, seen=seen, since=since, at=at)):
            return Reading(sample.point, at, new)
        return Reading(sample.point, at, new, Quality.UNCERTAIN, Reason.IMPLAUSIBLE)


def _doubtful(able: Plausible, old: float, new: float, *, seen: datetime, since: datetime, at: datetime) -> bool:
    """Whether it hangs, or has changed faster than such a thing can."""
    if new == old:
        return able.frozen is not None and at - since > able.frozen
    return abs(new - old) > able.step_per_min * max(1.0, (at - seen) / MINUTE)


def plausible(brick: str) -> Plausible:
    """What a point of this Brick class can show; everything, if plausible.csv does not know the class."""
    return _table().get(brick, UNLIMITED)


@cache
def _table() -> Mapping[str, Plausible]:
    with (Path(__file__).parent / "plausible.csv").open(encoding="utf-8", newline="") as file:
        return {row["brick"]: _plausible(row) for row in csv.DictReader(file)}


def _plausible(row: Mapping[str, str]) -> Plausible:
    step = float(row["step_per_min"]) if row["step_per_min"] else math.inf
    frozen = timedelta(hours=float(row["frozen_h"])) if row["frozen_h"] else None
    return Plausible(float(row["low"]), float(row["high"]), step, frozen)
