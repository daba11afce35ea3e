"""The guard: the last thinking before a write. Values in, values out; no optimiser in it.

Order of authority: life safety and equipment, point limits, a person's override, air, comfort, strategies. What must hold, by number:

1. Protected points, unknown points and points that are not writable get nothing; nor does a wish that has expired or is not a number.
2. A wish that rests on a reading that is missing, bad or older than 30 minutes is dropped: the device's own schedule rules.
3. Of several wishes for a point the highest authority rules, among equals the earlier.
4. Comfort: where people are, zone setpoints stay in the site's comfort band. A silent counter counts as people. Not for overrides.
5. Air: outdoor air never below the law for the people present; where CO2 is above the site's limit, outdoor air and box minimum are not
   below the building's own values and the fan is not switched off; no warmer supply air while a room is humid. Not for overrides.
6. Equipment: a fan keeps its minimum on and off times and its starts a day; a point moves at most one step a cycle, rests its
   interval between two changes, and keeps its own minimum times on and off; heating stays below cooling.
7. Zone setpoints 16-30 °C, supply air 12-18 °C, and the point's own limits last: they hold whatever stands above.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from functools import cached_property

from controls.strategies.layout import AIR_HANDLER_COMMANDS, ZONE_COMMANDS, AirHandler, Layout, Zone, read_layout
from controls.strategies.watch import STALE_S, dew_point_c, fresh, legal_outdoor_air_m3_s
from twin.check import protected_points
from twin.graph import Graph
from twin.points import PointBook
from twin.site import Comfort, Site
from twin.words import Authority, Image, Limits, Request

ZONE_C = (16.0, 30.0)  # below it mould and burst pipes, above it harm to people and electronics
SUPPLY_C = (12.0, 18.0)  # below it coils ice and diffusers drip, above it nothing is cooled or dried
DEAD_BAND_K = 1.0  # heating and cooling closer than this fight each other
HUMID_DEW_POINT_C = 15.0  # air at 24 °C then has 57 % relative humidity and rising
FAN_ON_MIN_S, FAN_OFF_MIN_S = 15 * 60.0, 10 * 60.0  # start heat must leave the motor; a belt must come to rest
FAN_STARTS_A_DAY_MAX = 6  # of strategies; a person may start a fan that has used them up
PERSON_M2 = 20.0  # ASHRAE 62.1 default density of offices, for zones whose counter is silent
ON, OFF = 1.0, 0.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that was not let through, or a person's request that was changed."""

    point: str
    by: str
    why: str
    refused_because: str


@dataclass(frozen=True, slots=True)
class FanTimer:
    """A fan's last ruled state and since when; `starts` counts those of the local day `day` (ISO date)."""

    on: bool
    since: datetime
    day: str
    starts: int


@dataclass(frozen=True)
class Ground:
    """What the guard knows of a site: comfort owed, law, which point is what, and what is never written."""

    comfort: Comfort
    grid_region: str
    zone: tzinfo
    layout: Layout
    protected: frozenset[str] = frozenset()

    @cached_property
    def zones(self) -> Mapping[str, tuple[str, Zone]]:
        """Commanded zone point -> (role, zone)."""
        return {p: (role, z) for z in self.layout.zones for role in ZONE_COMMANDS if (p := getattr(z, role))}

    @cached_property
    def air_handlers(self) -> Mapping[str, tuple[str, AirHandler]]:
        """Commanded air handler point -> (role, air handler)."""
        return {p: (role, a) for a in self.layout.air_handlers for role in AIR_HANDLER_COMMANDS if (p := getattr(a, role))}


@dataclass(frozen=True)
class GuardState:
    """What the guard remembers from cycle to cycle; `GuardState.at_start` makes the first one."""

    ground: Ground
    last: Mapping[str, float] = field(default_factory=dict)  # the last ruled value of each point
    fans: Mapping[str, FanTimer] = field(default_factory=dict)
    changed: Mapping[str, datetime] = field(default_factory=dict)  # when each point's ruled value last changed

    @classmethod
    def at_start(cls, graph: Graph, site: Site) -> "GuardState":
        """What the guard knows of this site before anything was ruled."""
        layout = read_layout(graph)
        return cls(Ground(site.comfort, site.grid_region, site.zone, layout, protected_points(graph, site)))


@dataclass(frozen=True)
class Guarded:
    """At most one request a point, each safe to write; what was refused or changed; the state for the next cycle."""

    requests: tuple[Request, ...]
    refusals: tuple[Refusal, ...]
    state: GuardState


def guard(requests: Sequence[Request], book: PointBook, image: Image, state: GuardState, now: datetime) -> Guarded:
    """Let through what is safe. Pure: the same arguments give the same answer, and what comes out passes again unchanged."""
    winners, refusals = _winners(requests, book, image, state.ground, now)
    case = _Case(book, image, state, now)
    values = {r.point: case.fan(r) for r in winners if case.is_fan(r.point) and r.value is not None}
    for r in winners:
        if r.value is not None and r.point not in values:
            values[r.point] = case.limited(r, values)
    case.keep_apart(values, {r.point: r.authority for r in winners})
    passed = []
    for r in winners:
        value = values.get(r.point)
        if value == r.value:
            passed.append(r)
            continue
        passed.append(replace(r, value=value, why=f"{r.why}; the guard held it to {value:g} instead of {r.value:g}"))
        if r.authority <= Authority.OPERATOR:
            refusals.append(Refusal(r.point, r.by, r.why, f"{r.value:g} is not safe now; held to {value:g}"))
    fans = dict(state.fans) | {p: case.timer(p, v) for p, v in values.items() if case.is_fan(p)}
    changed = {p: state.changed[p] if state.last.get(p) == v and p in state.changed else now for p, v in values.items()}
    return Guarded(
        tuple(passed), tuple(refusals), replace(state, last={**state.last, **values}, fans=fans, changed={**state.changed, **changed})
    )


def _winners(
    requests: Sequence[Request], book: PointBook, image: Image, ground: Ground, now: datetime
) -> tuple[list[Request], list[Refusal]]:
    """The one request of each point that may be considered (rules 1 to 3), in order of point; the others with the reason."""
    taken: dict[str, Request] = {}
    refusals = []
    for request in sorted(requests, key=lambda r: r.authority):
        because = _unusable(request, book, image, ground, now)
        if not because and request.point in taken:
            because = f"the wish of {taken[request.point].by} has more authority or came first"
        if because:
            refusals.append(Refusal(request.point, request.by, request.why, because))
        else:
            taken[request.point] = request
    return [taken[point] for point in sorted(taken)], refusals


def _unusable(request: Request, book: PointBook, image: Image, ground: Ground, now: datetime) -> str:
    """Why a request cannot be considered at all; empty when it can."""
    point = book.get(request.point)
    if point is None:
        return "no such point in the point book"
    if request.point in ground.protected:
        return "the point is protected: it is only read"
    if not point.writable or point.limits is None:
        return "the point is not writable; an engineer must release it in points.csv"
    if request.value is not None and not math.isfinite(request.value):
        return "the value is not a number"
    if request.until <= now:
        return f"the wish ended at {request.until:%H:%M}"
    stale = [name for name in request.inputs if name in book and fresh(image, name) is None]
    return f"it rests on {', '.join(sorted(stale))}, which is missing, bad or older than {STALE_S / 60:.0f} minutes" if stale else ""


@dataclass(frozen=True)
class _Case:
    """The rules for one cycle's image and state."""

    book: PointBook
    image: Image
    state: GuardState
    now: datetime

    def is_fan(self, point: str) -> bool:
        return self._handler(point)[0] == "fan"

    def fan(self, request: Request) -> float:
        """On or off, with minimum times, starts a day and bad air in mind (rules 5 and 6), inside the point's limits."""
        limits = self._limits(request.point)
        assert request.value is not None
        wanted = request.value > 0.5
        if request.authority > Authority.EQUIPMENT:  # life safety switches at once
            wanted = self._calm(request, wanted)
        return _clamp(ON if wanted else OFF, limits.low, limits.high)

    def _calm(self, request: Request, wanted: bool) -> bool:
        _, handler = self._handler(request.point)
        soft = request.authority > Authority.OPERATOR
        if soft and not wanted and handler is not None and any(self._air_is_bad(z) for z in handler.zones):
            wanted = True
        timer = self.state.fans.get(request.point)
        if timer is None or timer.on == wanted:
            return wanted
        held_s = (self.now - timer.since).total_seconds()
        limits = self._limits(request.point)
        if held_s < (max(FAN_ON_MIN_S, limits.on_min_s) if timer.on else max(FAN_OFF_MIN_S, limits.off_min_s)):
            return timer.on
        if soft and wanted and timer.day == self._day() and timer.starts >= FAN_STARTS_A_DAY_MAX:
            return False
        return wanted

    def timer(self, point: str, value: float) -> FanTimer:
        """The fan's timer after this ruling."""
        before, on, day = self.state.fans.get(point), value > 0.5, self._day()
        if before is None:
            return FanTimer(on, self.now, day, 0)
        starts = before.starts if before.day == day else 0
        if before.on == on:
            return FanTimer(on, before.since, day, starts)
        return FanTimer(on, self.now, day, starts + int(on))

    def limited(self, request: Request, fans: Mapping[str, float]) -> float:
        """The value after comfort and air (not for overrides), rate and limits: rules 4 to 7."""
        point, value = request.point, request.value
        assert value is not None
        if request.authority > Authority.OPERATOR:
            value = self._air(point, self._comfort(point, value), fans)
        value = self._bounded(point, self._gradual(point, value))
        return self._patient(point, value) if request.authority > Authority.EQUIPMENT else value

    def _patient(self, point: str, value: float) -> float:
        """The value before, as long as the point must rest: its interval, or its minimum time on or off."""
        last, since, limits = self.state.last.get(point), self.state.changed.get(point), self._limits(point)
        if last is None or since is None or value == last or not limits.low <= last <= limits.high:
            return value
        rests_s = limits.interval_s
        if (last > ON / 2) != (value > ON / 2):
            rests_s = max(rests_s, limits.on_min_s if last > ON / 2 else limits.off_min_s)
        return last if (self.now - since).total_seconds() < rests_s else value

    def _comfort(self, point: str, value: float) -> float:
        role, zone = self._zone(point)
        if zone is None or role not in ("heating", "cooling") or not self._people_may_be_in(zone):
            return value
        comfort = self.state.ground.comfort
        return _clamp(value, comfort.low_c, comfort.high_c)

    def _air(self, point: str, value: float, fans: Mapping[str, float]) -> float:
        own = self._limits(point).fallback
        role, zone = self._zone(point)
        if zone is not None and role == "minimum_flow":
            return max(value, own) if self._air_is_bad(zone) else value
        role, handler = self._handler(point)
        if handler is None:
            return value
        if role == "supply_setpoint":
            return min(value, own) if any(self._is_humid(z) for z in handler.zones) else value
        if role == "outdoor_air_setpoint" and fans.get(handler.fan or "", ON) > 0.5:
            bad = any(self._air_is_bad(z) for z in handler.zones)
            return max(value, own if bad else 0.0, self._legal_outdoor_air_m3_s(handler))
        return value

    def _gradual(self, point: str, value: float) -> float:
        """At most one step from the last ruled value."""
        last, step = self.state.last.get(point), self._limits(point).step
        return value if last is None else _clamp(value, last - step, last + step)

    def _bounded(self, point: str, value: float) -> float:
        limits = self._limits(point)
        role = self._zone(point)[0]
        if role in ("heating", "cooling"):
            value = _clamp(value, *ZONE_C)
        elif self._handler(point)[0] == "supply_setpoint":
            value = _clamp(value, *SUPPLY_C)
        return _clamp(value, limits.low, limits.high)

    def keep_apart(self, values: dict[str, float], authorities: Mapping[str, Authority]) -> None:
        """Heating stays below cooling; the one with less authority gives way, the other only where the first cannot."""
        for zone in self.state.ground.layout.zones:
            heating, cooling = zone.heating, zone.cooling
            if heating is None or cooling is None or heating not in values or cooling not in values:
                continue
            for yielding in sorted((heating, cooling), key=lambda p: authorities[p], reverse=True):
                if values[heating] > values[cooling] - DEAD_BAND_K:
                    apart = values[heating] + DEAD_BAND_K if yielding == cooling else values[cooling] - DEAD_BAND_K
                    values[yielding] = self._bounded(yielding, apart)

    def _legal_outdoor_air_m3_s(self, handler: AirHandler) -> float:
        counted = [(z, self._value(z.people)) for z in handler.zones]
        zones = [(z.area_m2 / PERSON_M2 if people is None else people, z.area_m2) for z, people in counted]
        return legal_outdoor_air_m3_s(self.state.ground.grid_region, zones)

    def _people_may_be_in(self, zone: Zone) -> bool:
        people = self._value(zone.people)
        return people is None or people > 0

    def _air_is_bad(self, zone: Zone) -> bool:
        co2_ppm = self._value(zone.co2)
        return co2_ppm is not None and co2_ppm > self.state.ground.comfort.co2_ppm_max and self._people_may_be_in(zone)

    def _is_humid(self, zone: Zone) -> bool:
        """Not known counts as humid."""
        temperature_c, rh_percent = self._value(zone.temperature), self._value(zone.humidity)
        return temperature_c is None or rh_percent is None or dew_point_c(temperature_c, rh_percent) > HUMID_DEW_POINT_C

    def _value(self, point: str | None) -> float | None:
        return fresh(self.image, point)

    def _zone(self, point: str) -> tuple[str, Zone | None]:
        return self.state.ground.zones.get(point, ("", None))

    def _handler(self, point: str) -> tuple[str, AirHandler | None]:
        return self.state.ground.air_handlers.get(point, ("", None))

    def _limits(self, point: str) -> Limits:
        limits = self.book[point].limits
        assert limits is not None
        return limits

    def _day(self) -> str:
        return self.now.astimezone(self.state.ground.zone).date().isoformat()


def _clamp(value: float, low: float, high: float) -> float:
    return min(high, max(low, value))
