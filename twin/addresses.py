"""Addresses as text: a connection named in site.toml and a place in it, never a host.

bacnet:ahu_1/analog-input,3
modbus:meters/1/holding/100:float32:big        unit 1, zero-based register as it goes over the wire
modbus:main_meter/1/holding/200:record256      a signed record of at most 256 bytes
"""

import re
from dataclasses import dataclass

from twin.errors import SiteError

OBJECT_TYPES = (
    "analog-input", "analog-output", "analog-value",
    "binary-input", "binary-output", "binary-value",
    "multi-state-input", "multi-state-output", "multi-state-value",
)  # fmt: skip
COMMANDABLE_TYPES = tuple(t for t in OBJECT_TYPES if not t.endswith("input"))
TABLES = ("coil", "discrete", "input", "holding")
REGISTERS = {"uint16": 1, "int16": 1, "uint32": 2, "int32": 2, "float32": 2, "uint64": 4, "bool": 1}
INSTANCE_MAX = 4_194_302  # BACnet: 22 bits, the last one is the wildcard
REGISTER_MAX = 65_535
RECORD_BYTES_MAX = 4096  # a signed record is read in blocks of 125 registers; more than 4 KiB is no meter record

_BACNET = re.compile(r"bacnet:(?P<connection>[a-z0-9_]+)/(?P<type>[a-z-]+),(?P<instance>\d+)")
_MODBUS = re.compile(
    r"modbus:(?P<connection>[a-z0-9_]+)/(?P<unit>\d+)/(?P<table>[a-z]+)/(?P<register>\d+):(?P<type>[a-z0-9]+)(:(?P<order>big|little))?"
)


@dataclass(frozen=True, slots=True)
class BacnetAddress:
    """An object of a BACnet device; the value is its present-value."""

    connection: str
    object_type: str
    instance: int

    def __str__(self) -> str:
        return f"bacnet:{self.connection}/{self.object_type},{self.instance}"

    @property
    def commandable(self) -> bool:
        return self.object_type in COMMANDABLE_TYPES


@dataclass(frozen=True, slots=True)
class ModbusAddress:
    """A value in a Modbus unit: table, zero-based register, data type and word order."""

    connection: str
    unit: int
    table: str
    register: int
    data_type: str
    word_order: str = "big"

    def __str__(self) -> str:
        order = "" if self.registers == 1 or self.is_record else f":{self.word_order}"
        return f"modbus:{self.connection}/{self.unit}/{self.table}/{self.register}:{self.data_type}{order}"

    @property
    def is_record(self) -> bool:
        return self.data_type.startswith("record")

    @property
    def registers(self) -> int:
        """How many 16-bit registers (or bits, for coils) the value takes."""
        if self.is_record:
            return 1 + (int(self.data_type.removeprefix("record")) + 1) // 2  # one for the length, then the bytes
        return REGISTERS[self.data_type]


Address = BacnetAddress | ModbusAddress


def parse_address(text: str) -> Address:
    """Read an address; SiteError says what was expected."""
    if match := _BACNET.fullmatch(text):
        return _bacnet(text, match)
    if match := _MODBUS.fullmatch(text):
        return _modbus(text, match)
    raise SiteError(
        f"address {text!r}: expected bacnet:CONNECTION/OBJECT-TYPE,INSTANCE or modbus:CONNECTION/UNIT/TABLE/REGISTER:TYPE[:big|little]"
    )


def _bacnet(text: str, match: re.Match[str]) -> BacnetAddress:
    kind, instance = match["type"], int(match["instance"])
    if kind not in OBJECT_TYPES:
        raise SiteError(f"address {text!r}: object type {kind!r} is not one of {', '.join(OBJECT_TYPES)}")
    if instance > INSTANCE_MAX:
        raise SiteError(f"address {text!r}: instance {instance} is above {INSTANCE_MAX}")
    return BacnetAddress(match["connection"], kind, instance)


def _modbus(text: str, match: re.Match[str]) -> ModbusAddress:
    table, data_type = match["table"], match["type"]
    if table not in TABLES:
        raise SiteError(f"address {text!r}: table {table!r} is not one of {', '.join(TABLES)}")
    record = re.fullmatch(r"record(\d{1,4})", data_type)
    if data_type not in REGISTERS and not (record and 0 < int(record[1]) <= RECORD_BYTES_MAX):
        raise SiteError(
            f"address {text!r}: type {data_type!r} is not one of {', '.join(REGISTERS)}, recordN (N bytes, 1 to {RECORD_BYTES_MAX})"
        )
    if not 0 <= int(match["unit"]) <= 255 or int(match["register"]) > REGISTER_MAX:
        raise SiteError(f"address {text!r}: unit must be 0 to 255 and register 0 to {REGISTER_MAX}")
    return ModbusAddress(match["connection"], int(match["unit"]), table, int(match["register"]), data_type, match["order"] or "big")
