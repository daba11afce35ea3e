"""Devices that tell changes by themselves: no room for us, silence after a promise, and a flood."""

import asyncio
import struct
from contextlib import asynccontextmanager

import pytest

from controls import subscriptions
from controls.drivers.connect import make_drivers
from controls.scan import Scanner
from controls.subscriptions import Subscriptions
from simulators.wire import bacnet_lies
from simulators.wire.faults import Honest
from twin.clock import wall_now

pytestmark = pytest.mark.parametrize("engine", ["fast"], indirect=True)  # the reference engine does not subscribe
SUBSCRIBE = 5
NO_SPACE = b"\x91\x03\x91\x51"  # error class resources, code no-space-to-add-list-element


class Unheard(Honest):
    """Every unconfirmed message of the device is lost: its changes reach nobody."""

    def answered(self, frame):
        return () if len(frame) > 6 and frame[6] >> 4 == 1 else (frame,)


@asynccontextmanager
async def subscribed(h):
    drivers = make_drivers(h.book, h.connections, "fast")
    await asyncio.gather(*[d.open() for d in drivers.values()])
    scanner = Scanner(h.book, drivers)
    task = asyncio.create_task(Subscriptions(scanner, wall_now).run())
    try:
        yield next(w for w in scanner.watches.values() if w.name == "ahu_1"), scanner
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await scanner.close()
        await asyncio.gather(*[d.close() for d in drivers.values()])


async def until(condition, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


async def shown(h, scanner, point: str, value: float) -> bool:
    """Whether a whole scan shows what the sensor shows now."""
    await h.devices.publish({point: value}, h.clock.now())
    scan = await scanner.scan(h.clock.now())
    (reading,) = [r for r in scan.readings["ahu_1"] if r.point == point]
    return (reading.value, reading.quality.value) == (value, "good")


def test_a_device_without_room_for_us_is_polled(staged):
    """F38: COV table full."""

    async def story():
        async with staged("ahu_1") as s:
            full = bacnet_lies.Refuses(SUBSCRIBE, lambda asked: bacnet_lies.error(asked, NO_SPACE))
            s.disturb("ahu_1", full)
            async with subscribed(s.house) as (watch, scanner):
                await until(lambda: full.refused > 0)
                await asyncio.sleep(0.5)
                assert not watch.subscribed
                assert watch.fast_asked == watch.fast
                assert await shown(s.house, scanner, min(p.id for p in watch.fast if not p.writable), 7.5)

    asyncio.run(story())


def test_a_promise_of_changes_without_a_first_one_is_not_believed(staged, monkeypatch):
    """F39: the subscription is agreed, and nothing ever comes."""
    monkeypatch.setattr(subscriptions, "FIRST_WITHIN_S", 0.5)

    async def story():
        async with staged("ahu_1") as s:
            s.disturb("ahu_1", Unheard())
            async with subscribed(s.house) as (watch, _):
                await asyncio.sleep(2.0)
                assert watch.fast_asked == watch.fast

    asyncio.run(story())


def test_a_subscription_that_is_lost_without_a_sound_shows_in_the_next_scan(staged):
    """F39: changes stop coming after a good start: the scan of the cycle asks all the same."""

    async def story():
        async with staged("ahu_1") as s, subscribed(s.house) as (watch, scanner):
            await until(lambda: watch.subscribed)
            s.disturb("ahu_1", Unheard())
            assert await shown(s.house, scanner, min(watch.subscribed), 8.5)

    asyncio.run(story())


def test_a_flood_of_changes_from_a_device_we_subscribed_to_stops_nothing(staged):
    """F37: thousands of notices that carry our own subscription's number."""

    async def story():
        async with staged("ahu_1") as s, subscribed(s.house) as (watch, scanner):
            notices: list[bytes] = []

            class Records(Honest):
                def answered(self, frame):
                    if len(frame) > 6 and frame[6] >> 4 == 1:
                        notices.append(frame)
                    return (frame,)

            s.disturb("ahu_1", Records())
            await until(lambda: watch.subscribed)
            point = min(watch.subscribed)
            await s.house.devices.publish({point: 3.5}, s.house.clock.now())
            await until(lambda: bool(notices))
            value = notices[-1].find(b"\x2e\x44") + 2
            for n in range(5_000):
                frame = notices[-1] if value < 2 else notices[-1][:value] + struct.pack(">f", float(n % 50)) + notices[-1][value + 4 :]
                s.between["ahu_1"].inject(frame)
                if n % 250 == 0:
                    await asyncio.sleep(0.005)
            scan = await scanner.scan(s.house.clock.now())
            assert scan.answered == scan.asked
            assert len(scanner.between()) <= 5_000

            async def as_it_is() -> bool:
                return await shown(s.house, scanner, point, 9.5)

            for _ in range(20):
                if await as_it_is():
                    break
                await asyncio.sleep(0.2)
            assert await as_it_is()

    asyncio.run(story())
