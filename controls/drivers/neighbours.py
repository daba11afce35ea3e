"""Listening on the BACnet/IP network: which devices announce themselves from where, and whether our BBMD still keeps us. It believes none.

Announcements (I-Am) are claims: they never change where a device is asked. The codec is bacpypes3's; the sockets are our own,
bound to the named interface alone, and what they take in a second is limited.
"""

import asyncio
import ipaddress
import socket
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from bacpypes3.apdu import APDU, APCISequence, IAmRequest, UnconfirmedRequestPDU, WhoIsRequest
from bacpypes3.errors import AbortException, DecodingError, ExecutionError, RejectException
from bacpypes3.ipv4.bvll import (
    LPCI,
    LPDU,
    DistributeBroadcastToNetwork,
    ForwardedNPDU,
    OriginalBroadcastNPDU,
    OriginalUnicastNPDU,
    RegisterForeignDevice,
    Result,
    pdu_types,
)
from bacpypes3.npdu import NPDU
from bacpypes3.pdu import PDU

from controls.drivers.discovery import RANGES
from controls.drivers.sockets import own_address
from controls.tasks import end_tasks
from twin.clock import monotonic_s
from twin.errors import WireError
from twin.site import BacnetNetwork

ASK_EVERY_S = 60.0  # one range of instances a minute: a thousand devices that answer one question drown each other's answers
JOIN_S = 3.0  # how long a BBMD may take to register us
JOIN_AGAIN_S = 5.0  # after a registration that was not answered
RENEWALS = 3  # in one lifetime: two may be lost
UNANSWERED_MAX = 2  # renewals in a row: the BBMD is lost, whether or not it would still keep us
HEARD_MAX = 1000  # claims kept at once; the oldest goes
SOURCES_MAX = 64  # unlisted senders counted by address; the rest together
DECODED_MAX_PER_S = 200  # announcements looked into; a flood is not
_GARBLED = (DecodingError, RejectException, AbortException, ExecutionError, ValueError, TypeError, AttributeError, LookupError)
_I_AM = 0  # unconfirmed service


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody says to be the device of this instance, at this address (host:port, and the network behind it, if any)."""

    instance: int
    address: str


class Neighbours:
    """Our ear on the site's BACnet/IP network: claims with the monotonic time they were heard, and strangers' datagrams by sender."""

    def __init__(self, settings: BacnetNetwork, hosts: Collection[str]) -> None:
        self._settings = settings
        self._hosts = frozenset(hosts) | ({settings.bbmd.partition(":")[0]} if settings.bbmd else set())
        self.claims: dict[Claim, float] = {}
        self.unlisted: Counter[str] = Counter()
        self.registered_until_s = float("-inf")
        self.refused: int | None = None  # what the BBMD answered last, if not yes
        self._answered = asyncio.Event()
        self._unanswered = 0  # registrations in a row
        self._second, self._decoded = 0, 0
        self._ends: list[asyncio.DatagramTransport] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.port = 0

    @property
    def registered(self) -> bool:
        """Whether the BBMD keeps us now, and answers."""
        return self._unanswered < UNANSWERED_MAX and monotonic_s() < self.registered_until_s

    async def open(self) -> None:
        """Listen, and be registered with the BBMD before anything else happens; WireError where the interface or port is not ours."""
        loop = asyncio.get_running_loop()
        for place, to_us in self._places():
            ear = _Ear(self, to_us=to_us)
            end, _ = await loop.create_datagram_endpoint(lambda ear=ear: ear, sock=_bound(place, self.port, shared=not to_us))  # type: ignore[misc]
            self._ends.append(end)
            self.port = self.port or int(end.get_extra_info("sockname")[1])
        if self._settings.bbmd:
            await self.join()
            self._tasks.append(asyncio.create_task(self._stay()))
        self._tasks.append(asyncio.create_task(self._ask_on()))

    async def close(self) -> None:
        """Stop listening; safe to call again."""
        await end_tasks(self._tasks)
        for end in self._ends:
            end.close()
        self._tasks, self._ends = [], []

    async def join(self) -> bool:
        """Register with the BBMD; whether it took us within JOIN_S."""
        self._answered.clear()
        asked_s = monotonic_s()
        self._send(RegisterForeignDevice(self._settings.bbmd_lifetime_s), self._settings.bbmd)
        try:
            async with asyncio.timeout(JOIN_S):
                await self._answered.wait()
        except TimeoutError:
            self._unanswered += 1
            return False
        self._unanswered = 0
        if self.refused is None:
            self.registered_until_s = asked_s + self._settings.bbmd_lifetime_s
        return self.refused is None

    async def _stay(self) -> None:
        while True:
            joined = self.refused is None and self.registered
            await asyncio.sleep(self._settings.bbmd_lifetime_s / RENEWALS if joined else JOIN_AGAIN_S)
            await self.join()

    async def _ask_on(self) -> None:
        while True:
            for low, high in RANGES:
                self.ask(low, high)
                await asyncio.sleep(ASK_EVERY_S)

    def ask(self, low: int, high: int) -> None:
        """Ask who is there, in our own network and in the BBMD's; answers become claims as they come."""
        question = WhoIsRequest(deviceInstanceRangeLowLimit=low, deviceInstanceRangeHighLimit=high)
        data = _npdu(question)
        broadcast = self._broadcast()
        if broadcast:
            self._send(OriginalBroadcastNPDU(PDU(data)), f"{broadcast}:{self.port}")
        if self._settings.bbmd and self.registered:
            self._send(DistributeBroadcastToNetwork(PDU(data)), self._settings.bbmd)

    def heard(self, data: bytes, source: tuple[str, int], *, to_us: bool) -> None:
        """A datagram. To us alone, only listed senders may speak; what a whole network is told is no attack, but counts only as a claim."""
        if source[0] not in self._hosts and to_us:
            known = source[0] in self.unlisted or len(self.unlisted) < SOURCES_MAX
            self.unlisted[source[0] if known else "others"] += 1
        if self._may_decode():
            try:
                self._decode(data, source)
            except _GARBLED:
                return  # not a message of this protocol, or a broken one

    def _may_decode(self) -> bool:
        second = int(monotonic_s())
        if second != self._second:
            self._second, self._decoded = second, 0
        self._decoded += 1
        return self._decoded <= DECODED_MAX_PER_S

    def _decode(self, data: bytes, source: tuple[str, int]) -> None:
        lpdu = _lpdu(data)
        where = f"{source[0]}:{source[1]}"
        if isinstance(lpdu, Result) and where == self._settings.bbmd:
            self.refused = int(lpdu.bvlciResultCode) or None
            self._answered.set()
        elif isinstance(lpdu, ForwardedNPDU) and where == self._settings.bbmd:
            host, port = lpdu.bvlciAddress.addrTuple
            self._claimed(lpdu.pduData, f"{host}:{port}")
        elif isinstance(lpdu, (OriginalUnicastNPDU, OriginalBroadcastNPDU)):
            self._claimed(lpdu.pduData, where)

    def _claimed(self, data: bytes, where: str) -> None:
        npdu = NPDU.decode(PDU(data))
        if npdu.npduNetMessage is not None:
            return
        apdu = APDU.decode(PDU(npdu.pduData))
        if not isinstance(apdu, UnconfirmedRequestPDU) or apdu.apduService != _I_AM:
            return
        said = APCISequence.decode(apdu)
        if isinstance(said, IAmRequest):
            behind = f" behind network {npdu.npduSADR}" if npdu.npduSADR is not None else ""
            claim = Claim(int(said.iAmDeviceIdentifier[1]), f"{where}{behind}")
            self.claims.pop(claim, None)  # the latest last
            self.claims[claim] = monotonic_s()
            if len(self.claims) > HEARD_MAX:
                del self.claims[next(iter(self.claims))]

    def _send(self, lpdu: LPDU, to: str) -> None:
        host, _, port = to.partition(":")
        if self._ends:
            self._ends[0].sendto(bytes(lpdu.encode().pduData), (host, int(port)))

    def _places(self) -> list[tuple[str, bool]]:
        """Where to listen, and whether what comes there is meant for us alone. Broadcasts come to an address of their own."""
        if not self._settings.interface:
            return [(own_address(self._settings.bbmd.partition(":")[0]), True)]
        self.port = self._settings.port
        own = ipaddress.IPv4Interface(self._settings.interface)
        broadcast = self._broadcast()
        return [(str(own.ip), True), *([(broadcast, False)] if broadcast else [])]

    def _broadcast(self) -> str:
        if not self._settings.interface:
            return ""
        network = ipaddress.IPv4Interface(self._settings.interface).network
        return str(network.broadcast_address) if network.prefixlen < 31 else ""


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, neighbours: Neighbours, *, to_us: bool) -> None:
        self._neighbours, self._to_us = neighbours, to_us

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._neighbours.heard(data, addr, to_us=self._to_us)


def _npdu(request: WhoIsRequest) -> bytes:
    apdu = request.encode().encode()
    npdu = NPDU(apdu.pduData)
    npdu.npduVersion = 1
    return bytes(npdu.encode().pduData)


def _lpdu(data: bytes) -> Any:
    pdu = PDU(data)
    lpci = LPCI.decode(pdu)
    return pdu_types[lpci.bvlciFunction].decode(pdu)


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    """A broadcast reaches every socket that is bound to its address, so that one may be shared; our own address never is."""
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    end.setblocking(False)
    try:
        if shared:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        end.bind((host, port))  # without SO_REUSE*: two stacks on one port would both start
    except OSError as error:
        end.close()
        raise WireError(
            f"{host}: port {port} cannot be opened ({error.strerror}); correct [bacnet] in site.toml, or stop the other BACnet program"
        ) from None
    return end
