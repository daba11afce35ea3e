"""Values in registers, checked against pymodbus' own decoder and by hand."""

import math

import pytest
from pymodbus.client.mixin import ModbusClientMixin as Mixin

from simulators.wire.registers import raw_of, record_registers, registers_of, value_of
from twin.addresses import ModbusAddress
from twin.errors import SiteError
from twin.words import Binding

VALUES = {"uint16": 65535, "int16": -1234, "uint32": 4_000_000_000, "int32": -70_000, "float32": 21.5, "uint64": 2**53 - 1}


def place(data_type, order="big"):
    return ModbusAddress("meters", 1, "holding", 0, data_type, order)


@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize("data_type", VALUES)
def test_pymodbus_decodes_what_the_device_shows(data_type, order):
    registers = registers_of(VALUES[data_type], place(data_type, order), Binding("p", "x"))

    kind = getattr(Mixin.DATATYPE, data_type.upper())
    assert Mixin.convert_from_registers(registers, kind, word_order=order) == VALUES[data_type]
    assert raw_of(registers, place(data_type, order)) == VALUES[data_type]


def test_a_float_stands_in_the_order_the_meter_manuals_print():
    assert registers_of(21.5, place("float32"), Binding("p", "x")) == [0x41AC, 0x0000]
    assert registers_of(21.5, place("float32", "little"), Binding("p", "x")) == [0x0000, 0x41AC]


def test_tenths_of_a_percent_come_back_without_noise():
    binding = Binding("p", "x", scale=0.1)

    assert registers_of(64.3, place("int16"), binding) == [643]
    assert value_of(643, binding) == 64.3
    assert registers_of(-0.1, place("int16"), binding) == [65535]


def test_an_offset_is_taken_off_before_the_scale():
    binding = Binding("p", "x", scale=0.5, offset=-40)

    assert registers_of(20, place("uint16"), binding) == [120]
    assert value_of(120, binding) == 20


def test_a_value_beyond_the_register_stops_at_its_end():
    assert registers_of(-3, place("uint16"), Binding("p", "x")) == [0]
    assert registers_of(1e9, place("int16"), Binding("p", "x")) == [32767]


def test_a_client_may_write_nan_and_the_device_sees_it():
    assert math.isnan(raw_of([0x7FC0, 0], place("float32")))


def test_a_record_is_its_length_and_then_its_bytes():
    assert record_registers(b"abc", place("record6")) == [3, 0x6162, 0x6300, 0]
    with pytest.raises(SiteError, match="7 bytes does not fit; write record7"):
        record_registers(b"abcdefg", place("record6"))
