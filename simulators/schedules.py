"""The two reference operations as tables of hours: `bau` (business as usual, nothing adapts) and `code` (what the energy code asks for).

Office values of the DOE reference medium office. Monday first, no holidays.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

SATURDAY, SUNDAY = 5, 6
VARIANTS = ("bau", "code")

HEATING_ON_C, COOLING_ON_C = 21.0, 24.0
HEATING_OFF_C, COOLING_OFF_C = 15.6, 26.7
SUPPLY_C = 12.8
MINIMUM_FLOW_PERCENT = 30.0

Hours = tuple[float, float]  # from, to; hours of the day


@dataclass(frozen=True)
class Operation:
    """When a building runs; `light_percent` gives the 24 hourly values of a weekday, a Saturday and a Sunday."""

    fan: Mapping[int, Hours]  # by kind of day: 0 weekday, 5 Saturday; absent: off
    outdoor_air_from_h: float
    light_percent: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Operating:
    """What the operation asks for at one time."""

    fan_on: bool
    outdoor_air_on: bool
    heating_c: float
    cooling_c: float
    light_percent: float


def _hourly(low: float, high: float, begin: int, end: int) -> tuple[float, ...]:
    return tuple(high if begin <= hour < end else low for hour in range(24))


_DOE_WEEKDAY = (*(5.0,) * 5, *(10.0,) * 2, 30.0, *(90.0,) * 9, 70.0, *(50.0,) * 2, *(30.0,) * 2, 10.0, 5.0)
_DOE_SATURDAY = (*(5.0,) * 6, *(10.0,) * 2, *(50.0,) * 6, *(15.0,) * 3, *(5.0,) * 7)
_ALWAYS_LOW = (5.0,) * 24

OPERATIONS: Mapping[str, Operation] = {
    "bau": Operation({0: (5, 22), SATURDAY: (5, 18)}, 0, (_hourly(5, 95, 7, 21), _hourly(5, 95, 7, 18), _ALWAYS_LOW)),
    "code": Operation({0: (6, 22), SATURDAY: (6, 18)}, 7, (_DOE_WEEKDAY, _DOE_SATURDAY, _ALWAYS_LOW)),
}


def operating(variant: str, at: datetime) -> Operating:
    """What `variant` asks for at a site time (the clock of the site, no daylight saving)."""
    operation = OPERATIONS[variant]
    day = max(0, at.weekday() - 4)  # 0 weekday, 1 Saturday, 2 Sunday
    hour = at.hour + at.minute / 60
    begin, end = operation.fan.get((0, SATURDAY, SUNDAY)[day], (0, 0))
    on = begin <= hour < end
    return Operating(
        fan_on=on,
        outdoor_air_on=on and hour >= operation.outdoor_air_from_h,
        heating_c=HEATING_ON_C if on else HEATING_OFF_C,
        cooling_c=COOLING_ON_C if on else COOLING_OFF_C,
        light_percent=operation.light_percent[day][at.hour],
    )
