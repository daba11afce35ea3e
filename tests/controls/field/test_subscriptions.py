"""Devices that tell changes by themselves, and what happens when they stop; over both BACnet engines."""

import asyncio

import pytest

from controls import subscriptions
from controls.scan import Scanner

pytestmark = pytest.mark.parametrize("engine", ["fast", "reference"])


def some_fast(scanner: Scanner):
    return next(w for w in scanner.watches.values() if w.fast and w.name.startswith("ahu"))


def test_a_change_is_told_at_once_and_fast_polling_of_that_point_ends(house, subscribed, until, engine):
    async def story():
        async with house() as h, subscribed(h, engine) as scanner:
            watch = some_fast(scanner)
            await until(lambda: watch.subscribed)
            assert not {p.id for p in watch.fast_asked} & watch.subscribed
            point = min(p.id for p in watch.fast if p.id in watch.subscribed and not p.writable)
            scanner.between()
            await h.devices.publish({point: 7.5}, h.clock.now())
            told = []
            await until(lambda: told.extend(scanner.between()) or any((r.point, r.value) == (point, 7.5) for r in told))

    asyncio.run(story())


def test_a_device_that_restarts_is_subscribed_to_anew(house, subscribed, until, engine):
    """F19: a restart empties the device's list of subscriptions."""

    async def story():
        async with house() as h, subscribed(h, engine) as scanner:
            watch = some_fast(scanner)
            await until(lambda: watch.subscribed)
            watch.probe_first_s = 0.2
            await h.devices.kill(watch.name)
            while not watch.lost:
                await scanner.scan(h.clock.now())
            await until(lambda: not watch.subscribed)
            await h.devices.revive(watch.name)
            await until(lambda: not watch.lost)
            await scanner.scan(h.clock.now())
            await until(lambda: watch.subscribed)

    asyncio.run(story())


def test_a_device_that_agrees_and_stays_mute_is_polled(house, subscribed, until, engine, monkeypatch):
    monkeypatch.setattr(subscriptions, "FIRST_WITHIN_S", 0.2)

    async def story():
        async with house() as h, subscribed(h, engine) as scanner:
            watch = some_fast(scanner)
            driver = watch.driver
            await until(lambda: watch.subscribed)
            as_before, asked = driver.subscribe, asyncio.Event()

            async def unheard(points, lifetime_s, take):
                agreed = await as_before(points, lifetime_s, lambda sample: None)
                asked.set()
                return agreed

            driver.subscribe = unheard
            watch.lost = True  # away ...
            await until(lambda: not watch.subscribed)
            watch.lost = False  # ... and back, mute
            await asked.wait()
            await until(lambda: watch.fast_asked == watch.fast)
            await asyncio.sleep(0.3)
            assert watch.fast_asked == watch.fast

    asyncio.run(story())
