"""Values in Modbus registers: data types, word order, scale and offset, and signed records as bytes."""

import math
import struct
from collections.abc import Sequence

from twin.addresses import ModbusAddress
from twin.errors import SiteError
from twin.words import Binding

FORMATS = {"uint16": ">H", "int16": ">h", "uint32": ">I", "int32": ">i", "float32": ">f", "uint64": ">Q"}
RANGES = {
    "uint16": (0, 2**16 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "uint32": (0, 2**32 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint64": (0, 2**64 - 1),
}


def registers_of(value: float, address: ModbusAddress, binding: Binding) -> list[int]:
    """The registers (or the one bit) that show `value`; a whole-number type is rounded and stops at its ends."""
    return raw_registers((value - binding.offset) / binding.scale, address)


def raw_registers(raw: float, address: ModbusAddress) -> list[int]:
    """The registers of a raw number, before scale and offset."""
    if address.data_type == "bool":
        return [int(raw >= 0.5)]
    if address.data_type == "float32":
        data = struct.pack(">f", raw)
    else:
        low, high = RANGES[address.data_type]
        data = struct.pack(FORMATS[address.data_type], min(max(round(raw), low), high))
    words = list(struct.unpack(f">{len(data) // 2}H", data))
    return words if address.word_order == "big" else words[::-1]


def raw_of(registers: Sequence[int], address: ModbusAddress) -> float:
    """The raw number in the registers; a float32 may be NaN."""
    assert len(registers) == address.registers, f"{address} takes {address.registers} registers, got {len(registers)}"
    if address.data_type == "bool":
        return float(bool(registers[0]))
    words = registers if address.word_order == "big" else registers[::-1]
    (raw,) = struct.unpack(FORMATS[address.data_type], struct.pack(f">{len(words)}H", *words))
    return float(raw)


def value_of(raw: float, binding: Binding) -> float:
    """The point's value from its raw number, without the noise of float32 and of the scale."""
    value = raw * binding.scale + binding.offset
    return value if not math.isfinite(value) or value == round(value) else float(f"{value:.9g}")


def record_registers(record: bytes, address: ModbusAddress) -> list[int]:
    """A signed record: its length in bytes, then the bytes, big-endian; unused registers are 0."""
    room = 2 * (address.registers - 1)
    if len(record) > room:
        raise SiteError(f"{address}: a record of {len(record)} bytes does not fit; write record{len(record)} in the point's address")
    data = record.ljust(room, b"\0")
    return [len(record), *struct.unpack(f">{room // 2}H", data)]
