"""Our own side of the wire: which of our addresses faces a device, ports that nobody uses, and who may speak to our sockets.

A socket takes datagrams of the site's own devices alone: the kernel drops all others before they cost anything, and counts them.
"""

import ctypes
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from twin.errors import WireError

BACNET_PORT = 47808
HOSTS_MAX = 2000  # the kernel takes filters of 4096 instructions, two for each address
_SO_ATTACH_FILTER = 26  # Linux; Python's socket module does not name it
_SOURCE_ADDRESS = 0xFFF00000 + 12  # offset in the IPv4 header, as classic BPF reaches it (SKF_NET_OFF)
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # classic BPF: load a word, compare, end with so many bytes accepted


@dataclass(frozen=True, slots=True)
class Reach:
    """From which of our addresses we speak (with its mask; empty: whichever faces the device), and whom we hear (empty: everybody)."""

    interface: str = ""
    hosts: frozenset[str] = frozenset()

    def own(self, host: str) -> str:
        """Our address on the way to `host`; WireError where the way does not lead over the named interface."""
        facing = own_address(host)
        if not self.interface:
            return facing
        named = ipaddress.IPv4Interface(self.interface)
        if ipaddress.IPv4Address(facing) not in named.network:
            raise WireError(f"{host}: the way there leads over {facing}, not over {named}; correct interface in [bacnet], or the host")
        return str(named.ip)


def own_address(host: str) -> str:
    """Our address on the way to `host`, found by routing alone: nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, BACNET_PORT))
        except OSError as error:
            raise WireError(f"{host}: no way there ({error.strerror}); check site.toml and the network interface") from None
        return str(probe.getsockname()[0])


def free_udp_port(own: str) -> int:
    """A free port, found without SO_REUSE*: two BACnet stacks on one port would both start. WireError where `own` is no address of ours."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((own, 0))
        except OSError as error:
            raise WireError(f"no socket on {own} ({error.strerror}); check interface in [bacnet] and the network interface") from None
        return int(probe.getsockname()[1])


def hear_only(own: str, port: int, hosts: Iterable[str]) -> bool:
    """Let our UDP sockets at this place hear these hosts alone. False where that cannot be: no Linux, no such socket, an unknown name."""
    program = _program(hosts)
    handles = [handle for row in _udp_sockets() if row.at((own, port)) and (handle := _handle_of(row.inode)) is not None]
    return program is not None and bool(handles) and all(_filtered(handle, program) for handle in handles)


def dropped(places: Iterable[tuple[str, int]]) -> int:
    """Datagrams that the kernel kept from our sockets at these places, so far: unlisted senders, and more than there was room for."""
    known = list(places)
    return sum(row.drops for row in _udp_sockets() if any(row.at(place) for place in known)) if known else 0


def _filtered(handle: int, program: bytes) -> bool:
    steps = ctypes.create_string_buffer(program, len(program))
    with socket.socket(fileno=os.dup(handle)) as end:
        try:
            end.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program) // 8, ctypes.addressof(steps)))
        except OSError:
            return False
    return True


@dataclass(frozen=True, slots=True)
class _UdpSocket:
    address: str
    port: int
    inode: str
    drops: int

    def at(self, place: tuple[str, int]) -> bool:
        """Whether it stands there; broadcasts come to sockets of the same port beside it."""
        return self.port == place[1] and (self.address == place[0] or self.address.endswith(".255"))


def _udp_sockets() -> Iterator[_UdpSocket]:
    """All UDP sockets of this network namespace, as Linux lists them; none elsewhere."""
    try:
        rows = Path("/proc/self/net/udp").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return
    for row in rows:
        cells = row.split()
        place, _, port = cells[1].partition(":")
        address = socket.inet_ntoa(int(place, 16).to_bytes(4, sys.byteorder))
        yield _UdpSocket(address, int(port, 16), cells[9], int(cells[12]))


def _handle_of(inode: str) -> int | None:
    """Which of our file descriptors is the socket with this inode; a library keeps it to itself."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if os.readlink(entry) == f"socket:[{inode}]":
                return int(entry.name)
    return None


def _program(hosts: Iterable[str]) -> bytes | None:
    """Classic BPF: accept datagrams of these senders, and no others."""
    try:
        addresses = sorted({socket.gethostbyname(host) for host in hosts})
    except OSError:
        return None  # a name that nobody knows now may be known later: better hear everybody than not that one
    if not addresses or len(addresses) > HOSTS_MAX:
        return None
    steps = [(_LOAD, 0, 0, _SOURCE_ADDRESS)]
    for address in addresses:
        steps += [(_IF_EQUAL, 0, 1, int(ipaddress.IPv4Address(address))), (_RETURN, 0, 0, 0xFFFFFFFF)]
    return b"".join(struct.pack("HBBI", *step) for step in (*steps, (_RETURN, 0, 0, 0)))
