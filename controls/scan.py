"""The scan: read every bound point of every device at once, and say of each value how far it may be trusted.

A device that stays silent is put aside after three scans and probed beside the cycle: it holds nobody up, and comes back by itself.
"""

import asyncio
import zlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from controls.agenda import FAST, SLOW, rate_of
from controls.drivers import Driver, Sample
from controls.judging import Judge
from controls.tasks import end_tasks
from twin.addresses import ModbusAddress, parse_address
from twin.clock import monotonic_s
from twin.errors import WireError
from twin.points import PointBook
from twin.words import Point, Quality, Reading, Reason

STALE_AFTER_MISSES = 3  # one lost datagram is nothing, three intervals are a fault
QUARANTINE_AFTER_FAILURES = 3
PROBE_FIRST_S = 2.0  # a device that restarts is back within half a minute: ask often at first
PROBE_STEADY_S = 30.0  # ... this long, then ever more rarely
PROBE_MAX_S = 300.0
PROBE_SPREAD = 0.2  # devices that were lost together are not all asked in one moment
BETWEEN_MAX = 100_000  # readings that came between two cycles; 10,000 points every 5 s fill it in 50 s


@dataclass(frozen=True)
class Scan:
    """What one scan brought: readings of all bound points by connection, signed records, and devices lost or returned."""

    at: datetime
    readings: Mapping[str, Sequence[Reading]]  # by connection
    records: Mapping[str, bytes]  # by point, whole, as the meter shows them
    events: Sequence[tuple[str, str]]  # connection; lost, returned, late or on_time
    asked: int
    answered: int


@dataclass(frozen=True)
class _Found:
    """What one device brought."""

    readings: Sequence[Reading]
    records: Mapping[str, bytes]
    answered: int


@dataclass
class Watch:
    """One connection's points and how its device has answered so far."""

    name: str
    driver: Driver
    points: tuple[Point, ...]
    records: list[Point]
    fast: tuple[Point, ...]
    slow: tuple[Point, ...]
    usual: tuple[Point, ...]  # all but the slow ones
    probe_first_s: float = PROBE_FIRST_S
    failures: int = 0
    answering: bool = True
    lost: bool = False
    barred: bool = False
    probe: asyncio.Task[None] | None = None
    nudged: asyncio.Event = field(default_factory=asyncio.Event)  # ask now, whatever the probe's patience
    doubted: frozenset[str] = frozenset()  # points whose object is not the one that was bound
    events: list[str] = field(default_factory=list)
    subscribed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.fast_asked = self.fast

    def told(self, points: Iterable[str]) -> None:
        """Points whose changes the device tells by itself: they are left out of the fast polling."""
        known = frozenset(points)
        if known != self.subscribed:
            self.subscribed = known
            self.fast_asked = tuple(p for p in self.fast if p.id not in known)

    def heard(self, samples: Sequence[Sample]) -> None:
        """What an answer, or silence, says about the device."""
        self.answering = any(s.answered for s in samples) or not samples
        self.failures = 0 if self.answering else self.failures + 1
        if self.failures >= QUARANTINE_AFTER_FAILURES and not self.lost:
            self.lost = True
            self.events.append("lost")
            self.probe = asyncio.create_task(_probed(self))


class Scanner:
    """Reads all devices of a site concurrently, one request in flight for each."""

    def __init__(self, book: PointBook, drivers: Mapping[str, Driver], probe_first_s: float = PROBE_FIRST_S) -> None:
        self.watches = {
            name: _watch(name, drivers[name], points, probe_first_s) for name, points in book.by_connection().items() if name in drivers
        }
        self._judge = Judge()
        self._last: dict[str, Reading] = {}
        self._misses: dict[str, int] = {}
        self._between: deque[Reading] = deque(maxlen=BETWEEN_MAX)
        self.dropped = 0  # readings between two cycles that found no room

    async def scan(self, at: datetime) -> Scan:
        """Read everything once; `at` is site time. A silent device costs one time-out, a lost one nothing."""
        found = await asyncio.gather(*[self._device(w, at) for w in self.watches.values()])
        return Scan(
            at=at,
            readings={name: one.readings for name, one in zip(self.watches, found, strict=True)},
            records={point: record for one in found for point, record in one.records.items()},
            events=self.news(),
            asked=sum(len(w.points) for w in self.watches.values()),
            answered=sum(one.answered for one in found),
        )

    async def poll(self, connection: str, rate: str) -> Sequence[Sample]:
        """Read the points of one rate between two cycles: the fast ones at a glance, the others with their flags."""
        watch = self.watches[connection]
        if watch.lost or watch.barred:
            return []
        points = {FAST: watch.fast_asked, SLOW: watch.slow}.get(rate, watch.usual)
        if not points:
            return []
        samples = await (watch.driver.glance(points) if rate == FAST else watch.driver.read(points))
        watch.heard(samples)
        return samples

    def take(self, connection: str, samples: Sequence[Sample], at: datetime) -> None:
        """Keep what came between two cycles, for the history and for the next image."""
        watch = self.watches[connection]
        points = {p.id: p for p in watch.points}
        readings = self._readings(watch, [points[s.point] for s in samples], samples, at)
        self.dropped += max(0, len(self._between) + len(readings) - BETWEEN_MAX)
        self._between.extend(readings)

    def between(self) -> list[Reading]:
        """What came since the last call, for the history."""
        readings = list(self._between)
        self._between.clear()
        return readings

    def news(self) -> list[tuple[str, str]]:
        """Events since the last call: connection; lost, returned, late or on_time."""
        events = [(name, event) for name, watch in self.watches.items() for event in watch.events]
        for watch in self.watches.values():
            watch.events.clear()
        return events

    def answering(self, connection: str) -> bool:
        """Whether the device answered the latest scan and is the one it should be: nobody else is commanded."""
        return self.answers(connection) and not self.watches[connection].barred

    def answers(self, connection: str) -> bool:
        """Whether anything answers there."""
        watch = self.watches.get(connection)
        return watch is not None and watch.answering

    def bar(self, connection: str) -> bool:
        """Read this device no more: it is not the one it should be. True if that is new."""
        watch = self.watches[connection]
        was, watch.barred = watch.barred, True
        return not was

    def admit(self, connection: str) -> bool:
        """Read it again. True if it was barred."""
        watch = self.watches[connection]
        was, watch.barred = watch.barred, False
        return was

    def failures(self, connection: str) -> int:
        """How often the device did not answer, in a row."""
        watch = self.watches.get(connection)
        return watch.failures if watch is not None else 0

    def ask_now(self, connections: Iterable[str]) -> None:
        """Probe these lost devices at once."""
        for name in connections:
            self.watches[name].nudged.set()

    def doubt(self, connection: str, points: Iterable[str]) -> None:
        """From now on these points of the device, and no others, are not believed."""
        self.watches[connection].doubted = frozenset(points)

    def doubts(self, point: str) -> bool:
        """Whether the point's object may be another one than was bound."""
        return any(point in watch.doubted for watch in self.watches.values())

    async def close(self) -> None:
        """End the probes."""
        await end_tasks(watch.probe for watch in self.watches.values())

    async def _device(self, watch: Watch, at: datetime) -> "_Found":
        """One device, judged as soon as it has answered: the loop is never kept for all devices at once."""
        if watch.lost or watch.barred:
            return _Found(self._readings(watch, watch.points, [], at), {}, 0)
        samples = await watch.driver.read(watch.points)
        watch.heard(samples)
        readings = self._readings(watch, watch.points, samples, at)
        return _Found(readings, await _records(watch) if watch.answering else {}, sum(sample.answered for sample in samples))

    def _readings(self, watch: Watch, points: Sequence[Point], samples: Sequence[Sample], at: datetime) -> list[Reading]:
        by_point, doubted = {s.point: s for s in samples}, watch.doubted
        readings = []
        for point in points:
            sample = by_point.get(point.id)
            if sample is None or not sample.answered:
                readings.append(self._missed(point.id, at))
                continue
            self._misses[point.id] = 0
            if point.id in doubted:
                readings.append(Reading(point.id, at, None, Quality.BAD, Reason.FAULT))
                continue
            reading = self._judge.reading(sample, point.brick, at)
            self._last[point.id] = reading
            readings.append(reading)
        return readings

    def _missed(self, point: str, at: datetime) -> Reading:
        """The last value, trusted less and less; nothing at all if there never was one."""
        self._misses[point] = self._misses.get(point, 0) + 1
        last = self._last.get(point)
        if last is None or last.value is None:
            return Reading(point, at, None, Quality.BAD, Reason.FAULT)
        quality = Quality.STALE if self._misses[point] >= STALE_AFTER_MISSES else Quality.UNCERTAIN
        return Reading(point, last.at, last.value, quality, last.reason)


def _watch(name: str, driver: Driver, points: Sequence[Point], probe_first_s: float) -> Watch:
    records = [p for p in points if _is_record(p)]
    values = tuple(p for p in points if p not in records)
    rates = {p.id: p.rate or rate_of(p.brick) for p in values}
    return Watch(
        name,
        driver,
        values,
        records,
        fast=tuple(p for p in values if rates[p.id] == FAST),
        slow=tuple(p for p in values if rates[p.id] == SLOW),
        usual=tuple(p for p in values if rates[p.id] != SLOW),
        probe_first_s=probe_first_s,
    )


def _is_record(point: Point) -> bool:
    assert point.binding is not None
    address = parse_address(point.binding.address)
    return isinstance(address, ModbusAddress) and address.is_record


async def _records(watch: Watch) -> dict[str, bytes]:
    found = {}
    for point in watch.records:
        try:
            record = await watch.driver.read_record(point)
        except WireError:
            continue  # the next scan tries again; a record is never half taken
        if record is not None:
            found[point.id] = record
    return found


async def _probed(watch: Watch) -> None:
    """Ask a lost device for one point, ever more rarely, until it answers. Nobody waits for it: a probe takes no lane."""
    begun, wait_s = monotonic_s(), watch.probe_first_s
    spread = 1.0 + PROBE_SPREAD * (zlib.crc32(watch.name.encode()) / 2**32 - 0.5)
    while watch.lost:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s * spread):
                await watch.nudged.wait()
        watch.nudged.clear()
        if await watch.driver.probe(watch.points[0]):
            watch.failures, watch.lost, watch.answering = 0, False, True
            watch.events.append("returned")
            return
        watch.failures += 1
        if monotonic_s() - begun > PROBE_STEADY_S:
            wait_s = min(2 * wait_s, PROBE_MAX_S)
