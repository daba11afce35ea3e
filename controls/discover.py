"""What there is on a site's buses: every device and object as one scan, and what is odd about them. It reads and never writes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controls.drivers.connect import make_drivers
from controls.drivers.discovery import Found, Scanner
from twin.addresses import parse_address
from twin.errors import WireError
from twin.points import PointBook
from twin.scans import Scan, ScannedDevice, ScannedObject
from twin.site import Connection

LOOPBACK = "127.0.0.1"
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Where:
    """Where to look besides the connections of site.toml: by broadcast here or through another subnet's BBMD, and at single addresses."""

    network: str = ""  # for example 10.0.0.5/24
    addresses: tuple[tuple[str, int], ...] = ()
    bbmd: str = ""  # host:port


async def discover(
    connections: Mapping[str, Connection], book: PointBook, where: Where, at: datetime, earlier: Scan | None, tell: Tell
) -> Scan:
    """Ask every BACnet device of site.toml and of the network, and every listed Modbus register. A silent one becomes a problem."""
    devices, problems = await _bacnet(connections, where, tell)
    meters, more = await _modbus(connections, book, tell)
    found = [*devices, *meters]
    return Scan(at.isoformat(timespec="seconds"), tuple(found), (*problems, *more, *_changed(found, earlier)))


async def _bacnet(connections: Mapping[str, Connection], where: Where, tell: Tell) -> tuple[list[ScannedDevice], list[str]]:
    known = {name: c for name, c in connections.items() if c.protocol == "bacnet"}
    places: dict[tuple[str, int], list[str]] = {place: [] for place in where.addresses}
    for name, settings in known.items():
        places.setdefault((settings.host, settings.port), []).append(name)
    if not places and not (where.network or where.bbmd):
        return [], []
    scanner = Scanner(next(iter(places), (LOOPBACK, 0))[0], where.network, where.bbmd)
    try:
        await scanner.join()
        answers, problems = await _answers(scanner, places, known, where, tell)
        devices = []
        for (instance, host, port), name in answers.items():
            try:
                devices.append(await scanner.describe(Found(instance, host, port), name or f"device_{instance}", bool(name), tell))
            except WireError as error:
                problems.append(str(error))
        return devices, problems
    finally:
        scanner.close()


async def _answers(
    scanner: Scanner, places: Mapping[tuple[str, int], Sequence[str]], known: Mapping[str, Connection], where: Where, tell: Tell
) -> tuple[dict[tuple[int, str, int], str], list[str]]:
    """(instance, host, port) -> connection name (empty: not in site.toml), and what is odd."""
    problems: list[str] = []
    heard = await scanner.everybody(tell) if where.network or where.bbmd else []
    for (host, port), names in places.items():
        found = await scanner.at(host, port)
        if found is None:
            asked = names or ["--address"]
            problems += [f"{name}: no BACnet device answers at {host}:{port}; check cable, power and address" for name in asked]
        else:
            heard.append(found)
    by_instance = {c.device: name for name, c in known.items() if c.device}
    answers: dict[tuple[int, str, int], str] = {}
    for device in dict.fromkeys(heard):
        here = places.get((device.host, device.port), [])
        said = by_instance.get(device.instance, "")
        name = said if said in here or not here else here[0]
        problems += _not_as_said(name, device, known[name]) if name else []
        answers[device.instance, device.host, device.port] = name
    return answers, [*problems, *_doubles(answers)]


def _not_as_said(name: str, device: Found, settings: Connection) -> list[str]:
    """Where a device is not what or where site.toml says."""
    where, said = f"{device.host}:{device.port}", f"{settings.host}:{settings.port}"
    if settings.device and settings.device != device.instance:
        return [f"{name}: expected device {settings.device} at {where}, device {device.instance} answers; correct site.toml"]
    if said != where:
        return [f"{name}: device {device.instance} answers at {where}, site.toml says {said}; correct it if the device was moved"]
    return []


def _doubles(answers: Mapping[tuple[int, str, int], str]) -> list[str]:
    """One instance at several addresses: no command can be sure to reach the right one."""
    at: dict[int, list[str]] = {}
    for instance, host, port in answers:
        at.setdefault(instance, []).append(f"{host}:{port}")
    return [
        f"device {instance} answers from {len(places)} addresses ({', '.join(sorted(places))}); give each device its own instance"
        for instance, places in sorted(at.items())
        if len(places) > 1
    ]


async def _modbus(connections: Mapping[str, Connection], book: PointBook, tell: Tell) -> tuple[list[ScannedDevice], list[str]]:
    """Modbus cannot be asked what it has: the listed registers are tried, and each says whether it answers."""
    drivers = {name: driver for name, driver in make_drivers(book, connections).items() if connections[name].protocol == "modbus"}
    devices: list[ScannedDevice] = []
    problems: list[str] = []
    points = book.by_connection()
    for name, driver in drivers.items():
        settings = connections[name]
        values = [p for p in points[name] if p.binding and ":record" not in p.binding.address]
        try:
            await driver.open()
            samples = {s.point: s for s in await driver.read(values)}
        except WireError as error:
            problems.append(f"{name}: {error}")
            continue
        finally:
            await driver.close()
        objects = [
            ScannedObject(str(parse_address(p.binding.address)), p.id, p.label, answered=samples[p.id].value is not None)
            for p in values
            if p.binding
        ]
        silent = sum(not thing.answered for thing in objects)
        tell(f"{name}: Modbus at {settings.host}:{settings.port}, {len(objects) - silent} of {len(objects)} listed registers answer")
        if silent:
            problems.append(f"{name}: {silent} of {len(objects)} listed registers give no value; compare points.csv with the maker's list")
        devices.append(ScannedDevice("modbus", f"{settings.host}:{settings.port}", 0, name, True, objects=tuple(objects)))
    return devices, problems


def _changed(found: Sequence[ScannedDevice], earlier: Scan | None) -> list[str]:
    """What differs from the scan before: moved, reprogrammed and lost devices."""
    if earlier is None:
        return []
    now = {d.id: d for d in found if d.protocol == "bacnet"}
    told = []
    for before in (d for d in earlier.devices if d.protocol == "bacnet"):
        after = now.get(before.id)
        if after is None:
            told.append(
                f"device {before.id} ({before.name or before.connection}) was there in the scan of {earlier.at} and does not answer now"
            )
        elif after.address != before.address:
            told.append(
                f"device {before.id} was at {before.address} and is now at {after.address}; accept that only if it was moved on purpose"
            )
        elif after.database_revision != before.database_revision:
            told.append(f"device {before.id} was reprogrammed since the scan of {earlier.at}; import again and look at its bindings")
    return told
