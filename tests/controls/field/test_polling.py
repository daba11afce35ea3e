"""Between two cycles of a real site: rates, the history, and devices that cannot keep up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from controls.drivers.connect import make_drivers
from controls.polling import Poller
from controls.scan import Scanner
from simulators.wire.faults import Faults
from twin.clock import wall_now
from twin.points import PointBook
from twin.words import Quality

BACNET = ("ahu_1", "floor_1")


@dataclass(frozen=True)
class Pace:
    """Rates that nobody sets on a site: a test has no minutes."""

    fast_s: float
    normal_s: float
    slow_s: float


@asynccontextmanager
async def polled(scanner: Scanner, pace: Pace) -> AsyncIterator[Poller]:
    poller = Poller(scanner, pace, wall_now)
    task = asyncio.create_task(poller.run())
    try:
        yield poller
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_points_come_at_their_rates_and_flags_along_with_the_normal_ones(house, scanner_of, until):
    async def story():
        async with house(disturbed=BACNET) as h, scanner_of(h) as scanner:
            for name in BACNET:
                h.devices.disturb(name, lie="cov_full")  # polled, not told
            fast = next(p.id for w in scanner.watches.values() for p in w.fast)
            slow = next(p.id for w in scanner.watches.values() for p in w.slow)
            came: dict[str, int] = {}
            async with polled(scanner, Pace(0.25, 10, 300)):
                while came.get(fast, 0) < 5:
                    await until(lambda: len(scanner._between) > 0)
                    for reading in scanner.between():
                        assert reading.quality is Quality.GOOD or reading.value is not None
                        came[reading.point] = came.get(reading.point, 0) + 1
            assert came[slow] == 1
            normal = [p.id for w in scanner.watches.values() for p in w.usual if p not in w.fast]
            assert {came[p] for p in normal} == {1}

    asyncio.run(story())


def test_the_rate_that_an_engineer_gave_a_point_stands_above_that_of_its_class(house):
    async def story():
        async with house() as h:
            drivers = make_drivers(h.book, h.connections, "reference")
            by_class = Scanner(h.book, drivers).watches
            once_slow, once_fast = (next(p.id for w in by_class.values() for p in getattr(w, rate)) for rate in ("slow", "fast"))
            rates = {once_slow: "fast", once_fast: "slow"}
            watches = Scanner(PointBook(replace(p, rate=rates.get(p.id, "")) for p in h.book.values()), drivers).watches
            assert once_slow in {p.id for w in watches.values() for p in w.fast}
            assert once_fast in {p.id for w in watches.values() for p in w.slow}

    asyncio.run(story())


def test_a_bus_that_carries_less_than_is_asked_is_counted_and_told_once(house, scanner_of, until):
    async def story():
        async with house(disturbed=BACNET) as h, scanner_of(h) as scanner:
            slow = next(w for w in scanner.watches.values() if w.fast)
            h.devices.disturb(slow.name, Faults(delay_s=0.3), "cov_full")
            async with polled(scanner, Pace(0.1, 100, 300)) as poller:
                await until(lambda: "late" in slow.events and poller.overruns > 6)
            assert [e for e in scanner.news() if e[1] == "late"] == [(slow.name, "late")]

    asyncio.run(story())


def test_a_device_that_returns_is_read_at_once_whatever_its_rates(house, until):
    async def story():
        async with house() as h:
            drivers = make_drivers(h.book, h.connections, "reference", answer_s=0.5)
            scanner = Scanner(h.book, drivers, probe_first_s=0.2)
            async with polled(scanner, Pace(1, 300, 300)):
                await until(lambda: bool(scanner.between()))
                await h.devices.kill("floor_1")
                await until(lambda: scanner.watches["floor_1"].lost, 60)
                scanner.between()
                await h.devices.revive("floor_1")
                came: set[str] = set()
                everything = {p.id for p in scanner.watches["floor_1"].points}

                def all_came() -> bool:
                    came.update(r.point for r in scanner.between() if r.value is not None and r.quality is not Quality.STALE)
                    return everything <= came

                await until(all_came, 60)  # far below the 300 s of their rates
            await scanner.close()
            await asyncio.gather(*[d.close() for d in drivers.values()])

    asyncio.run(story())
