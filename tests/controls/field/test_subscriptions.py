"""Devices that tell changes by themselves, and what happens when they stop."""

import asyncio
from contextlib import asynccontextmanager

from controls import subscriptions
from controls.drivers.connect import make_drivers
from controls.scan import Scanner
from controls.subscriptions import Subscriptions
from twin.clock import wall_now


@asynccontextmanager
async def subscribed(h, engine: str = "fast"):
    drivers = make_drivers(h.book, h.connections, engine)
    await asyncio.gather(*[d.open() for d in drivers.values()])
    scanner = Scanner(h.book, drivers)
    task = asyncio.create_task(Subscriptions(scanner, wall_now).run())
    try:
        yield scanner
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await scanner.close()
        await asyncio.gather(*[d.close() for d in drivers.values()])


async def until(condition, seconds: float = 8.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def some_fast(scanner: Scanner):
    return next(w for w in scanner.watches.values() if w.fast and w.name.startswith("ahu"))


def test_a_change_is_told_at_once_and_fast_polling_of_that_point_ends(house):
    async def story():
        async with house() as h, subscribed(h) as scanner:
            watch = some_fast(scanner)
            await until(lambda: watch.subscribed)
            assert not {p.id for p in watch.fast_asked} & watch.subscribed
            point = min(watch.subscribed)
            scanner.between()
            await h.devices.publish({point: 7.5}, h.clock.now())
            told = []
            await until(lambda: told.extend(scanner.between()) or any((r.point, r.value) == (point, 7.5) for r in told))

    asyncio.run(story())


def test_a_device_that_restarts_is_subscribed_to_anew(house):
    async def story():
        async with house() as h, subscribed(h) as scanner:
            watch = some_fast(scanner)
            await until(lambda: watch.subscribed)
            await h.devices.kill(watch.name)
            while not watch.lost:
                await scanner.scan(h.clock.now())
            await until(lambda: not watch.subscribed)
            await h.devices.revive(watch.name)
            await until(lambda: not watch.lost, 12)
            await scanner.scan(h.clock.now())
            await until(lambda: watch.subscribed)

    asyncio.run(story())


def test_an_engine_without_subscriptions_leaves_every_point_to_polling(house):
    async def story():
        async with house() as h, subscribed(h, "reference") as scanner:
            await asyncio.sleep(1.5)
            assert all(w.fast_asked == w.fast for w in scanner.watches.values())

    asyncio.run(story())


def test_a_device_that_agrees_and_stays_mute_is_polled(house, monkeypatch):
    monkeypatch.setattr(subscriptions, "FIRST_WITHIN_S", 0.5)

    async def story():
        async with house() as h, subscribed(h) as scanner:
            watch = some_fast(scanner)
            engine = watch.driver._engine
            await until(lambda: watch.subscribed)
            engine._takers.clear()  # its notifications no longer reach us
            watch.lost = True  # away ...
            await until(lambda: not watch.subscribed)
            as_before = engine.subscribe

            async def unheard(to, thing, lifetime_s, take):
                await as_before(to, thing, lifetime_s, lambda change: None)

            engine.subscribe = unheard
            watch.lost = False  # ... and back, mute
            await asyncio.sleep(2.5)
            assert watch.fast_asked == watch.fast

    asyncio.run(story())
