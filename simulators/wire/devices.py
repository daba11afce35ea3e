"""The field devices of a simulated site on real sockets: one BACnet device or Modbus server for each connection of the site."""

import asyncio
import ipaddress
import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime

from simulators.wire.bacnet_device import BacnetDevice
from simulators.wire.faults import Faults, Honest
from simulators.wire.interposer import Interposer, TcpInterposer, UdpInterposer
from simulators.wire.lies import lie_named
from simulators.wire.modbus_device import ModbusDevice
from simulators.wire.ports import LOOPBACK, free_tcp_port, free_udp_port, require_free_tcp, require_free_udp
from simulators.wire.secure_device import HubSide, SecureDevice
from simulators.wire.writes import Note, WriteSeen
from twin.addresses import Address, BacnetAddress, ModbusAddress, parse_address
from twin.clock import wall_now
from twin.errors import SiteError, WireError
from twin.points import PointBook
from twin.site import Connection
from twin.words import Binding, Point

RecordMaker = Callable[[datetime, float], bytes | None]
"""A secure meter's own signer: (site time, energy in Wh) -> a new signed record, or None when there is nothing new."""

FieldDevice = BacnetDevice | ModbusDevice
Bound = tuple[Point, Address, Binding]


class FieldDevices:
    """All devices of a site. `log` holds every write they saw, by whomever, in the order in which it was seen.

    A connection with a vmac joins the `hub` in place of a port of its own. Connections named in `disturbed` get an interposer each:
    `disturb` makes their wire as bad as wanted, in mid-run too.
    """

    def __init__(
        self,
        book: PointBook,
        connections: Mapping[str, Connection],
        *,
        records: Mapping[str, RecordMaker] | None = None,
        disturbed: Collection[str] = (),
        hub: HubSide | None = None,
    ) -> None:
        self.log: list[WriteSeen] = []
        self.between: dict[str, Interposer] = {}
        self._disturbed = frozenset(disturbed)
        self._hub = hub
        self._behind: dict[str, int] = {}  # the ports of devices that stand behind an interposer
        self._connections = dict(connections)
        self._records = dict(records or {})
        self._at: datetime | None = None
        self._running: dict[str, Connection] = {}
        bound = _by_connection(book, connections)
        self._energy_of = {record: _energy_beside(record, book) for record in self._records}
        self._devices: dict[str, FieldDevice] = {
            name: self._device(name, connection, bound.get(name, [])) for name, connection in connections.items()
        }
        self._connection_of = {point.id: name for name, points in bound.items() for point, _, _ in points}

    async def start(self) -> dict[str, Connection]:
        """Open every device; the connections with the ports they got. WireError, with nothing left open, if one port is not free."""
        ports = _ports(self._connections)
        try:
            for name, device in self._devices.items():
                host, port = self._place(name, ports[name])
                await device.start(host, await self._put_between(name, host, port))
                self._running[name] = replace(self._connections[name], port=ports[name])
        except BaseException:
            await self.stop()
            raise
        self._connections = dict(self._running)
        return dict(self._running)

    async def stop(self) -> None:
        """Close every device; nothing stays open, whatever one of them says."""
        self._running.clear()
        ends = [*(i.stop() for i in self.between.values()), *(d.stop() for d in self._devices.values())]
        failures = await asyncio.gather(*ends, return_exceptions=True)
        self.between.clear()
        for failure in failures:
            if isinstance(failure, BaseException):
                raise failure

    async def publish(self, readings: Mapping[str, float], at: datetime) -> None:
        """Set sensors and meter registers to the plant's readings of the step that ended at `at`; points without a device are skipped."""
        _must_be_finite(readings)
        self._at = at
        await self._everywhere(lambda device: device.publish(readings, at))
        for record, make in self._records.items():
            await self._show_record(record, make, readings, at)

    async def schedule(self, values: Mapping[str, float]) -> None:
        """Take the building's own schedule: what each writable point holds while nobody commands it."""
        _must_be_finite(values)
        await self._everywhere(lambda device: device.schedule(values))

    async def held(self) -> dict[str, float]:
        """What the plant must obey now at every writable point: the ruling command, else the own schedule."""
        found: dict[str, float] = {}
        for part in await asyncio.gather(*[d.held() for d in self._devices.values()]):
            found.update(part)
        return found

    async def look(self) -> None:
        """Bring `log` up to date without asking what is held; writes between two looks to one slot show as the last of them."""
        await self._everywhere(lambda device: device.look())

    async def kill(self, connection: str) -> None:
        """Take a device off the wire in mid-run: its sockets close and its commands are lost."""
        device = self._named(connection)
        self._running.pop(connection, None)
        await device.stop()

    async def revive(self, connection: str) -> None:
        """Bring a killed device back on its port, on its own schedule; WireError if somebody took the port."""
        device = self._named(connection)
        if connection in self._running:
            return
        known = self._connections[connection]
        host, port = self._place(connection, self._behind.get(connection, known.port))
        if not known.vmac:
            _require_free(connection, replace(known, port=port))
        await device.start(host, port)
        self._running[connection] = known

    async def put_out_of_service(self, point: str, out: bool = True) -> None:
        """A technician takes the BACnet object out of service, or puts it back."""
        await self._bacnet_of(point).put_out_of_service(point, out)

    async def break_down(self, point: str, broken: bool = True) -> None:
        """The BACnet object tells a fault with its reliability, or is mended."""
        await self._bacnet_of(point).break_down(point, broken)

    async def rename(self, point: str, name: str) -> None:
        """Another program in the device calls the BACnet object otherwise; `disturb(..., lie="reprogrammed")` counts its revision up."""
        await self._bacnet_of(point).rename(point, name)

    async def hold_slot(self, point: str, value: float | None, priority: int) -> None:
        """Somebody else holds a priority slot of the BACnet object: 1 life safety, 6 minimum times, 8 an operator; None lets go."""
        await self._bacnet_of(point).hold_slot(point, value, priority)

    def disturb(self, connection: str, faults: Faults | None = None, lie: Honest | str | None = None) -> Interposer:
        """Make this wire bad, its device a liar (by name or by value), or without arguments both good again."""
        if connection not in self.between:
            raise WireError(f"no interposer before {connection!r}; name it in `disturbed`, which has {', '.join(self.between) or 'nobody'}")
        known = lie_named(self._connections[connection].protocol, lie) if isinstance(lie, str) else lie
        self.between[connection].disturb(faults or Faults(), known)
        return self.between[connection]

    async def _put_between(self, name: str, host: str, port: int) -> int:
        """The device's own port: the connection's, or another one when an interposer takes the connection's."""
        if name not in self._disturbed:
            return port
        kind, free = (UdpInterposer, free_udp_port) if self._connections[name].protocol == "bacnet" else (TcpInterposer, free_tcp_port)
        self._behind[name] = free(host)
        self.between[name] = kind((host, self._behind[name]))
        await self.between[name].start(host, port)
        return self._behind[name]

    def _device(self, name: str, connection: Connection, points: list[Bound]) -> FieldDevice:
        def note(point: str, value: float | None, priority: int | None) -> None:
            self.log.append(WriteSeen(name, point, value, priority, self._at, wall_now()))

        if connection.protocol == "bacnet":
            things = [(p, a, b) for p, a, b in points if isinstance(a, BacnetAddress)]
            if connection.vmac:
                return self._secure(name, connection, things, note)
            return BacnetDevice(name, connection.device, things, note)
        return ModbusDevice(name, [(p, a, b) for p, a, b in points if isinstance(a, ModbusAddress)], note)

    def _secure(self, name: str, connection: Connection, things: list[tuple[Point, BacnetAddress, Binding]], note: Note) -> FieldDevice:
        if self._hub is None or not self._hub.url:
            raise SiteError(f"connection {name} has a vmac, so [secure_connect] of site.toml must name the hub it joins")
        device = SecureDevice(name, connection.device, things, note, hub=self._hub)
        if device.vmac != connection.vmac:
            raise SiteError(
                f"connection {name}: a simulated device called {name} has the vmac {device.vmac}, got {connection.vmac}; write that"
            )
        return device

    def _place(self, name: str, port: int) -> tuple[str, int]:
        """Where a device listens, or where it dials."""
        connection = self._connections[name]
        return self._hub.place if connection.vmac and self._hub is not None else (connection.host, port)

    def _bacnet_of(self, point: str) -> BacnetDevice:
        device = self._devices.get(self._connection_of.get(point, ""))
        if not isinstance(device, BacnetDevice):
            raise WireError(f"{point} is no object of a BACnet device here; name one of points.csv with a bacnet address")
        return device

    def _named(self, connection: str) -> FieldDevice:
        if connection not in self._devices:
            raise WireError(f"no connection named {connection!r}; this site has {', '.join(self._devices)}")
        return self._devices[connection]

    async def _everywhere(self, deed: Callable[[FieldDevice], Awaitable[None]]) -> None:
        await asyncio.gather(*[deed(device) for device in self._devices.values()])

    async def _show_record(self, record: str, make: RecordMaker, readings: Mapping[str, float], at: datetime) -> None:
        connection, energy = self._connection_of[record], readings.get(self._energy_of[record])
        device = self._devices[connection]
        if energy is None or connection not in self._running or not isinstance(device, ModbusDevice):
            return  # a meter without power signs nothing
        signed = make(at, energy)
        if signed is not None:
            await device.show_record(record, signed)


def _must_be_finite(values: Mapping[str, float]) -> None:
    """A plant that computes NaN has a mistake; a dead sensor is a fault of the device, not of the plant."""
    for point, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"{point}: a value to show must be a finite number, got {value}")


def _by_connection(book: PointBook, connections: Mapping[str, Connection]) -> dict[str, list[Bound]]:
    """The bound points of each connection; SiteError where address and connection do not fit, or two points want one place."""
    groups: dict[str, list[Bound]] = {}
    seen: dict[str, str] = {}
    for point in book.bound:
        assert point.binding is not None
        address = parse_address(point.binding.address)
        connection = connections.get(address.connection)
        protocol = "bacnet" if isinstance(address, BacnetAddress) else "modbus"
        if connection is None:
            raise SiteError(f"{point.id}: connection {address.connection!r} is not in site.toml; add [connections.{address.connection}]")
        if connection.protocol != protocol:
            raise SiteError(
                f"{point.id}: {address} is {protocol}, but connection {address.connection!r} is {connection.protocol}; mend one"
            )
        if str(address) in seen:
            raise SiteError(f"{point.id} and {seen[str(address)]} both have the address {address}; give each its own")
        seen[str(address)] = point.id
        groups.setdefault(address.connection, []).append((point, address, point.binding))
    _must_differ(connections)
    return groups


def _must_differ(connections: Mapping[str, Connection]) -> None:
    """Two BACnet devices with one instance answer each other's questions."""
    seen: dict[int, str] = {}
    for name, connection in connections.items():
        if connection.protocol == "bacnet":
            if connection.device in seen:
                raise SiteError(
                    f"connections {seen[connection.device]} and {name} both have device = {connection.device}; give each its own"
                )
            seen[connection.device] = name


def _energy_beside(record: str, book: PointBook) -> str:
    """The energy register of the meter that signs the record: same unit, same owner, in Wh."""
    point = book.get(record)
    address = parse_address(point.binding.address) if point and point.binding else None
    if point is None or not isinstance(address, ModbusAddress) or not address.is_record:
        raise SiteError(f"{record}: expected a point with a record address (modbus:CONNECTION/UNIT/holding/REGISTER:recordN)")
    for other in book.bound:
        there = parse_address(other.binding.address) if other.binding else None
        same_meter = isinstance(there, ModbusAddress) and (there.connection, there.unit) == (address.connection, address.unit)
        if same_meter and isinstance(there, ModbusAddress) and not there.is_record and (other.owner, other.unit) == (point.owner, "W-HR"):
            return other.id
    raise SiteError(f"{record}: no energy register (W-HR) of {point.owner} in unit {address.unit} of {address.connection}; add one")


def _ports(connections: Mapping[str, Connection]) -> dict[str, int]:
    """A port for each connection: all fixed ones are tried before the first device is started."""
    taken: dict[tuple[str, str, int], str] = {}
    on_wire = {name: connection for name, connection in connections.items() if not connection.vmac}
    for name, connection in on_wire.items():
        if connection.protocol == "bacnet" and not _is_ipv4(connection.host):
            raise WireError(f"connection {name}: a BACnet host must be an IPv4 address, got {connection.host!r}; use {LOOPBACK}")
        if connection.port:
            key = (connection.protocol, connection.host, connection.port)
            if key in taken:
                raise WireError(
                    f"connections {taken[key]} and {name} both ask for port {connection.port} on {connection.host}; give each its own, or 0"
                )
            taken[key] = name
            _require_free(name, connection)
    chosen = {name: connection.port or _choose(name, connection, taken) for name, connection in on_wire.items()}
    return dict.fromkeys(connections, 0) | chosen


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _choose(name: str, connection: Connection, taken: dict[tuple[str, str, int], str]) -> int:
    besides = [port for protocol, _, port in taken if protocol == connection.protocol]
    port = (free_udp_port if connection.protocol == "bacnet" else free_tcp_port)(connection.host, besides)
    taken[connection.protocol, connection.host, port] = name
    return port


def _require_free(name: str, connection: Connection) -> None:
    require = require_free_udp if connection.protocol == "bacnet" else require_free_tcp
    require(connection.host, connection.port, f"connection {name}")
