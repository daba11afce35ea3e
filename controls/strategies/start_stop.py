"""Fan on and off for each air handler: on in time for its first people, off when its last have left, never nervous."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from controls.strategies.lead import LeadTimes, Needs
from controls.strategies.setpoints import Band, comfort_band
from controls.strategies.tuning import Tuning
from controls.strategies.watch import AirHandlerSeen, Seen, Watch, ZoneSeen, rising
from twin.words import Image, Request

ON, OFF = 1.0, 0.0
MID = 1  # of low, mid and high


@dataclass(frozen=True, slots=True)
class Run:
    """An air handler's last decision and since when; `starts` counts those of `day`."""

    on: bool
    since: datetime
    day: date
    starts: int


@dataclass
class StartStop:
    """Start and stop by the forecast of people and by who is counted.

    Stale counter: within the forecast hours people are taken to be present; outside them no request, so the fan's own schedule rules.
    Stale temperatures: the longest lead.
    """

    watch: Watch
    name: str = "start_stop"
    lead: LeadTimes = field(default_factory=LeadTimes)
    _runs: dict[str, Run] = field(default_factory=dict)
    _flushed: dict[str, date] = field(default_factory=dict)  # when each was last flushed with night air: that start is no start for people

    def propose(self, image: Image, now: datetime) -> list[Request]:
        seen = self.watch.look(image, now)
        requests = []
        for handler in seen.air_handlers:
            if handler.air_handler.fan is None:
                continue
            wanted, why = self._wanted(handler, seen)
            if wanted is None:
                self._runs.pop(handler.air_handler.key, None)
                continue
            on, why = self._calm(handler.air_handler.key, wanted, why, now)
            self.watch.running[handler.air_handler.key] = on
            self._learn(handler, seen, on)
            counted = sum(z.people or 0.0 for z in handler.zones)
            inputs: dict[str | None, float | None] = {"people": counted, "lead_h": self._lead_h(handler, seen)}
            requests.append(self.watch.request(seen, handler.air_handler.fan, ON if on else OFF, (self.name, why), inputs))
        return requests

    def _wanted(self, handler: AirHandlerSeen, seen: Seen) -> tuple[bool | None, str]:
        """On, off or no opinion, and why."""
        tuning, habit = self.watch.tuning, self.watch.habit(handler.air_handler.key, handler.air_handler.zones)
        local = seen.now.astimezone(self.watch.site.zone)
        arrival, departure = habit.first_arrival(local.date()), habit.last_departure(local.date())
        people = sum(z.people or 0.0 for z in handler.zones)
        purged = handler.air_handler.key in self.watch.purging
        self.watch.purging.discard(handler.air_handler.key)
        if people > 0 and people >= habit.present(local.date()):
            return True, "people are present"
        expected = self._working_hours(seen.now)
        counted = _counted(handler)
        if any(z.people is None for z in counted):
            return (True, "a counter is silent in working hours: people may be present") if expected else (None, "")
        if arrival is None or departure is None:
            return False, "nobody is present and nobody is expected today"
        if (why := self._before_arrival(handler, seen, arrival - local, purged)) is not None:
            return True, why.format(arrival=f"{arrival:%H:%M}")
        empty_min = min((z.empty_min for z in counted), default=0.0)
        waited_min = (local - arrival).total_seconds() / 60
        if waited_min >= 0 and self.watch.idles(handler, empty_min, waited_min, departure - local):
            return False, "nobody here for half an hour: the unit runs only to keep the standby band"
        if waited_min >= 0 and min(empty_min, waited_min) < tuning.nobody_came_min and (expected or empty_min > waited_min):
            return True, f"people are expected until {departure:%H:%M}"
        if people > 0:
            return (
                False,
                f"only {people:.0f} of up to {habit.largest:.0f} people are here: their rooms keep the comfort limits by the night cycle",
            )
        if empty_min < tuning.quiet_min and self._has_started(handler.air_handler.key):
            return True, "the last people have only just left"
        return False, "nobody is present and nobody is expected soon"

    def _before_arrival(self, handler: AirHandlerSeen, seen: Seen, until: timedelta, purged: bool) -> str | None:
        """Why it runs before the first people come; None: it need not yet."""
        tuning, key = self.watch.tuning, handler.air_handler.key
        if until <= timedelta(0):
            return None
        lead_h = self._lead_h(handler, seen)
        if until <= timedelta(hours=lead_h):
            return f"people are expected from {{arrival}}; the rooms need {lead_h:.1f} h to be ready"
        if until <= timedelta(hours=tuning.purge_h) and self._purges(handler, seen, purged):
            self.watch.purging.add(key)
            self._flushed[key] = seen.now.astimezone(self.watch.site.zone).date()
            return "cool night air takes the heat out of the rooms before people come at {arrival}"
        if (
            self._has_started(key)
            and self._flushed.get(key) != seen.now.astimezone(self.watch.site.zone).date()
            and until <= timedelta(hours=max(tuning.lead_h_cold_max, tuning.lead_h_humid_max))
        ):
            return "it has started for the people expected from {arrival}"
        return None

    def _purges(self, handler: AirHandlerSeen, seen: Seen, begun: bool) -> bool:
        """Whether outdoor air is so cool that no coil need help, and the rooms so warm that they will ask for cooling by day."""
        tuning, outdoor = self.watch.tuning, handler.outdoor_c
        temperatures = [z.temperature_c for z in handler.zones if z.temperature_c is not None]
        if outdoor is None or not temperatures or not handler.air_handler.outdoor_air_setpoint:
            return False
        mean = sum(temperatures) / len(temperatures)
        heating, cooling = comfort_band(seen.outdoor_mean_c, self.watch.site.comfort, tuning)
        enough = heating + tuning.purge_above_heating_k
        if mean < (enough if begun else max(enough, cooling - tuning.purge_below_cooling_k)) or min(temperatures) < heating:
            return False
        return outdoor <= min(tuning.purge_outdoor_max_c, mean - tuning.purge_gap_k) and self.watch.is_dry_outdoors(handler, mean)

    def _lead_h(self, handler: AirHandlerSeen, seen: Seen) -> float:
        comfort, tuning = self.watch.site.comfort, self.watch.tuning
        needs = lead_needs(handler, comfort_band(seen.outdoor_mean_c, comfort, tuning), comfort.rh_percent_max, tuning)
        return self.lead.hours(handler.air_handler.key, needs)

    def _learn(self, handler: AirHandlerSeen, seen: Seen, on: bool) -> None:
        """How long the rooms really need, for the mornings to come."""
        comfort, tuning = self.watch.site.comfort, self.watch.tuning
        needs = lead_needs(handler, comfort_band(seen.outdoor_mean_c, comfort, tuning), comfort.rh_percent_max, tuning)
        self.lead.observe(handler.air_handler.key, needs, on and handler.air_handler.key not in self.watch.purging, seen.now)

    def _has_started(self, key: str) -> bool:
        """Whether it runs: a morning start is kept, because as rooms come near their band the lead shrinks."""
        run = self._runs.get(key)
        return run is not None and run.on

    def _working_hours(self, now: datetime) -> bool:
        """Whether people are as likely as not to be in the building."""
        return self.watch.forecast.people(now)[MID] >= self.watch.tuning.arrival_share

    def _calm(self, key: str, wanted: bool, why: str, now: datetime) -> tuple[bool, str]:
        """Minimum on and off times, and no more starts in a day than the motor likes."""
        tuning = self.watch.tuning
        day = now.astimezone(self.watch.site.zone).date()
        run = self._runs.get(key)
        if run is None:
            run = Run(wanted, now - timedelta(days=1), day, 0)
        starts = run.starts if run.day == day else 0
        held_min = (now - run.since).total_seconds() / 60
        if wanted == run.on:
            self._runs[key] = Run(run.on, run.since, day, starts)
            return run.on, why
        if held_min < (tuning.minimum_on_min if run.on else tuning.minimum_off_min):
            self._runs[key] = Run(run.on, run.since, day, starts)
            return run.on, f"switched only {held_min:.0f} min ago: {'runs' if run.on else 'rests'} on"
        if wanted and starts >= tuning.starts_a_day_max and not self._working_hours(now):
            self._runs[key] = Run(run.on, run.since, day, starts)
            return False, f"started {starts} times today already: the night cycle serves who is still here"
        self._runs[key] = Run(wanted, now, day, starts + int(wanted))
        return wanted, why


def _counted(handler: AirHandlerSeen) -> tuple[ZoneSeen, ...]:
    """The zones with a counter of people; all, where none has one. A corridor without a counter is not a counter that is silent."""
    return tuple(z for z in handler.zones if z.zone.people is not None) or handler.zones


def lead_needs(handler: AirHandlerSeen, band: Band, rh_percent_max: float, tuning: Tuning) -> Needs:
    """Hours that the worst zone needs to become warm, cool and dry enough; the longest when temperatures are not known."""
    temperatures = [z.temperature_c for z in handler.zones if z.temperature_c is not None]
    if len(temperatures) < len(handler.zones) or not temperatures:
        return tuning.lead_h_cold_max, tuning.lead_h_warm_max, 0.0
    heating, cooling = band
    cold_h = tuning.lead_h_per_k_cold * max(0.0, heating - tuning.lead_slack_k - min(temperatures))
    warm_h = tuning.lead_h_per_k_warm * max(0.0, max(temperatures) - cooling - tuning.lead_slack_k)
    # A coil dries a room only while it cools it; boxes bring dry air at any temperature of their rooms
    dryable = [z for z in handler.zones if z.zone.minimum_flow or (z.temperature_c or 0.0) > cooling - tuning.drying_k]
    rh_percent = max((z.rh_percent for z in dryable if z.rh_percent is not None), default=0.0)
    humid_h = tuning.lead_h_humid_max * rising(rh_percent, rh_percent_max - tuning.humid_percent, rh_percent_max + tuning.humid_percent)
    return min(cold_h, tuning.lead_h_cold_max), min(warm_h, tuning.lead_h_warm_max), humid_h
