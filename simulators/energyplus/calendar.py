"""The schedules of an EnergyPlus model as they are on every ten minutes of the simulated year; design days are left out."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from simulators.energyplus.references import kind_of, named
from simulators.plant import SIMULATED_YEAR, STEPS_PER_DAY
from twin.errors import SiteError

Model = dict[str, Any]
Day = np.ndarray

DAYS = 365
WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
STEP_MIN = 24 * 60 // STEPS_PER_DAY
_TWO = re.compile(r"(\d+)\s*[:/]\s*(\d+)")


def year_of(model: Model, schedule: str, otherwise: float) -> np.ndarray:
    """The schedule's values, one for each ten minutes of the year; `otherwise` everywhere for no name.

    SiteError for a kind of schedule that is not known (a file, an external interface), or a name that the model does not have.
    """
    if not schedule:
        return np.full(DAYS * STEPS_PER_DAY, otherwise)
    kind = kind_of(model, "Schedule:", schedule)
    if kind not in _READERS:
        raise SiteError(f"schedule {schedule!r} is {kind or 'not in the model'}; expected one of {', '.join(_READERS)}")
    return _READERS[kind](model, named(model, kind, schedule))


def dates() -> list[date]:
    """Every day of the simulated year."""
    return [date(SIMULATED_YEAR, 1, 1) + timedelta(days=n) for n in range(DAYS)]


def weekly(days: Sequence[Sequence[float]]) -> np.ndarray:
    """A year from hourly values of a weekday, a Saturday and a Sunday."""
    kinds = [np.repeat(np.array(hours, dtype=float), STEPS_PER_DAY // 24) for hours in days]
    return np.concatenate([kinds[max(0, d.weekday() - 4)] for d in dates()])


def _constant(_: Model, thing: Model) -> np.ndarray:
    return np.full(DAYS * STEPS_PER_DAY, float(thing.get("hourly_value", 0.0)))


def _compact(_: Model, thing: Model) -> np.ndarray:
    """Through, For, Until, value: each date takes the first set of days that names it, else AllOtherDays."""
    blocks = _compact_blocks(entry["field"] for entry in thing["data"])
    year, n = [], 0
    for day in dates():
        while (day.month, day.day) > blocks[n][0] and n < len(blocks) - 1:
            n += 1
        year.append(_day_for(day, blocks[n][1]))
    return np.concatenate(year)


Sets = list[tuple[str, Day]]


def _compact_blocks(fields: Iterable[Any]) -> list[tuple[tuple[int, int], Sets]]:
    blocks: list[tuple[tuple[int, int], Sets]] = []
    begin = 0
    for field in fields:
        text = str(field).strip().lower()
        if text.startswith("through"):
            month, day = _two(text)
            blocks.append(((month, day), []))
        elif text.startswith("for"):
            blocks[-1][1].append((text[3:].lstrip(": "), np.zeros(STEPS_PER_DAY)))
            begin = 0
        elif text.startswith("until"):
            hour, minute = _two(text)
            end = min(STEPS_PER_DAY, (hour * 60 + minute) // STEP_MIN)
        elif not text.startswith("interpolate"):
            blocks[-1][1][-1][1][begin:end] = float(text)
            begin = end
    return blocks


def _day_for(day: date, sets: Sets) -> Day:
    for names, values in sets:
        if _named_in(day, names):
            return values
    others = [values for names, values in sets if "allotherdays" in names.replace(" ", "")]
    return others[0] if others else np.zeros(STEPS_PER_DAY)


def _named_in(day: date, names: str) -> bool:
    words = set(re.split(r"[\s,]+", names))
    weekday = WEEK[day.weekday()]
    return bool(
        words & {"alldays", weekday, "weekdays" if day.weekday() < 5 else "weekends", "weekday" if day.weekday() < 5 else "weekend"}
    )


def _yearly(model: Model, thing: Model) -> np.ndarray:
    weeks = thing.get("schedule_weeks") or thing["schedule_week"]
    spans = [((w["start_month"], w["start_day"]), (w["end_month"], w["end_day"]), _week(model, _week_name(w))) for w in weeks]
    year = []
    for day in dates():
        week = next((week for begin, end, week in spans if begin <= (day.month, day.day) <= end), spans[-1][2])
        year.append(week[day.weekday()])
    return np.concatenate(year)


def _week_name(entry: Model) -> str:
    return str(entry.get("schedule_week_name") or entry["schedule_week"])


def _week(model: Model, name: str) -> list[Day]:
    week = named(model, "Schedule:Week:Daily", name)
    if not week:
        raise SiteError(f"week schedule {name!r} is not a Schedule:Week:Daily; no other kind is known")
    return [_hours(model, week[f"{weekday}_schedule_day_name"]) for weekday in WEEK]


def _hours(model: Model, name: str) -> Day:
    day = named(model, "Schedule:Day:Hourly", name)
    if not day:
        raise SiteError(f"day schedule {name!r} is not a Schedule:Day:Hourly; no other kind is known")
    return np.repeat(np.array([float(day.get(f"hour_{h + 1}", 0.0)) for h in range(24)]), STEPS_PER_DAY // 24)


def _two(text: str) -> tuple[int, int]:
    found = _TWO.search(text)
    if found is None:
        raise SiteError(f"expected a date or a time in {text!r}")
    return int(found[1]), int(found[2])


_READERS: dict[str, Callable[[Model, Model], np.ndarray]] = {
    "Schedule:Compact": _compact,
    "Schedule:Constant": _constant,
    "Schedule:Year": _yearly,
}
