"""A simulated BACnet device, read and commanded over the wire by two independent stacks."""

import asyncio
import math
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from bacpypes3.app import Application
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.pdu import Address
from bacpypes3.primitivedata import Null
from rusty_bacnet import BACnetClient, BacnetProtocolError, ObjectIdentifier, ObjectType, PropertyIdentifier, PropertyValue

from simulators.wire.devices import FieldDevices
from simulators.wire.ports import free_udp_port
from twin.errors import WireError
from twin.points import PointBook
from twin.site import Connection
from twin.words import Binding, Limits, Point

AT = datetime(2026, 7, 14, 8, tzinfo=UTC)
PRESENT, ARRAY = PropertyIdentifier.PRESENT_VALUE, PropertyIdentifier.PRIORITY_ARRAY
SETPOINT, FAN = ObjectIdentifier(ObjectType.ANALOG_VALUE, 0), ObjectIdentifier(ObjectType.BINARY_OUTPUT, 0)
SENSOR, MODE = ObjectIdentifier(ObjectType.ANALOG_INPUT, 0), ObjectIdentifier(ObjectType.MULTI_STATE_OUTPUT, 0)


def bound(name, brick, unit, place, limits=None):
    return Point(name, brick, unit, "ahu_1", writable=limits is not None, limits=limits, binding=Binding(name, f"bacnet:ahu_1/{place}"))


BOOK = PointBook(
    [
        bound("ahu_1.sa_t", "Supply_Air_Temperature_Sensor", "DEG_C", "analog-input,0"),
        bound("ahu_1.filter", "Filter_Status", "NUM", "binary-input,0"),
        bound("ahu_1.pressure", "Static_Pressure_Sensor", "PA", "analog-value,7"),  # a value object that only shows
        bound("ahu_1.sa_t_sp", "Supply_Air_Temperature_Setpoint", "DEG_C", "analog-value,0", Limits(12, 18, math.inf, 12.8)),
        bound("ahu_1.fan_run", "Start_Stop_Command", "NUM", "binary-output,0", Limits(0, 1, math.inf, 1)),
        bound("ahu_1.mode", "Mode_Command", "NUM", "multi-state-output,0", Limits(1, 3, math.inf, 2)),
    ]
)
SITE = {"ahu_1": Connection("bacnet", device=1001)}


def run(story):
    async def alone():
        await asyncio.wait_for(story, 30)
        return [t.get_name() for t in asyncio.all_tasks() if t is not asyncio.current_task()]

    assert asyncio.run(alone()) == [], "tasks left behind"


@asynccontextmanager
async def device_and_client():
    devices = FieldDevices(BOOK, SITE)
    started = await devices.start()
    client = BACnetClient("127.0.0.1", 0, "127.255.255.255", apdu_timeout_ms=300)
    await client.__aenter__()
    try:
        yield devices, client, f"127.0.0.1:{started['ahu_1'].port}"
    finally:
        await client.stop()
        await devices.stop()


@asynccontextmanager
async def reference_client():
    app = Application.from_object_list(
        [
            DeviceObject(objectIdentifier=("device", 4001), objectName="gw", vendorIdentifier=999, apduTimeout=500, numberOfApduRetries=1),
            NetworkPortObject(f"127.0.0.1/32:{free_udp_port()}", objectIdentifier=("network-port", 1), objectName="port"),
        ]
    )
    try:
        yield app
    finally:
        app.close()
        await asyncio.sleep(0.05)  # bacpypes3 closes its socket in a later turn


def test_sensors_show_the_plant_and_outputs_the_own_schedule():
    async def story():
        async with device_and_client() as (devices, client, address):
            await devices.publish({"ahu_1.sa_t": 13.25, "ahu_1.filter": 1, "ahu_1.pressure": 410, "unbound.point": 7}, AT)
            await devices.schedule({"ahu_1.sa_t_sp": 14.5, "ahu_1.fan_run": 0, "ahu_1.mode": 3})

            async def value(kind, instance):
                return (await client.read_property(address, ObjectIdentifier(kind, instance), PRESENT)).value

            assert await value(ObjectType.ANALOG_INPUT, 0) == 13.25
            assert await value(ObjectType.BINARY_INPUT, 0) == 1
            assert await value(ObjectType.ANALOG_VALUE, 7) == 410
            assert await value(ObjectType.ANALOG_VALUE, 0) == 14.5
            assert await value(ObjectType.BINARY_OUTPUT, 0) == 0
            assert await value(ObjectType.MULTI_STATE_OUTPUT, 0) == 3
            assert await devices.held() == {"ahu_1.sa_t_sp": 14.5, "ahu_1.fan_run": 0, "ahu_1.mode": 3}
            assert devices.log == [], "publishing and scheduling are not writes"

    run(story())


def test_before_any_schedule_the_fallbacks_are_held_as_they_were_written():
    async def story():
        async with device_and_client() as (devices, _, _):
            assert await devices.held() == {"ahu_1.sa_t_sp": 12.8, "ahu_1.fan_run": 1, "ahu_1.mode": 2}

    run(story())


def test_an_operator_at_8_masks_us_and_letting_go_falls_to_the_own_schedule():
    async def story():
        async with device_and_client() as (devices, client, address):
            await devices.publish({}, AT)

            async def write(value, priority):
                await client.write_property(address, SETPOINT, PRESENT, value, priority)
                held.append((await devices.held())["ahu_1.sa_t_sp"])

            held = []
            await write(PropertyValue.real(16.0), 13)
            await write(PropertyValue.real(18.0), 8)
            await write(PropertyValue.real(15.0), 13)
            await write(PropertyValue.null(), 8)
            await write(PropertyValue.null(), 13)

            assert held == [16.0, 18.0, 18.0, 15.0, 12.8]
            seen = [(w.connection, w.point, w.value, w.priority, w.at) for w in devices.log]
            assert seen == [
                ("ahu_1", "ahu_1.sa_t_sp", 16.0, 13, AT),
                ("ahu_1", "ahu_1.sa_t_sp", 18.0, 8, AT),
                ("ahu_1", "ahu_1.sa_t_sp", 15.0, 13, AT),  # masked, but the device saw it
                ("ahu_1", "ahu_1.sa_t_sp", None, 8, AT),
                ("ahu_1", "ahu_1.sa_t_sp", None, 13, AT),
            ]
            assert all(w.wall.tzinfo for w in devices.log)

    run(story())


def test_a_command_outlives_a_change_of_the_schedule():
    async def story():
        async with device_and_client() as (devices, client, address):
            await client.write_property(address, FAN, PRESENT, PropertyValue.enumerated(1), 13)
            await devices.schedule({"ahu_1.fan_run": 0})
            assert (await devices.held())["ahu_1.fan_run"] == 1
            await client.write_property(address, FAN, PRESENT, PropertyValue.null(), 13)
            assert (await devices.held())["ahu_1.fan_run"] == 0

    run(story())


def test_a_client_that_writes_over_the_default_loses_to_the_next_schedule():
    async def story():
        async with device_and_client() as (devices, client, address):
            await devices.schedule({"ahu_1.sa_t_sp": 14.0})
            await client.write_property(address, SETPOINT, PropertyIdentifier.RELINQUISH_DEFAULT, PropertyValue.real(17.0))
            assert (await devices.held())["ahu_1.sa_t_sp"] == 17.0
            await devices.schedule({"ahu_1.sa_t_sp": 14.0})
            assert (await devices.held())["ahu_1.sa_t_sp"] == 14.0

    run(story())


@pytest.mark.parametrize(
    ("thing", "value"),
    [
        pytest.param(SETPOINT, PropertyValue.real(math.nan), id="nan"),
        pytest.param(SETPOINT, PropertyValue.real(math.inf), id="infinity"),
        pytest.param(SETPOINT, PropertyValue.character_string("x"), id="text for a number"),
        pytest.param(FAN, PropertyValue.real(0.5), id="number for a switch"),
        pytest.param(MODE, PropertyValue.unsigned(9), id="state that is not there"),
        pytest.param(SENSOR, PropertyValue.real(20.0), id="sensor"),
    ],
)
def test_the_device_refuses_what_it_cannot_hold(thing, value):
    async def story():
        async with device_and_client() as (devices, client, address):
            before = await devices.held()
            with pytest.raises(BacnetProtocolError):
                await client.write_property(address, thing, PRESENT, value, 13)
            assert await devices.held() == before
            assert devices.log == []

    run(story())


def test_a_sensor_taken_out_of_service_keeps_what_the_technician_set():
    async def story():
        async with device_and_client() as (devices, client, address):
            out_of_service = PropertyIdentifier.OUT_OF_SERVICE
            await client.write_property(address, SENSOR, out_of_service, PropertyValue.boolean(True))
            await client.write_property(address, SENSOR, PRESENT, PropertyValue.real(99.0))
            await devices.publish({"ahu_1.sa_t": 13.0}, AT)
            assert (await client.read_property(address, SENSOR, PRESENT)).value == 99.0
            await client.write_property(address, SENSOR, out_of_service, PropertyValue.boolean(False))
            await devices.publish({"ahu_1.sa_t": 14.0}, AT)
            assert (await client.read_property(address, SENSOR, PRESENT)).value == 14.0

    run(story())


def test_a_schedule_the_object_cannot_hold_names_the_point():
    async def story():
        async with device_and_client() as (devices, _, _):
            with pytest.raises(WireError, match=r"ahu_1\.mode: bacnet:ahu_1/multi-state-output,0 cannot show 7"):
                await devices.schedule({"ahu_1.mode": 7})

    run(story())


def test_looks_at_the_same_time_note_a_write_once():
    async def story():
        async with device_and_client() as (devices, client, address):
            await client.write_property(address, SETPOINT, PRESENT, PropertyValue.real(16.0), 13)
            await asyncio.gather(*[devices.look() for _ in range(5)], devices.held(), devices.kill("ahu_1"), devices.held())
            assert [(w.point, w.value) for w in devices.log] == [("ahu_1.sa_t_sp", 16.0)]

    run(story())


def test_all_sixteen_slots_stand_in_the_priority_array():
    async def story():
        async with device_and_client() as (devices, client, address):
            for slot in range(16, 0, -1):
                if slot != 6:  # left to the device for minimum on and off times
                    await client.write_property(address, SETPOINT, PRESENT, PropertyValue.real(float(slot)), slot)
            array = (await client.read_property(address, SETPOINT, ARRAY)).value
            assert array == [None if slot == 6 else float(slot) for slot in range(1, 17)]
            await devices.look()
            assert sorted(w.priority for w in devices.log) == [slot for slot in range(1, 17) if slot != 6]

    run(story())


def test_another_stack_finds_reads_commands_and_lets_go():
    async def story():
        async with device_and_client() as (devices, _, address), reference_client() as app:
            await devices.publish({"ahu_1.sa_t": 13.5}, AT)
            there = Address(address)
            found = await app.who_is(address=there, timeout=1)
            assert [i_am.iAmDeviceIdentifier[1] for i_am in found] == [1001]
            assert await app.read_property(there, "analog-input,0", "present-value") == 13.5
            assert await app.read_property(there, "analog-input,0", "object-name") == "ahu_1.sa_t"
            assert str(await app.read_property(there, "analog-input,0", "units")) == "degrees-celsius"

            await app.write_property(there, "analog-value,0", "present-value", 17.0, priority=13)
            slot = await app.read_property(there, "analog-value,0", "priority-array", 13)
            assert getattr(slot, slot._choice) == 17.0
            assert (await devices.held())["ahu_1.sa_t_sp"] == 17.0

            await app.write_property(there, "analog-value,0", "present-value", Null(()), priority=13)
            assert (await devices.held())["ahu_1.sa_t_sp"] == 12.8
            assert [(w.value, w.priority) for w in devices.log] == [(17.0, 13), (None, 13)]

    run(story())
