"""Our own side of the wire: which of our addresses faces a device, and ports that nobody uses."""

import socket

from twin.errors import WireError


def own_address(host: str) -> str:
    """Our address on the way to `host`, found by routing alone: nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 47808))
        except OSError as error:
            raise WireError(f"{host}: no way there ({error.strerror}); check site.toml and the network interface") from None
        return str(probe.getsockname()[0])


def free_udp_port(own: str) -> int:
    """A free port, found without SO_REUSE*: two BACnet stacks on one port would both start."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((own, 0))
        return int(probe.getsockname()[1])
