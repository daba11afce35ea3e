"""The BACnet driver over both engines, against two stacks: rusty-bacnet devices and bacpypes3 ones."""

import asyncio
import socket
import time
from contextlib import asynccontextmanager

import pytest
from bacpypes3.app import Application
from bacpypes3.local.analog import AnalogInputObject, AnalogOutputObject, AnalogValueObject
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject

from controls.drivers import WireTimeout
from controls.drivers.bacnet import BacnetDriver, sample_of
from controls.drivers.bacnet_engine import Flags
from controls.drivers.connect import make_engine
from controls.drivers.lanes import Traffic
from simulators.wire.ports import free_udp_port
from twin.errors import WireError
from twin.site import Connection
from twin.words import Binding, Limits, Point, Quality, Reason

SETPOINT, FAN, MIN_FLOW, SENSOR = "z00.htg_sp", "ahu_1.fan_run", "z00.min_flow", "z00.zn_t"


def point(name: str, place: str, scale: float = 1.0) -> Point:
    return Point(name, "X", "NUM", "o", writable=True, limits=Limits(-1e6, 1e6, 1e7, 0), binding=Binding(name, f"bacnet:b/{place}", scale))


@pytest.fixture(params=["fast", "reference"])
def driver_to(request):
    """A driver over each of the two engines: all that follows must hold for both."""

    @asynccontextmanager
    async def make(port: int, device: int = 77):
        driver = BacnetDriver("b", Connection("bacnet", port=port, device=device), make_engine(request.param), Traffic().way())
        await driver.open()
        try:
            yield driver
        finally:
            await driver.close()

    return make


@asynccontextmanager
async def other_stack(*objects, apdu: int = 1024):
    """A device of bacpypes3, which lets its flags and its APDU be set as faults need."""
    port = free_udp_port()
    device = DeviceObject(objectIdentifier=("device", 77), objectName="d", vendorIdentifier=999, maxApduLengthAccepted=apdu)
    wire = NetworkPortObject(f"127.0.0.1/32:{port}", objectIdentifier=("network-port", 1), objectName="p")
    app = Application.from_object_list([device, wire, *objects])
    try:
        yield port
    finally:
        app.close()


def framed(datagram: bytes) -> bytes:
    """With the length that it has now."""
    return datagram[:2] + len(datagram).to_bytes(2, "big") + datagram[4:]


@asynccontextmanager
async def between(port, *, asked=bytes, told=bytes, instead=lambda d: None, late_s=lambda d: 0.0, copies=lambda d: 1, clients=None):
    """Somebody on the line to a device, who changes what is asked and told, answers instead of it, or delivers late."""
    loop = asyncio.get_running_loop()

    class Far(asyncio.DatagramProtocol):
        def __init__(self, near, client):
            self.near, self.client = near, client

        def datagram_received(self, data, _):
            for _ in range(copies(data)):
                loop.call_later(late_s(data), lambda: self.near.is_closing() or self.near.sendto(told(data), self.client))

    class Near(asyncio.DatagramProtocol):
        def __init__(self):
            self.far, self.tasks = {}, set()

        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, client):
            if answer := instead(data):
                self.transport.sendto(answer, client)
                return
            task = asyncio.ensure_future(self.pass_on(asked(data), client))
            self.tasks.add(task)

        async def pass_on(self, data, client):
            if client not in self.far:
                if clients is not None:
                    clients.append(client)
                self.far[client], _ = await loop.create_datagram_endpoint(
                    lambda: Far(self.transport, client), remote_addr=("127.0.0.1", port)
                )
            self.far[client].sendto(data)

    transport, near = await loop.create_datagram_endpoint(Near, local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        for far in near.far.values():
            far.close()
        transport.close()


def sensor(number: int, value: float = 20.0, *, out_of_service: bool = False):
    who = {"objectIdentifier": ("analog-input", number), "objectName": f"ai{number}"}
    more = {"eventState": "normal", "outOfService": out_of_service, "units": "degreesCelsius", "covIncrement": 0.1}
    return AnalogInputObject(**who, presentValue=value, statusFlags=[0, 0, 0, 0], **more)


def test_values_of_every_kind_are_read_and_a_missing_object_spoils_only_itself(house, driver_to):
    async def story():
        async with house() as h, driver_to(h.connections["floor_1"].port) as driver:
            lost = point("lost", "analog-input,999")
            good, bad, again = await driver.read([h.book[SENSOR], lost, h.book[SETPOINT]])
            assert (good.value, good.quality, again.value) == (21.5, Quality.GOOD, 20.0)
            assert (bad.value, bad.quality, bad.reason, bad.answered) == (None, Quality.BAD, Reason.FAULT, True)

    asyncio.run(story())


def test_a_sensor_in_fault_or_out_of_service_says_so_over_the_wire(driver_to):
    async def story():
        broken = sensor(1)
        broken.reliability = "noSensor"
        objects = (sensor(0), broken, sensor(2, out_of_service=True), sensor(3, float("nan")))
        async with other_stack(*objects) as port, driver_to(port) as driver:
            samples = await driver.read([point(f"p{n}", f"analog-input,{n}") for n in range(4)])
            seen = [(s.quality, s.reason) for s in samples]
            assert seen == [("good", ""), ("bad", "fault"), ("uncertain", "out_of_service"), ("bad", "fault")]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("flags", "quality", "reason"),
    [
        (Flags.IN_ALARM, "good", ""),  # in alarm: the value itself is right
        (Flags.FAULT, "bad", "fault"),
        (Flags.OVERRIDDEN, "uncertain", "overridden"),
        (Flags.OVERRIDDEN | Flags.OUT_OF_SERVICE, "uncertain", "out_of_service"),
    ],
)
def test_flags_become_a_quality_with_its_reason(flags, quality, reason):
    sample = sample_of(point("p", "analog-input,1"), [20.0, Flags(flags)], 0.0)
    assert (sample.quality, sample.reason) == (quality, reason)


def test_a_write_fills_our_slot_and_a_relinquish_empties_it(house, driver_to):
    async def story():
        async with house() as h:
            async with driver_to(h.connections["ahu_1"].port) as driver:
                await driver.write(h.book[FAN], 0.0, 13)
                (held,) = await driver.hold([h.book[FAN]], 13)
                assert (held.value, held.slot, held.ruling_priority, held.has_slots) == (0.0, 0.0, 13, True)
                await driver.write(h.book[FAN], None, 13)
                (held,) = await driver.hold([h.book[FAN]], 13)
                assert (held.value, held.slot, held.ruling_priority) == (1.0, None, None)
            async with driver_to(h.connections["floor_1"].port) as driver:
                await driver.write(h.book[MIN_FLOW], 42.1, 13)
                await driver.write(h.book[MIN_FLOW], 60.0, 8)
                (held,) = await driver.hold([h.book[MIN_FLOW]], 13)
                assert (held.value, held.slot, held.ruling_priority) == (60.0, 42.1, 8)

    asyncio.run(story())


COMMON = {"statusFlags": [0, 0, 0, 0], "eventState": "normal", "outOfService": False, "units": "percent", "covIncrement": 0.5}


def test_a_device_that_does_not_say_which_priority_rules_is_asked_for_its_whole_array(driver_to):
    ruling, unknown = b"\x01\xaf", b"\x12\x34"  # current-command-priority, and a property that no device has

    async def story():
        who = {"objectIdentifier": ("analog-output", 1), "objectName": "ao"}
        output = AnalogOutputObject(**who, presentValue=10.0, relinquishDefault=10.0, **COMMON)
        async with (
            other_stack(output) as port,
            between(port, asked=lambda d: d.replace(ruling, unknown), told=lambda d: d.replace(unknown, ruling)) as middle,
            driver_to(middle) as driver,
        ):
            p = point("ao", "analog-output,1")
            await driver.write(p, 55.0, 13)
            await driver.write(p, 60.0, 8)
            (held,) = await driver.hold([p], 13)
            assert (held.value, held.slot, held.ruling_priority) == (60.0, 55.0, 8)

    asyncio.run(story())


FIRST, SECOND, THIRD = (b"\x0c" + bytes([0, 0, 0, n]) for n in (1, 2, 3))
ASKED = b"\x1e\x09\x55\x09\x6f\x1f"  # present-value and status-flags


def swapped(d: bytes) -> bytes:
    return d.replace(FIRST, b"*").replace(SECOND, FIRST).replace(b"*", SECOND)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (swapped, bytes),  # the rows come in another order
        (bytes, lambda d: d.replace(FIRST, THIRD)),  # a row names what nobody asked for
        (lambda d: framed(d.replace(SECOND + ASKED, b"")), bytes),  # a row is missing
        (lambda d: framed(d + THIRD + ASKED) if SECOND in d else d, bytes),  # a row too many
        (bytes, lambda d: d.replace(b"\x29\x55", b"\x29\x41")),  # another property
    ],
    ids=["order", "object", "missing", "extra", "property"],
)
def test_rows_that_do_not_answer_what_was_asked_are_never_believed(driver_to, asked, told):
    async def story():
        async with (
            other_stack(sensor(1, 11.0), sensor(2, 22.0), sensor(3, 33.0)) as port,
            between(port, asked=asked, told=told) as middle,
            driver_to(middle) as driver,
        ):
            one, two = await driver.read([point("p1", "analog-input,1"), point("p2", "analog-input,2")])
            assert one.value in (None, 11.0)
            assert two.value in (None, 22.0)
            assert not any(s.quality is Quality.GOOD and s.value is None for s in (one, two))

    asyncio.run(story())


def test_a_value_of_another_type_than_its_object_has_is_bad_and_spoils_only_itself(driver_to):
    twenty_real, twenty_unsigned = b"\x44\x41\xa0\x00\x00", b"\x24\x41\xa0\x00\x00"

    async def story():
        async with (
            other_stack(sensor(1, 20.0), sensor(2, 22.0)) as port,
            between(port, told=lambda d: d.replace(twenty_real, twenty_unsigned)) as middle,
            driver_to(middle) as driver,
        ):
            one, two = await driver.read([point("p1", "analog-input,1"), point("p2", "analog-input,2")])
            assert (one.value, one.quality, one.answered) == (None, Quality.BAD, True)
            assert two.value == 22.0

    asyncio.run(story())


def test_a_device_without_read_property_multiple_is_read_one_by_one(driver_to):
    def no_multiple(d: bytes) -> bytes | None:
        return framed(d[:6] + bytes([0x60, d[8], 9])) if d[9] == 14 else None  # reject: unrecognized-service

    async def story():
        async with (
            other_stack(sensor(1, 20.0), sensor(2, 22.0)) as port,
            between(port, instead=no_multiple) as middle,
            driver_to(middle) as driver,
        ):
            points = [point("p1", "analog-input,1"), point("lost", "analog-input,9"), point("p2", "analog-input,2")]
            assert [s.value for s in await driver.read(points)] == [20.0, None, 22.0]

    asyncio.run(story())


def test_a_device_that_overstates_its_message_size_is_asked_for_less_and_the_size_is_kept(driver_to):
    sent = []

    def too_much(d: bytes) -> bytes | None:
        if d[9] != 14:
            return None
        sent.append(d.count(b"\x1e\x09\x55"))
        return framed(d[:6] + bytes([0x71, d[8], 1])) if sent[-1] > 10 else None  # abort: buffer-overflow

    async def story():
        async with (
            other_stack(*[sensor(n, 20.0 + n) for n in range(60)]) as port,
            between(port, instead=too_much) as middle,
            driver_to(middle) as driver,
        ):
            points = [point(f"p{n}", f"analog-input,{n}") for n in range(60)]
            assert [s.value for s in await driver.read(points)] == [20.0 + n for n in range(60)]
            sent.clear()
            assert [s.value for s in await driver.read(points)] == [20.0 + n for n in range(60)]
            assert max(sent) <= 10

    asyncio.run(story())


def test_a_device_that_says_its_message_size_is_never_asked_for_more(driver_to):
    refused = []

    async def story():
        async with (
            other_stack(*[sensor(n, 20.0 + n) for n in range(60)], apdu=206) as port,
            between(port, told=lambda d: refused.append(d) or d if d[6] & 0xF0 == 0x70 else d) as middle,  # aborts
            driver_to(middle) as driver,
        ):
            await driver.identify()
            points = [point(f"p{n}", f"analog-input,{n}") for n in range(60)]
            assert [s.value for s in await driver.read(points)] == [20.0 + n for n in range(60)]
            assert refused == []

    asyncio.run(story())


def test_between_two_readings_a_glance_keeps_the_flags_that_were_seen(driver_to):
    async def story():
        async with other_stack(sensor(0), sensor(1, out_of_service=True)) as port, driver_to(port) as driver:
            points = (point("p0", "analog-input,0"), point("p1", "analog-input,1"))
            await driver.read(points)
            good, out = await driver.glance(points)
            assert (good.value, good.quality, out.quality, out.reason) == (20.0, "good", "uncertain", "out_of_service")

    asyncio.run(story())


def test_a_late_reply_never_answers_the_next_question(driver_to):
    async def story():
        async with (
            other_stack(sensor(1, 20.0), sensor(2, 22.0)) as port,
            between(port, late_s=lambda d: 2.0 if FIRST in d else 0.0) as middle,
            driver_to(middle) as driver,
        ):
            (silent,) = await driver.read([point("p1", "analog-input,1")])
            assert not silent.answered
            for _ in range(20):  # the late replies fall among these
                assert [s.value for s in await driver.read([point("p2", "analog-input,2")])] == [22.0]
                await asyncio.sleep(0.08)

    asyncio.run(story())


def test_a_value_without_slots_says_so(driver_to):
    async def story():
        plain = AnalogValueObject(objectIdentifier=("analog-value", 1), objectName="av", presentValue=10.0, **COMMON)
        async with other_stack(plain) as port, driver_to(port) as driver:
            (held,) = await driver.hold([point("av", "analog-value,1")], 13)
            assert (held.value, held.slot, held.has_slots) == (10.0, None, False)

    asyncio.run(story())


def test_a_rejected_write_carries_the_devices_words(house, driver_to):
    async def story():
        async with house() as h, driver_to(h.connections["floor_1"].port) as driver:
            with pytest.raises(WireError, match="refused by the device") as caught:
                await driver.write(point("zn", "analog-input,0"), 5.0, 13)
            assert not isinstance(caught.value, WireTimeout)

    asyncio.run(story())


def test_a_silent_device_costs_one_wait_and_raises_only_where_somebody_must_know(driver_to):
    async def story():
        async with driver_to(free_udp_port()) as driver:
            began = time.monotonic()
            samples = await driver.read([point(f"p{n}", f"analog-input,{n}") for n in range(200)])
            assert time.monotonic() - began < 20  # one wait of the device's second, not one for each of 200 points
            assert not any(s.answered for s in samples)
            with pytest.raises(WireTimeout, match="no answer"):
                await driver.hold([point("p", "analog-value,0")], 13)

    asyncio.run(story())


def test_a_device_with_small_messages_is_asked_for_fewer_points(driver_to):
    async def story():
        async with other_stack(*[sensor(n, 20.0 + n) for n in range(60)], apdu=206) as port, driver_to(port) as driver:
            points = [point(f"p{n}", f"analog-input,{n}") for n in range(60)]
            assert [s.value for s in await driver.read(points)] == [20.0 + n for n in range(60)]
            assert [s.value for s in await driver.read(points)] == [20.0 + n for n in range(60)]

    asyncio.run(story())


def test_scale_and_type_follow_the_point(driver_to):
    async def story():
        async with other_stack(sensor(1, 215.0)) as port, driver_to(port) as driver:
            assert (await driver.read([point("t", "analog-input,1", 0.1)]))[0].value == 21.5

    asyncio.run(story())


def test_a_fingerprint_names_the_device_and_another_device_is_refused(house, driver_to):
    async def story():
        async with house() as h:
            connection = h.connections["floor_1"]
            async with driver_to(connection.port, connection.device) as driver:
                assert ((await driver.identify()).instance, (await driver.identify()).name) == (connection.device, "floor_1")
            async with driver_to(connection.port, 4711) as driver:
                with pytest.raises(WireError, match="expected device 4711"):
                    await driver.identify()

    asyncio.run(story())


def test_reals_come_without_the_noise_of_their_type(driver_to):
    async def story():
        async with other_stack(sensor(1, 21.1)) as port, driver_to(port) as driver:
            assert (await driver.read([point("t", "analog-input,1")]))[0].value == 21.1

    asyncio.run(story())


def is_change(d: bytes) -> bool:
    return d[6] == 0x10 and d[7] == 2  # unconfirmed COV notification


def test_a_flood_of_changes_blocks_nothing_and_one_from_a_stranger_is_not_heard(house):
    copies, heard, seen, clients = 2_000, [], [], []  # the relay floods from our own loop, so not more

    def flood(d: bytes) -> int:
        if not is_change(d):
            return 1
        seen.append(d)
        return copies

    async def story():
        async with house() as h, between(h.connections["ahu_1"].port, copies=flood, clients=clients) as middle:
            driver = BacnetDriver("b", Connection("bacnet", port=middle), make_engine("fast"), Traffic().way())
            await driver.open()
            assert await driver.subscribe([h.book[FAN]], 60, heard.append) == [h.book[FAN]]
            await driver.write(h.book[FAN], 0.0, 13)
            assert [s.value for s in await driver.read([h.book[FAN]])] == [0.0]
            await asyncio.sleep(1)
            assert 0 < len(heard) + driver.missed <= copies * len(seen)  # what neither tells was dropped by the system's own buffer
            count = len(heard)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                for client in clients:
                    stranger.sendto(seen[0], client)
            await asyncio.sleep(0.3)
            assert len(heard) == count
            await driver.close()

    asyncio.run(story())
