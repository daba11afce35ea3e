"""Ports: chosen free, and used ones refused with a line that says what to do."""

import socket

import pytest

from simulators.wire.ports import free_tcp_port, free_udp_port, require_free_tcp, require_free_udp
from twin.errors import WireError

CASES = [
    pytest.param(free_udp_port, require_free_udp, socket.SOCK_DGRAM, "UDP", id="udp"),
    pytest.param(free_tcp_port, require_free_tcp, socket.SOCK_STREAM, "TCP", id="tcp"),
]


@pytest.mark.parametrize(("choose", "require", "kind", "name"), CASES)
def test_a_chosen_port_is_free_until_somebody_takes_it(choose, require, kind, name):
    port = choose()
    require("127.0.0.1", port, "control room")

    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            other.listen()
        with pytest.raises(WireError, match=f"control room: {name} port {port} on 127.0.0.1 is used .* choose another port"):
            require("127.0.0.1", port, "control room")

    require("127.0.0.1", port, "control room")


def test_a_bacnet_stack_that_shares_its_port_is_found_out():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stack:
        stack.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stack.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stack.bind(("127.0.0.1", 0))

        with pytest.raises(WireError, match="is used by another program"):
            require_free_udp("127.0.0.1", stack.getsockname()[1], "connection ahu_1")


def test_a_port_already_promised_is_not_chosen_again():
    promised = {free_udp_port() for _ in range(20)}

    assert free_udp_port(besides=promised) not in promised


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("203.0.113.7", 0, "203.0.113.7 is no address of this machine; use 127.0.0.1"),
        ("no.such.host.invalid", 0, "is no address of this machine"),
        ("127.0.0.1", 70000, "cannot be opened"),
    ],
)
def test_an_impossible_address_says_what_to_use(host, port, words):
    with pytest.raises(WireError, match=words):
        require_free_tcp(host, port, "connection meters")
