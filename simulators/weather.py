"""Weather for simulated sites: an EPW reader, a forecast with a real one's error, and a synthetic stand-in where there is no file."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np

from twin.errors import SiteError

HEADER_LINES = 8
HOURS_A_YEAR = 8760
COLUMNS = {
    # name -> (EPW column, value that means missing, lowest and highest plausible)
    "dry_bulb_c": (6, 99.9, -70.0, 70.0),
    "dew_point_c": (7, 99.9, -70.0, 70.0),
    "rh_percent": (8, 999.0, 0.0, 110.0),
    "pressure_pa": (9, 999999.0, 31000.0, 120000.0),
    "global_w_m2": (13, 9999.0, 0.0, 1500.0),
    "direct_normal_w_m2": (14, 9999.0, 0.0, 1500.0),
    "diffuse_w_m2": (15, 9999.0, 0.0, 1500.0),
    "wind_m_s": (21, 999.0, 0.0, 60.0),
}
ERROR_K_PER_SQRT_HOUR = 0.35
"""Spread of the temperature forecast: 0.35 K after an hour, 1.7 K after a day, as day-ahead forecasts of national services have."""
GLOBAL_LUX_PER_W_M2 = 110.0  # luminous efficacy of daylight


@dataclass(frozen=True, slots=True)
class ForecastHour:
    """The forecast for one hour; `spread_k` is its standard error."""

    at: datetime
    temperature_c: float
    spread_k: float


@dataclass(frozen=True)
class DesignConditions:
    """The handbook's sizing conditions as an EPW carries them in line 2."""

    heating_month: int
    heating_c: float  # 99.6 %
    heating_wind_m_s: float
    heating_wind_degrees: float
    cooling_month: int
    cooling_range_k: float
    cooling_c: float  # 0.4 % dry bulb
    cooling_wet_bulb_c: float  # coincident
    humid_wet_bulb_c: float  # 0.4 % wet bulb
    humid_c: float  # coincident
    cooling_wind_m_s: float
    cooling_wind_degrees: float


@dataclass(frozen=True)
class Weather:
    """One year of hourly weather; hour 0 is 1 January 00:00-01:00, no leap day."""

    name: str
    latitude: float
    longitude: float
    zone_h: float
    elevation_m: float
    hours: dict[str, np.ndarray]
    design: DesignConditions | None
    synthetic: bool = False

    def at(self, column: str, when: datetime) -> float:
        """A column's value at a time, linear between the hours' ends."""
        series = self.hours[column]
        position = (when.timetuple().tm_yday - 1) * 24 + when.hour + when.minute / 60 + when.second / 3600 - 1
        low = math.floor(position)
        share = position - low
        return float(series[low % HOURS_A_YEAR] * (1 - share) + series[(low + 1) % HOURS_A_YEAR] * share)

    def forecast(self, now: datetime, hours: int, seed: int) -> list[ForecastHour]:
        """The coming hours with a growing seeded error; the same moment and seed give the same forecast."""
        rng = np.random.default_rng([seed, now.timetuple().tm_yday, now.hour])
        errors = np.cumsum(rng.normal(0.0, ERROR_K_PER_SQRT_HOUR, hours))
        times = [now + timedelta(hours=h + 1) for h in range(hours)]
        return [
            ForecastHour(t, self.at("dry_bulb_c", t) + float(e), ERROR_K_PER_SQRT_HOUR * math.sqrt(h + 1))
            for h, (t, e) in enumerate(zip(times, errors, strict=True))
        ]


def read_epw(path: Path) -> Weather:
    """Read a weather file; SiteError names the line and column of what is missing or cannot be."""
    try:
        rows = list(csv.reader(path.read_text(encoding="latin-1").splitlines()))
    except OSError as error:
        raise SiteError(f"{path}: the weather file cannot be read ({error.strerror}); check the path in plant.toml") from None
    if len(rows) < HEADER_LINES or rows[0][:1] != ["LOCATION"] or len(rows[0]) < 10:
        raise SiteError(f"{path}: not an EPW file; line 1 must be LOCATION with ten fields")
    data = [row for row in rows[HEADER_LINES:] if row]
    if len(data) != HOURS_A_YEAR:
        raise SiteError(f"{path}: expected {HOURS_A_YEAR} hourly rows, got {len(data)}; give a whole year without leap day")
    hours = {name: _column(path, data, name) for name in COLUMNS}
    try:
        latitude, longitude, zone_h, elevation_m = (float(x) for x in rows[0][6:10])
    except ValueError:
        raise SiteError(f"{path} line 1: latitude, longitude, time zone and elevation must be numbers") from None
    return Weather(rows[0][1], latitude, longitude, zone_h, elevation_m, hours, _design(path, rows[1]))


def _column(path: Path, data: Sequence[Sequence[str]], name: str) -> np.ndarray:
    column, missing, low, high = COLUMNS[name]
    values = np.empty(len(data))
    for n, row in enumerate(data):
        try:
            values[n] = float(row[column])
        except (IndexError, ValueError):
            raise SiteError(f"{path} line {n + HEADER_LINES + 1}: no number for {name} in column {column + 1}") from None
        if values[n] == missing or not low <= values[n] <= high:
            raise SiteError(f"{path} line {n + HEADER_LINES + 1}: {name} is {row[column]}, expected {low:g} to {high:g}; fill the gap")
    return values


def _design(path: Path, row: Sequence[str]) -> DesignConditions | None:
    """Line 2: Heating and Cooling blocks of the ASHRAE handbook; None when the file has none."""
    if row[:1] != ["DESIGN CONDITIONS"] or len(row) < 2 or row[1].strip() in ("", "0"):
        return None
    try:
        heating = [float(x) for x in row[row.index("Heating") + 1 : row.index("Cooling")]]
        cooling = [float(x) for x in row[row.index("Cooling") + 1 : row.index("Extremes")]]
        return DesignConditions(
            int(heating[0]), heating[1], heating[13], heating[14], int(cooling[0]), cooling[1],
            cooling[2], cooling[3], cooling[8], cooling[9], cooling[14], cooling[15],
        )  # fmt: skip
    except (ValueError, IndexError):
        raise SiteError(f"{path} line 2: DESIGN CONDITIONS must hold Heating, Cooling and Extremes with numbers") from None


def synthetic_weather(seed: int = 1) -> Weather:
    """A made-up hot-humid climate (mild winter, 28-33 °C summer, dew point about 24 °C). Synthetic: say so wherever it shows."""
    rng = np.random.default_rng(seed)
    hour = np.arange(HOURS_A_YEAR)
    day, clock = hour // 24, hour % 24 + 0.5
    season = -np.cos(2 * np.pi * (day - 20) / 365)  # -1 in January, 1 in July
    drift = np.repeat(_wander(rng, 365, 0.8, 1.0), 24)
    temperature = 22.5 + 6.5 * season + drift + 3.0 * np.cos(2 * np.pi * (clock - 15) / 24)
    dew_point = np.minimum(temperature - 0.5, 18.5 + 5.5 * season + 0.5 * drift)
    elevation = np.maximum(0.0, np.sin(np.pi * (clock - 6) / 12)) * (0.85 + 0.15 * season)
    cloud = np.repeat(rng.uniform(0.45, 1.0, 365), 24)
    direct = 820 * elevation**0.5 * cloud**2 * (elevation > 0)
    diffuse = 160 * elevation * (1.6 - cloud)
    hours = {
        "dry_bulb_c": temperature,
        "dew_point_c": dew_point,
        "rh_percent": 100 * np.exp(17.6 * (dew_point / (dew_point + 243) - temperature / (temperature + 243))),
        "pressure_pa": np.full(HOURS_A_YEAR, 101325.0),
        "global_w_m2": direct * elevation + diffuse,
        "direct_normal_w_m2": direct,
        "diffuse_w_m2": diffuse,
        "wind_m_s": np.full(HOURS_A_YEAR, 3.0),
    }
    return Weather("synthetic hot-humid climate", 22.5, 114.0, 8.0, 5.0, hours, None, synthetic=True)


def _wander(rng: np.random.Generator, days: int, memory: float, spread: float) -> np.ndarray:
    """Day-to-day weather: a first-order random walk that comes back."""
    values = np.zeros(days)
    for n in range(1, days):
        values[n] = memory * values[n - 1] + rng.normal(0.0, spread)
    return values


def month_day(text: str, year: int) -> date:
    """A start written MM-DD, as a date of the simulated year."""
    try:
        month, day = (int(x) for x in text.split("-"))
        return date(year, month, day)
    except ValueError:
        raise SiteError(f"start must be MM-DD, for example 07-14, got {text!r}") from None
