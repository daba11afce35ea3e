"""Devices that tell changes by themselves: no room for us, silence after a promise, and a flood."""

import asyncio
import struct

from controls import subscriptions
from simulators.wire import bacnet_lies
from simulators.wire.faults import Honest


class Unheard(Honest):
    """Every unconfirmed message of the device is lost: its changes reach nobody."""

    def __init__(self) -> None:
        self.lost = 0

    def answered(self, frame):
        is_notice = len(frame) > 6 and frame[6] >> 4 == 1
        self.lost += is_notice
        return () if is_notice else (frame,)


async def shown(h, scanner, point: str, value: float) -> bool:
    """Whether a whole scan shows what the sensor shows now."""
    await h.devices.publish({point: value}, h.clock.now())
    scan = await scanner.scan(h.clock.now())
    (reading,) = [r for r in scan.readings["ahu_1"] if r.point == point]
    return (reading.value, reading.quality.value) == (value, "good")


def sensor(watch) -> str:
    return min(p.id for p in watch.fast if not p.writable)


def test_a_device_without_room_for_us_is_polled(staged, subscribed, until, engine):
    """F38: COV table full."""

    async def story():
        async with staged("ahu_1") as s:
            full = bacnet_lies.no_room()
            s.disturb("ahu_1", full)
            async with subscribed(s.house, engine) as scanner:
                watch = scanner.watches["ahu_1"]
                await until(lambda: full.refused > 0)
                await asyncio.sleep(0.2)  # some turns of the subscriptions
                assert full.refused == 1  # it is not asked again and again
                assert not watch.subscribed
                assert watch.fast_asked == watch.fast
                assert await shown(s.house, scanner, sensor(watch), 7.5)

    asyncio.run(story())


def test_a_promise_of_changes_without_a_first_one_is_not_believed(staged, subscribed, until, engine, monkeypatch):
    """F39: the subscription is agreed, and nothing ever comes."""
    monkeypatch.setattr(subscriptions, "FIRST_WITHIN_S", 0.2)

    async def story():
        async with staged("ahu_1") as s:
            unheard = Unheard()
            s.disturb("ahu_1", unheard)
            async with subscribed(s.house, engine) as scanner:
                watch = scanner.watches["ahu_1"]
                await until(lambda: unheard.lost >= len(watch.fast))
                await asyncio.sleep(0.5)
                assert watch.fast_asked == watch.fast

    asyncio.run(story())


def test_a_subscription_that_is_lost_without_a_sound_shows_in_the_next_scan(staged, subscribed, until, engine):
    """F39: changes stop coming after a good start: the scan of the cycle asks all the same."""

    async def story():
        async with staged("ahu_1") as s, subscribed(s.house, engine) as scanner:
            watch = scanner.watches["ahu_1"]
            await until(lambda: watch.subscribed)
            s.disturb("ahu_1", Unheard())
            assert await shown(s.house, scanner, min(watch.subscribed), 8.5)

    asyncio.run(story())


def test_a_flood_of_changes_from_a_device_we_subscribed_to_stops_nothing(staged, subscribed, until, engine):
    """F37: thousands of notices that carry our own subscription's number."""

    async def story():
        async with staged("ahu_1") as s, subscribed(s.house, engine) as scanner:
            watch, notices = scanner.watches["ahu_1"], []

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
            async with asyncio.timeout(30):
                while (scan := await scanner.scan(s.house.clock.now())).answered < scan.asked:
                    pass
            assert len(scanner.between()) <= 6_000
            async with asyncio.timeout(30):
                while not await shown(s.house, scanner, point, 9.5):
                    await asyncio.sleep(0.05)

    asyncio.run(story())
