"""The Modbus driver against honest servers and liars."""

import asyncio
import struct

import pytest
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse, ReadInputRegistersResponse, WriteSingleRegisterResponse
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from controls.drivers import WireTimeout
from controls.drivers.lanes import Traffic
from controls.drivers.modbus import ModbusDriver
from controls.drivers.modbus_plan import plan
from simulators.wire.ports import free_tcp_port
from twin.errors import WireError
from twin.site import Connection
from twin.words import Binding, Limits, Point


def point(name: str, place: str, scale: float = 1.0) -> Point:
    return Point(
        name, "X", "NUM", "o", writable=True, limits=Limits(-1e12, 1e12, 1e13, 0), binding=Binding(name, f"modbus:m/{place}", scale)
    )


def registers(address: int, values: list[int]) -> SimData:
    return SimData(address=address, values=values, datatype=DataType.REGISTERS)


class Server:
    """A Modbus device of this test; `lie` may change each reply before it leaves."""

    def __init__(self, *devices: SimDevice, lie=None) -> None:
        self.devices, self.lie, self.port = list(devices), lie, free_tcp_port()

    async def __aenter__(self) -> ModbusDriver:
        self.server = ModbusTcpServer(self.devices, address=("127.0.0.1", self.port), trace_pdu=self._pdu)
        await self.server.serve_forever(background=True)
        self.driver = ModbusDriver("m", Connection("modbus", port=self.port), Traffic())
        await self.driver.open()
        return self.driver

    async def __aexit__(self, *_) -> None:
        await self.driver.close()
        await self.server.shutdown()

    def _pdu(self, sending: bool, pdu):
        return self.lie(pdu) if sending and self.lie else pdu


def test_neighbours_are_read_together_and_values_are_never_split():
    near, far = [point(f"p{n}", f"1/holding/{n}:uint16") for n in range(124)], point("far", "1/holding/200:uint16")
    edge = point("edge", "1/holding/124:float32:big")
    other = point("other", "2/holding/0:uint16")
    blocks = plan([*near, edge, far, other])
    assert [(b.unit, b.start, b.count) for b in blocks] == [(1, 0, 124), (1, 124, 2), (1, 200, 1), (2, 0, 1)]


def test_every_data_type_and_word_order_is_understood_and_written():
    places = ["0:float32:big", "2:float32:little", "4:uint64:big", "8:int16", "9:uint32:little", "11:int32:big", "13:uint16"]
    points = [point(f"p{n}", f"1/holding/{p}") for n, p in enumerate(places)]
    values = [21.5, -3.25, 2.0**40, -7.0, 70000.0, -70000.0, 65535.0]

    async def story():
        async with Server(SimDevice(1, [registers(0, [0] * 20)])) as driver:
            for p, value in zip(points, values, strict=True):
                await driver.write(p, value, 13)
            assert [s.value for s in await driver.read(points)] == values
            scaled = point("scaled", "1/holding/8:int16", 0.1)
            await driver.write(scaled, 33.3, 13)
            assert (await driver.hold([scaled], 13))[0].value == 33.3
            with pytest.raises(WireError, match="does not fit"):
                await driver.write(scaled, 4000.0, 13)
            with pytest.raises(WireError, match="no slots"):
                await driver.write(scaled, None, 13)

    asyncio.run(story())


def test_a_hole_is_found_by_halving_and_remembered():
    asked = []

    async def count(*request):
        asked.append(request[2])

    points = [point(f"p{n}", f"1/holding/{n}:uint16") for n in (0, 1, 4, 5)]

    async def story():
        async with Server(SimDevice(1, [registers(0, [10, 11]), registers(4, [14, 15])], action=count)) as driver:
            assert [s.value for s in await driver.read(points)] == [10, 11, 14, 15]
            asked.clear()
            assert [s.value for s in await driver.read(points)] == [10, 11, 14, 15]
            assert asked == [0, 4]

    asyncio.run(story())


def changed(pdu, **values):
    for name, value in values.items():
        setattr(pdu, name, value)
    return pdu


def other_function(pdu):
    lie = ReadInputRegistersResponse(registers=[1], dev_id=pdu.dev_id)
    lie.transaction_id = pdu.transaction_id
    return lie


@pytest.mark.parametrize(
    "lie",
    [
        lambda pdu: changed(pdu, transaction_id=0),
        lambda pdu: changed(pdu, registers=[1, 2]),
        lambda pdu: changed(pdu, registers=[]),
        lambda pdu: changed(pdu, dev_id=9),
        other_function,
    ],
    ids=["transaction 0", "too many", "too few", "another unit", "another function"],
)
def test_a_liars_reading_is_never_believed(lie):
    def told(pdu):
        return lie(pdu) if isinstance(pdu, ReadHoldingRegistersResponse) else pdu

    async def story():
        async with Server(SimDevice(1, [registers(0, [5])]), lie=told) as driver:
            (sample,) = await driver.read([point("p", "1/holding/0:uint16")])
            assert (sample.value, sample.quality, sample.reason) == (None, "bad", "fault")

    asyncio.run(story())


def test_a_write_echoed_as_another_value_is_not_known_to_have_happened():
    def lie(pdu):
        return changed(pdu, registers=[999]) if isinstance(pdu, WriteSingleRegisterResponse) else pdu

    async def story():
        async with Server(SimDevice(1, [registers(0, [5])]), lie=lie) as driver:
            with pytest.raises(WireTimeout, match="echoed"):
                await driver.write(point("p", "1/holding/0:uint16"), 7, 13)

    asyncio.run(story())


def test_a_refusal_carries_the_devices_words():
    async def story():
        async with Server(SimDevice(1, [SimData(0, values=[5], datatype=DataType.REGISTERS, readonly=True)])) as driver:
            with pytest.raises(WireError, match="refused: illegal") as caught:
                await driver.write(point("p", "1/holding/0:uint16"), 7, 13)
            assert not isinstance(caught.value, WireTimeout)

    asyncio.run(story())


def test_a_gateway_that_went_away_costs_little_and_is_found_again():
    async def story():
        house = Server(SimDevice(1, [registers(0, [5])]))
        p = point("p", "1/holding/0:uint16")
        async with house as driver:
            await house.server.shutdown()
            (sample,) = await driver.read([p])
            assert not sample.answered
            house.server = ModbusTcpServer(house.devices, address=("127.0.0.1", house.port))
            await house.server.serve_forever(background=True)
            assert (await driver.read([p]))[0].value == 5

    asyncio.run(story())


def test_a_silent_unit_behind_a_gateway_does_not_silence_the_others():
    async def story():
        async with Server(SimDevice(1, [registers(0, [5])]), SimDevice(2, [registers(0, [6])]), lie=mute(1)) as driver:
            points = [point("silent", "1/holding/0:uint16"), point("speaking", "2/holding/0:uint16")]
            await driver.read(points)
            began = asyncio.get_running_loop().time()
            silent, speaking = await driver.read(points)
            assert (silent.answered, speaking.value) == (False, 6)
            assert asyncio.get_running_loop().time() - began < 1.5

    asyncio.run(story())


def mute(unit: int):
    """Answers of this unit come as another unit's: the driver must take them for silence or a lie."""
    return lambda pdu: changed(pdu, dev_id=99) if pdu.dev_id == unit else pdu


@pytest.mark.parametrize("size", [1, 240, 248, 249, 768])
def test_a_signed_record_comes_whole(size):
    record = bytes(n % 251 for n in range(size))
    words = [size, *struct.unpack(f">{(size + 1) // 2}H", record + b"\0" * (size % 2))]

    async def story():
        async with Server(SimDevice(1, [registers(100, words + [0] * (385 - len(words)))])) as driver:
            assert await driver.read_record(point("r", "1/holding/100:record768")) == record

    asyncio.run(story())


def test_there_may_be_no_record_yet():
    async def story():
        async with Server(SimDevice(1, [registers(100, [0] * 385)])) as driver:
            assert await driver.read_record(point("r", "1/holding/100:record768")) is None

    asyncio.run(story())
