"""Ports of simulated devices and web pages: choose a free one, or refuse a used one before anything is started.

A used BACnet port may be silent: many stacks bind so that two share it, and the kernel picks who answers. So a port is tried with
a plain bind first.
"""

import errno
import ipaddress
import socket
import sys
from collections.abc import Collection
from pathlib import Path

from twin.errors import WireError

LOOPBACK = "127.0.0.1"
TRIES_MAX = 100  # the system gives a random port of some 28,000; a hundred refusals in a row mean that none is left


def free_udp_port(host: str = LOOPBACK, besides: Collection[int] = ()) -> int:
    """A UDP port nobody has bound on `host`, other than `besides`."""
    return _free(host, socket.SOCK_DGRAM, besides)


def free_tcp_port(host: str = LOOPBACK, besides: Collection[int] = ()) -> int:
    """A TCP port nobody has bound on `host`, other than `besides`."""
    return _free(host, socket.SOCK_STREAM, besides)


def require_free_udp(host: str, port: int, what: str) -> None:
    """WireError, naming `what` wants the port, unless it is free."""
    _try(host, port, socket.SOCK_DGRAM, what)


def require_free_tcp(host: str, port: int, what: str) -> None:
    """WireError, naming `what` wants the port, unless it is free."""
    _try(host, port, socket.SOCK_STREAM, what)


def broadcast_of(host: str) -> str:
    """The broadcast address of the network that `host` stands in: who asks there «who is» reaches all its devices."""
    if ipaddress.ip_address(host).is_loopback:
        return "127.255.255.255"
    for destination, mask in _connected_networks():
        network = ipaddress.IPv4Network((destination, str(mask)))
        if ipaddress.IPv4Address(host) in network:
            return str(network.broadcast_address)
    return "255.255.255.255"


def _connected_networks() -> list[tuple[ipaddress.IPv4Address, ipaddress.IPv4Address]]:
    """Networks this machine has an interface in, as Linux lists them; elsewhere none is known."""
    try:
        rows = [line.split() for line in Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:]]
    except OSError:
        return []
    no_gateway = [row for row in rows if len(row) >= 8 and row[2] == "00000000" and row[1] != "00000000"]
    return [(_address(row[1]), _address(row[7])) for row in no_gateway]


def _address(text: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(text, 16).to_bytes(4, sys.byteorder))


def _free(host: str, kind: socket.SocketKind, besides: Collection[int]) -> int:
    for _ in range(TRIES_MAX):
        port = _try(host, 0, kind, "a free port")
        if port not in besides:
            return port
    raise WireError(f"no free port found on {host} in {TRIES_MAX} tries; end programs that hold many ports")


def _try(host: str, port: int, kind: socket.SocketKind, what: str) -> int:
    """Bind and close again; the port that was bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            # A closed TCP connection rests for a minute and refuses a plain bind; a listening program still refuses this one.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            if kind == socket.SOCK_STREAM:
                probe.listen(1)
        except (OSError, OverflowError) as error:
            raise WireError(f"{what}: {_advice(host, port, kind, error)}") from None
        return int(probe.getsockname()[1])


def _advice(host: str, port: int, kind: socket.SocketKind, error: Exception) -> str:
    name = "UDP" if kind == socket.SOCK_DGRAM else "TCP"
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return f"{name} port {port} on {host} is used by another program; end that program, or choose another port (0: any free one)"
    if isinstance(error, socket.gaierror) or number == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; use {LOOPBACK}"
    if number == errno.EACCES:
        return f"{name} port {port} needs more rights than this user has; choose a port above 1023"
    return f"{name} port {port} on {host} cannot be opened ({error}); choose another port"
