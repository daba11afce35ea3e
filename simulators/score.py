"""Energy and comfort of a simulated period: the key figures every comparison is made of, and the limits comfort must keep."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twin.comfort import ppd

J_PER_KWH = 3.6e6
BAND_LOW_C, BAND_HIGH_C = 20.0, 26.0
PMV_LIMIT = 0.7
CO2_LIMIT_PPM = 1000.0
RH_LIMIT_PERCENT = 65.0
FULL_LIGHT_PERCENT = 95.0
"""The level at which the lamps alone give the target on every desk: business as usual."""
GROUP = 4
"""Lamps are switched for groups of four desks."""

COMFORT_LIMITS: Mapping[str, float] = {
    # key figure -> value that is good enough whatever business as usual had (percent; K.h)
    "ppd_mean": 10.0,
    "pmv_over_07_percent": 5.0,
    "kelvin_hours_per_zone": 0.5,
    "co2_over_1000_percent": 0.5,
    "rh_over_65_percent": 1.0,
    "lux_deficit_percent": 1.0,
}
ABSOLUTE_LIMITS = ("co2_over_1000_percent",)  # bad air in the reference excuses nobody


@dataclass(frozen=True)
class Score:
    """One period's key figures. `power_kw` is the mean electric power of each step, `energy_kwh` site energy with gas 1:1."""

    energy_kwh: Mapping[str, float]  # whole (all facility meters), hvac_light, electricity, gas
    comfort: Mapping[str, float]
    fan_starts: int
    peak_kw: float
    power_kw: tuple[float, ...]
    person_hours: float = 0.0
    end_uses_kwh: Mapping[str, float] = field(default_factory=dict)

    def as_row(self) -> dict[str, Any]:
        """The figures as the journal keeps them, with the power of the last step; the whole series would grow with every step."""
        return {
            "energy_kwh": {name: round(value, 3) for name, value in self.energy_kwh.items()},
            "comfort": {name: round(value, 3) for name, value in self.comfort.items()},
            "fan_starts": self.fan_starts,
            "peak_kw": round(self.peak_kw, 3),
            "power_kw": round(self.power_kw[-1], 3) if self.power_kw else 0.0,
        }


def saved_percent(score: Score, reference: Score, kind: str = "whole") -> float:
    """How much less energy than the reference, in percent of it."""
    return 100 * (1 - score.energy_kwh[kind] / reference.energy_kwh[kind])


def comfort_failures(comfort: Mapping[str, float], bau: Mapping[str, float]) -> list[str]:
    """The comfort figures that are worse than both business as usual and what is good enough; empty: comfort was kept."""
    failed = []
    for name, enough in COMFORT_LIMITS.items():
        limit = enough if name in ABSOLUTE_LIMITS else max(bau[name], enough)
        if comfort[name] > limit:
            failed.append(f"{name} {comfort[name]:.2f} is above {limit:.2f} (business as usual {bau[name]:.2f}, enough {enough:g})")
    return failed


def lamp_lux(level_percent: float, used_share: float, target_lux: float) -> float:
    """Light from the lamps on the desks of people present.

    Lamps follow presence in groups of four by their own local loop, so a zone's level is spent on the groups that hold people:
    with a share `used_share` of the design people, 1 - (1 - used)^4 of the groups are lit.
    """
    lit = 1 - (1 - min(1.0, used_share)) ** GROUP
    return target_lux * min(1.0, level_percent / FULL_LIGHT_PERCENT / lit) if lit > 0 else 0.0


@dataclass(frozen=True, slots=True)
class ZoneFacts:
    """What one zone was like in one step."""

    people: float
    pmv: float
    temperature_c: float
    co2_ppm: float
    rh_percent: float
    lux: float


@dataclass
class Tally:
    """Adds up steps to a Score."""

    step_s: int
    zones: int
    lux_target: float = 500.0
    _sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("hours", "ppd", "pmv", "kh", "co2", "rh", "lux"), 0.0))
    _energy: dict[str, float] = field(default_factory=dict)
    _power_kw: list[float] = field(default_factory=list)
    _running: list[bool] = field(default_factory=list)
    _starts: int = 0

    def add_zone(self, facts: ZoneFacts) -> None:
        """One zone's step; comfort counts only where there are people."""
        if facts.people <= 0:
            return
        hours = self.step_s / 3600
        person_hours = facts.people * hours
        sums = self._sums
        sums["hours"] += person_hours
        sums["ppd"] += person_hours * ppd(facts.pmv)
        sums["pmv"] += person_hours * (abs(facts.pmv) > PMV_LIMIT)
        sums["kh"] += hours * (max(0.0, BAND_LOW_C - facts.temperature_c) + max(0.0, facts.temperature_c - BAND_HIGH_C))
        sums["co2"] += person_hours * (facts.co2_ppm > CO2_LIMIT_PPM)
        sums["rh"] += person_hours * (facts.rh_percent > RH_LIMIT_PERCENT)
        sums["lux"] += person_hours * max(0.0, self.lux_target - facts.lux)

    def add_energy(self, used_j: Mapping[str, float]) -> None:
        """One step's energy in J by end use; `electricity`, `gas` and `other` are the facility meters, `hvac` and `light` parts of them."""
        for name, joules in used_j.items():
            self._energy[name] = self._energy.get(name, 0.0) + joules
        self._power_kw.append(used_j["electricity"] / self.step_s / 1000)

    def add_fans(self, running: Sequence[bool]) -> None:
        """Which fans were held on in this step, in a fixed order; a start follows a step off. The night cycle's own are not counted."""
        self._starts += sum(now and not before for now, before in zip(running, self._running, strict=False))
        self._running = list(running)

    def score(self) -> Score:
        """The key figures so far."""
        kwh = {name: joules / J_PER_KWH for name, joules in self._energy.items()}
        electricity, gas, other = (kwh.get(name, 0.0) for name in ("electricity", "gas", "other"))
        energy = {
            "whole": electricity + gas + other,
            "hvac_light": kwh.get("hvac", 0.0) + kwh.get("light", 0.0),
            "electricity": electricity,
            "gas": gas,
        }
        peak = max(self._power_kw, default=0.0)
        return Score(energy, self._comfort(), self._starts, peak, tuple(self._power_kw), self._sums["hours"], kwh)

    def _comfort(self) -> dict[str, float]:
        sums = self._sums
        hours = sums["hours"] or math.inf  # nobody was there: nobody suffered
        return {
            "ppd_mean": sums["ppd"] / hours,
            "pmv_over_07_percent": 100 * sums["pmv"] / hours,
            "kelvin_hours_per_zone": sums["kh"] / max(1, self.zones),
            "co2_over_1000_percent": 100 * sums["co2"] / hours,
            "rh_over_65_percent": 100 * sums["rh"] / hours,
            "lux_deficit_percent": 100 * sums["lux"] / self.lux_target / hours,
        }
