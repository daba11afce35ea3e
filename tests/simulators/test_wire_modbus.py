"""Simulated Modbus units: meters, lighting gateways with their own schedule, and a meter that signs."""

import asyncio
import math
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from pymodbus.client import AsyncModbusTcpClient

from simulators.wire.devices import FieldDevices
from twin.errors import SiteError
from twin.points import PointBook
from twin.site import Connection
from twin.words import Binding, Limits, Point

AT = datetime(2026, 7, 14, 8, tzinfo=UTC)
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE = 1, 2, 3, 4


def bound(name, unit, owner, place, limits=None, scale=1.0):
    binding = Binding(name, f"modbus:{place}", scale)
    return Point(name, "Point", unit, owner, writable=limits is not None, limits=limits, binding=binding)


LIGHT = Limits(0, 100, math.inf, 95)
BOOK = PointBook(
    [
        bound("east.light_level", "PERCENT", "lt_east", "lights/1/holding/0:int16", LIGHT, 0.1),
        bound("west.light_level", "PERCENT", "lt_west", "lights/1/holding/1:int16", LIGHT, 0.1),
        bound("east.light_level_now", "PERCENT", "lt_east", "lights/1/input/0:uint16", None, 0.1),
        bound("west.light_level_now", "PERCENT", "lt_west", "lights/1/input/1:uint16", None, 0.1),
        bound("pump.run", "NUM", "pump", "lights/2/coil/17:bool", Limits(0, 1, math.inf, 0)),
        bound("pump.fault", "NUM", "pump", "lights/2/discrete/3:bool"),
        bound("pump.head", "PA", "pump", "lights/2/holding/8:float32:little", Limits(0, 9000, math.inf, 5000)),
        bound("em.power", "W", "em", "meters/1/input/0:float32:big"),
        bound("em.energy", "W-HR", "em", "meters/1/input/10:uint64:big"),
        bound("em.record", "W-HR", "em", "meters/1/holding/100:record40"),
    ]
)
SITE = {"lights": Connection("modbus"), "meters": Connection("modbus")}


def run(story):
    async def alone():
        await asyncio.wait_for(story, 30)
        return [t.get_name() for t in asyncio.all_tasks() if t is not asyncio.current_task()]

    assert asyncio.run(alone()) == [], "tasks left behind"


@asynccontextmanager
async def devices_and_client(connection, records=None):
    devices = FieldDevices(BOOK, SITE, records=records)
    started = await devices.start()
    client = AsyncModbusTcpClient("127.0.0.1", port=started[connection].port, timeout=1, retries=0)
    assert await client.connect()
    try:
        yield devices, client
    finally:
        client.close()
        await devices.stop()


async def levels(client):
    return (await client.read_input_registers(0, count=2)).registers


async def commands(client):
    return (await client.read_holding_registers(0, count=2)).registers


def test_a_gateway_nobody_commands_follows_its_own_schedule():
    async def story():
        async with devices_and_client("lights") as (devices, client):
            await devices.schedule({"east.light_level": 60})
            assert await commands(client) == [65535, 65535]
            assert await levels(client) == [600, 950]
            held = await devices.held()
            assert (held["east.light_level"], held["west.light_level"]) == (60, 95)

    run(story())


def test_a_command_rules_until_minus_one_gives_it_back():
    async def story():
        async with devices_and_client("lights") as (devices, client):
            await devices.publish({}, AT)
            await client.write_registers(0, [643, 0])
            assert await levels(client) == [643, 0]
            held = await devices.held()
            assert (held["east.light_level"], held["west.light_level"]) == (64.3, 0)

            await devices.schedule({"east.light_level": 30})
            assert (await devices.held())["east.light_level"] == 64.3
            await client.write_register(0, 65535)
            assert (await devices.held())["east.light_level"] == 30
            assert await levels(client) == [300, 0]
            assert [(w.connection, w.point, w.value, w.priority, w.at) for w in devices.log] == [
                ("lights", "east.light_level", 64.3, None, AT),
                ("lights", "west.light_level", 0, None, AT),
                ("lights", "east.light_level", None, None, AT),
            ]

    run(story())


def test_the_watchdog_takes_back_a_command_that_nobody_renews():
    async def story():
        async with devices_and_client("lights") as (devices, client):
            await client.write_registers(0, [200, 300])  # before the first publish: counts from there
            await devices.publish({}, AT)
            await devices.publish({}, AT + timedelta(seconds=1200))
            await client.write_register(1, 300)
            assert await commands(client) == [200, 300]

            await devices.publish({}, AT + timedelta(seconds=1800))
            assert await commands(client) == [65535, 300]
            assert await levels(client) == [950, 300]
            held = await devices.held()
            assert (held["east.light_level"], held["west.light_level"]) == (95, 30)

    run(story())


def test_the_plants_own_level_is_what_a_publish_shows():
    async def story():
        async with devices_and_client("lights") as (devices, client):
            await devices.publish({"east.light_level_now": 41.5}, AT)
            assert await levels(client) == [415, 950]

    run(story())


def test_coils_and_floats_take_commands_and_follow_the_schedule_without_minus_one():
    async def story():
        async with devices_and_client("lights") as (devices, client):
            await devices.publish({"pump.fault": 1}, AT)
            await devices.schedule({"pump.run": 1, "pump.head": 6000})
            assert (await client.read_coils(17, count=1, device_id=2)).bits[0]
            assert (await client.read_discrete_inputs(3, count=1, device_id=2)).bits[0]

            await client.write_coil(17, False, device_id=2)
            words = client.convert_to_registers(7250.5, client.DATATYPE.FLOAT32, word_order="little")
            await client.write_registers(8, words, device_id=2)
            held = await devices.held()
            assert (held["pump.run"], held["pump.head"]) == (0, 7250.5)
            assert [(w.point, w.value) for w in devices.log] == [("pump.run", 0), ("pump.head", 7250.5)]

            await devices.publish({}, AT + timedelta(seconds=1800))
            held = await devices.held()
            assert (held["pump.run"], held["pump.head"]) == (1, 6000)
            assert (await client.read_coils(17, count=1, device_id=2)).bits[0]

    run(story())


@pytest.mark.parametrize(
    ("unit", "register", "words", "code"),
    [
        pytest.param(1, 0, [1001], ILLEGAL_VALUE, id="above 100 percent"),
        pytest.param(1, 0, [65534], ILLEGAL_VALUE, id="minus two"),
        pytest.param(1, 0, [500, 1001], ILLEGAL_VALUE, id="a block with one impossible value"),
        pytest.param(1, 2, [1], ILLEGAL_ADDRESS, id="a hole"),
        pytest.param(2, 8, [0], ILLEGAL_ADDRESS, id="half a float"),
        pytest.param(2, 8, [0, 0x7FC0], ILLEGAL_VALUE, id="nan"),
    ],
)
def test_the_gateway_refuses_what_it_cannot_do_and_keeps_what_it_had(unit, register, words, code):
    async def story():
        async with devices_and_client("lights") as (devices, client):
            before = await devices.held()
            reply = await client.write_registers(register, words, device_id=unit)
            assert reply.isError()
            assert reply.exception_code == code
            assert await devices.held() == before
            assert devices.log == []

    run(story())


def test_a_table_or_a_unit_that_is_not_there_answers_with_an_exception():
    async def story():
        async with devices_and_client("lights") as (_, client):
            assert (await client.read_coils(0, count=1)).exception_code == ILLEGAL_FUNCTION
            assert (await client.read_input_registers(0, count=1, device_id=2)).exception_code == ILLEGAL_ADDRESS
            assert (await client.read_input_registers(0, count=1, device_id=9)).exception_code == DEVICE_FAILURE

    run(story())


def test_a_meter_shows_power_as_float_and_energy_as_a_long_counter():
    async def story():
        async with devices_and_client("meters") as (devices, client):
            await devices.publish({"em.power": 83_250.5, "em.energy": 9_007_199_254_740_991.0}, AT)
            power = (await client.read_input_registers(0, count=2)).registers
            energy = (await client.read_input_registers(10, count=4)).registers
            assert client.convert_from_registers(power, client.DATATYPE.FLOAT32) == 83_250.5
            assert client.convert_from_registers(energy, client.DATATYPE.UINT64) == 9_007_199_254_740_991
            assert (await client.read_input_registers(2, count=1)).exception_code == ILLEGAL_ADDRESS

    run(story())


def test_the_secure_meter_shows_each_new_record_and_nobody_can_write_one():
    async def story():
        def sign(at, energy_wh):
            return f"{at:%H:%M} {energy_wh:.0f} Wh".encode() if energy_wh > 0 else None

        async with devices_and_client("meters", {"em.record": sign}) as (devices, client):

            async def record():
                registers = (await client.read_holding_registers(100, count=21)).registers
                return b"".join(r.to_bytes(2, "big") for r in registers[1:])[: registers[0]]

            shown = [await record()]
            for step, energy in enumerate((0, 500, 1250)):
                await devices.publish({"em.energy": energy}, AT + step * timedelta(minutes=10))
                shown.append(await record())

            assert shown == [b"", b"", b"08:10 500 Wh", b"08:20 1250 Wh"]
            assert (await client.write_registers(100, [2, 0x6869])).exception_code == ILLEGAL_ADDRESS
            assert await record() == b"08:20 1250 Wh"

    run(story())


def test_a_record_needs_its_meters_energy_register():
    with pytest.raises(SiteError, match=r"em\.energy: expected a point with a record address"):
        FieldDevices(BOOK, SITE, records={"em.energy": lambda at, wh: None})
    without = PointBook(p for p in BOOK.values() if p.id != "em.energy")
    with pytest.raises(SiteError, match=r"em\.record: no energy register \(W-HR\) of em in unit 1 of meters"):
        FieldDevices(without, SITE, records={"em.record": lambda at, wh: None})
