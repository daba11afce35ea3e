"""What every simulated building can do, whichever engine stands behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Protocol

from simulators.people import Occupancy
from simulators.score import Score
from simulators.weather import ForecastHour, Weather

STEP_S = 600  # ten minutes: what EnergyPlus models ship with, and short enough for a room
STEPS_PER_DAY = 24 * 3600 // STEP_S
SIMULATED_YEAR = 2025
"""Engines know no year: simulated dates belong to this one, whose 14 July is a Monday."""


@dataclass(frozen=True)
class Period:
    """First day (of the simulated year), number of days, and the site's time zone; the site's clock knows no daylight saving here."""

    start: date
    days: int
    zone: tzinfo

    def __post_init__(self) -> None:
        if self.days < 1 or self.start.year != SIMULATED_YEAR or self.last.year != SIMULATED_YEAR:
            raise ValueError(f"a period must lie within one year and have a day or more, got {self.days} days from {self.start:%m-%d}")

    @property
    def begin(self) -> datetime:
        return datetime.combine(self.start, time(), self.zone)

    @property
    def last(self) -> date:
        return self.start + timedelta(days=self.days - 1)


@dataclass(frozen=True)
class Step:
    """Readings by point id; they describe the step that ended at `at`."""

    at: datetime
    readings: Mapping[str, float]


class Plant(Protocol):
    """A simulated building. Once started it gives `reset`, then steps until the period is over; `close` in any case."""

    engine: str
    step_s: int
    weather: Weather
    note: str
    """What a person should know about this plant, for example that it stands in for another engine."""

    @property
    def counters(self) -> Mapping[str, float]:
        """Points that count people, each with the people its zone is designed for; known before the start."""
        ...

    def people(self, start: date, days: int, seed: int) -> Occupancy:
        """Who would be there in these days, by zone key: what the counters would have recorded before a start."""
        ...

    def reset(self) -> Step:
        """Start the period; the readings are those at its first moment."""
        ...

    def step(self, held: Mapping[str, float]) -> Step | None:
        """One step with the values the devices hold; None when the period is over."""
        ...

    def own_schedule(self, at: datetime) -> dict[str, float]:
        """The building's own control: a value for every writable point. Needs `reset` first: design flows come from sizing."""
        ...

    def design(self) -> dict[str, float]:
        """Design values of the equipment by name; runs that are compared must have equal ones. Needs `reset` first."""
        ...

    def score(self) -> Score:
        """Energy and comfort so far."""
        ...

    def forecast(self, hours: int) -> list[ForecastHour]:
        """Outdoor temperature of the coming hours, with an error as a real forecast has."""
        ...

    def meters(self) -> dict[str, float]:
        """Wh by meter point since reset."""
        ...

    def close(self) -> None:
        """End the run; leaves no thread and no temporary folder."""
        ...
