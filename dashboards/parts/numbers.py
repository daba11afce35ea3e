"""Numbers, units, times and ages as people read them."""

from datetime import datetime, timedelta, tzinfo

UNITS = {  # QUDT unit name -> sign
    "DEG_C": "°C", "PERCENT": "%", "PPM": "ppm", "NUM": "", "LUX": "lx", "M3-PER-SEC": "m³/s", "PA": "Pa", "W": "W", "KiloW": "kW",
    "W-HR": "Wh", "KiloW-HR": "kWh", "K": "K", "UNITLESS": "",
}  # fmt: skip
MISSING = "–"


def unit_sign(unit: str) -> str:
    """The sign of a QUDT unit; an unknown unit shows its name."""
    return UNITS.get(unit, unit)


def number(value: float | None, decimals: int = 1) -> str:
    """A number with thin groups of thousands; a dash where there is none."""
    return MISSING if value is None else f"{value:,.{decimals}f}".replace(",", "\u202f")


def reading(value: float | None) -> float | None:
    """A reading rounded so that its digits mean something."""
    if value is None:
        return None
    size = abs(value)
    return round(value, 0 if size >= 1000 else 1 if size >= 10 else 2)


def clock_time(at: datetime | None, zone: tzinfo, form: str = "%m-%d %H:%M") -> str:
    """A time of the site."""
    return MISSING if at is None else at.astimezone(zone).strftime(form)


def age(seconds: float | None) -> str:
    """How long ago, in the one unit that tells most."""
    if seconds is None:
        return MISSING
    for limit, size, sign in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{max(0, seconds) / size:.0f} {sign}"
    return f"{timedelta(seconds=seconds).days} d"
