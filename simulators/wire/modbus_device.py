"""One simulated Modbus TCP server with all units of a connection: meters, and gateways with their own schedule and watchdog."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from simulators.wire.registers import raw_of, raw_registers, record_registers, registers_of, value_of
from simulators.wire.writes import Note
from twin.addresses import ModbusAddress
from twin.errors import SiteError, WireError
from twin.words import Binding, Point

WATCHDOG = timedelta(seconds=1800)  # two leases of a command: a controller that missed both is gone
AUTO_RAW = -1  # a command register that reads -1 leaves the value to the gateway's own schedule
PHYSICAL = {"PERCENT": (0.0, 100.0)}  # what no ballast or valve can do is refused; other units have no such ends
_FUNCTION = {"coil": 15, "discrete": 2, "holding": 16, "input": 4}  # the code under which the server's own memory is set
_TABLE = {
    1: "coil",
    5: "coil",
    15: "coil",
    2: "discrete",
    3: "holding",
    6: "holding",
    16: "holding",
    22: "holding",
    23: "holding",
    4: "input",
}
_SIGNED = ("int16", "int32")

_own_hand: ContextVar[bool] = ContextVar("_own_hand", default=False)
"""True while the device itself sets its memory: the server calls the same hook for that as for a client."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A value in the device's memory and the point it shows."""

    point: Point
    address: ModbusAddress
    binding: Binding

    @property
    def last(self) -> int:
        return self.address.register + self.address.registers - 1

    @property
    def has_auto(self) -> bool:
        """Whether -1 can be told from a command: the type is signed and the point's envelope lies above it."""
        limits = self.point.limits
        return self.address.data_type in _SIGNED and limits is not None and value_of(AUTO_RAW, self.binding) < limits.low


@dataclass(frozen=True, slots=True)
class Order:
    """A command the device obeys and the site time of its last rewrite."""

    value: float
    at: datetime | None


class ModbusDevice:
    """Units behind one port. What they measure and their own schedule outlive a power cut; commands do not."""

    def __init__(self, name: str, points: Sequence[tuple[Point, ModbusAddress, Binding]], note: Note) -> None:
        self.name = name
        self._note = note
        self._cells = {p.id: Cell(p, a, b) for p, a, b in points}
        self._tables: dict[tuple[int, str], list[Cell]] = defaultdict(list)
        for cell in sorted(self._cells.values(), key=lambda c: c.address.register):
            self._tables[cell.address.unit, cell.address.table].append(cell)
        _must_not_overlap(self._tables.values())
        self._own = {p.id: p.limits.fallback for p, _, _ in points if p.writable and p.limits}
        self._shown_by = {p: f for p in self._own if (f := self._feedback(self._cells[p])) is not None}
        self._orders: dict[str, Order] = {}
        self._memory: dict[str, list[int]] = {}  # registers of what is measured, by point
        self._at: datetime | None = None
        self._server: ModbusTcpServer | None = None

    async def start(self, host: str, port: int) -> None:
        """Open the port with every command register on the own schedule."""
        assert self._server is None, f"{self.name} runs already"
        self._orders.clear()
        server = ModbusTcpServer([self._unit(u) for u in sorted({u for u, _ in self._tables})], address=(host, port))
        try:
            await server.serve_forever(background=True)
        except (RuntimeError, OSError) as error:
            raise WireError(f"connection {self.name}: no Modbus server on {host}:{port} ({error}); choose another port") from None
        self._server = server
        for point in self._own:
            await self._show_order(self._cells[point])
        for point, registers in self._memory.items():
            await self._set(self._cells[point], registers)

    async def stop(self) -> None:
        """Leave the wire, cutting every open connection; every command is lost."""
        server, self._server = self._server, None
        self._orders.clear()
        if server is not None:
            await server.shutdown()  # type: ignore[no-untyped-call]
            await asyncio.sleep(0)  # the cut connections say good-bye in the next turns of the loop
            await asyncio.sleep(0)

    async def publish(self, readings: Mapping[str, float], at: datetime) -> None:
        """Show what is measured now, and let the watchdog take back commands that nobody renewed."""
        self._at = at
        for point, value in readings.items():
            cell = self._cells.get(point)
            if cell is not None and point not in self._own and not cell.address.is_record:
                self._memory[point] = registers_of(value, cell.address, cell.binding)
                await self._set(cell, self._memory[point])
        for point, order in list(self._orders.items()):
            if order.at is None:
                self._orders[point] = Order(order.value, at)
            elif at - order.at >= WATCHDOG:
                del self._orders[point]
                await self._show_order(self._cells[point])

    async def schedule(self, values: Mapping[str, float]) -> None:
        """Let the device's own schedule follow the building's; it shows where nobody commands."""
        for point, value in values.items():
            if point in self._own and self._own[point] != value:
                self._own[point] = value
                if point not in self._orders:
                    await self._show_order(self._cells[point])

    async def held(self) -> dict[str, float]:
        """What the plant must obey at every writable point: the command, else the own schedule."""
        return {p: self._orders[p].value if p in self._orders else own for p, own in self._own.items()}

    async def look(self) -> None:
        """Nothing to look for: the server's hook notes each write as it comes."""

    async def show_record(self, point: str, record: bytes) -> None:
        """Put a signed record into its registers."""
        cell = self._cells[point]
        self._memory[point] = record_registers(record, cell.address)
        await self._set(cell, self._memory[point])

    def _feedback(self, command: Cell) -> Cell | None:
        """The input register beside a command register of the same owner: the level now."""
        a = command.address
        for cell in self._tables.get((a.unit, "input"), []):
            if cell.address.register == a.register and (cell.point.owner, cell.point.unit) == (command.point.owner, command.point.unit):
                return cell
        return None

    def _unit(self, unit: int) -> SimDevice:
        coil, discrete, holding, inputs = (self._tables.get((unit, t), []) for t in ("coil", "discrete", "holding", "input"))
        blocks = (_bits(coil), _bits(discrete), _registers(holding), _registers(inputs))
        return SimDevice(id=unit, simdata=blocks, action=partial(self._access, unit))

    async def _access(
        self, unit: int, function: int, _start: int, address: int, _count: int, _memory: list[int], values: list[int] | list[bool] | None
    ) -> ExcCodes | None:
        """The server's hook, before each read and write: check and note what a client writes, or refuse it."""
        if _own_hand.get():
            return None
        cells = self._tables.get((unit, _TABLE[function]))
        if cells is None:
            return ExcCodes.ILLEGAL_FUNCTION
        if values is None:
            return None
        touched = [c for c in cells if c.address.register < address + len(values) and c.last >= address]
        words = [int(v) for v in values]
        if any(c.point.id not in self._own for c in touched) or sum(c.address.registers for c in touched) != len(words):
            return ExcCodes.ILLEGAL_ADDRESS  # not a command, or half of one
        raws = [(c, raw_of(words[c.address.register - address :][: c.address.registers], c.address)) for c in touched]
        if not all(_possible(c, raw) for c, raw in raws):
            return ExcCodes.ILLEGAL_VALUE
        for cell, raw in raws:
            await self._obey(cell, raw)
        return None

    async def _obey(self, cell: Cell, raw: float) -> None:
        point = cell.point.id
        if cell.has_auto and raw == AUTO_RAW:
            self._orders.pop(point, None)
            self._note(point, None, None)
        else:
            self._orders[point] = Order(value_of(raw, cell.binding), self._at)
            self._note(point, self._orders[point].value, None)
        await self._show_level(cell)

    async def _show_order(self, cell: Cell) -> None:
        """Write the command register of a cell that follows the own schedule."""
        own = raw_registers(AUTO_RAW, cell.address) if cell.has_auto else registers_of(self._own[cell.point.id], cell.address, cell.binding)
        await self._set(cell, own)
        await self._show_level(cell)

    async def _show_level(self, cell: Cell) -> None:
        point = cell.point.id
        if shown := self._shown_by.get(point):
            level = self._orders[point].value if point in self._orders else self._own[point]
            self._memory[shown.point.id] = registers_of(level, shown.address, shown.binding)
            await self._set(shown, self._memory[shown.point.id])

    async def _set(self, cell: Cell, registers: list[int]) -> None:
        if self._server is None:
            return
        a = cell.address
        values: list[int] | list[bool] = [bool(r) for r in registers] if a.table in ("coil", "discrete") else registers
        token = _own_hand.set(True)
        try:
            await self._server.async_setValues(a.unit, _FUNCTION[a.table], a.register, values)
        finally:
            _own_hand.reset(token)


def _possible(cell: Cell, raw: float) -> bool:
    """Whether the device can do it: a number, and within what its unit allows."""
    if not math.isfinite(raw):
        return False
    if cell.has_auto and raw == AUTO_RAW:
        return True
    low, high = PHYSICAL.get(cell.point.unit, (-math.inf, math.inf))
    return low <= value_of(raw, cell.binding) <= high


def _must_not_overlap(tables: Iterable[Sequence[Cell]]) -> None:
    for cells in tables:
        for one, other in pairwise(cells):
            if other.address.register <= one.last:
                raise SiteError(
                    f"{one.point.id} ({one.address}) and {other.point.id} ({other.address}) overlap; give each its own registers"
                )


def _registers(cells: Sequence[Cell]) -> list[SimData]:
    """One block for each run of neighbouring registers; what lies between is a hole that answers exception 2."""
    runs: list[list[int]] = []
    for cell in cells:
        if runs and runs[-1][1] == cell.address.register:
            runs[-1][1] = cell.last + 1
        else:
            runs.append([cell.address.register, cell.last + 1])
    blocks = [SimData(address=first, count=end - first, values=0, datatype=DataType.REGISTERS) for first, end in runs]
    return blocks or [SimData(address=0)]  # the server wants one entry a table; this one is a hole


def _bits(cells: Sequence[Cell]) -> list[SimData]:
    used = [cell.address.register for cell in cells] or [0]
    return [SimData(address=min(used), values=[False] * (max(used) - min(used) + 1), datatype=DataType.BITS)]
