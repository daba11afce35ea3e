"""The BACnet driver against two stacks: rusty-bacnet devices and bacpypes3 ones."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from bacpypes3.app import Application
from bacpypes3.basetypes import StatusFlags
from bacpypes3.local.analog import AnalogInputObject, AnalogOutputObject, AnalogValueObject
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.primitivedata import Real

from controls.drivers import WireTimeout
from controls.drivers.bacnet import BacnetDriver, BacnetNetwork, sample_of
from simulators.wire.ports import free_udp_port
from twin.errors import WireError
from twin.site import Connection
from twin.words import Binding, Limits, Point, Quality, Reason

SETPOINT, FAN, MIN_FLOW, SENSOR = "z00.htg_sp", "ahu_1.fan_run", "z00.min_flow", "z00.zn_t"


def point(name: str, place: str, scale: float = 1.0) -> Point:
    return Point(name, "X", "NUM", "o", writable=True, limits=Limits(-1e6, 1e6, 1e7, 0), binding=Binding(name, f"bacnet:b/{place}", scale))


@asynccontextmanager
async def driver_to(port: int, device: int = 77):
    network = BacnetNetwork()
    driver = BacnetDriver("b", Connection("bacnet", port=port, device=device), network)
    await driver.open()
    try:
        yield driver
    finally:
        await driver.close()


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


def sensor(number: int, value: float = 20.0, *, out_of_service: bool = False):
    who = {"objectIdentifier": ("analog-input", number), "objectName": f"ai{number}"}
    more = {"eventState": "normal", "outOfService": out_of_service, "units": "degreesCelsius", "covIncrement": 0.1}
    return AnalogInputObject(**who, presentValue=value, statusFlags=[0, 0, 0, 0], **more)


def test_values_of_every_kind_are_read_and_a_missing_object_spoils_only_itself(house):
    async def story():
        async with house() as h, h.somebody_else("floor_1") as driver:
            lost = point("lost", "analog-input,999")
            good, bad, again = await driver.read([h.book[SENSOR], lost, h.book[SETPOINT]])
            assert (good.value, good.quality, again.value) == (21.5, Quality.GOOD, 20.0)
            assert (bad.value, bad.quality, bad.reason, bad.answered) == (None, Quality.BAD, Reason.FAULT, True)

    asyncio.run(story())


def test_a_sensor_in_fault_or_out_of_service_says_so_over_the_wire():
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
        ([1, 0, 0, 0], "good", ""),  # in alarm: the value itself is right
        ([0, 1, 0, 0], "bad", "fault"),
        ([0, 0, 1, 0], "uncertain", "overridden"),
        ([0, 0, 1, 1], "uncertain", "out_of_service"),
    ],
)
def test_flags_become_a_quality_with_its_reason(flags, quality, reason):
    sample = sample_of(point("p", "analog-input,1"), (Real(20.0), StatusFlags(flags)))
    assert (sample.quality, sample.reason) == (quality, reason)


def test_a_write_fills_our_slot_and_a_relinquish_empties_it(house):
    async def story():
        async with house() as h:
            async with h.somebody_else("ahu_1") as driver:
                await driver.write(h.book[FAN], 0.0, 13)
                (held,) = await driver.hold([h.book[FAN]], 13)
                assert (held.value, held.slot, held.ruling_priority, held.has_slots) == (0.0, 0.0, 13, True)
                await driver.write(h.book[FAN], None, 13)
                (held,) = await driver.hold([h.book[FAN]], 13)
                assert (held.value, held.slot, held.ruling_priority) == (1.0, None, None)
            async with h.somebody_else("floor_1") as driver:
                await driver.write(h.book[MIN_FLOW], 42.1, 13)
                await driver.write(h.book[MIN_FLOW], 60.0, 8)
                (held,) = await driver.hold([h.book[MIN_FLOW]], 13)
                assert (held.value, held.slot, held.ruling_priority) == (60.0, 42.1, 8)

    asyncio.run(story())


COMMON = {"statusFlags": [0, 0, 0, 0], "eventState": "normal", "outOfService": False, "units": "percent", "covIncrement": 0.5}


def test_a_device_that_does_not_say_which_priority_rules_is_asked_for_its_whole_array():
    async def story():
        who = {"objectIdentifier": ("analog-output", 1), "objectName": "ao"}
        output = AnalogOutputObject(**who, presentValue=10.0, relinquishDefault=10.0, **COMMON)
        async with other_stack(output) as port, driver_to(port) as driver:
            p = point("ao", "analog-output,1")
            await driver.write(p, 55.0, 13)
            (held,) = await driver.hold([p], 13)
            assert (held.value, held.slot, held.ruling_priority) == (55.0, 55.0, 13)

    asyncio.run(story())


def test_a_value_without_slots_says_so():
    async def story():
        plain = AnalogValueObject(objectIdentifier=("analog-value", 1), objectName="av", presentValue=10.0, **COMMON)
        async with other_stack(plain) as port, driver_to(port) as driver:
            (held,) = await driver.hold([point("av", "analog-value,1")], 13)
            assert (held.value, held.slot, held.has_slots) == (10.0, None, False)

    asyncio.run(story())


def test_a_rejected_write_carries_the_devices_words(house):
    async def story():
        async with house() as h, h.somebody_else("floor_1") as driver:
            with pytest.raises(WireError, match="refused by the device") as caught:
                await driver.write(point("zn", "analog-input,0"), 5.0, 13)
            assert not isinstance(caught.value, WireTimeout)

    asyncio.run(story())


def test_a_silent_device_costs_a_second_and_raises_only_where_somebody_must_know():
    async def story():
        async with driver_to(free_udp_port()) as driver:
            began = time.monotonic()
            samples = await driver.read([point(f"p{n}", f"analog-input,{n}") for n in range(200)])
            assert time.monotonic() - began < 1.4
            assert not any(s.answered for s in samples)
            with pytest.raises(WireTimeout, match="no answer"):
                await driver.hold([point("p", "analog-value,0")], 13)

    asyncio.run(story())


def test_a_device_with_small_messages_is_asked_for_fewer_points():
    async def story():
        async with other_stack(*[sensor(n, 20.0 + n) for n in range(60)], apdu=206) as port, driver_to(port) as driver:
            points = [point(f"p{n}", f"analog-input,{n}") for n in range(60)]
            assert [s.value for s in await driver.read(points)] == [20.0 + n for n in range(60)]
            assert [s.value for s in await driver.read(points)] == [20.0 + n for n in range(60)]

    asyncio.run(story())


def test_scale_and_type_follow_the_point():
    async def story():
        async with other_stack(sensor(1, 215.0)) as port, driver_to(port) as driver:
            assert (await driver.read([point("t", "analog-input,1", 0.1)]))[0].value == 21.5

    asyncio.run(story())


def test_a_fingerprint_names_the_device_and_another_device_is_refused(house):
    async def story():
        async with house() as h:
            connection = h.connections["floor_1"]
            async with driver_to(connection.port, connection.device) as driver:
                assert ((await driver.identify()).instance, (await driver.identify()).name) == (connection.device, "floor_1")
            async with driver_to(connection.port, 4711) as driver:
                with pytest.raises(WireError, match="expected device 4711"):
                    await driver.identify()

    asyncio.run(story())


def test_reals_come_without_the_noise_of_their_type():
    async def story():
        async with other_stack(sensor(1, 21.1)) as port, driver_to(port) as driver:
            assert (await driver.read([point("t", "analog-input,1")]))[0].value == 21.1

    asyncio.run(story())
