"""The least air of each box: low, because reheating needless air is the greatest waste, but raised by CO2 and by want of heat."""

from dataclasses import dataclass
from datetime import datetime

from controls.strategies.setpoints import HEATING, comfort_band
from controls.strategies.watch import Seen, Watch, ZoneSeen, rising
from twin.words import Image, Request


@dataclass
class MinimumFlow:
    """Minimum flow of every box in percent of its design flow.

    Stale counter: people are taken to be present. Stale CO2: taken as half way up. Stale temperature: no want of heat is seen.
    """

    watch: Watch
    name: str = "minimum_flow"

    def propose(self, image: Image, now: datetime) -> list[Request]:
        seen = self.watch.look(image, now)
        requests = []
        for zone in seen.zones.values():
            if zone.zone.minimum_flow:
                z = zone.zone
                percent, why = self._percent(zone, seen)
                inputs = {z.people: zone.people, z.co2: zone.co2_ppm, z.temperature: zone.temperature_c}
                requests.append(self.watch.request(seen, zone.zone.minimum_flow, percent, (self.name, why), inputs))
        return requests

    def _percent(self, zone: ZoneSeen, seen: Seen) -> tuple[float, str]:
        tuning = self.watch.tuning
        heating = comfort_band(seen.outdoor_mean_c, self.watch.site.comfort, tuning)[HEATING]
        if zone.temperature_c is not None and zone.temperature_c < heating - tuning.reheat_k and self.watch.runs(zone.zone):
            return tuning.reheat_flow_percent, "the zone is cold: enough air to carry heat"
        if zone.empty_min >= tuning.standby_after_min:
            return tuning.minimum_flow_empty_percent, "nobody here for half an hour"
        co2_ppm = tuning.co2_unknown_ppm if zone.co2_ppm is None else zone.co2_ppm
        raised = tuning.minimum_flow_raise_percent * rising(co2_ppm, tuning.co2_raise_ppm, tuning.co2_full_ppm)
        why = "CO2 is high: more air" if raised else "air is good: only what people and reheat need"
        return tuning.minimum_flow_percent + raised, why
