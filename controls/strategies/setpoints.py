"""Zone setpoints: a comfort band that follows the weather, wider in empty zones, wide at night, never wide where people are."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from controls.strategies.tuning import Tuning
from controls.strategies.watch import Seen, Watch, ZoneSeen, rising
from twin.site import Comfort
from twin.words import Image, Request

HEATING, COOLING = 0, 1
Band = tuple[float, float]


@dataclass
class Setpoints:
    """Heating and cooling setpoints of every zone that has both.

    Stale counter: people are taken to be present. Stale outdoor temperature: the last running mean; never one: the cold band.
    """

    watch: Watch
    name: str = "setpoints"

    def propose(self, image: Image, now: datetime) -> list[Request]:
        seen = self.watch.look(image, now)
        requests = []
        for zone in seen.zones.values():
            if zone.zone.heating and zone.zone.cooling:
                (heating, cooling), why = self._band(zone, seen)
                inputs = {zone.zone.people: zone.people, "outdoor_mean_c": seen.outdoor_mean_c}
                requests += [
                    self.watch.request(seen, zone.zone.heating, heating, (self.name, why), inputs),
                    self.watch.request(seen, zone.zone.cooling, cooling, (self.name, why), inputs),
                ]
        return requests

    def _band(self, zone: ZoneSeen, seen: Seen) -> tuple[Band, str]:
        tuning, comfort = self.watch.tuning, self.watch.site.comfort
        heating, cooling = comfort_band(seen.outdoor_mean_c, comfort, tuning)
        if zone.zone.air_handler in self.watch.purging:
            return (tuning.night_c[HEATING], heating + tuning.purge_above_heating_k), "night air cools the rooms for the day"
        if not self.watch.runs(zone.zone):
            if zone.may_hold_people and zone.people is not None:
                kept = (comfort.low_c + tuning.night_cycle_k, comfort.high_c - tuning.night_cycle_k)
                return kept, "the air handler is off, but people are still here: the comfort limits hold"
            if self._may_come_back(zone, seen):
                return self._standby(heating, cooling), "the air handler rests until people come back: standby"
            return tuning.night_c, "the air handler is off and nobody is here: night limits"
        if zone.empty_min >= tuning.standby_after_min and not zone.awaited:
            return self._standby(heating, cooling), "nobody here for half an hour: standby"
        heating, cooling = max(heating, comfort.low_c), min(cooling, comfort.high_c)
        dry_k = tuning.drying_k * self.humid(zone)
        if dry_k > 0:
            return (heating, max(cooling - dry_k, heating + tuning.drying_k)), "the room is humid: it is cooled a little more, to dry"
        if self._evening(zone, seen) and zone.temperature_c is not None and zone.temperature_c > cooling - tuning.evening_k:
            return (heating, cooling - tuning.evening_k), "the air handler stops soon: a little coolness for those who stay longer"
        return (heating, cooling), "people are or will soon be here: comfort band by the outdoor mean"

    def _standby(self, heating: float, cooling: float) -> Band:
        tuning = self.watch.tuning
        return heating - tuning.standby_k, min(cooling + tuning.standby_k, self.watch.site.comfort.high_c + tuning.standby_warm_k)

    def _may_come_back(self, zone: ZoneSeen, seen: Seen) -> bool:
        """Whether these are hours in which the air handler's people are usually there, and today they were."""
        habit = self.watch.habit_of_handler(zone.zone)
        if habit is None or zone.zone.minimum_flow:
            return False
        local = seen.now.astimezone(self.watch.site.zone)
        arrival, departure = habit.first_arrival(local.date()), habit.last_departure(local.date())
        if arrival is None or departure is None or not arrival <= local < departure:
            return False
        return zone.empty_min < (local - arrival).total_seconds() / 60

    def _evening(self, zone: ZoneSeen, seen: Seen) -> bool:
        """Whether a central air handler is about to stop: what its plant stores now need not be made for a few people at night."""
        habit = self.watch.habit_of_handler(zone.zone)
        if habit is None or not zone.zone.minimum_flow:
            return False
        local = seen.now.astimezone(self.watch.site.zone)
        departure = habit.last_departure(local.date())
        return departure is not None and local >= departure - timedelta(hours=self.watch.tuning.evening_h)

    def humid(self, zone: ZoneSeen) -> float:
        """0 dry to 1 at the site's limit of humidity; not known counts as dry."""
        limit = self.watch.site.comfort.rh_percent_max
        return 0.0 if zone.rh_percent is None else rising(zone.rh_percent, limit - self.watch.tuning.drying_percent, limit)


def comfort_band(outdoor_mean_c: float | None, comfort: Comfort, tuning: Tuning) -> Band:
    """Heating and cooling setpoint for the weather of the last days, inside the comfort limits; the cold band when it is not known."""
    warm = 0.0 if outdoor_mean_c is None else rising(outdoor_mean_c, tuning.cold_outdoor_c, tuning.warm_outdoor_c)
    above, below = ((1 - warm) * cold + warm * hot for cold, hot in zip(tuning.band_cold_k, tuning.band_warm_k, strict=True))
    return comfort.low_c + above, comfort.high_c - below
