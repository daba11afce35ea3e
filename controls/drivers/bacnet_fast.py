"""The fast BACnet engine: rusty-bacnet, a Rust core whose types stay in this module.

Requests go through an endpoint, whose retries can be set (a client's cannot, and would repeat a write that was given up);
the library itself refuses replies that do not name what was asked, in order. Subscriptions need a client, on a second socket.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

from rusty_bacnet import (
    BacnetAbortError,
    BACnetClient,
    BacnetError,
    BacnetProtocolError,
    BacnetRejectError,
    BacnetTimeoutError,
    BacnetTransportError,
    BipEndpoint,
    ErrorClass,
    ErrorCode,
    ObjectIdentifier,
    ObjectType,
    PropertyIdentifier,
    PropertyValue,
)

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
from controls.tasks import end_tasks
from twin.addresses import BacnetAddress
from twin.errors import WireError

NOBODY = "127.255.255.255"  # nothing is ever broadcast; a broadcast address that equals a device's would refuse writes to it

T = TypeVar("T")

_NO_FLAGS_RAW = PropertyValue.bit_string(4, b"\x00")
_NO_FLAGS = Flags(0)
_PRESENT_VALUE = PropertyIdentifier.PRESENT_VALUE
_STATUS_FLAGS = PropertyIdentifier.STATUS_FLAGS

QUEUE = 4096  # frames that wait to be sorted: who is there answers a whole building at once
SHUT = "endpoint shutdown"  # what the library says once more frames came than its queue holds (0.14.0): it never opens again by itself


class FastEngine:
    """One endpoint for each of our own addresses, each on a port of its own."""

    properties_max = 64  # the endpoint's own limit
    _write_words: Mapping[str, str] = MappingProxyType({"commandability": "commandable"})  # an endpoint wants it said

    def __init__(self, answer_s: float = ANSWER_S, reach: Reach = Reach()) -> None:  # noqa: B008 (a frozen value)
        self._answer_s = answer_s
        self._reach = reach
        self._places: set[tuple[str, int]] = set()  # our own sockets
        self._endpoints: dict[str, Any] = {}  # by our own address
        self._clients: dict[str, Any] = {}
        self._towards: dict[str, Any] = {}  # by host
        self._subscriber: Any = None
        self._changes: Any = None
        self._takers: dict[str, Callable[[Change], None]] = {}  # by the device's address: who tells without having been asked is not heard
        self._hearing: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    async def open(self, host: str) -> None:
        async with self._opening:
            own = self._reach.own(host)
            if own not in self._clients:
                port = free_udp_port(own)
                endpoint = BipEndpoint(
                    LOCAL_INSTANCE, "wattproof", LOCAL_VENDOR, interface=own, port=port, broadcast_address=NOBODY,
                    apdu_timeout_ms=round(1000 * self._answer_s), apdu_retries=APDU_RETRIES, queue_capacity=QUEUE,
                    share_port_by_address=True,  # else it listens on every interface of the machine
                )  # fmt: skip
                try:
                    await endpoint.start()
                    self._clients[own] = await endpoint.client()
                except (BacnetError, RuntimeError, OSError) as error:
                    raise WireError(f"no BACnet socket on {own} ({error}); check the network interface") from None
                self._endpoints[own] = endpoint
                self._listens(own, port)
            self._towards[host] = self._clients[own]

    async def close(self) -> None:
        endpoints, subscriber = list(self._endpoints.values()), self._subscriber
        self._endpoints, self._clients, self._towards, self._subscriber, self._changes = {}, {}, {}, None, None
        for endpoint in endpoints:
            await endpoint.close()
        if subscriber is not None:
            await end_tasks([self._hearing])
            await subscriber.stop()

    def question(self, things: Sequence[BacnetAddress], asked: Sequence[Asked]) -> Any:
        references = [_reference(*one) for one in asked]
        return [(_id(thing), references) for thing in things]

    async def read_multiple(self, to: str, question: Any) -> list[Row]:
        client = await self._client(to)
        found = await self._asked(client, client.read_property_multiple(to, question), to, f"read {len(question)} points")
        if len(found) != len(question):
            raise GarbledError(f"{to}: asked for {len(question)} objects, {len(found)} were answered")
        return _rows(found, len(question[0][1]))

    async def read(self, to: str, thing: BacnetAddress, asked: Asked) -> Cell:
        client = await self._client(to)
        name, index = asked
        value = await self._asked(client, client.read_property(to, _id(thing), _property(name), index), to, f"read {name} of {thing}")
        return _plain(value)

    async def write(self, to: str, thing: BacnetAddress, value: float | None, priority: int) -> None:
        client = await self._client(to)
        raw = PropertyValue.null() if value is None else _typed(thing.object_type, value)
        request = client.write_property(to, _id(thing), _PRESENT_VALUE, raw, priority, **self._write_words)
        await self._asked(client, request, to, f"write {thing}")

    async def subscribe(self, to: str, thing: BacnetAddress, lifetime_s: int, take: Callable[[Change], None]) -> None:
        client = await self._listener(to)
        self._takers[to] = take  # before the request: the first notification may overtake the acknowledgement
        try:
            await self._asked(client, client.subscribe_cov(to, SUBSCRIBER, _id(thing), False, lifetime_s), to, f"subscribe to {thing}")
        except WireTimeout:
            raise
        except WireError as error:
            raise (NoRoomError(str(error)) if NO_ROOM in str(error) else error) from None

    async def _hear(self) -> None:
        """Hand over what subscribed devices tell; what comes from anybody else, or under another number, is passed over."""
        async for notice in self._changes:
            take = self._takers.get(self._source(notice.source_mac))
            kind = _KINDS.get(notice.monitored_object_identifier.object_type)
            if take is None or kind is None or notice.subscriber_process_identifier != SUBSCRIBER or not isinstance(notice.values, list):
                continue
            cells = {entry["property_id"]: _plain(entry["value"]) for entry in notice.values}
            if _PRESENT_VALUE in cells:
                thing = BacnetAddress("", kind, notice.monitored_object_identifier.instance)
                take(Change(thing, cells[_PRESENT_VALUE], cells.get(_STATUS_FLAGS)))

    def _source(self, mac: bytes) -> str:
        return f"{'.'.join(str(n) for n in mac[:4])}:{int.from_bytes(mac[4:6], 'big')}"

    @property
    def missed(self) -> int:
        return int(self._changes.missed) if self._changes is not None else 0

    @property
    def dropped(self) -> int:
        return dropped(self._places)

    def _listens(self, own: str, port: int) -> None:
        """A new socket of ours hears the site's devices and nobody else."""
        self._places.add((own, port))
        if self._reach.hosts:
            hear_only(own, port, self._reach.hosts)

    async def _client(self, to: str) -> Any:
        host = to.rpartition(":")[0]
        if host not in self._towards:
            await self.open(host)
        return self._towards[host]

    async def _listener(self, to: str) -> Any:
        async with self._opening:
            if self._subscriber is None:
                own = self._reach.own(to.rpartition(":")[0])
                port = free_udp_port(own)
                client = BACnetClient(own, port, NOBODY, apdu_timeout_ms=round(1000 * self._answer_s), share_port_by_address=True)
                await client.__aenter__()
                self._listens(own, port)
                self._subscriber, self._changes = client, await client.cov_notifications()
                self._hearing = asyncio.create_task(self._hear())
        return self._subscriber

    async def _asked(self, client: Any, answer: Awaitable[T], to: str, what: str) -> T:
        try:
            async with asyncio.timeout(WAITS * self._answer_s):
                return await answer
        except (TimeoutError, BacnetTimeoutError, BacnetTransportError):
            raise WireTimeout(f"{to}: {what}: no answer; check cable, power and address") from None
        except BacnetError as error:
            if SHUT in str(error):
                await self._forget(client)
                raise WireTimeout(f"{to}: {what}: our own socket was flooded and shut itself; it is opened anew") from None
            raise _refused(error, f"{to}: {what}") from None

    async def _forget(self, client: Any) -> None:
        """A socket that has shut itself is replaced when it is next needed."""
        for own in [own for own, known in self._clients.items() if known is client]:
            del self._clients[own]
            self._towards = {host: known for host, known in self._towards.items() if known is not client}
            await self._endpoints.pop(own).close()


def _refused(error: Any, where: str) -> WireError:
    if isinstance(error, BacnetAbortError) and error.reason in NO_ANSWER:
        return WireTimeout(f"{where}: no answer; check cable, power and address")
    if isinstance(error, (BacnetAbortError, BacnetRejectError)) and error.reason in TOO_BIG:
        return TooBigError(f"{where}: the answer does not fit one message ({error})")
    if isinstance(error, BacnetRejectError) and error.reason == UNRECOGNIZED_SERVICE:
        return NoMultipleError(f"{where}: service not known to the device")
    if isinstance(error, BacnetProtocolError):
        said = _said(ErrorClass.from_raw(error.error_class), ErrorCode.from_raw(error.error_code))
        kind = UnknownObjectError if "unknown-object" in said else WireError
        return kind(f"{where}: refused by the device: {said}")
    if isinstance(error, (BacnetAbortError, BacnetRejectError)):
        return WireError(f"{where}: refused by the device: {error}")
    return GarbledError(f"{where}: the answer cannot be read ({error})")


def _rows(found: Any, width: int) -> list[Row]:
    """The cells of each row. Scans ask for present-value alone or with status-flags: these two are written out, for their speed."""
    rows: list[Row] = []
    if width == 1:
        for row in found:
            (first,) = row["results"]
            value = first["value"]
            real = value.value if type(value) is PropertyValue else None
            rows.append([real if type(real) is float else _cell(first)])
    elif width == 2:
        for row in found:
            first, second = row["results"]
            value = first["value"]
            real = value.value if type(value) is PropertyValue else None
            rows.append([real if type(real) is float else _cell(first), _NO_FLAGS if second["value"] == _NO_FLAGS_RAW else _cell(second)])
    else:
        rows.extend([_cell(result) for result in row["results"]] for row in found)
    return rows


def _cell(result: Any) -> Cell:
    value = result["value"]
    if value is None:
        error = result["error"]
        return Refusal(_said(*error) if error else "no value")
    return _plain(value)


def _plain(value: Any) -> Cell:
    """A value in plain words; what is neither number, text, flags nor array of numbers counts as nothing usable."""
    if type(value) is not PropertyValue:
        return Refusal("octets that cannot be read")  # the library hands over raw octets where their framing is broken
    plain = value.value
    if plain is None or isinstance(plain, (int, float, str)):
        return int(plain) if isinstance(plain, bool) else plain
    if isinstance(plain, ObjectIdentifier):
        return f"{_dashed(plain.object_type)},{plain.instance}"
    if isinstance(plain, dict) and plain.get("unused_bits") == 4 and len(plain["data"]) == 1:
        return Flags(plain["data"][0] >> 4)
    if isinstance(plain, list):
        return tuple(float(x) if isinstance(x, (int, float)) else None for x in plain)
    return Refusal(f"{value.tag} is no value of a point")


def _said(error_class: Any, error_code: Any) -> str:
    return f"{_dashed(error_class)}: {_dashed(error_code)}"


def _dashed(name: Any) -> str:
    return str(repr(name)).rpartition(".")[2].lower().replace("_", "-")


def _typed(object_type: str, raw: float) -> Any:
    if object_type.startswith("binary"):
        return PropertyValue.enumerated(int(raw >= 0.5))
    return PropertyValue.unsigned(round(raw)) if object_type.startswith("multi-state") else PropertyValue.real(raw)


@cache
def _property(name: str) -> Any:
    return getattr(PropertyIdentifier, name.upper().replace("-", "_"))


@cache
def _reference(name: str, index: int | None) -> Any:
    return _property(name), index


@cache
def _id(thing: BacnetAddress) -> Any:
    return ObjectIdentifier(getattr(ObjectType, thing.object_type.upper().replace("-", "_")), thing.instance)


_KINDS = {
    getattr(ObjectType, name.upper().replace("-", "_")): name
    for name in (f"{family}-{role}" for family in ("analog", "binary", "multi-state") for role in ("input", "output", "value"))
}
