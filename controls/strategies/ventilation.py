"""Outdoor air of each air handler: by the people present, more when CO2 rises or when outdoor air cools for nothing."""

import math
from dataclasses import dataclass
from datetime import datetime

from controls.strategies.setpoints import COOLING, HEATING, Band, comfort_band
from controls.strategies.watch import AirHandlerSeen, Seen, Watch, people_or_full, rising
from twin.words import Image, Request

FREE = "outdoor air is cool and dry: it cools for nothing"
FREE_SUPPLY_C = 12.8  # the usual supply temperature of office air handlers


@dataclass
class Ventilation:
    """Outdoor air flow for the people present, at least what the law asks.

    Stale counter: a full zone. Stale CO2: taken as half way up. Stale outdoor air: no free cooling.
    """

    watch: Watch
    name: str = "ventilation"

    def propose(self, image: Image, now: datetime) -> list[Request]:
        seen = self.watch.look(image, now)
        requests = []
        for handler in seen.air_handlers:
            if handler.air_handler.outdoor_air_setpoint:
                flow, why = self._outdoor_air_m3_s(handler, seen)
                inputs = {
                    "people": sum(people_or_full(z) for z in handler.zones),
                    "co2_ppm_worst": self._worst_co2_ppm(handler),
                    handler.air_handler.outdoor_temperature: handler.outdoor_c,
                    "outdoor_dew_point_c": handler.outdoor_dew_point_c,
                    handler.air_handler.return_temperature: handler.return_c,
                }
                requests.append(self.watch.request(seen, handler.air_handler.outdoor_air_setpoint, flow, (self.name, why), inputs))
        return requests

    def _outdoor_air_m3_s(self, handler: AirHandlerSeen, seen: Seen) -> tuple[float, str]:
        tuning = self.watch.tuning
        if not self.watch.running.get(handler.air_handler.key, True):
            return 0.0, "the fan is off"
        if handler.air_handler.key in self.watch.purging:
            return max(handler.flow_m3_s or 0.0, handler.flow_max_m3_s), "night air cools the rooms for the day"
        people = sum(people_or_full(z) for z in handler.zones)
        co2 = rising(self._worst_co2_ppm(handler), tuning.co2_raise_ppm, tuning.co2_full_ppm)
        need = max(people * tuning.outdoor_air_person_l_s / 1000, self.watch.legal_outdoor_air_m3_s(handler.zones))
        need = _rounded_up(need * (1 + (tuning.outdoor_air_raise_max - 1) * co2))
        free = self._free_cooling_m3_s(handler, seen)
        if free > need:
            return free, FREE
        return need, "CO2 is high: more outdoor air" if co2 else "outdoor air for the people present"

    def _worst_co2_ppm(self, handler: AirHandlerSeen) -> float:
        """The worst zone that may hold people; unknown CO2 counts as much."""
        unknown = self.watch.tuning.co2_unknown_ppm
        return max((unknown if z.co2_ppm is None else z.co2_ppm for z in handler.zones if z.may_hold_people), default=0.0)

    def _free_cooling_m3_s(self, handler: AirHandlerSeen, seen: Seen) -> float:
        """Outdoor air that brings the mix down to the supply temperature; 0 when it does not help or would make rooms humid."""
        outdoor, back, flow = handler.outdoor_c, handler.return_c, handler.flow_m3_s
        warmest = max((z.temperature_c for z in handler.zones if z.temperature_c is not None), default=None)
        if outdoor is None or back is None or flow is None or warmest is None or not self.watch.cools_for_nothing(handler):
            return 0.0
        heating, cooling = comfort_band(seen.outdoor_mean_c, self.watch.site.comfort, self.watch.tuning)
        mixed = self.watch.supply_c.get(handler.air_handler.key, FREE_SUPPLY_C) - self.watch.tuning.fan_heat_k
        share = 1.0 if outdoor >= mixed else (back - mixed) / (back - outdoor)
        return min(1.0, share) * flow * self._wanted(handler, warmest, (heating, cooling))

    def _wanted(self, handler: AirHandlerSeen, warmest_c: float, band: Band) -> float:
        """The share of it: boxes take only the cold that their zones ask for; air without boxes reaches zones that are not warm too."""
        tuning = self.watch.tuning
        if any(z.zone.minimum_flow for z in handler.zones):
            return float(warmest_c >= band[HEATING] + tuning.economiser_zone_gap_k)
        return rising(warmest_c, band[COOLING] - tuning.economiser_room_k, band[COOLING])


def _rounded_up(flow_m3_s: float) -> float:
    """To whole litres per second, so that rounding never falls below the law."""
    return math.ceil(flow_m3_s * 1000) / 1000
