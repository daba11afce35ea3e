"""One simulated BACnet/IP device: objects with true priority arrays whose relinquish-default is the building's own schedule.

rusty-bacnet has no callback for a write over the wire, so writes are found by comparing all 16 slots of every commandable object
with what they held at the last look. A rewrite of the same value, and a value overwritten before the look, cannot be seen that way.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rusty_bacnet import BacnetError, BacnetProtocolError, BACnetServer, ObjectIdentifier, ObjectType, PropertyIdentifier, PropertyValue

from simulators.wire.ports import broadcast_of
from simulators.wire.writes import Note
from twin.addresses import BacnetAddress
from twin.errors import WireError
from twin.words import Binding, Point

STOP_S = 5  # a server leaves in under a millisecond; one that does not in five seconds is stuck
STATES = 16  # of a multi-state object whose point has no limits to tell
SLOTS = 16  # of a priority array
NO_UNITS = 95
UNITS = {  # QUDT unit -> BACnet engineering units (ASHRAE 135, clause 21)
    "DEG_C": 62, "DEG_F": 64, "K": 63, "PERCENT": 98, "PERCENT_RH": 29, "PPM": 96, "LUX": 37, "NUM": 95, "UNITLESS": 95,
    "M3-PER-SEC": 85, "M3-PER-HR": 135, "L-PER-SEC": 87, "PA": 53, "KiloPA": 54, "W": 47, "KiloW": 48, "W-HR": 18, "KiloW-HR": 19,
    "J": 16, "HZ": 27, "V": 5, "A": 3, "SEC": 73, "MIN": 72, "HR": 71, "M-PER-SEC": 74,
}  # fmt: skip
_TYPES = {
    "analog-input": ObjectType.ANALOG_INPUT,
    "analog-output": ObjectType.ANALOG_OUTPUT,
    "analog-value": ObjectType.ANALOG_VALUE,
    "binary-input": ObjectType.BINARY_INPUT,
    "binary-output": ObjectType.BINARY_OUTPUT,
    "binary-value": ObjectType.BINARY_VALUE,
    "multi-state-input": ObjectType.MULTI_STATE_INPUT,
    "multi-state-output": ObjectType.MULTI_STATE_OUTPUT,
    "multi-state-value": ObjectType.MULTI_STATE_VALUE,
}
_PRESENT = PropertyIdentifier.PRESENT_VALUE
_ARRAY = PropertyIdentifier.PRIORITY_ARRAY
_DEFAULT = PropertyIdentifier.RELINQUISH_DEFAULT
_OUT_OF_SERVICE = PropertyIdentifier.OUT_OF_SERVICE
_NO_SENSOR = 1  # reliability


@dataclass(frozen=True, slots=True)
class BacnetObject:
    """An object of the device and the point it shows."""

    point: Point
    address: BacnetAddress
    binding: Binding
    id: Any

    def wire(self, value: float) -> Any:
        """The value as the object's own data type."""
        raw = (value - self.binding.offset) / self.binding.scale
        if self.address.object_type.startswith("analog"):
            return PropertyValue.real(raw)
        if self.address.object_type.startswith("binary"):
            return PropertyValue.enumerated(int(raw >= 0.5))
        return PropertyValue.unsigned(max(1, round(raw)))  # states count from 1

    def value(self, raw: float) -> float:
        """The point's value; a BACnet real is a float32, so 12.8 comes as 12.80000019 and is cut to what it can hold."""
        return float(f"{float(raw) * self.binding.scale + self.binding.offset:.7g}")


class BacnetDevice:
    """A device on its own port. What it measures and its own schedule outlive a power cut; commands do not."""

    def __init__(self, name: str, instance: int, points: Sequence[tuple[Point, BacnetAddress, Binding]], note: Note) -> None:
        self.name = name
        self._instance = instance
        self._note = note
        self._objects = {p.id: BacnetObject(p, a, b, ObjectIdentifier(_TYPES[a.object_type], a.instance)) for p, a, b in points}
        self._commandable = [o for o in self._objects.values() if o.address.commandable]
        self._own = {p.id: p.limits.fallback for p, _, _ in points if p.writable and p.limits}
        self._readings: dict[str, float] = {}
        self._slots: dict[str, Sequence[float | None]] = {}
        self._server: Any = None
        self._lock = asyncio.Lock()  # two looks at once would note a write twice, and a look must not outlive the server

    async def start(self, host: str, port: int) -> None:
        """Open the port with every object on its own schedule and no slot filled."""
        assert self._server is None, f"{self.name} runs already"
        server = self._made(host, port)  # a server that failed to start has lost its objects: each start builds a new one
        for thing in self._objects.values():
            _add(server, thing)
        try:
            await server.start()
        except (BacnetError, RuntimeError, OSError) as error:
            raise WireError(f"connection {self.name}: no BACnet device on {host}:{port} ({error}); choose another port") from None
        self._server = server
        self._slots = {o.point.id: (None,) * SLOTS for o in self._commandable}
        await self._show({**self._readings, **self._own})

    def _made(self, host: str, port: int) -> Any:
        # Without share_port_by_address it would listen on every interface of the machine and share a used port in silence.
        return BACnetServer(
            self._instance, self.name, interface=host, port=port, broadcast_address=broadcast_of(host), share_port_by_address=True
        )

    async def stop(self) -> None:
        """Leave the wire after a last look; every command is lost."""
        async with self._lock:
            if self._server is None:
                return
            try:
                await self._compare()
            finally:
                server, self._server = self._server, None
                await asyncio.wait_for(server.stop(), STOP_S)

    async def publish(self, readings: Mapping[str, float], at: datetime) -> None:
        """Show what the sensors measure now; `at` does not matter to a BACnet object."""
        mine = {p: v for p, v in readings.items() if p in self._objects and p not in self._own}
        self._readings.update(mine)
        await self._show(mine)

    async def schedule(self, values: Mapping[str, float]) -> None:
        """Let the relinquish-defaults follow the building's own schedule, also where a client has written over one."""
        mine = {p: v for p, v in values.items() if p in self._own}
        self._own.update(mine)
        await self._show(mine)

    async def held(self) -> dict[str, float]:
        """What the plant must obey at every writable point: the present value, or the own schedule while the device is off."""
        async with self._lock:
            if self._server is None:
                return dict(self._own)
            await self._compare()
            raw = await asyncio.gather(*[self._server.read_property(self._objects[p].id, _PRESENT) for p in self._own])
        return {p: self._objects[p].value(v.value) for p, v in zip(self._own, raw, strict=True)}

    async def look(self) -> None:
        """Note each slot that holds something else than at the last look."""
        async with self._lock:
            if self._server is not None:
                await self._compare()

    async def put_out_of_service(self, point: str, out: bool) -> None:
        """As a technician does at the device: the value no longer follows the sensor or the output."""
        await self._set(point, _OUT_OF_SERVICE, PropertyValue.boolean(out))

    async def break_down(self, point: str, broken: bool) -> None:
        """A fault with its reliability. The standard lets that be written while the object is out of service, so it is both."""
        await self.put_out_of_service(point, broken)
        if broken:
            await self._set(point, PropertyIdentifier.RELIABILITY, PropertyValue.enumerated(_NO_SENSOR))

    async def rename(self, point: str, name: str) -> None:
        """Another program calls the object otherwise."""
        await self._set(point, PropertyIdentifier.OBJECT_NAME, PropertyValue.character_string(name))

    async def hold_slot(self, point: str, value: float | None, priority: int) -> None:
        """Somebody at the device commands at this priority (1 life safety, 6 minimum times, 8 operator); None lets go."""
        raw = PropertyValue.null() if value is None else self._objects[point].wire(value)
        await self._set(point, _PRESENT, raw, priority)

    async def _set(self, point: str, what: Any, value: Any, priority: int | None = None) -> None:
        thing = self._objects[point]
        async with self._lock:
            if self._server is None:
                raise WireError(f"{self.name} is off: nothing can be set at it; revive it first")
            try:
                await self._server.write_property_local(thing.id, what, value, priority, source_object=None)
            except BacnetProtocolError as error:
                raise WireError(f"{point}: {thing.address} does not take that ({error}); choose a point that does") from None

    async def _compare(self) -> None:
        arrays = await asyncio.gather(*[self._server.read_property(o.id, _ARRAY) for o in self._commandable])
        for thing, array in zip(self._commandable, arrays, strict=True):
            before, now = self._slots[thing.point.id], tuple(array.value)
            assert len(now) == SLOTS, f"{thing.address}: a priority array has {SLOTS} slots, got {len(now)}"
            self._slots[thing.point.id] = now
            for slot, (old, new) in enumerate(zip(before, now, strict=True), start=1):
                if old != new:
                    self._note(thing.point.id, None if new is None else thing.value(new), slot)

    async def _show(self, values: Mapping[str, float]) -> None:
        async with self._lock:
            if self._server is not None:
                await asyncio.gather(*[self._write(self._server, self._objects[p], v) for p, v in values.items()])

    async def _write(self, server: Any, thing: BacnetObject, value: float) -> None:
        """An input takes its value from the device itself; anything commandable shows its relinquish-default while nobody commands it."""
        try:
            if thing.address.commandable:
                await server.write_property_local(thing.id, _DEFAULT, thing.wire(value), source_object=None)
            else:
                await server.set_present_value_local(thing.id, thing.wire(value))
        except BacnetProtocolError as error:
            # A client that took an input out of service owns its value until it puts it back: that is no failure of the device.
            if not (await server.read_property(thing.id, _OUT_OF_SERVICE)).value:
                raise WireError(
                    f"{thing.point.id}: {thing.address} cannot show {value:g} ({error}); mend the plant or the object type"
                ) from None


def _add(server: Any, thing: BacnetObject) -> None:
    kind, number, name = thing.address.object_type, thing.address.instance, thing.point.id
    add = getattr(server, "add_" + kind.replace("multi-state", "multistate").replace("-", "_"))
    if kind.startswith("analog"):
        add(number, name, UNITS.get(thing.point.unit, NO_UNITS))
    elif kind.startswith("multi-state"):
        add(number, name, max(1, int(thing.point.limits.high)) if thing.point.limits else STATES)
    else:
        add(number, name)
