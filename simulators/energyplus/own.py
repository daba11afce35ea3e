"""The building's own control, from the model's own schedules: what `code` follows to the letter and `bau` more wastefully.

Code: the model's schedules as they stand. Business as usual: fans run an hour longer before the first use and setpoints with them,
outdoor air is fixed whenever a fan runs, and lights are at their peak wherever the model has a quarter of it.
A light schedule that is the reference offices' has the business as usual of `simulators.schedules`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from simulators.design import BOX, AirHandlerDesign, Building, ZoneDesign
from simulators.energyplus.calendar import weekly, year_of
from simulators.energyplus.references import named, nodes_of
from simulators.plant import STEP_S, STEPS_PER_DAY
from simulators.schedules import MINIMUM_FLOW_PERCENT, OPERATIONS, SUPPLY_C
from twin.words import slug

Model = dict[str, Any]

EARLIER = 3600 // STEP_S  # steps by which business as usual starts before the model
LIT_SHARE = 0.25  # of the peak: from it on, business as usual has all lamps at their peak
OFFICE_PRESENCE = (
    # share of the design people in the reference offices: weekday, Saturday, Sunday
    (*(0.0,) * 6, 0.1, 0.2, *(0.95,) * 4, 0.5, *(0.95,) * 4, 0.7, *(0.4,) * 2, *(0.1,) * 2, *(0.05,) * 2),
    (*(0.0,) * 6, *(0.1,) * 2, *(0.5,) * 6, *(0.1,) * 3, *(0.0,) * 7),
    (0.0,) * 24,
)


@dataclass(frozen=True)
class ZoneOwn:
    """One zone's own control, a value for each ten minutes of the year; lights and people in shares of their design."""

    heating_c: np.ndarray | None
    cooling_c: np.ndarray | None
    minimum_flow_percent: float
    lights: Mapping[str, np.ndarray]  # by Lights object
    people: Mapping[str, np.ndarray]  # by People object

    @property
    def office(self) -> bool:
        """Whether its people are those of the reference offices."""
        return bool(self.people) and all(np.allclose(series, _office_presence()) for series in self.people.values())


@dataclass(frozen=True)
class AirHandlerOwn:
    """One air handler's own control: fan, share of the design outdoor air, and supply temperature."""

    fan_on: np.ndarray
    outdoor_air: np.ndarray
    supply_c: np.ndarray


@dataclass(frozen=True)
class OwnControl:
    """All zones and air handlers by key, as the model has them before it is edited."""

    zones: Mapping[str, ZoneOwn]
    air_handlers: Mapping[str, AirHandlerOwn]

    def values(self, at: datetime, light_w: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """What each writable point would be, with `oa_share` for the outdoor air as a share of the design minimum.

        `light_w` holds the design power of every Lights object by zone; levels are means weighted by it.
        """
        now = (at.timetuple().tm_yday - 1) * STEPS_PER_DAY + (at.hour * 60 + at.minute) * 60 // STEP_S
        values: dict[str, float] = {}
        for key, handler in self.air_handlers.items():
            on = float(handler.fan_on[now])
            values[f"{key}.fan_run"], values[f"{key}.sa_t_sp"] = on, float(handler.supply_c[now])
            values[f"{key}.oa_share"] = on * float(handler.outdoor_air[now])
        for key, zone in self.zones.items():
            if zone.heating_c is not None:
                values[f"{key}.htg_sp"] = float(zone.heating_c[now])
            if zone.cooling_c is not None:
                values[f"{key}.clg_sp"] = float(zone.cooling_c[now])
            values[f"{key}.min_flow"] = zone.minimum_flow_percent
            if zone.lights:
                values[f"{key}.light_level"] = _level_percent(zone, now, light_w.get(key, {}))
        return values


def read_own(model: Model, building: Building, variant: str) -> OwnControl:
    """The own control (bau or code) of a model that nobody has edited yet; SiteError for a kind of schedule that cannot be read."""
    zones = {slug(zone.name): _zone(model, zone, variant) for zone in building.zones}
    return OwnControl(zones, {slug(handler.name): _air_handler(model, handler, variant) for handler in building.air_handlers})


def _zone(model: Model, zone: ZoneDesign, variant: str) -> ZoneOwn:
    heating, cooling = zone.source.get("heating", ""), zone.source.get("cooling", "")
    return ZoneOwn(
        _earlier(year_of(model, heating, 0.0), variant, np.maximum) if heating else None,
        _earlier(year_of(model, cooling, 0.0), variant, np.minimum) if cooling else None,
        _minimum_flow_percent(model[zone.source["box_kind"]][zone.source["box"]]) if zone.terminal == BOX else MINIMUM_FLOW_PERCENT,
        {name: _lit(year_of(model, model["Lights"][name].get("schedule_name", ""), 1.0), variant) for name in zone.lamps},
        {name: year_of(model, model["People"][name].get("number_of_people_schedule_name", ""), 1.0) for name in zone.people},
    )


def _minimum_flow_percent(box: Model) -> float:
    share = box.get("constant_minimum_air_flow_fraction", "")
    return round(100 * float(share), 6) if isinstance(share, (int, float)) and share > 0 else MINIMUM_FLOW_PERCENT


def _air_handler(model: Model, handler: AirHandlerDesign, variant: str) -> AirHandlerOwn:
    source = handler.source
    fan_on = year_of(model, fan_schedule(model, source), 1.0) > 0.5
    outdoor = named(model, "Controller:OutdoorAir", source["oa_controller"]) if source["oa_controller"] else {}
    minimum = str(outdoor.get("minimum_outdoor_air_schedule_name", ""))
    return AirHandlerOwn(
        fan_on | np.roll(fan_on, -EARLIER) if variant == "bau" else fan_on,
        np.ones(fan_on.size) if variant == "bau" else np.clip(year_of(model, minimum, 1.0), 0.0, 1.0),
        year_of(model, _supply_schedule(model, source["supply_node"]), SUPPLY_C),
    )


def fan_schedule(model: Model, source: Mapping[str, str]) -> str:
    """By which schedule the fan runs: its night cycle's, its unit's operating mode, a scheduled manager's, or its own availability."""
    cycles, scheduled = (managers_of(model, source["loop"], f"AvailabilityManager:{kind}") for kind in ("NightCycle", "Scheduled"))
    if cycles:
        return str(cycles[0].get("fan_schedule_name", ""))
    if source["unit"]:
        mode = model[source["unit_kind"]][source["unit"]].get("supply_air_fan_operating_mode_schedule_name", "")
        if mode:
            return str(mode)
    if scheduled:
        return str(scheduled[0].get("schedule_name", ""))
    return str(model[source["fan_kind"]][source["fan"]].get("availability_schedule_name", ""))


def managers_of(model: Model, loop: str, kind: str) -> list[Model]:
    """The availability managers of a kind in an air loop's own list, to be read or changed."""
    own = named(model, "AvailabilityManagerAssignmentList", model["AirLoopHVAC"][loop].get("availability_manager_list_name", ""))
    names = [m["availability_manager_name"].lower() for m in own.get("managers", [])]
    return [manager for name, manager in model.get(kind, {}).items() if name.lower() in names]


def _supply_schedule(model: Model, node: str) -> str:
    for manager in model.get("SetpointManager:Scheduled", {}).values():
        place = manager.get("setpoint_node_or_nodelist_name", "")
        if manager.get("control_variable", "Temperature") == "Temperature" and nodes_of(model, place) == [node.lower()]:
            return str(manager["schedule_name"])
    return ""


def _level_percent(zone: ZoneOwn, now: int, light_w: Mapping[str, float]) -> float:
    total = sum(light_w.values()) or 1.0
    return round(100 * sum(light_w.get(name, 0.0) * float(series[now]) for name, series in zone.lights.items()) / total, 6)


def _earlier(series: np.ndarray, variant: str, stricter: Any) -> np.ndarray:
    shifted: np.ndarray = stricter(series, np.roll(series, -EARLIER)) if variant == "bau" else series
    return shifted


def _lit(series: np.ndarray, variant: str) -> np.ndarray:
    if variant != "bau":
        return series
    if np.allclose(series, weekly(OPERATIONS["code"].light_percent) / 100):
        usual: np.ndarray = weekly(OPERATIONS["bau"].light_percent) / 100
        return usual
    peak, least = float(series.max()), float(series.min())
    return np.where(series >= peak * LIT_SHARE, peak, least)


def _office_presence() -> np.ndarray:
    return weekly(OFFICE_PRESENCE)
