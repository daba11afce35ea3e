"""Ports of simulated devices and web pages: choose a free one, or refuse a used one before anything is started.

A used BACnet port is silent: two stacks may share it and the kernel picks who answers. So a port is tried with a plain bind first.
"""

import errno
import socket
from collections.abc import Collection

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
