"""The programme of a commissioning: what is asked of every writable point at every step, window by window, on a day without people."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from controls.strategies.layout import Layout, Zone
from twin.points import PointBook

FULL, HALF, LEAST = 100.0, 50.0, 5.0  # per cent of a box's flow
BRIGHT, DIM = 100.0, 10.0
PUSH_COOL_C, PUSH_HEAT_C = 20.0, 24.0
REST, LAMPS, FULL_AIR, LEAST_AIR, FLOW_CODE, PUSH_CODE, SUPPLY, OUTDOOR, FLUSH, PRESSURE, FAIL_SAFE, OVERRIDE, LOSSES = (
    "rest", "lamps", "full air", "least air", "flow code", "push code", "supply air", "outdoor air", "flush", "pressure",
    "fail-safe", "override", "losses",
)  # fmt: skip
LOST_STEPS, LOSS_ROUNDS_MAX = 4, 6  # a device is missed after three scans
LAMP_TURNS, PRESSURE_TURNS = 4, 2
DAY_STEPS = 144
Asked = Mapping[str, float]


@dataclass(frozen=True)
class Window:
    """Some steps in which the same is asked; `note` tells windows of one name apart."""

    name: str
    steps: int
    asked: Asked = field(default_factory=dict)
    by_operator: Asked = field(default_factory=dict)
    lost: tuple[str, ...] = ()  # connections that are taken off the wire for this window
    note: str = ""


@dataclass(frozen=True)
class Programme:
    """All windows in order, and the code of each zone: +1 where it is asked, -1 where not, one number for each window of a code."""

    windows: tuple[Window, ...]
    codes: Mapping[str, tuple[int, ...]]
    cooling: bool  # zones are pushed by cooling, else by heating

    def starts(self) -> Iterator[tuple[int, Window]]:
        """Each window with its first step."""
        at = 0
        for window in self.windows:
            yield at, window
            at += window.steps

    def named(self, name: str) -> list[tuple[int, Window]]:
        """The windows of a name."""
        return [(at, window) for at, window in self.starts() if window.name == name]

    @property
    def steps(self) -> int:
        return sum(window.steps for window in self.windows)


def make_programme(layout: Layout, book: PointBook, connections: Sequence[str], *, cooling: bool) -> Programme:
    """Everything that this site has points for; a kind of point it lacks leaves its windows empty of it.

    What must not be felt happens on the Sunday; devices are lost in the night after it.
    """
    asks = _Asks(layout, book)
    codes = zone_codes([zone.key for zone in layout.zones])
    before = [
        Window(REST, 5),
        *_lamps(asks),
        Window(FULL_AIR, 3, asks.air(FULL) | asks.lamps(DIM)),
        Window(LEAST_AIR, 2, asks.air(LEAST)),
        *_flow_code(asks, layout, codes),
        *_push_code(asks, layout, codes, cooling=cooling),
        Window(SUPPLY, 2, asks.air(LEAST) | asks.handlers("supply_setpoint", "low"), note="cold"),
        Window(SUPPLY, 2, asks.air(LEAST) | asks.handlers("supply_setpoint", "high"), note="warm"),
        Window(OUTDOOR, 2, asks.air(FULL) | asks.handlers("outdoor_air_setpoint", "low"), note="none"),
        Window(OUTDOOR, 2, asks.air(FULL) | asks.handlers("outdoor_air_setpoint", "middle"), note="half"),
        Window(FLUSH, 6, asks.air(FULL) | asks.handlers("outdoor_air_setpoint", "high")),
    ]
    after = [
        Window(FAIL_SAFE, 3),
        Window(OVERRIDE, 2, asks.everything("low", 22.0), asks.everything("high", 28.0)),
        Window(REST, 2, note="after"),
    ]
    left = DAY_STEPS - _steps(before) - _steps(after)
    sunday = [*before, *_pressure(asks, layout, left), *after]
    rest = DAY_STEPS - _steps(sunday) % DAY_STEPS
    lost = list(_losses(connections))
    working = Window(REST, DAY_STEPS - _steps(lost), note="a working day")
    return Programme((*sunday, Window(REST, rest, note="to midnight"), *lost, working), codes, cooling)


def _steps(windows: Sequence[Window]) -> int:
    return sum(window.steps for window in windows)


def _lamps(asks: "_Asks") -> Iterator[Window]:
    """Bright and dim in turns, so that what else goes on in the building does not look like lamps."""
    for _ in range(LAMP_TURNS):
        yield Window(LAMPS, 1, asks.lamps(BRIGHT), note="bright")
        yield Window(LAMPS, 1, asks.lamps(DIM), note="dim")


def zone_codes(zones: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """A code of +1 and -1 for each zone, any two apart in two places or more; every place is followed by its contrary."""
    bits = max(2, math.ceil(math.log2(len(zones) + 2)))
    codes = {}
    for number, zone in enumerate(zones, start=1):
        plain = [number >> bit & 1 for bit in range(bits)]
        plain.append(sum(plain) % 2)
        codes[zone] = tuple(sign for bit in plain for sign in ((1, -1) if bit else (-1, 1)))
    return codes


def _flow_code(asks: "_Asks", layout: Layout, codes: Mapping[str, tuple[int, ...]]) -> Iterator[Window]:
    for n in range(len(next(iter(codes.values()), ()))):
        asked = asks.air(LEAST)
        for zone in layout.zones:
            on = codes[zone.key][n] > 0
            asked |= {zone.minimum_flow: FULL if on else LEAST} if zone.minimum_flow in asked else {}
            asked |= dict.fromkeys(asks.known(zone.lights), BRIGHT if on else DIM)
        yield Window(FLOW_CODE, 2, asked, note=str(n))


def _push_code(asks: "_Asks", layout: Layout, codes: Mapping[str, tuple[int, ...]], *, cooling: bool) -> Iterator[Window]:
    for n in range(len(next(iter(codes.values()), ()))):
        asked = asks.air(LEAST)
        for zone in layout.zones:
            point, value = (zone.cooling, PUSH_COOL_C) if cooling else (zone.heating, PUSH_HEAT_C)
            if codes[zone.key][n] > 0 and point in asked:
                asked[point] = asks.inside(point, value)
        yield Window(PUSH_CODE, 2, asked, note=str(n))


def _pressure(asks: "_Asks", layout: Layout, left: int) -> Iterator[Window]:
    """One air handler after another at its least pressure, between times in which all are at their own; twice where the day allows it."""
    usual = asks.air(HALF) | asks.handlers("pressure_setpoint", "own")
    handlers = [h for h in layout.air_handlers if h.pressure_setpoint in usual]
    turns = PRESSURE_TURNS if PRESSURE_TURNS * 4 * len(handlers) + 4 <= left else 1
    yield Window(PRESSURE, 4, usual)
    for handler in handlers[: max(0, left - 4) // 4] * turns:
        assert handler.pressure_setpoint is not None
        low = asks.limit(handler.pressure_setpoint, "low")
        yield Window(PRESSURE, 2, usual | {handler.pressure_setpoint: low}, note=handler.key)
        yield Window(PRESSURE, 2, usual)


def _losses(connections: Sequence[str]) -> Iterator[Window]:
    """Every device is lost once; on a site of many, several at a time."""
    rounds = min(len(connections), LOSS_ROUNDS_MAX)
    for n in range(rounds):
        yield Window(LOSSES, LOST_STEPS, lost=tuple(connections[n::rounds]))
        yield Window(REST, 2, note="back")


class _Asks:
    """What can be asked of the writable points that the layout knows."""

    def __init__(self, layout: Layout, book: PointBook) -> None:
        self._layout, self._book = layout, book
        self._writable = {point.id for point in book.writable}

    def known(self, points: Sequence[str | None]) -> list[str]:
        return [point for point in points if point in self._writable]

    def limit(self, point: str, which: str) -> float:
        limits = self._book[point].limits
        assert limits is not None
        if which == "middle":
            return limits.low + 0.5 * (limits.high - limits.low)
        return {"low": limits.low, "high": limits.high, "own": limits.fallback}[which]

    def inside(self, point: str, value: float) -> float:
        return min(self.limit(point, "high"), max(self.limit(point, "low"), value))

    def lamps(self, percent: float) -> dict[str, float]:
        return {point: self.inside(point, percent) for zone in self._layout.zones for point in self.known(zone.lights)}

    def air(self, percent: float) -> dict[str, float]:
        """Fans on, all boxes at one flow, heating and cooling out of the way, no outdoor air."""
        asked = self.handlers("fan", "high") | self.handlers("outdoor_air_setpoint", "low")
        for zone in self._layout.zones:
            asked |= self._of_zone(zone, percent)
        return asked

    def _of_zone(self, zone: Zone, percent: float) -> dict[str, float]:
        wanted = ((zone.minimum_flow, percent), (zone.heating, 16.0), (zone.cooling, 30.0))
        return {point: self.inside(point, value) for point, value in wanted if point is not None and point in self._writable}

    def handlers(self, role: str, which: str) -> dict[str, float]:
        points = [getattr(handler, role) for handler in self._layout.air_handlers]
        return {point: self.limit(point, which) for point in self.known(points)}

    def everything(self, which: str, cooling_c: float) -> dict[str, float]:
        """All that may move without harm: fans and coils stay as they are."""
        handlers = [p for h in self._layout.air_handlers for p in (h.outdoor_air_setpoint, h.pressure_setpoint)]
        boxes = [p for zone in self._layout.zones for p in (zone.minimum_flow, *zone.lights)]
        asked = {point: self.limit(point, which) for point in self.known([*handlers, *boxes])}
        return asked | {point: self.inside(point, cooling_c) for point in self.known([zone.cooling for zone in self._layout.zones])}
