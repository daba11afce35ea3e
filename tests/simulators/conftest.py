"""One day of plants for the plants' tests, and the rule-based yardstick that strategies can be held against."""

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from simulators.plant import Period, Plant, Step
from twin.words import slug

ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture(scope="session")
def energyplus():
    """The engine's module; skipped where its wheel is not installed."""
    if importlib.util.find_spec("pyenergyplus") is None:
        pytest.skip("EnergyPlus has no wheel for this machine")
    from simulators.energyplus import engine

    return engine


@pytest.fixture
def monday():
    """One day, Monday 14 July."""
    return Period(date(2025, 7, 14), 1, ZONE)


@pytest.fixture
def miami(energyplus, monday):
    """Makes the medium office in Miami on that Monday; every plant made is closed."""
    from simulators.energyplus.plant import EnergyPlusPlant

    made = []

    def make(**changes):
        arguments = {"seed": 1} | changes
        period = arguments.pop("period", monday)
        weather = energyplus.shipped("weather", arguments.pop("weather", "usa_fl_miami"))
        made.append(EnergyPlusPlant(energyplus.shipped("models", "medium_office"), weather, period, **arguments))
        return made[-1]

    yield make
    for plant in made:
        plant.close()


@pytest.fixture
def sha256():
    return lambda path: hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def drive():
    return _drive


@pytest.fixture
def oracle_for():
    return _oracle_for


@dataclass
class Oracle:
    """Rules over the plant's readings; every lever can be switched off to see what it is worth."""

    building: object  # simulators.design.Building
    people: Mapping[str, float]
    fan_m3_s: Mapping[str, float]
    minimum_outdoor_air_m3_s: Mapping[str, float]
    zones_of: Mapping[str, list[str]]
    levers: frozenset = frozenset({"startstop", "light", "daylight", "minflow", "dcv", "pressure", "setpoints", "economizer"})
    litres: float = 9.0
    low_flow: float = 10.0
    empty_flow: float = 5.0
    standby_k: float = 1.5
    supply_c: float = 12.8
    cool_warm_c: float = 25.4
    lead_k_h: float = 0.35
    late_h: float = 19.5
    mean_oat: float | None = None
    empty: dict = field(default_factory=dict)
    latched: bool = False

    def __call__(self, own: dict[str, float], step: Step) -> dict[str, float]:
        r, at, held = step.readings, step.at, dict(own)
        hour = at.hour + at.minute / 60
        handlers, zones = list(self.zones_of), [z for zs in self.zones_of.values() for z in zs]
        oat = r[f"{handlers[0]}.oa_t"]
        self.mean_oat = oat if self.mean_oat is None else self.mean_oat + (oat - self.mean_oat) / (4 * 144)
        warm = min(1, max(0, (self.mean_oat - 10) / 8))
        heat, cool = 21.3 - 0.8 * warm, 24.6 + (self.cool_warm_c - 24.6) * warm
        occ = {z: r[f"{z}.zn_occ"] for z in zones}
        for z in zones:
            self.empty[z] = 0 if occ[z] > 0 else self.empty.get(z, 99) + 1
        on = (
            self.wants_on(at, hour, heat, cool, occ, [r[f"{z}.zn_t"] for z in zones])
            if "startstop" in self.levers
            else bool(own[f"{handlers[0]}.fan_run"])
        )
        for a, mine in self.zones_of.items():
            held |= self.air_handler(r, a, mine, heat, on)
        for z in zones:
            held |= self.zone(r, z, self.empty[z] >= 3 and hour >= 8.5, (heat, cool), on)
        return held

    def air_handler(self, r, a, mine, heat, on):
        held, flow = {f"{a}.fan_run": float(on), f"{a}.sa_t_sp": self.supply_c}, r[f"{a}.sa_f"]
        if "dcv" in self.levers:
            need = sum(r[f"{z}.zn_occ"] for z in mine) * self.litres / 1000
            worst = max((r[f"{z}.zn_co2"] for z in mine if r[f"{z}.zn_occ"] > 0), default=420)
            if worst > 800:
                need *= 1 + min(2, (worst - 800) / 100)
            if "economizer" in self.levers:
                need = max(need, self.economizer(r, a, mine, heat))
            held[f"{a}.oa_f_sp"] = (min(need, flow) if flow > 0 else need) if on else 0.0
        if "pressure" in self.levers:
            held[f"{a}.sa_p_sp"] = 200.0
        return held

    def zone(self, r, z, gone, band, on):
        held, occ = {}, r[f"{z}.zn_occ"]
        if "setpoints" in self.levers:
            wide = self.standby_k if gone else 0
            held[f"{z}.htg_sp"], held[f"{z}.clg_sp"] = (band[0] - wide, band[1] + wide) if on else (16.0, 29.0)
            if not on and occ > 0:
                held[f"{z}.htg_sp"], held[f"{z}.clg_sp"] = 20.0, 26.0
        if "minflow" in self.levers:
            boost = min(40, max(0, (r[f"{z}.zn_co2"] - 800) / 200 * 40)) if occ > 0 else 0
            held[f"{z}.min_flow"] = self.empty_flow if gone else self.low_flow + boost
        if "light" in self.levers:
            used = min(1, occ / max(1, self.people[z]))
            level = 5 + 90 * (1 - (1 - used) ** 4) if used > 0 else 5
            if "daylight" in self.levers and f"{z}.zn_lux" in r and level > 5:
                level = 5 + (level - 5) * max(0.1, 1 - 0.9 * min(1, r[f"{z}.zn_lux"] / 500))
            held[f"{z}.light_level"] = level
        return held

    def wants_on(self, at, hour, heat, cool, occ, temps):
        day = at.weekday()
        first, last = (7.0, self.late_h) if day < 5 else (7.5, 16.5)
        lead = max(0, min(2.0, 0.45 * max(0, heat - 0.3 - min(temps))), min(1.5, self.lead_k_h * max(0, max(temps) - (cool + 0.3))))
        busy = sum(occ.values()) > 0.04 * sum(self.people.values()) and hour < 22
        on = day < 6 and (first - lead <= hour < last or busy)
        self.latched = hour < 9 and day < 6 and (on or self.latched)
        return on or self.latched

    def economizer(self, r, a, mine, heat):
        flow, back, oat = r[f"{a}.sa_f"], r[f"{a}.ra_t"], r[f"{a}.oa_t"]
        if flow > 0 and oat < back - 1 and oat < 22 and max(r[f"{z}.zn_t"] for z in mine) > heat + 1:
            mixed = self.supply_c - 0.8
            return (1 if oat >= mixed else (back - mixed) / max(back - oat, 1e-3)) * flow
        return 0.0


def _oracle_for(plant, **changes) -> Oracle:
    zones_of: dict[str, list[str]] = {}
    for zone in plant.building.zones:
        zones_of.setdefault(slug(zone.air_handler), []).append(slug(zone.name))
    s = plant.sizing
    return Oracle(plant.building, s.people, s.fan_m3_s, s.minimum_outdoor_air_m3_s, zones_of, **changes)


def _drive(plant: Plant, rule=None) -> int:
    """Step the plant to its end, by its own schedule or a rule; returns the number of steps."""
    step, steps = plant.reset(), 0
    rule = rule(plant) if rule else None
    while step is not None:
        own = plant.own_schedule(step.at)
        step = plant.step(rule(own, step) if rule else own)
        steps += step is not None
    return steps
