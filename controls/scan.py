"""The scan: read every bound point of every device at once, and say of each value how far it may be trusted.

A device that stays silent is put aside after three scans and probed beside the cycle: it holds nobody up, and comes back by itself.
"""

import asyncio
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path

from controls.drivers import Driver, Sample
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


@dataclass(frozen=True)
class Scan:
    """What one scan brought: readings of all bound points by connection, signed records, and devices lost or returned."""

    at: datetime
    readings: Mapping[str, Sequence[Reading]]  # by connection
    records: Mapping[str, bytes]  # by point, whole, as the meter shows them
    events: Sequence[tuple[str, str]]  # connection, "lost" or "returned"
    asked: int
    answered: int


@dataclass
class _Watch:
    """One connection's points and how its device has answered so far."""

    driver: Driver
    points: list[Point]
    records: list[Point]
    failures: int = 0
    answering: bool = True
    lost: bool = False
    barred: bool = False
    probe: asyncio.Task[None] | None = None
    events: list[str] = field(default_factory=list)


class Scanner:
    """Reads all devices of a site concurrently, one request in flight for each."""

    def __init__(self, book: PointBook, drivers: Mapping[str, Driver]) -> None:
        self._watches = {name: _watch(drivers[name], points) for name, points in book.by_connection().items() if name in drivers}
        self._last: dict[str, Reading] = {}
        self._misses: dict[str, int] = {}

    async def scan(self, at: datetime) -> Scan:
        """Read everything once; `at` is site time. A silent device costs one time-out, a lost one nothing."""
        found = await asyncio.gather(*[self._device(w) for w in self._watches.values()])
        samples = dict(zip(self._watches, found, strict=True))
        readings = {name: self._readings(self._watches[name], part, at) for name, (part, _) in samples.items()}
        events = [(name, event) for name, watch in self._watches.items() for event in watch.events]
        for watch in self._watches.values():
            watch.events.clear()
        return Scan(
            at=at,
            readings=readings,
            records={point: record for _, records in found for point, record in records.items()},
            events=events,
            asked=sum(len(w.points) for w in self._watches.values()),
            answered=sum(sample.answered for part, _ in found for sample in part),
        )

    def answering(self, connection: str) -> bool:
        """Whether the device answered the latest scan and is the one it should be: nobody else is commanded."""
        return self.answers(connection) and not self._watches[connection].barred

    def answers(self, connection: str) -> bool:
        """Whether anything answers there."""
        watch = self._watches.get(connection)
        return watch is not None and watch.answering

    def bar(self, connection: str) -> bool:
        """Read this device no more: it is not the one it should be. True if that is new."""
        watch = self._watches[connection]
        was, watch.barred = watch.barred, True
        return not was

    def admit(self, connection: str) -> bool:
        """Read it again. True if it was barred."""
        watch = self._watches[connection]
        was, watch.barred = watch.barred, False
        return was

    async def close(self) -> None:
        """End the probes."""
        await end_tasks(watch.probe for watch in self._watches.values())

    async def _device(self, watch: _Watch) -> tuple[list[Sample], dict[str, bytes]]:
        if watch.lost or watch.barred:
            return [], {}
        samples = await watch.driver.read(watch.points)
        watch.answering = any(s.answered for s in samples) or not samples
        watch.failures = 0 if watch.answering else watch.failures + 1
        if watch.failures >= QUARANTINE_AFTER_FAILURES:
            watch.lost = True
            watch.events.append("lost")
            watch.probe = asyncio.create_task(_probed(watch))
        return samples, await _records(watch) if watch.answering else {}

    def _readings(self, watch: _Watch, samples: Sequence[Sample], at: datetime) -> list[Reading]:
        by_point = {s.point: s for s in samples}
        readings = []
        for point in watch.points:
            sample = by_point.get(point.id)
            if sample is None or not sample.answered:
                readings.append(self._missed(point.id, at))
                continue
            self._misses[point.id] = 0
            reading = judged(sample, point.brick, at)
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


def judged(sample: Sample, brick: str, at: datetime) -> Reading:
    """A reading from an answered sample; a value no such sensor can see is uncertain."""
    low, high = plausible_range(brick)
    if sample.quality is Quality.GOOD and sample.value is not None and not low <= sample.value <= high:
        return Reading(sample.point, at, sample.value, Quality.UNCERTAIN, Reason.IMPLAUSIBLE)
    return Reading(sample.point, at, sample.value, sample.quality, sample.reason)


def plausible_range(brick: str) -> tuple[float, float]:
    """What a point of this Brick class can show; everything, if plausible.csv does not know the class."""
    return _plausible().get(brick, (float("-inf"), float("inf")))


@cache
def _plausible() -> dict[str, tuple[float, float]]:
    with (Path(__file__).parent / "plausible.csv").open(encoding="utf-8", newline="") as file:
        return {row["brick"]: (float(row["low"]), float(row["high"])) for row in csv.DictReader(file)}


def _watch(driver: Driver, points: Sequence[Point]) -> _Watch:
    records = [p for p in points if _is_record(p)]
    return _Watch(driver, [p for p in points if p not in records], records)


def _is_record(point: Point) -> bool:
    assert point.binding is not None
    address = parse_address(point.binding.address)
    return isinstance(address, ModbusAddress) and address.is_record


async def _records(watch: _Watch) -> dict[str, bytes]:
    found = {}
    for point in watch.records:
        try:
            record = await watch.driver.read_record(point)
        except WireError:
            continue  # the next scan tries again; a record is never half taken
        if record is not None:
            found[point.id] = record
    return found


async def _probed(watch: _Watch) -> None:
    """Ask a lost device for one point, ever more rarely, until it answers."""
    begun, wait_s = monotonic_s(), PROBE_FIRST_S
    while watch.lost:
        await asyncio.sleep(wait_s)
        if (await watch.driver.read(watch.points[:1]))[0].answered:
            watch.failures, watch.lost = 0, False
            watch.events.append("returned")
        elif monotonic_s() - begun > PROBE_STEADY_S:
            wait_s = min(2 * wait_s, PROBE_MAX_S)
