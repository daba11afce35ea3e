"""Asking what there is on BACnet/IP, by bacpypes3: who answers, what a device says of itself and its objects. It never writes."""

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bacpypes3.apdu import ErrorRejectAbortNack
from bacpypes3.app import Application
from bacpypes3.basetypes import ErrorType, HostNPort, IPMode, PropertyIdentifier, PropertyReference
from bacpypes3.errors import AbortException, ExecutionError, RejectException
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.pdu import Address
from bacpypes3.primitivedata import ObjectIdentifier
from bacpypes3.vendor import get_vendor_info

from twin.addresses import COMMANDABLE_TYPES, OBJECT_TYPES
from twin.clock import monotonic_s
from twin.errors import WireError
from twin.scans import ScannedDevice, ScannedObject

WHO_IS_S = 1.0  # a device on this network answers within milliseconds, one behind a router within a second
RANGES = ((0, 999), (1_000, 9_999), (10_000, 99_999), (100_000, 999_999), (1_000_000, 4_194_302))
"""Who-Is by parts, one after the other: a thousand devices that all answer one question drown each other's answers."""
APDU_TIMEOUT_MS, APDU_RETRIES, DEADLINE_S = 1000, 2, 4.0  # nobody waits for a scan: be patient with weak devices
JOIN_S, LIFETIME_S = 3.0, 60  # how long a BBMD may take to register us, and how long it keeps us; the library renews
CHUNK = 8  # objects a request: four properties of each, with names of 60 letters, fit 1024 bytes
ANY_DEVICE = 4_194_303  # BACnet wildcard: whoever listens there
BACNET_PORT = 47808
LOCAL_INSTANCE, LOCAL_VENDOR = 4_194_301, 999

_IDENTITY = ("object-name", "vendor-name", "model-name", "firmware-revision", "database-revision")
_ASKED = (("object-name", None), ("description", None), ("units", None), ("priority-array", 16))
_GARBLED = (RejectException, AbortException, ExecutionError, ValueError, TypeError, AttributeError, LookupError, struct.error)
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """A device that answered: its instance and where."""

    instance: int
    host: str
    port: int


class Scanner:
    """One local application for a scan.

    `network` is our own address with its mask (10.0.0.5/24) where broadcasts are wanted; `bbmd` (host:port) a broadcast
    management device of another subnet, which we join as a foreign device and which broadcasts there for us.
    """

    def __init__(self, towards: str, network: str = "", bbmd: str = "") -> None:
        self._broadcasts, self._bbmd = bool(network or bbmd), bbmd
        here = bbmd.partition(":")[0] or towards
        own, port = (_checked(network), BACNET_PORT) if network else (f"{_own_address(here)}/32", 0)
        self._app = _application(own, port or _free_port(own), bbmd)

    async def join(self) -> None:
        """Be registered with the BBMD before anything is broadcast; WireError when it does not take us."""
        if not self._bbmd:
            return
        link = next(iter(self._app.link_layers.values()))
        deadline = monotonic_s() + JOIN_S
        while link.bbmdRegistrationStatus != 0:
            if monotonic_s() > deadline or link.bbmdRegistrationStatus > 0:
                raise WireError(
                    f"{self._bbmd}: the BBMD does not register us as a foreign device; "
                    "correct its address, or let it accept foreign devices"
                )
            await asyncio.sleep(0.05)

    def close(self) -> None:
        self._app.close()

    async def everybody(self, tell: Tell) -> list[Found]:
        """Whoever answers a broadcast Who-Is, asked range by range."""
        assert self._broadcasts, "a broadcast needs our own address with its mask, or a BBMD"
        found: list[Found] = []
        for low, high in RANGES:
            answers = await self._answered(self._app.who_is(low, high, timeout=WHO_IS_S)) or []
            found += [f for answer in answers if (f := _found(answer)) is not None]
            tell(f"Who-Is {low} to {high}: {len(answers)} answer{'' if len(answers) == 1 else 's'}")
        return found

    async def at(self, host: str, port: int) -> Found | None:
        """Who listens at one address; None when nobody answers."""
        identifier = await self._answered(
            self._app.read_property(Address(f"{host}:{port}"), ObjectIdentifier(("device", ANY_DEVICE)), "object-identifier")
        )
        if identifier is None:
            answers = await self._answered(self._app.who_is(address=Address(f"{host}:{port}"), timeout=WHO_IS_S)) or []
            return next((f for answer in answers if (f := _found(answer)) is not None), None)
        digits = str(identifier).rpartition(",")[2]
        return Found(int(digits), host, port) if digits.isdigit() else None

    async def describe(self, found: Found, connection: str, known: bool, tell: Tell) -> ScannedDevice:
        """What a device says of itself and of every object that can be a point; WireError when it falls silent half-way."""
        address, device = Address(f"{found.host}:{found.port}"), ObjectIdentifier(("device", found.instance))
        name, vendor, model, firmware, revision = [await self._text(address, device, name) for name in _IDENTITY]
        identifiers = [i for i in await self._object_list(address, device) if str(i).rpartition(",")[0] in OBJECT_TYPES]
        objects: list[ScannedObject] = []
        for start in range(0, len(identifiers), CHUNK):
            objects += await self._objects(address, identifiers[start : start + CHUNK], connection)
            if start and start % (CHUNK * 25) == 0:
                tell(f"{connection}: {start} of {len(identifiers)} objects")
        tell(f"{connection}: device {found.instance} at {found.host}:{found.port}, {len(objects)} objects")
        number = int(revision) if revision.isdigit() else 0
        where = f"{found.host}:{found.port}"
        return ScannedDevice("bacnet", where, found.instance, connection, known, name, vendor, model, firmware, number, tuple(objects))

    async def _object_list(self, address: Any, device: Any) -> list[Any]:
        """The whole list, or one by one where the device cannot cut a long answer into segments."""
        whole = await self._answered(self._app.read_property(address, device, "object-list"))
        if isinstance(whole, (list, tuple)):
            return list(whole)
        length = await self._answered(self._app.read_property(address, device, "object-list", array_index=0))
        if not isinstance(length, int):
            raise WireError(f"device {device} at {address}: it does not say which objects it has; look at it with its maker's tool")
        listed = [
            await self._answered(self._app.read_property(address, device, "object-list", array_index=n + 1)) for n in range(int(length))
        ]
        return [identifier for identifier in listed if identifier is not None]

    async def _objects(self, address: Any, identifiers: Sequence[Any], connection: str) -> list[ScannedObject]:
        """Several objects in one request; halved down to single questions for a device that cannot answer that."""
        references = [PropertyReference(propertyIdentifier=PropertyIdentifier(n), propertyArrayIndex=i) for n, i in _ASKED]
        request = [part for identifier in identifiers for part in (identifier, references)]
        rows = await self._answered(self._app.read_property_multiple(address, request, vendor_info=get_vendor_info(0)))
        if isinstance(rows, list) and len(rows) == len(identifiers) * len(_ASKED):
            values = iter(row[3] for row in rows)
            return [_object(identifier, [next(values) for _ in _ASKED], connection) for identifier in identifiers]
        if len(identifiers) > 1:
            half = len(identifiers) // 2
            return [
                *await self._objects(address, identifiers[:half], connection),
                *await self._objects(address, identifiers[half:], connection),
            ]
        asked = [self._app.read_property(address, identifiers[0], PropertyIdentifier(n), array_index=i) for n, i in _ASKED]
        return [_object(identifiers[0], [await self._answered(question) for question in asked], connection)]

    async def _text(self, address: Any, device: Any, name: str) -> str:
        value = await self._answered(self._app.read_property(address, device, name))
        return "" if value is None or isinstance(value, ErrorType) else str(value)

    async def _answered(self, question: Awaitable[Any]) -> Any:
        """The answer; None for none, a refusal or one that cannot be read: a scan goes on with what is there."""
        try:
            return await asyncio.wait_for(question, DEADLINE_S)
        except (TimeoutError, ErrorRejectAbortNack, *_GARBLED):
            return None


def _object(identifier: Any, values: Sequence[Any], connection: str) -> ScannedObject:
    name, description, units, slot = (None if isinstance(v, ErrorType) else v for v in values)
    kind = str(identifier).rpartition(",")[0]
    commandable = slot is not None and kind in COMMANDABLE_TYPES
    said = ["" if v is None else str(v) for v in (name, description, units)]
    return ScannedObject(f"bacnet:{connection}/{identifier}", said[0], said[1], said[2], commandable)


def _found(answer: Any) -> Found | None:
    """An I-Am as a device; one that came through a router has no address of its own here and is left to its router."""
    source, instance = answer.pduSource, str(answer.iAmDeviceIdentifier).rpartition(",")[2]
    host, _, port = str(source).partition(":")
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return None
    return Found(int(instance), host, int(port or BACNET_PORT)) if instance.isdigit() else None


def _checked(network: str) -> str:
    try:
        ipaddress.IPv4Interface(network)
    except ValueError:
        raise WireError(f"network {network!r}: expected our own address with its mask, for example 10.0.0.5/24") from None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # without SO_REUSE*: two stacks on one port would both start
        try:
            probe.bind((network.partition("/")[0], BACNET_PORT))
        except OSError as error:
            raise WireError(
                f"{network}: port {BACNET_PORT} cannot be opened ({error.strerror}); stop the other BACnet program or correct the address"
            ) from None
    return network


def _own_address(host: str) -> str:
    """Our address on the way to `host`, found by routing alone: nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, BACNET_PORT))
        except OSError as error:
            raise WireError(f"{host}: no way there ({error.strerror}); check site.toml and the network interface") from None
        return str(probe.getsockname()[0])


def _free_port(own: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((own.partition("/")[0], 0))
        return int(probe.getsockname()[1])


def _application(own: str, port: int, bbmd: str = "") -> Any:
    return Application.from_object_list(list(_local_objects(own, port, bbmd)))


def _local_objects(own: str, port: int, bbmd: str) -> Iterator[Any]:
    yield DeviceObject(
        objectIdentifier=("device", LOCAL_INSTANCE),
        objectName="wattproof scan",
        vendorIdentifier=LOCAL_VENDOR,
        apduTimeout=APDU_TIMEOUT_MS,
        numberOfApduRetries=APDU_RETRIES,
    )
    our_port = NetworkPortObject(f"{own}:{port}", objectIdentifier=("network-port", 1), objectName="port")
    if bbmd:
        our_port.bacnetIPMode, our_port.fdBBMDAddress, our_port.fdSubscriptionLifetime = IPMode.foreign, HostNPort(bbmd), LIFETIME_S
    yield our_port
