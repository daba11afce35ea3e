"""Lighting level of each zone: by the people present and the daylight there is. The lamps' own local loop follows people within seconds."""

from dataclasses import dataclass
from datetime import datetime

from controls.strategies.tuning import Tuning
from controls.strategies.watch import Watch, ZoneSeen
from twin.words import Image, Request


@dataclass
class Lighting:
    """Level in percent for the luminaires of every zone with a counter of people.

    Stale counter: no request, so the lighting's own schedule rules. Stale or no daylight sensor: no daylight.
    """

    watch: Watch
    name: str = "lighting"

    def propose(self, image: Image, now: datetime) -> list[Request]:
        seen = self.watch.look(image, now)
        target_lux = self.watch.site.comfort.lux_target
        requests = []
        for zone in seen.zones.values():
            if zone.people is None:
                continue
            level = level_percent(zone, target_lux, self.watch.tuning)
            why = "light for the people present, less the daylight there is" if zone.people else "nobody is here"
            inputs = {zone.zone.people: zone.people, zone.zone.daylight: zone.daylight_lux}
            requests += [self.watch.request(seen, light, level, (self.name, why), inputs) for light in zone.zone.lights]
        return requests


def level_percent(zone: ZoneSeen, target_lux: float, tuning: Tuning) -> float:
    """Share of the lamps in groups with people, dimmed by daylight to the target."""
    assert zone.people is not None
    if zone.people <= 0:
        return tuning.light_empty_percent
    used = min(1.0, (zone.people + max(tuning.light_margin_people, zone.coming)) / zone.design_people)
    lit = 1 - (1 - used) ** tuning.light_group
    dark = max(0.0, 1 - tuning.daylight_trust * (zone.daylight_lux or 0.0) / target_lux)
    return max(tuning.light_present_min_percent, tuning.light_full_percent * lit * dark)
