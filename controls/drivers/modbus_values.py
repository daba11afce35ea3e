"""Values in Modbus registers: taken out of a block by places worked out once, and put into registers for a write."""

import struct
from collections.abc import Sequence
from typing import Any

from controls.drivers.modbus_plan import Block, address_of
from twin.addresses import ModbusAddress
from twin.errors import WireError

_FORMATS = {"uint16": ">H", "int16": ">h", "uint32": ">I", "int32": ">i", "float32": ">f", "uint64": ">Q", "bool": ">H"}
_STRUCTS = {name: struct.Struct(text) for name, text in _FORMATS.items()}
BITS = ("coil", "discrete")


class Places:
    """Where the values of a block's points stand in its bytes."""

    def __init__(self, block: Block) -> None:
        self._bits = block.table in BITS
        self._count = block.count
        self.ids = [point.id for point in block.points]
        self.unscaled = all(p.binding and p.binding.scale == 1.0 and p.binding.offset == 0.0 for p in block.points)
        self._places = [_place(block, address_of(point)) for point in block.points]

    def values(self, words: Sequence[int]) -> list[float]:
        """The raw number of each point, in order, from the block's registers or bits."""
        if self._bits:
            return [float(words[offset]) for _, _, offset in self._places]
        big = struct.pack(f">{self._count}H", *words)
        little = struct.pack(f">{self._count}H", *words[::-1])  # low word first is high word first from the other end
        return [float(unpack(little if turned else big, offset)[0]) for unpack, turned, offset in self._places]


def encoded(at: ModbusAddress, raw: float, name: str) -> list[int]:
    """The registers of a raw number; WireError if its data type cannot hold it."""
    try:
        content = struct.pack(_FORMATS[at.data_type], raw if at.data_type == "float32" else round(raw))
    except (struct.error, OverflowError):
        raise WireError(f"{name}: {raw:g} does not fit {at.data_type}; check the scale in points.csv") from None
    words = list(struct.unpack(f">{len(content) // 2}H", content))
    return words if at.word_order == "big" else words[::-1]


def _place(block: Block, at: ModbusAddress) -> tuple[Any, bool, int]:
    offset = at.register - block.start
    if block.table in BITS:
        return None, False, offset
    turned = at.word_order == "little"
    first = block.count - offset - at.registers if turned else offset
    return _STRUCTS[at.data_type].unpack_from, turned, 2 * first
