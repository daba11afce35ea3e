"""The interposer and its lies: the same seed gives the same bad day, and frames of a real device survive being taken apart."""

import asyncio
import struct

import pytest

from simulators.wire import bacnet_lies, modbus_lies
from simulators.wire.devices import FieldDevices
from simulators.wire.faults import Dice, Faults, Honest
from simulators.wire.lies import LIES, lie_named
from twin.errors import WireError
from twin.points import PointBook
from twin.site import Connection
from twin.words import Binding, Point

ACK = bytes.fromhex("810a0026010030070e0c000000011e29554e4441ac00004f296f4e8204004f1f0c000000021e29555e911f91205f1f")
READ_ANSWER = bytes.fromhex("00010000000701030441ac0000")


def whole(frame: bytes) -> bytes:
    return frame[:2] + struct.pack(">H", len(frame)) + frame[4:]


@pytest.mark.parametrize("wrong", [{"drop": 1.5}, {"cut": -0.1}, {"delay_s": -1.0}, {"mutate": 2.0, "reorder": 3.0}])
def test_faults_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="must be 0 to"):
        Faults(**wrong)


def test_the_same_seed_gives_the_same_bad_day():
    days = [[(dice.falls(0.3), dice.mutated(ACK)) for _ in range(50)] for dice in (Dice(5), Dice(5), Dice(6))]

    assert days[0] == days[1] != days[2]
    assert 5 < sum(fell for fell, _ in days[0]) < 25


def test_an_answer_taken_apart_and_put_together_is_the_same():
    frame = whole(ACK)
    said = bacnet_lies.message(frame)
    rows = bacnet_lies.rows_of(said.content)

    assert (said.kind, said.invoke, said.service) == (bacnet_lies.COMPLEX_ACK, 7, bacnet_lies.READ_MULTIPLE)
    assert [(r.thing, r.prop, r.failed) for r in rows] == [(1, 85, False), (1, 111, False), (2, 85, True)]
    assert bacnet_lies.content_of(rows) == said.content
    assert bacnet_lies.Rows(lambda rows: rows).answered(frame) == (frame,)


@pytest.mark.parametrize(
    "frame", [b"", b"\x81\x0a\x00\x04", b"\x81\x0a\x00\x09\x01\x80\x00\x01\x02", b"\x81\x0b\x00\x08\x01\x20\xff\xff", b"x" * 40]
)
def test_what_is_no_message_passes_as_it_is(frame):
    assert bacnet_lies.message(frame) is None
    for make in LIES["bacnet"].values():
        assert list(make().asked(frame).on) == [frame]
        assert list(make().answered(frame)) == [frame]


def test_modbus_lies_change_what_they_say_they_change():
    def told(lie: Honest) -> bytes:
        lie.asked(bytes.fromhex("000100000006010300000002"))
        return lie.answered(READ_ANSWER)[0]

    assert told(modbus_lies.transaction_zero())[:2] == b"\0\0"
    assert told(modbus_lies.other_function())[7] == 4
    assert told(modbus_lies.swapped_words())[9:] == bytes.fromhex("000041ac")
    assert told(modbus_lies.fewer_registers()) == bytes.fromhex("00010000000501030241ac")
    assert told(modbus_lies.more_registers())[4:9] == bytes.fromhex("0009010306")
    assert told(modbus_lies.other_unit())[6] == 2
    assert modbus_lies.exception(READ_ANSWER, 4) == bytes.fromhex("000100000003018304")


def test_an_unknown_lie_names_those_there_are():
    with pytest.raises(ValueError, match="knows no lie 'flattery'; known: rows_missing"):
        lie_named("bacnet", "flattery")


def test_a_device_behind_an_interposer_keeps_its_connections_port_and_a_good_one_cannot_be_disturbed():
    point = Point("a.t", "X", "NUM", "o", binding=Binding("a.t", "modbus:a/1/input/0:uint16"))
    other = Point("b.t", "X", "NUM", "o", binding=Binding("b.t", "modbus:b/1/input/0:uint16"))

    async def story():
        devices = FieldDevices(PointBook([point, other]), {"a": Connection("modbus"), "b": Connection("modbus")}, disturbed=("a",))
        ports = await devices.start()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", ports["a"].port)
            writer.write(bytes.fromhex("000700000006010400000001"))
            assert (await asyncio.wait_for(reader.readexactly(11), 2))[:2] == b"\0\x07"
            devices.disturb("a", Faults(mute=True))
            writer.write(bytes.fromhex("000800000006010400000001"))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.readexactly(1), 0.3)
            assert (devices.between["a"].asked, devices.between["a"].answered, devices.between["a"].lost) == (2, 1, 1)
            writer.close()
            with pytest.raises(WireError, match="no interposer before 'b'; name it in `disturbed`, which has a"):
                devices.disturb("b")
        finally:
            await devices.stop()

    asyncio.run(story())
