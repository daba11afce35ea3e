"""BACnet/IP by bacpypes3: one local application for all connections of a site, one driver per device.

Only present-value is ever written. What the library may return or raise instead of an answer is sorted out here:
its errors derive from BaseException, values may be errors or texts, and a reply that it cannot decode never arrives.
"""

import asyncio
import inspect
import math
import socket
import struct
from collections.abc import Awaitable, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

from bacpypes3 import constructeddata
from bacpypes3.apdu import AbortPDU, ErrorRejectAbortNack, RejectPDU
from bacpypes3.app import Application
from bacpypes3.basetypes import BinaryPV, ErrorType, PropertyIdentifier, PropertyReference, StatusFlags
from bacpypes3.errors import AbortException, ExecutionError, RejectException
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.pdu import Address
from bacpypes3.primitivedata import Null, ObjectIdentifier, Real, Unsigned
from bacpypes3.vendor import get_vendor_info

from controls.drivers import Held, Sample, WireTimeout, faulty, silent, to_raw, to_value
from twin.addresses import BacnetAddress, parse_address
from twin.clock import monotonic_s
from twin.errors import WireError
from twin.site import Connection
from twin.words import Device, Point, Quality, Reason

APDU_TIMEOUT_MS = 500  # with one retry a silent device costs 1.0 s; a controller on MS/TP answers within 0.5 s
APDU_RETRIES = 1
REQUEST_DEADLINE_S = 1.5  # a reply that cannot be decoded never arrives: give up half a second after the last retry
READ_CHUNK = 40  # present-value and status-flags are 23 bytes a point; 44 fit the common 1024 bytes
HOLD_CHUNK = 20  # value, slot and ruling priority are up to 40 bytes a point
LOCAL_INSTANCE = 4_194_301  # ours; devices never ask for it
LOCAL_VENDOR = 999
ANY_DEVICE = 4_194_303  # BACnet wildcard: whoever listens there

_TOO_BIG = (1, 4, 11)  # abort reasons: buffer-overflow, segmentation-not-supported, apdu-too-long
_NO_ANSWER = (10, 64, 65)  # abort reasons: tsm-timeout, server-timeout, no-response
_UNRECOGNIZED_SERVICE = 9  # reject reason
_GARBLED = (RejectException, AbortException, ExecutionError, ValueError, TypeError, AttributeError, LookupError, struct.error)
_PRESENT_VALUE = PropertyIdentifier("present-value")
_STATUS_FLAGS = PropertyIdentifier("status-flags")
_PRIORITY_ARRAY = PropertyIdentifier("priority-array")
_RULING_PRIORITY = PropertyIdentifier("current-command-priority")
_IDENTITY = ("object-identifier", "object-name", "vendor-name", "model-name", "firmware-revision", "serial-number")

Asked = tuple[Any, int | None]  # property, array index


class _TooBigError(WireError):
    """The device cannot answer that many at once."""


class _GarbledError(WireError):
    """The device answered something that is no answer."""


class _NoMultipleError(WireError):
    """The device does not know ReadPropertyMultiple."""


class BacnetNetwork:
    """The local BACnet applications of a site: one for each of our own addresses, each on a port of its own."""

    def __init__(self) -> None:
        self._apps: dict[str, Any] = {}

    def towards(self, host: str) -> Any:
        """The application on our address that faces `host`; made when first asked for, inside a running loop."""
        own = _own_address(host)
        if own not in self._apps:
            self._apps[own] = _application(own)
        return self._apps[own]

    def close(self) -> None:
        """Close all sockets; safe to call again."""
        for app in self._apps.values():
            app.close()
        self._apps.clear()


class BacnetDriver:
    """One BACnet device, behind the Driver contract."""

    def __init__(self, connection: str, settings: Connection, network: BacnetNetwork) -> None:
        self.connection = connection
        self._settings = settings
        self._network = network
        self._address = Address(f"{settings.host}:{settings.port}")
        self._one_at_a_time = asyncio.Lock()
        self._chunk: dict[int, int] = {}  # learned: properties asked for each object -> objects a request
        self._multiple = True

    async def open(self) -> None:
        self._network.towards(self._settings.host)

    async def close(self) -> None:
        self._network.close()

    async def read(self, points: Sequence[Point]) -> list[Sample]:
        try:
            rows = await self._rows(points, ((_PRESENT_VALUE, None), (_STATUS_FLAGS, None)), READ_CHUNK)
        except WireTimeout as error:
            return [silent(p.id, monotonic_s(), str(error)) for p in points]
        except WireError as error:
            return [faulty(p.id, monotonic_s(), str(error)) for p in points]
        return [sample_of(point, row) for point, row in zip(points, rows, strict=True)]

    async def write(self, point: Point, value: float | None, priority: int) -> None:
        raw = Null(()) if value is None else _typed(_object(point)[0], to_raw(value, point))
        async with self._one_at_a_time:
            answer = await self._asked(
                self._app.write_property(self._address, _object(point), _PRESENT_VALUE, raw, priority=priority), f"write {point.id}"
            )
        if answer is not None:  # a text such as "-no object class-" where an acknowledgement was due
            raise WireError(f"{self.connection}: {point.id}: the write was answered with {answer}")

    async def hold(self, points: Sequence[Point], priority: int) -> list[Held]:
        rows = await self._rows(points, ((_PRESENT_VALUE, None), (_PRIORITY_ARRAY, priority), (_RULING_PRIORITY, None)), HOLD_CHUNK)
        held = [_held(point, row) for point, row in zip(points, rows, strict=True)]
        for n, (point, row) in enumerate(zip(points, rows, strict=True)):
            if held[n].has_slots and not isinstance(row, WireError) and isinstance(row[2], ErrorType):
                held[n] = await self._with_whole_array(point, held[n])
        return held

    async def read_record(self, point: Point) -> bytes | None:
        raise WireError(f"{point.id}: a BACnet device shows no signed record; bind it to Modbus holding registers")

    async def identify(self) -> Device:
        wanted = self._settings.device or ANY_DEVICE
        try:
            texts = [await self._text(("device", wanted), name) for name in _IDENTITY]
        except _UnknownObjectError:
            other = await self._text(("device", ANY_DEVICE), "object-identifier")
            raise WireError(
                f"{self.connection}: expected device {wanted} at {self._address}, {other or 'another one'} answers; correct site.toml"
            ) from None
        return Device(self.connection, "bacnet", _instance(texts[0], wanted), *texts[1:])

    @property
    def _app(self) -> Any:
        return self._network.towards(self._settings.host)

    async def _rows(self, points: Sequence[Point], asked: Sequence[Asked], chunk: int) -> list[Any]:
        """For each point the values of the asked properties, or a WireError; WireTimeout when the device is silent."""
        rows: list[Any] = []
        at = 0
        async with self._one_at_a_time:
            while at < len(points):
                part = points[at : at + self._chunk.get(len(asked), chunk)]
                try:
                    rows += await self._part(part, asked)
                except _TooBigError:
                    self._chunk[len(asked)] = len(part) // 2
                    continue
                at += len(part)
        return rows

    async def _part(self, points: Sequence[Point], asked: Sequence[Asked]) -> list[Any]:
        """One request; a reply that cannot be decoded is halved until the rotten row is alone."""
        if not self._multiple:
            return [await self._singly(point, asked) for point in points]
        try:
            return await self._multiple_rows(points, asked)
        except WireTimeout:
            raise
        except _NoMultipleError:
            self._multiple = False
            return await self._part(points, asked)
        except (_TooBigError, _GarbledError) as error:
            if len(points) == 1:
                return [WireError(str(error))]
            if isinstance(error, _TooBigError):
                raise
            half = len(points) // 2
            return await self._part(points[:half], asked) + await self._part(points[half:], asked)

    async def _multiple_rows(self, points: Sequence[Point], asked: Sequence[Asked]) -> list[Any]:
        references = [PropertyReference(propertyIdentifier=p, propertyArrayIndex=index) for p, index in asked]
        request = [part for point in points for part in (_object(point), references)]
        rows = await self._asked(
            self._app.read_property_multiple(self._address, request, vendor_info=get_vendor_info(0)), f"read {len(points)} points"
        )
        expected = [(_object(point), p, index) for point in points for p, index in asked]
        if not isinstance(rows, list) or [row[:3] for row in rows] != expected:
            return [WireError(f"{self.connection}: the rows of the reply do not answer what was asked, in order")] * len(points)
        values = iter(row[3] for row in rows)
        return [tuple(next(values) for _ in asked) for _ in points]

    async def _singly(self, point: Point, asked: Sequence[Asked]) -> Any:
        """For devices without ReadPropertyMultiple: one property at a time, an error standing for its value."""
        row = []
        for prop, index in asked:
            try:
                row.append(
                    await self._asked(self._app.read_property(self._address, _object(point), prop, array_index=index), f"read {point.id}")
                )
            except WireTimeout:
                raise
            except WireError:
                row.append(ErrorType(errorClass="property", errorCode="unknown-property"))
        return tuple(row)

    async def _with_whole_array(self, point: Point, held: Held) -> Held:
        """The ruling priority from the whole priority array, for devices that do not say it."""
        async with self._one_at_a_time:
            array = await self._asked(self._app.read_property(self._address, _object(point), _PRIORITY_ARRAY), f"read {point.id}")
        taken = [n + 1 for n, slot in enumerate(array if isinstance(array, list) else []) if _choice(slot) is not None]
        return Held(held.point, held.value, held.slot, min(taken, default=None), True, held.detail)

    async def _text(self, device: tuple[str, int], name: str) -> str:
        async with self._one_at_a_time:
            try:
                value = await self._asked(self._app.read_property(self._address, ObjectIdentifier(device), name), f"ask for {name}")
            except WireTimeout:
                raise
            except WireError as error:
                if "unknown-object" in str(error):
                    raise _UnknownObjectError(str(error)) from None
                return ""  # an optional property that the device lacks
        return "" if value is None else str(value)

    async def _asked(self, answer: Awaitable[Any], what: str) -> Any:
        where = f"{self.connection} at {self._address}: {what}"
        try:
            return await asyncio.wait_for(answer, REQUEST_DEADLINE_S)
        except TimeoutError:
            raise WireTimeout(f"{where}: no answer that can be read within {REQUEST_DEADLINE_S:g} s") from None
        except ErrorRejectAbortNack as error:  # derives from BaseException
            raise _refused(error, where) from None
        except _GARBLED as error:
            raise _GarbledError(f"{where}: the answer cannot be read ({type(error).__name__} {error})") from None


class _UnknownObjectError(WireError):
    """The device has no such object."""


def _refused(error: Any, where: str) -> WireError:
    reason = getattr(error, "apduAbortRejectReason", None)
    if isinstance(error, AbortPDU) and reason is not None and int(reason) in _NO_ANSWER:
        return WireTimeout(f"{where}: no answer; check cable, power and address")
    if isinstance(error, (AbortPDU, RejectPDU)) and reason is not None and int(reason) in _TOO_BIG:
        return _TooBigError(f"{where}: the answer does not fit one message ({error})")
    if isinstance(error, RejectPDU) and reason is not None and int(reason) == _UNRECOGNIZED_SERVICE:
        return _NoMultipleError(f"{where}: service not known to the device")
    return WireError(f"{where}: refused by the device: {error}")


def sample_of(point: Point, row: Any) -> Sample:
    """A sample from present-value and status-flags, whatever stands in their place."""
    now = monotonic_s()
    if isinstance(row, WireError):
        return faulty(point.id, now, str(row))
    value, flags = _number(row[0]), _flags(row[1])
    if value is None or "fault" in flags:
        return faulty(point.id, now, f"present-value {row[0]!s}, flags {' '.join(sorted(flags)) or 'none'}")
    quality, reason = Quality.GOOD, Reason.NONE
    if "out_of_service" in flags:
        quality, reason = Quality.UNCERTAIN, Reason.OUT_OF_SERVICE
    elif "overridden" in flags:
        quality, reason = Quality.UNCERTAIN, Reason.OVERRIDDEN
    return Sample(point.id, to_value(value, point), quality, reason, now)


def _held(point: Point, row: Any) -> Held:
    if isinstance(row, WireError):
        return Held(point.id, None, detail=str(row))
    value, has_slots = _number(row[0]), not isinstance(row[1], ErrorType)
    slot, ruling = _choice(row[1]), _choice(row[2])
    return Held(
        point.id,
        None if value is None else to_value(value, point),
        None if slot is None else to_value(slot, point),
        None if ruling is None else int(ruling),
        has_slots,
    )


def _number(value: Any) -> float | None:
    """A finite number, or None for all else that may stand in a row: errors, nulls, texts, NaN."""
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(f"{value:.7g}") if isinstance(value, float) else float(value)  # a Real has seven digits; more are noise


def _choice(value: Any) -> float | None:
    """The number in a choice object (a priority slot, an optional unsigned); None for null."""
    chosen = getattr(value, "_choice", None)
    return _number(getattr(value, chosen)) if chosen and chosen != "null" else None


def _flags(value: Any) -> set[str]:
    if not isinstance(value, StatusFlags) or len(value) < 4:
        return set()  # status-flags are optional in some object types
    return {name for name, on in zip(("in_alarm", "fault", "overridden", "out_of_service"), value, strict=False) if on}


def _typed(object_type: Any, raw: float) -> Any:
    kind = str(object_type)
    if kind.startswith("binary"):
        return BinaryPV("active" if raw >= 0.5 else "inactive")
    return Unsigned(round(raw)) if kind.startswith("multi-state") else Real(raw)


@cache
def _object_of(address: str) -> Any:
    parsed = parse_address(address)
    assert isinstance(parsed, BacnetAddress)
    return ObjectIdentifier((parsed.object_type, parsed.instance))


def _object(point: Point) -> Any:
    assert point.binding is not None
    return _object_of(point.binding.address)


def _instance(identifier: str, otherwise: int) -> int:
    digits = identifier.rpartition(",")[2]
    return int(digits) if digits.isdigit() else otherwise


def _own_address(host: str) -> str:
    """Our address on the way to `host`, found by routing alone: nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 47808))
        except OSError as error:
            raise WireError(f"{host}: no way there ({error.strerror}); check site.toml and the network interface") from None
        return str(probe.getsockname()[0])


def _application(own: str) -> Any:
    """A local application on a free port. /32: all requests go to one device, nothing is ever broadcast."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # without SO_REUSE*: two stacks on one port would both start
        probe.bind((own, 0))
        port = probe.getsockname()[1]
    return Application.from_object_list(
        [
            DeviceObject(
                objectIdentifier=("device", LOCAL_INSTANCE),
                objectName="wattproof",
                vendorIdentifier=LOCAL_VENDOR,
                apduTimeout=APDU_TIMEOUT_MS,
                numberOfApduRetries=APDU_RETRIES,
            ),
            NetworkPortObject(f"{own}/32:{port}", objectIdentifier=("network-port", 1), objectName="port"),
        ]
    )


def _ask_each_class_once() -> None:
    """bacpypes3 asks by reflection, for each empty element of each value, whether its class has a property there; a class never changes."""
    is_property: dict[tuple[type, str], Any] = {}

    def getattr_static(thing: Any, name: str) -> Any:
        key = (type(thing), name)
        if key not in is_property:
            is_property[key] = inspect.getattr_static(type(thing), name, None)
        return is_property[key]

    constructeddata.inspect = SimpleNamespace(**{**vars(inspect), "getattr_static": getattr_static})


_ask_each_class_once()
