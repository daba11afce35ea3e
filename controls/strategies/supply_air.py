"""Warmer supply air when no zone needs cold: it saves reheat. Never in humid weather, and never at the price of more fan power."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from controls.strategies.setpoints import COOLING, comfort_band
from controls.strategies.watch import AirHandlerSeen, Seen, Watch
from twin.words import Image, Request


@dataclass
class SupplyAir:
    """Supply air setpoint, from its own value (`design_c`, of its limits) upwards in small steps while every zone is far from warm.

    A zone whose humidity or temperature is not known counts as humid and warm: the own value rules.
    """

    watch: Watch
    design_c: Mapping[str, float]
    name: str = "supply_air"
    _now_c: dict[str, float] = field(default_factory=dict)

    def propose(self, image: Image, now: datetime) -> list[Request]:
        seen = self.watch.look(image, now)
        requests = []
        for handler in seen.air_handlers:
            point = handler.air_handler.supply_setpoint
            if point is not None and point in self.design_c:
                supply_c, why = self._supply_c(point, handler, seen)
                self._now_c[point] = self.watch.supply_c[handler.air_handler.key] = supply_c
                requests.append(self.watch.request(seen, point, supply_c, (self.name, why), {"dew_point_c": _worst_dew_point_c(handler)}))
        return requests

    def _supply_c(self, point: str, handler: AirHandlerSeen, seen: Seen) -> tuple[float, str]:
        tuning, design = self.watch.tuning, self.design_c[point]
        dew_point = _worst_dew_point_c(handler)
        if not self.watch.running.get(handler.air_handler.key, True):
            return design, "the fan is off"
        if handler.air_handler.key in self.watch.purging:
            return tuning.purge_supply_c, "night air cools the rooms: no coil need help"
        free_c = self._free_c(handler)
        if dew_point is None or dew_point > (tuning.supply_dew_point_max_c if free_c is None else tuning.supply_free_dew_point_max_c):
            return design, "humid, or humidity not known: cold air dries the rooms"
        cooling = comfort_band(seen.outdoor_mean_c, self.watch.site.comfort, tuning)[COOLING]
        warmest = max((z.temperature_c if z.temperature_c is not None else cooling for z in handler.zones), default=cooling)
        before = self._now_c.get(point, design)
        if free_c is not None and before <= free_c and warmest <= cooling + tuning.supply_free_room_k:
            return max(design, min(free_c, before + 2 * tuning.supply_step_k)), "so warm, outdoor air alone makes it: no machine cools"
        if warmest >= cooling - tuning.supply_warm_gap_k:
            return max(design, before - 2 * tuning.supply_step_k), "a zone is warm: back towards cold air"
        return min(tuning.supply_c_max, before + tuning.supply_step_k), "dry, and no zone is near its cooling setpoint: less reheat"

    def _free_c(self, handler: AirHandlerSeen) -> float | None:
        """The supply temperature that outdoor air gives with no machine, where fans can move as much of it as that takes; else None."""
        tuning = self.watch.tuning
        if handler.outdoor_c is None or handler.flow_m3_s is None or not self.watch.cools_for_nothing(handler):
            return None
        free_c = handler.outdoor_c + tuning.fan_heat_k + tuning.supply_free_margin_k
        roomy = handler.flow_m3_s <= tuning.supply_free_flow_share * handler.flow_max_m3_s
        return free_c if roomy and free_c <= tuning.supply_free_c_max else None


def _worst_dew_point_c(handler: AirHandlerSeen) -> float | None:
    points = [z.dew_point_c for z in handler.zones]
    known = [p for p in points if p is not None]
    return max(known) if known and len(known) == len(points) else None
