"""Frames that nobody asked for: forged, flooding, mutated, deeply nested, or from strangers."""

import asyncio
import gc
import random
import socket
import struct

import pytest

from simulators.wire import bacnet_lies
from simulators.wire.faults import Dice

SETPOINT, TEMPERATURE = "z00.htg_sp", "z00.zn_t"
MUTATED_SHORT, MUTATED_LONG = 1_500, 100_000


def stranger():
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.setblocking(False)
    end.bind(("127.0.0.1", 0))
    return end


def unconfirmed(apdu: bytes) -> bytes:
    return struct.pack(">BBHBB", 0x81, 0x0A, 6 + len(apdu), 1, 0) + apdu


def i_am(device: int) -> bytes:
    """Instance, 1476 bytes, no segmentation, vendor 999."""
    return unconfirmed(b"\x10\x00\xc4" + (8 << 22 | device).to_bytes(4, "big") + b"\x22\x05\xc4\x91\x03\x22\x03\xe7")


def cov_notice(device: int, number: int, value: float) -> bytes:
    """An unconfirmed notification that nobody subscribed to."""
    there, thing = (8 << 22 | device).to_bytes(4, "big"), number.to_bytes(4, "big")
    return unconfirmed(
        b"\x10\x02\x09\x01\x1c" + there + b"\x2c" + thing + b"\x39\x3c\x4e\x09\x55\x2e" + bacnet_lies.real(value) + b"\x2f\x4f"
    )


def controller_of(wire) -> tuple[str, int]:
    """Where the controller listens, as the device sees it."""
    return wire.clients[-1]


def test_a_forged_i_am_redirects_nobody(staged):
    """F16, F17, F18: somebody else claims the device's id at another address."""

    async def story():
        async with staged("floor_1") as s:
            await s.step()
            forger = stranger()
            for _ in range(20):
                forger.sendto(i_am(s.house.connections["floor_1"].device), controller_of(s.between["floor_1"]))
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.step(2)
            with pytest.raises(BlockingIOError):
                forger.recvfrom(2000)
            assert await s.house.holds(SETPOINT) == 16.0
            assert s.untrue() == []
            forger.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("name", "frame"), [("I-Am", lambda n: i_am(n % 4_000_000)), ("COV", lambda n: cov_notice(1000 + n % 50, n % 1000, 99.0))]
)
def test_a_flood_from_strangers_stops_neither_reading_nor_commands(staged, name, frame):
    """F18, F37: thousands of I-Am or change-of-value notices that nobody asked for."""

    async def story():
        async with staged("floor_1") as s:
            await s.step()
            to = controller_of(s.between["floor_1"])
            forgers = [stranger() for _ in range(4)]
            for n in range(800):
                try:
                    forgers[n % 4].sendto(frame(n), to)
                except BlockingIOError:
                    await asyncio.sleep(0.01)
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.step()
            await s.until_good("floor_1")
            await s.step()
            assert await s.house.holds(SETPOINT) == 16.0
            assert s.untrue() == []
            for forger in forgers:
                forger.close()

    asyncio.run(story())


def test_an_answer_from_an_unlisted_address_is_not_taken_for_the_devices(staged):
    """F49: a stranger answers the questions to a mute device, with every invoke id there is."""

    async def story():
        async with staged("floor_1") as s:
            await s.step()
            recorded = []

            class Records(bacnet_lies.Rows):
                def answered(self, frame):
                    recorded.append(super().answered(frame)[0])
                    return (recorded[-1],)

            s.disturb(
                "floor_1",
                Records(lambda rows: [r if r.prop != 85 else type(r)(r.thing, r.prop, r.index, bacnet_lies.real(99.0)) for r in rows]),
            )
            await s.step()
            good = recorded[0]
            said = bacnet_lies.message(good)
            at = len(said.before) + 1
            to, forger = controller_of(s.between["floor_1"]), stranger()
            s.disturb("floor_1", mute=True)
            step = asyncio.create_task(s.step())
            while not step.done():
                for invoke in range(256):
                    forger.sendto(good[:at] + bytes([invoke]) + good[at + 1 :], to)
                await asyncio.sleep(0.05)
            await step
            assert "good" not in s.qualities("floor_1")
            s.disturb("floor_1")
            await s.until_good("floor_1")
            assert s.untrue() == []
            forger.close()

    asyncio.run(story())


async def feed_mutated(s, connection: str, frames: int, seed: int) -> None:
    """Real answers of this device, mutated, from its own address, while the cycle goes on."""
    recorded: list[bytes] = []

    class Records(bacnet_lies.Honest):
        def answered(self, frame):
            recorded.append(frame)
            return (frame,)

    s.disturb(connection, Records())
    s.house.wishes.values = {SETPOINT: 16.0}
    await s.step(2)
    s.house.wishes.values = {SETPOINT: 17.0}
    await s.step()
    dice, choose = Dice(seed), random.Random(seed)
    s.disturb(connection)
    step = asyncio.create_task(s.step())
    for n in range(frames):
        s.between[connection].inject(dice.mutated(choose.choice(recorded)))
        if n % 50 == 49:
            await asyncio.sleep(0.002)
            if step.done():
                step.result()
                step = asyncio.create_task(s.step())
    await step


@pytest.mark.parametrize("frames", [MUTATED_SHORT, pytest.param(MUTATED_LONG, marks=pytest.mark.long)])
def test_mutated_bacnet_frames_crash_nothing_and_leak_nothing(staged, frames):
    """F45: mutated BVLL, NPDU and APDU frames from the device's own address."""

    async def story():
        async with staged("floor_1", zones=1) as s:
            await feed_mutated(s, "floor_1", frames, seed=7)
            await s.until_good("floor_1")
            before = len(asyncio.all_tasks())
            await s.step(3)
            gc.collect()
            assert len(asyncio.all_tasks()) <= before + 1
            assert await s.house.holds(SETPOINT) == 17.0
            assert s.house.journal.check() == s.house.journal.size()

    asyncio.run(story())


@pytest.mark.parametrize("connection", ["meters", "lights_1", "floor_1"])
def test_a_device_whose_every_answer_is_mutated_ends_no_cycle(staged, connection):
    """F45: MBAP and APDU; a value may be wrong where the protocol has no check sum, but nothing crashes and nothing hangs."""

    async def story():
        async with staged(connection, zones=1) as s:
            await s.step()
            s.disturb(connection, seed=11, mutate=1.0)
            s.house.wishes.values = {SETPOINT: 16.0, "z00.light_level": 40.0}
            await s.step(5)
            s.disturb(connection)
            await s.until_good(connection)
            await s.step()
            assert s.untrue() == []

    asyncio.run(story())


NESTED = b"\x0c\x00\x00\x00\x01\x1e\x29\x55\x4e" + b"\x3e" * 400 + b"\x3f" * 400 + b"\x4f\x1f"
GIANT = b"\x0c\x00\x00\x00\x01\x1e\x29\x55\x4e\x75\xff\xff\xff\xff\xff\x00"
ENDLESS = b"\x0c\x00\x00\x00\x01\x1e" + b"\x29\x55\x4e\x44\x41\xac\x00\x00\x4f" * 150


@pytest.mark.parametrize(("name", "content"), [("nested", NESTED), ("giant length", GIANT), ("never closed", ENDLESS), ("empty", b"")])
def test_deep_nesting_and_giant_lengths_are_bad_readings_and_nothing_else(staged, name, content):
    """F46: deep nesting, giant lengths."""

    async def story():
        async with staged("floor_1", zones=1) as s:
            await s.step()
            s.disturb("floor_1", bacnet_lies.Answers(b"\x30\x00\x0e" + content))
            await s.step(2)
            assert "good" not in s.qualities("floor_1")
            assert s.qualities("ahu_1") == {"good"}
            s.disturb("floor_1")
            await s.until_good("floor_1")
            assert s.untrue() == []

    asyncio.run(story())
