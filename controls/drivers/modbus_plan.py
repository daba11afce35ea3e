"""Blocks of Modbus registers: the fewest requests that cover the points, without splitting a value or bridging a wide gap."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from twin.addresses import ModbusAddress, parse_address
from twin.words import Point

BLOCK_MAX = 125  # registers in one request: the protocol's limit
GAP_MAX = 16  # unused registers that are cheaper to read along than to ask around


@dataclass(frozen=True, slots=True)
class Block:
    """Registers (or bits) read in one request, and the points that live in them."""

    unit: int
    table: str
    start: int
    count: int
    points: tuple[Point, ...]


def plan(points: Sequence[Point], gap_max: int = GAP_MAX) -> list[Block]:
    """The fewest blocks that cover the points without splitting a value or bridging a wide gap."""
    blocks: list[Block] = []
    for point in sorted(points, key=_place):
        at = address_of(point)
        last = blocks[-1] if blocks else None
        end = at.register + at.registers
        if last and (last.unit, last.table) == (at.unit, at.table) and _fits(last, at.register, end, gap_max):
            count = max(last.count, end - last.start)
            blocks[-1] = Block(last.unit, last.table, last.start, count, (*last.points, point))
        else:
            blocks.append(Block(at.unit, at.table, at.register, at.registers, (point,)))
    return blocks


def halves(block: Block) -> list[Block]:
    """A block with a hole in it, as two; no gap is bridged any more."""
    half = len(block.points) // 2
    return plan(block.points[:half], gap_max=0) + plan(block.points[half:], gap_max=0)


def address_of(point: Point) -> ModbusAddress:
    """The registers a point is bound to."""
    assert point.binding is not None
    return _parsed(point.binding.address)


@cache
def _parsed(address: str) -> ModbusAddress:
    parsed = parse_address(address)
    assert isinstance(parsed, ModbusAddress)
    return parsed


def _place(point: Point) -> tuple[int, str, int]:
    at = address_of(point)
    return at.unit, at.table, at.register


def _fits(block: Block, start: int, end: int, gap_max: int) -> bool:
    return start - (block.start + block.count) <= gap_max and max(end, block.start + block.count) - block.start <= BLOCK_MAX
