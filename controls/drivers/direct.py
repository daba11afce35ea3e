"""A driver without a wire, for long studies: the same contract over values in memory, which look as they would after the wire."""

import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol

from controls.drivers import Driver, Held, Sample, silent, to_raw, to_value
from twin.addresses import BacnetAddress, ModbusAddress, parse_address
from twin.clock import monotonic_s
from twin.errors import WireError
from twin.points import PointBook
from twin.words import Device, Point, Quality, Reason

INTEGERS = ("uint16", "int16", "uint32", "int32", "uint64")


class DirectDevices(Protocol):
    """The devices of a simulated site in memory. All numbers are raw, before scale and offset, as a wire would carry them."""

    def raw(self, point: str) -> float | None:
        """What the point shows now; None: nothing yet."""
        ...

    def order(self, point: str, raw: float | None, priority: int) -> None:
        """Take a command; None empties the slot. WireError when the device refuses it."""
        ...

    def holding(self, point: str, priority: int) -> tuple[float | None, float | None, int | None, bool]:
        """Present value, content of our slot, ruling priority, and whether the point has slots at all."""
        ...


class DirectDriver:
    """One connection of a simulated site, held in memory, behind the Driver contract."""

    def __init__(self, connection: str, devices: DirectDevices) -> None:
        self.connection = connection
        self._devices = devices

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def read(self, points: Sequence[Point]) -> list[Sample]:
        return [self._sample(point) for point in points]

    async def glance(self, points: Sequence[Point]) -> list[Sample]:
        return await self.read(points)

    async def probe(self, point: Point) -> bool:
        return self._devices.raw(point.id) is not None

    async def subscribe(self, points: Sequence[Point], lifetime_s: int, take: Callable[[Sample], None]) -> list[Point]:
        return []  # values in memory tell nothing by themselves

    missed = dropped = 0

    async def write(self, point: Point, value: float | None, priority: int) -> None:
        if value is None and isinstance(_address(point), ModbusAddress):
            raise WireError(f"{point.id}: Modbus has no slots to relinquish; write the prior value back")
        self._devices.order(point.id, None if value is None else carried(point, to_raw(value, point)), priority)

    async def hold(self, points: Sequence[Point], priority: int) -> list[Held]:
        held = []
        for point in points:
            present, slot, ruling, has_slots = self._devices.holding(point.id, priority)
            held.append(Held(point.id, _value(point, present), _value(point, slot), ruling, has_slots))
        return held

    async def read_record(self, point: Point) -> bytes | None:
        return None  # nobody signs in a study

    async def identify(self) -> Device:
        return Device(self.connection, "direct", 0, model="in memory")

    async def revision(self) -> int:
        return -1

    async def inventory(self, points: Sequence[Point]) -> dict[str, list[str]]:
        return {}

    def _sample(self, point: Point) -> Sample:
        value = _value(point, self._devices.raw(point.id))
        if value is None:
            return silent(point.id, monotonic_s(), "the plant has not shown it yet")
        return Sample(point.id, value, Quality.GOOD, Reason.NONE, monotonic_s())


def direct_drivers(book: PointBook, devices: DirectDevices) -> dict[str, Driver]:
    """One driver for each connection that bound points name, all over the same devices in memory."""
    return {name: DirectDriver(name, devices) for name in book.by_connection()}


def carried(point: Point, raw: float) -> float:
    """What a wire makes of a raw number: a BACnet Real or a float32 register keeps 24 bits, an integer register no fraction."""
    address = _address(point)
    kind = address.object_type if isinstance(address, BacnetAddress) else address.data_type
    if kind in INTEGERS or kind.startswith("multi-state"):
        return float(round(raw))
    if kind == "bool" or kind.startswith("binary"):
        return float(raw >= 0.5)
    return float(struct.unpack(">f", struct.pack(">f", raw))[0])


def _value(point: Point, raw: float | None) -> float | None:
    """As the drivers of the wires give it: a BACnet Real has seven digits."""
    if raw is None:
        return None
    return to_value(float(f"{raw:.7g}") if isinstance(_address(point), BacnetAddress) else raw, point)


def _address(point: Point) -> BacnetAddress | ModbusAddress:
    assert point.binding is not None
    return _parsed(point.binding.address)


@cache
def _parsed(address: str) -> BacnetAddress | ModbusAddress:
    return parse_address(address)
