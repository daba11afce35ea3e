"""The reference BACnet engine: bacpypes3, pure Python, wherever the fast one has no wheel, and the other stack that tests hold it against.

What the library may return or raise instead of an answer is sorted out here: its errors derive from BaseException,
values may be errors or texts, and a reply that it cannot decode never arrives.
"""

import asyncio
import inspect
import struct
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

from bacpypes3 import constructeddata
from bacpypes3.apdu import AbortPDU, ErrorRejectAbortNack, RejectPDU, SubscribeCOVRequest
from bacpypes3.app import Application
from bacpypes3.basetypes import BinaryPV, ErrorType, PropertyIdentifier, PropertyReference, StatusFlags
from bacpypes3.errors import AbortException, ExecutionError, RejectException
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.pdu import Address
from bacpypes3.primitivedata import Null, ObjectIdentifier, Real, Unsigned
from bacpypes3.vendor import get_vendor_info

from controls.drivers import WireTimeout
from controls.drivers.bacnet_engine import (
    ANSWER_S,
    APDU_RETRIES,
    LOCAL_INSTANCE,
    LOCAL_VENDOR,
    NO_ANSWER,
    NO_ROOM,
    SUBSCRIBER,
    TOO_BIG,
    UNRECOGNIZED_SERVICE,
    WAITS,
    Asked,
    Cell,
    Change,
    Flags,
    GarbledError,
    NoMultipleError,
    NoRoomError,
    Refusal,
    Row,
    TooBigError,
    UnknownObjectError,
)
from controls.drivers.sockets import Reach, dropped, free_udp_port, hear_only
from twin.addresses import BacnetAddress
from twin.errors import SiteError, WireError

SOCKET_TURNS, SOCKET_TURN_S = 100, 0.01

_GARBLED = (RejectException, AbortException, ExecutionError, ValueError, TypeError, AttributeError, LookupError, struct.error)

_PRESENT_TYPES = {"analog": Real, "binary": BinaryPV, "multi-state": Unsigned}


class ReferenceEngine:
    """One local application for each of our own addresses, each on a port of its own."""

    properties_max = 80  # two for each of 40 points: 65 reals overran its own 1024 bytes
    missed = 0  # changes are handed over as they come: it keeps no queue

    def __init__(self, answer_s: float = ANSWER_S, reach: Reach = Reach()) -> None:  # noqa: B008 (a frozen value)
        self._answer_s = answer_s
        self._reach = reach
        self._places: set[tuple[str, int]] = set()  # our own sockets
        self._apps: dict[str, Any] = {}

    async def open(self, host: str) -> None:
        await self._app(f"{host}:0")

    async def close(self) -> None:
        for app in self._apps.values():
            app.close()
        self._apps.clear()

    def question(self, things: Sequence[BacnetAddress], asked: Sequence[Asked]) -> Any:
        references = [PropertyReference(propertyIdentifier=_property(name), propertyArrayIndex=index) for name, index in asked]
        request = [part for thing in things for part in (_id(thing), references)]
        return request, [[(_id(thing), _property(name), index) for name, index in asked] for thing in things]

    async def read_multiple(self, to: str, question: Any) -> list[Row]:
        request, expected = question
        answer = (await self._app(to)).read_property_multiple(_address(to), request, vendor_info=get_vendor_info(0))
        rows = await self._asked(answer, to, f"read {len(expected)} points")
        if not isinstance(rows, list) or [row[:3] for row in rows] != [one for each in expected for one in each]:
            return [WireError(f"{to}: the rows of the reply do not answer what was asked, in order")] * len(expected)
        values = iter(row[3] for row in rows)
        return [[_cell(next(values)) for _ in each] for each in expected]

    async def read(self, to: str, thing: BacnetAddress, asked: Asked) -> Cell:
        name, index = asked
        answer = (await self._app(to)).read_property(_address(to), _id(thing), _property(name), array_index=index)
        return _cell(await self._asked(answer, to, f"read {name} of {thing}"))

    async def write(self, to: str, thing: BacnetAddress, value: float | None, priority: int) -> None:
        raw = Null(()) if value is None else _typed(thing.object_type, value)
        request = (await self._app(to)).write_property(_address(to), _id(thing), _property("present-value"), raw, priority=priority)
        answer = await self._asked(request, to, f"write {thing}")
        if answer is not None:  # a text such as "-no object class-" where an acknowledgement was due
            raise WireError(f"{to}: the write of {thing} was answered with {answer}")

    async def subscribe(self, to: str, thing: BacnetAddress, lifetime_s: int, take: Callable[[Change], None]) -> None:
        app = await self._app(to)
        app.takers[_address(to)] = take  # before the request: the first notification may overtake the acknowledgement
        request = SubscribeCOVRequest(
            subscriberProcessIdentifier=SUBSCRIBER, monitoredObjectIdentifier=_id(thing),
            issueConfirmedNotifications=False, lifetime=lifetime_s, destination=_address(to),
        )  # fmt: skip
        answer = await self._asked(app.request(request), to, f"subscribe to {thing}")
        if isinstance(answer, ErrorRejectAbortNack):
            refused = _refused(answer, f"{to}: subscribe to {thing}")
            raise NoRoomError(str(refused)) if NO_ROOM in str(answer) else refused

    @property
    def dropped(self) -> int:
        return dropped(self._places)

    async def _app(self, to: str) -> Any:
        """The application on our address that faces the device; made when first asked for."""
        own = self._reach.own(to.rpartition(":")[0])
        if own not in self._apps:
            port = free_udp_port(own)
            self._apps[own] = _application(own, port, self._answer_s)
            self._places.add((own, port))
            await self._hear_only_devices(own, port)
        return self._apps[own]

    async def _hear_only_devices(self, own: str, port: int) -> None:
        for _ in range(SOCKET_TURNS if self._reach.hosts else 0):  # the library opens its socket some turns of the loop later
            if hear_only(own, port, self._reach.hosts):
                return
            await asyncio.sleep(SOCKET_TURN_S)

    async def _asked(self, answer: Awaitable[Any], to: str, what: str) -> Any:
        where, deadline_s = f"{to}: {what}", WAITS * self._answer_s
        try:
            return await asyncio.wait_for(answer, deadline_s)
        except TimeoutError:
            raise WireTimeout(f"{where}: no answer that can be read within {deadline_s:g} s") from None
        except ErrorRejectAbortNack as error:  # derives from BaseException
            raise _refused(error, where) from None
        except _GARBLED as error:
            raise GarbledError(f"{where}: the answer cannot be read ({type(error).__name__} {error})") from None


def _refused(error: Any, where: str) -> WireError:
    reason = getattr(error, "apduAbortRejectReason", None)
    if isinstance(error, AbortPDU) and reason is not None and int(reason) in NO_ANSWER:
        return WireTimeout(f"{where}: no answer; check cable, power and address")
    if isinstance(error, (AbortPDU, RejectPDU)) and reason is not None and int(reason) in TOO_BIG:
        return TooBigError(f"{where}: the answer does not fit one message ({error})")
    if isinstance(error, RejectPDU) and reason is not None and int(reason) == UNRECOGNIZED_SERVICE:
        return NoMultipleError(f"{where}: service not known to the device")
    kind = UnknownObjectError if "unknown-object" in str(error) else WireError
    return kind(f"{where}: refused by the device: {error}")


def _cell(value: Any) -> Cell:
    """A value in plain words; what is neither number, text, flags nor array of numbers counts as nothing usable."""
    if isinstance(value, ErrorType):
        return Refusal(f"{value.errorClass}: {value.errorCode}")
    if value is None or isinstance(value, Null):
        return None
    if isinstance(value, StatusFlags):
        return Flags(sum(bit << (3 - n) for n, bit in enumerate(value))) if len(value) == 4 else Refusal("flags that are not four")
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, list):
        return tuple(_number(_cell(element)) for element in value)
    return _cell(_chosen(value)) if hasattr(value, "_choice") else str(value)


def _number(cell: Cell) -> float | None:
    return float(cell) if isinstance(cell, (int, float)) else None


def _chosen(value: Any) -> Any:
    """What is in a choice object (a priority slot, an optional unsigned); None for null."""
    chosen = value._choice
    return getattr(value, chosen) if chosen and chosen != "null" else None


def _typed(object_type: str, raw: float) -> Any:
    if object_type.startswith("binary"):
        return BinaryPV("active" if raw >= 0.5 else "inactive")
    return Unsigned(round(raw)) if object_type.startswith("multi-state") else Real(raw)


@cache
def _address(to: str) -> Any:
    return Address(to)


@cache
def _property(name: str) -> Any:
    return PropertyIdentifier(name)


@cache
def _id(thing: BacnetAddress) -> Any:
    return ObjectIdentifier((thing.object_type, thing.instance))


class _Listener(Application):  # type: ignore[misc]
    """Hears what subscribed devices tell, and lets nobody write anything here."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.takers: dict[Any, Callable[[Change], None]] = {}  # by the device's address: who tells without having been asked is not heard

    async def do_UnconfirmedCOVNotificationRequest(self, apdu: Any) -> None:  # noqa: N802 (the library's name)
        take = self.takers.get(apdu.pduSource)
        change = _change(apdu) if take is not None and apdu.subscriberProcessIdentifier == SUBSCRIBER else None
        if take is not None and change is not None:
            take(change)

    async def do_WritePropertyRequest(self, apdu: Any) -> None:  # noqa: N802
        raise ExecutionError(errorClass="services", errorCode="serviceRequestDenied")

    async def do_WritePropertyMultipleRequest(self, apdu: Any) -> None:  # noqa: N802
        raise ExecutionError(errorClass="services", errorCode="serviceRequestDenied")


def _change(apdu: Any) -> Change | None:
    """What a notification says of an object that can be a point; None for all else, and for what cannot be read."""
    kind, instance = str(apdu.monitoredObjectIdentifier[0]), int(apdu.monitoredObjectIdentifier[1])
    family = next((known for name, known in _PRESENT_TYPES.items() if kind.startswith(name)), None)
    if family is None:
        return None
    try:
        told = {str(v.propertyIdentifier): v.value for v in apdu.listOfValues}
        value = _cell(told["present-value"].cast_out(family))
        flags = _cell(told["status-flags"].cast_out(StatusFlags)) if "status-flags" in told else None
        return Change(BacnetAddress("", kind, instance), value, flags)
    except (*_GARBLED, SiteError):
        return None


def _application(own: str, port: int, answer_s: float) -> Any:
    """A local application. /32: all requests go to one device, nothing is ever broadcast."""
    return _Listener.from_object_list(
        [
            DeviceObject(
                objectIdentifier=("device", LOCAL_INSTANCE),
                objectName="wattproof",
                vendorIdentifier=LOCAL_VENDOR,
                apduTimeout=round(1000 * answer_s),
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
