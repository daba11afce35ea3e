"""Between two cycles of a real site: rates, the history, and devices that cannot keep up."""

import asyncio
from dataclasses import replace
from datetime import datetime

from controls.drivers import Sample
from controls.drivers.connect import make_drivers
from controls.polling import Poller
from controls.scan import Scanner
from twin.clock import wall_now
from twin.points import PointBook
from twin.site import CycleSettings
from twin.words import Quality


async def poll_for(scanner: Scanner, seconds: float, **settings: int) -> Poller:
    poller = Poller(scanner, CycleSettings(**settings), wall_now)
    task = asyncio.create_task(poller.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return poller


def test_points_come_at_their_rates_and_flags_along_with_the_normal_ones(house):
    async def story():
        async with house() as h:
            drivers = make_drivers(h.book, h.connections, "reference")  # it has no subscriptions
            scanner = Scanner(h.book, drivers)
            await poll_for(scanner, 2.5, fast_s=1, normal_s=10, slow_s=300)
            came: dict[str, list[datetime]] = {}
            for reading in scanner.between():
                assert reading.quality is Quality.GOOD or reading.value is not None
                came.setdefault(reading.point, []).append(reading.at)
            fast = next(p.id for w in scanner.watches.values() for p in w.fast)
            slow = next(p.id for w in scanner.watches.values() for p in w.slow)
            assert (len(came[fast]), len(came[slow])) == (4, 1)  # three glances and one full reading; one
            assert scanner.between() == []
            await asyncio.gather(*[d.close() for d in drivers.values()])

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


def test_a_bus_that_carries_less_than_is_asked_is_counted_and_told_once(house):
    async def story():
        async with house() as h:
            drivers = make_drivers(h.book, h.connections, "reference")  # it has no subscriptions
            scanner = Scanner(h.book, drivers)
            slow = next(w for w in scanner.watches.values() if w.fast)
            as_before = slow.driver.glance

            async def slowly(points) -> list[Sample]:
                await asyncio.sleep(2.1)
                return await as_before(points)

            slow.driver.glance = slowly
            poller = await poll_for(scanner, 7.0, fast_s=1, normal_s=100, slow_s=300)
            assert poller.overruns >= 3
            assert [e for e in scanner.news() if e[1] == "late"] == [(slow.name, "late")]
            await asyncio.gather(*[d.close() for d in drivers.values()])

    asyncio.run(story())


def test_a_device_that_returns_is_read_at_once_whatever_its_rates(house):
    async def story():
        async with house() as h:
            drivers = make_drivers(h.book, h.connections, "reference", answer_s=0.1)
            scanner = Scanner(h.book, drivers, probe_first_s=0.2)
            poller = Poller(scanner, CycleSettings(fast_s=1, normal_s=300, slow_s=300), wall_now)
            polling = asyncio.create_task(poller.run())
            await until(lambda: scanner.between())
            await h.devices.kill("floor_1")
            await until(lambda: scanner.watches["floor_1"].lost)
            scanner.between()
            await h.devices.revive("floor_1")
            came: set[str] = set()
            everything = {p.id for p in scanner.watches["floor_1"].points}

            def all_came() -> bool:
                came.update(r.point for r in scanner.between() if r.value is not None and r.quality is not Quality.STALE)
                return everything <= came

            await until(all_came)
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)
            await scanner.close()
            await asyncio.gather(*[d.close() for d in drivers.values()])

    asyncio.run(story())


async def until(true, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)
