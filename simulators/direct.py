"""The field devices of a simulated site in memory: the same slots, own schedules and watchdogs as on the wire, for long studies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from simulators.wire.modbus_device import AUTO_RAW, PHYSICAL, WATCHDOG, Cell
from simulators.wire.registers import raw_of, raw_registers, registers_of, value_of
from simulators.wire.writes import WriteSeen
from twin.addresses import BacnetAddress, ModbusAddress, parse_address
from twin.clock import wall_now
from twin.errors import WireError
from twin.points import PointBook
from twin.site import Connection
from twin.words import Binding, Point


@dataclass
class _Object:
    """A BACnet object: present value by priority array, else its own schedule (or what it measures)."""

    point: Point
    address: BacnetAddress
    binding: Binding
    shown: float | None = None  # raw: what it measures, or its relinquish-default
    slots: dict[int, float] = field(default_factory=dict)

    def raw_of(self, value: float) -> float:
        raw = (value - self.binding.offset) / self.binding.scale
        if self.address.object_type.startswith("binary"):
            return float(raw >= 0.5)
        if self.address.object_type.startswith("multi-state"):
            return float(max(1, round(raw)))
        return raw_of(raw_registers(raw, _REAL), _REAL)

    @property
    def present(self) -> float | None:
        return self.slots[min(self.slots)] if self.slots else self.shown

    def value(self, raw: float) -> float:
        """The point's value; a BACnet real is a float32 and cut to the seven digits it can hold."""
        return float(f"{raw * self.binding.scale + self.binding.offset:.7g}")


@dataclass
class _Register:
    """A Modbus value: what it measures, or an order that a watchdog takes back, else the gateway's own schedule."""

    cell: Cell
    shown: float | None = None  # raw
    order: float | None = None  # raw
    order_at: datetime | None = None
    own: float = 0.0  # value

    @property
    def present(self) -> float | None:
        if not self.cell.point.writable:
            return self.shown
        if self.order is not None:
            return self.order
        return float(AUTO_RAW) if self.cell.has_auto else raw_of(registers_of(self.own, self.cell.address, self.cell.binding), self._at)

    @property
    def _at(self) -> ModbusAddress:
        return self.cell.address


_REAL = ModbusAddress("real", 1, "holding", 0, "float32")  # a BACnet Real is the same four bytes


class DirectDevices:
    """All devices of a site. The same calls as `simulators.wire.devices.FieldDevices`, without sockets; `log` holds every write."""

    def __init__(self, book: PointBook, connections: Mapping[str, Connection]) -> None:
        self.log: list[WriteSeen] = []
        self._connections = dict(connections)
        self._at: datetime | None = None
        self._objects: dict[str, _Object] = {}
        self._registers: dict[str, _Register] = {}
        self._connection: dict[str, str] = {}
        for point in book.bound:
            assert point.binding is not None
            address = parse_address(point.binding.address)
            self._connection[point.id] = address.connection
            own = point.limits.fallback if point.writable and point.limits else None
            if isinstance(address, BacnetAddress):
                thing = self._objects[point.id] = _Object(point, address, point.binding)
                thing.shown = None if own is None else thing.raw_of(own)
            elif not address.is_record:
                self._registers[point.id] = _Register(Cell(point, address, point.binding), own=own or 0.0)

    async def start(self) -> dict[str, Connection]:
        """Nothing to open."""
        return self._connections

    async def stop(self) -> None:
        """Nothing to close."""

    async def publish(self, readings: Mapping[str, float], at: datetime) -> None:
        """Show what is measured now, and let watchdogs take back commands that nobody renewed."""
        self._at = at
        for point, value in readings.items():
            if point in self._objects:
                thing = self._objects[point]
                thing.shown = thing.raw_of(value)
            elif point in self._registers:
                cell = self._registers[point].cell
                self._registers[point].shown = raw_of(registers_of(value, cell.address, cell.binding), cell.address)
        for register in self._registers.values():
            if register.order is None:
                continue
            if register.order_at is None:
                register.order_at = at
            elif at - register.order_at >= WATCHDOG:
                register.order = register.order_at = None

    async def schedule(self, values: Mapping[str, float]) -> None:
        """Let relinquish-defaults and gateways follow the building's own schedule."""
        for point, value in values.items():
            if point in self._objects:
                thing = self._objects[point]
                thing.shown = thing.raw_of(value)
            elif point in self._registers:
                self._registers[point].own = value

    async def held(self) -> dict[str, float]:
        """What the plant must obey at every writable point: the ruling command, else the own schedule."""
        held = {p: o.value(o.present) for p, o in self._objects.items() if o.point.writable and o.present is not None}
        for point, register in self._registers.items():
            if register.cell.point.writable:
                order = register.order
                held[point] = register.own if order is None else value_of(order, register.cell.binding)
        return held

    async def kill(self, connection: str) -> None:
        """There is no wire to vanish from."""
        raise WireError(f"{connection}: a site in memory has no device that can be lost; run it over the wire")

    async def revive(self, connection: str) -> None:
        """There is no wire to come back to."""
        raise WireError(f"{connection}: a site in memory has no device that can come back; run it over the wire")

    # What the controller's driver asks

    def raw(self, point: str) -> float | None:
        """What the point shows now."""
        return self._objects[point].present if point in self._objects else self._registers[point].present

    def order(self, point: str, raw: float | None, priority: int) -> None:
        """Take a command of the controller."""
        if point in self._objects:
            thing = self._objects[point]
            if raw is None:
                thing.slots.pop(priority, None)
            else:
                thing.slots[priority] = raw
            self._note(point, None if raw is None else thing.value(raw), priority)
            return
        register, cell = self._registers[point], self._registers[point].cell
        assert raw is not None
        if cell.has_auto and raw == AUTO_RAW:
            register.order = register.order_at = None
            self._note(point, None, None)
            return
        value = value_of(raw, cell.binding)
        low, high = PHYSICAL.get(cell.point.unit, (value, value))
        if not low <= value <= high:
            raise WireError(f"{point}: {value:g} refused: illegal data value")
        register.order, register.order_at = raw, self._at
        self._note(point, value, None)

    def holding(self, point: str, priority: int) -> tuple[float | None, float | None, int | None, bool]:
        """Present value, our slot, ruling priority, and whether there are slots."""
        if point not in self._objects:
            return self._registers[point].present, None, None, False
        thing = self._objects[point]
        if not thing.address.commandable:
            return thing.present, None, None, False
        return thing.present, thing.slots.get(priority), min(thing.slots, default=None), True

    def _note(self, point: str, value: float | None, priority: int | None) -> None:
        self.log.append(WriteSeen(self._connection[point], point, value, priority, self._at, wall_now()))
