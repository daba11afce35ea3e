"""Addresses name a connection and a place in it, and refuse what no device has."""

import pytest

from twin.addresses import BacnetAddress, ModbusAddress, parse_address
from twin.errors import SiteError


@pytest.mark.parametrize(
    "text",
    [
        "bacnet:ahu_1/analog-input,3",
        "bacnet:floor_2/multi-state-value,4194302",
        "modbus:meters/1/holding/40001:float32:big",
        "modbus:meters/1/input/10:uint64:little",
        "modbus:lights_1/1/holding/0:int16",
        "modbus:main_meter/1/holding/100:record768",
    ],
)
def test_an_address_reads_and_writes_the_same(text):
    assert str(parse_address(text)) == text


def test_a_record_takes_one_register_for_its_length():
    address = parse_address("modbus:m/1/holding/100:record768")

    assert isinstance(address, ModbusAddress)
    assert address.is_record
    assert address.registers == 385


def test_inputs_take_no_commands():
    value, sensor = parse_address("bacnet:a/analog-value,1"), parse_address("bacnet:a/analog-input,1")

    assert isinstance(value, BacnetAddress)
    assert value.commandable
    assert isinstance(sensor, BacnetAddress)
    assert not sensor.commandable


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected bacnet:"),
        ("bacnet:10.0.0.1:47808/analog-input,3", "expected bacnet:"),
        ("bacnet:ahu_1/analog-pump,3", "analog-pump"),
        ("bacnet:ahu_1/analog-input,4194303", "above 4194302"),
        ("modbus:m/1/holding/70000:uint16", "0 to 65535"),
        ("modbus:m/300/holding/1:uint16", "unit must be"),
        ("modbus:m/1/shelf/1:uint16", "table 'shelf'"),
        ("modbus:m/1/holding/1:float16", "type 'float16'"),
        ("modbus:m/1/holding/1:record9999", "type 'record9999'"),
    ],
)
def test_a_wrong_address_says_what_was_expected(text, said):
    with pytest.raises(SiteError, match=said):
        parse_address(text)
