"""What one cycle sees, worked out once for all strategies, and what they remember together: who was last where, how warm it has been."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controls.forecast import Habit, OccupancyForecast
from controls.strategies.layout import AirHandler, Layout, Zone
from controls.strategies.tuning import LEGAL_OUTDOOR_AIR_L_S, Tuning
from twin.site import Site
from twin.words import Image, Reason, Request

STALE_S = 1800.0  # three cycles of ten minutes: rooms change slower, a dead gateway is seen sooner
DAY_S = 24 * 3600.0
MAGNUS_B, MAGNUS_C = 17.62, 243.12  # dew point over water (WMO Guide to Instruments, annex 4.B)
ROUND_DIGITS = 3  # a device holds float32 or tenths: more digits would come back different


@dataclass(frozen=True, slots=True)
class ZoneSeen:
    """One zone now. None: not known; each strategy says what then."""

    zone: Zone
    temperature_c: float | None
    rh_percent: float | None
    co2_ppm: float | None
    people: float | None
    coming: float  # people who came since the cycle before: at that pace others will come before the next
    daylight_lux: float | None
    empty_min: float  # minutes since people were last counted; 0 while they are present or the counter is not known
    awaited: bool  # its first people of the day are still expected
    design_people: float

    @property
    def may_hold_people(self) -> bool:
        """People are counted, or the counter is not known."""
        return self.people is None or self.people > 0

    @property
    def dew_point_c(self) -> float | None:
        if self.temperature_c is None or self.rh_percent is None:
            return None
        return dew_point_c(self.temperature_c, self.rh_percent)


@dataclass(frozen=True, slots=True)
class AirHandlerSeen:
    """One air handler now, with its zones."""

    air_handler: AirHandler
    zones: tuple[ZoneSeen, ...]
    outdoor_c: float | None
    outdoor_rh_percent: float | None
    return_c: float | None
    flow_m3_s: float | None
    flow_max_m3_s: float  # the largest flow ever seen

    @property
    def outdoor_dew_point_c(self) -> float | None:
        if self.outdoor_c is None or self.outdoor_rh_percent is None:
            return None
        return dew_point_c(self.outdoor_c, self.outdoor_rh_percent)


@dataclass(frozen=True, slots=True)
class Seen:
    """The building in one cycle."""

    now: datetime
    image: Image
    zones: Mapping[str, ZoneSeen]
    air_handlers: tuple[AirHandlerSeen, ...]
    outdoor_mean_c: float | None


@dataclass
class Watch:
    """Looks at an image once a cycle. `running` holds which air handlers are to run now, by the start and stop strategy."""

    layout: Layout
    site: Site
    forecast: OccupancyForecast
    tuning: Tuning = field(default_factory=Tuning)
    running: dict[str, bool] = field(default_factory=dict)
    _seen: Seen | None = None
    _last_people: dict[str, datetime] = field(default_factory=dict)
    _people_max: dict[str, float] = field(default_factory=dict)
    _flow_max: dict[str, float] = field(default_factory=dict)
    _outdoor_mean_c: float | None = None
    purging: set[str] = field(default_factory=set)  # air handlers that flush their rooms with cool night air
    supply_c: dict[str, float] = field(default_factory=dict)  # what the supply air strategy asks of each air handler
    _habits: dict[str, Habit] = field(default_factory=dict)

    def look(self, image: Image, now: datetime) -> Seen:
        """What this image shows; strategies of the same cycle get the same answer."""
        if self._seen is None or self._seen.now != now:
            self._remember_outdoor(image, now)
            zones = {z.key: self._zone(z, image, now) for z in self.layout.zones}
            handlers = tuple(self._air_handler(a, zones, image) for a in self.layout.air_handlers)
            self._seen = Seen(now, image, zones, handlers, self._outdoor_mean_c)
            self.running = {a.air_handler.key: self._blows(a) for a in handlers}
        return self._seen

    def habit(self, key: str, zones: Sequence[Zone]) -> Habit:
        """When people come and leave in the zones of a zone or air handler `key`; the building's habit where none has a counter."""
        if key not in self._habits:
            counters = [z.people for z in zones if z.people]
            self._habits[key] = self.forecast.habit_of(counters) if counters else self.forecast.habit
        return self._habits[key]

    def habit_of_handler(self, zone: Zone) -> Habit | None:
        """The habit of all whom the zone's air handler serves."""
        handler = next((a for a in self.layout.air_handlers if a.key == zone.air_handler), None)
        return None if handler is None else self.habit(handler.key, handler.zones)

    def idles(self, handler: AirHandlerSeen, empty_min: float, waited_min: float, left: timedelta) -> bool:
        """Whether a unit without boxes may stop within its hours: its people came, went half an hour ago, and may come back."""
        if any(z.zone.minimum_flow for z in handler.zones):
            return False  # other floors hang on it
        return left > timedelta(0) and self.tuning.standby_after_min <= empty_min < waited_min

    def runs(self, zone: Zone) -> bool:
        """Whether the zone's air handler is to run now; a zone without one is always served."""
        return zone.air_handler is None or self.running.get(zone.air_handler, True)

    def request(self, seen: Seen, point: str, value: float, why: tuple[str, str], rests_on: Mapping[str | None, float | None]) -> Request:
        """A request of the strategy `why[0]` for the reason `why[1]`.

        It rests on readings (by point id, so that the guard can check their age) and on figures worked out; what is not known is left out.
        """
        known = {name: round(x, ROUND_DIGITS) for name, x in rests_on.items() if name is not None and x is not None}
        until = seen.now + timedelta(seconds=self.site.cycle.lease_s)
        return Request(point, round(value, ROUND_DIGITS), why[0], why[1], until, inputs=known)

    def cools_for_nothing(self, handler: AirHandlerSeen) -> bool:
        """Whether outdoor air costs less to cool than the air that comes back, and makes no room humid; not known: no."""
        tuning = self.tuning
        outdoor, back = handler.outdoor_c, handler.return_c
        if outdoor is None or back is None or outdoor > min(back - tuning.economiser_return_gap_k, tuning.economiser_outdoor_max_c):
            return False
        return self.is_dry_outdoors(handler, back)

    def is_dry_outdoors(self, handler: AirHandlerSeen, back: float) -> bool:
        """Whether outdoor air is dry, or holds less heat than the rooms' at `back` °C while these are far from humid; not known: no."""
        tuning, outdoor, dew_point = self.tuning, handler.outdoor_c, handler.outdoor_dew_point_c
        if outdoor is None or dew_point is None:
            return False
        if dew_point <= tuning.economiser_dew_point_max_c:
            return True
        humidities, dew_points = [z.rh_percent for z in handler.zones], [z.dew_point_c for z in handler.zones]
        rooms = [d for d in dew_points if d is not None]
        if any(h is None or h > self.site.comfort.rh_percent_max - tuning.economiser_humid_percent for h in humidities) or not rooms:
            return False
        room = sum(rooms) / len(rooms)
        return enthalpy_kj_kg(outdoor, dew_point) < enthalpy_kj_kg(back, room) - tuning.economiser_gap_kj_kg

    def legal_outdoor_air_m3_s(self, zones: tuple[ZoneSeen, ...]) -> float:
        """The least outdoor air the law asks for the people present; an unknown counter counts as a full zone."""
        return legal_outdoor_air_m3_s(self.site.grid_region, [(people_or_full(z), z.zone.area_m2) for z in zones])

    def _zone(self, zone: Zone, image: Image, now: datetime) -> ZoneSeen:
        people = fresh(image, zone.people)
        before = self._seen.zones[zone.key].people if self._seen is not None else None
        if people is None or people > 0:
            self._last_people[zone.key] = now
        self._people_max[zone.key] = max(people or 0.0, self._people_max.get(zone.key, 0.0))
        last = self._last_people.get(zone.key)
        return ZoneSeen(
            zone=zone,
            temperature_c=fresh(image, zone.temperature),
            rh_percent=fresh(image, zone.humidity),
            co2_ppm=fresh(image, zone.co2),
            people=people,
            coming=max(0.0, people - before) if people is not None and before is not None else 0.0,
            daylight_lux=fresh(image, zone.daylight),
            empty_min=math.inf if last is None else (now - last).total_seconds() / 60,
            awaited=self._awaited(zone, last, now),
            design_people=self._design_people(zone),
        )

    def _design_people(self, zone: Zone) -> float:
        """The most people ever counted in the zone; before a week of counts at least as many as its area makes likely."""
        known = self.habit(zone.key, [zone]).largest if zone.people else 0.0
        return max(1.0, known or zone.area_m2 / self.tuning.person_m2, self._people_max[zone.key])

    def _awaited(self, zone: Zone, last_people: datetime | None, now: datetime) -> bool:
        """Nobody was here today, and the day is not so old that nobody will come."""
        local = now.astimezone(self.site.zone)
        habit = self.habit(zone.key, [zone])
        arrival, departure = habit.first_arrival(local.date()), habit.last_departure(local.date())
        if arrival is None or departure is None or local >= arrival + timedelta(hours=self.tuning.awaited_h):
            return False
        return last_people is None or last_people.astimezone(self.site.zone).date() != local.date()

    def _air_handler(self, handler: AirHandler, zones: Mapping[str, ZoneSeen], image: Image) -> AirHandlerSeen:
        flow = fresh(image, handler.flow)
        self._flow_max[handler.key] = max(flow or 0.0, self._flow_max.get(handler.key, 0.0))
        return AirHandlerSeen(
            air_handler=handler,
            zones=tuple(zones[z.key] for z in handler.zones),
            outdoor_c=fresh(image, handler.outdoor_temperature),
            outdoor_rh_percent=fresh(image, handler.outdoor_humidity),
            return_c=fresh(image, handler.return_temperature),
            flow_m3_s=flow,
            flow_max_m3_s=self._flow_max[handler.key],
        )

    def _remember_outdoor(self, image: Image, now: datetime) -> None:
        """Running mean by time passed, so that a slower or faster cycle gives the same mean."""
        values = [v for a in self.layout.air_handlers if (v := fresh(image, a.outdoor_temperature)) is not None]
        if not values:
            return
        outdoor_c = sorted(values)[len(values) // 2]
        if self._outdoor_mean_c is None or self._seen is None:
            self._outdoor_mean_c = outdoor_c
            return
        passed = (now - self._seen.now).total_seconds() / (self.tuning.running_mean_days * DAY_S)
        self._outdoor_mean_c += (outdoor_c - self._outdoor_mean_c) * min(1.0, max(0.0, passed))

    def _blows(self, seen: AirHandlerSeen) -> bool:
        """Without a decision: whether air flows; not known counts as running."""
        return seen.flow_m3_s is None or seen.flow_m3_s > self.tuning.flow_share_min * seen.flow_max_m3_s


def fresh(image: Image, point: str | None) -> float | None:
    """The point's value while it may be acted on: not too old, and good, or uncertain only because one scan missed it."""
    reading = image.readings.get(point or "")
    if reading is None or reading.reason is not Reason.NONE or image.age_s(reading.point) > STALE_S:
        return None  # implausible, overridden or out of service: never steered on
    return image.value(point)


def people_or_full(seen: ZoneSeen) -> float:
    """The people counted, or a full zone when the counter is not known."""
    return seen.design_people if seen.people is None else seen.people


def legal_outdoor_air_m3_s(grid_region: str, zones: list[tuple[float, float]]) -> float:
    """The law's outdoor air for zones given with people and area in m2, by country; a zone without people needs none."""
    person, area = LEGAL_OUTDOOR_AIR_L_S.get(grid_region[:2].upper(), LEGAL_OUTDOOR_AIR_L_S[""])
    return sum(person * people + area * area_m2 for people, area_m2 in zones if people > 0) / 1000


def dew_point_c(temperature_c: float, rh_percent: float) -> float:
    """Dew point of air (Magnus); bone-dry air counts as 1 %."""
    gamma = math.log(min(100.0, max(1.0, rh_percent)) / 100) + MAGNUS_B * temperature_c / (MAGNUS_C + temperature_c)
    return MAGNUS_C * gamma / (MAGNUS_B - gamma)


def enthalpy_kj_kg(temperature_c: float, dew_point_c: float) -> float:
    """Enthalpy of moist air at sea level in kJ for each kg of dry air (ASHRAE Handbook Fundamentals, chapter 1)."""
    vapour_pa = 611.2 * math.exp(MAGNUS_B * dew_point_c / (MAGNUS_C + dew_point_c))
    moisture = 0.622 * vapour_pa / (101325 - vapour_pa)
    return 1.006 * temperature_c + moisture * (2501 + 1.86 * temperature_c)


def rising(value: float, start: float, full: float) -> float:
    """0 up to `start`, 1 from `full`, linear between."""
    return min(1.0, max(0.0, (value - start) / (full - start)))
