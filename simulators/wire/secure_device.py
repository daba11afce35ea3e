"""A simulated device on BACnet Secure Connect: the same objects and schedule, joined to a hub with a certificate of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rusty_bacnet import BACnetServer

from simulators.wire.bacnet_device import BacnetDevice
from simulators.wire.writes import Note
from twin.addresses import BacnetAddress
from twin.secure_connect import node_uuid, node_vmac, vmac_bytes
from twin.words import Binding, Point

HEARTBEAT_MS, SILENCE_MS = 3000, 6000  # the shortest that ASHRAE 135 AB.6.3 allows: it tells soon that its hub is gone


@dataclass(frozen=True, slots=True)
class HubSide:
    """What a simulated device needs to join: the site's name, the hub's URL, and the folder of the site's certificates."""

    site: str
    url: str
    papers: Path

    @property
    def place(self) -> tuple[str, int]:
        """Host and port of the hub."""
        host, _, port = self.url.removeprefix("wss://").rpartition(":")
        return host, int(port)


class SecureDevice(BacnetDevice):
    """A node of the site by its own name, with <name>.pem and <name>.key of the site's certificates."""

    def __init__(
        self, name: str, instance: int, points: Sequence[tuple[Point, BacnetAddress, Binding]], note: Note, *, hub: HubSide
    ) -> None:
        super().__init__(name, instance, points, note)
        self._identity = node_uuid(hub.site, name)
        self._papers = hub.papers

    @property
    def vmac(self) -> str:
        """Its address on the hub."""
        return node_vmac(self._identity)

    def _made(self, host: str, port: int) -> Any:
        """A hub's address in place of a port of its own."""
        return BACnetServer(
            self._instance, self.name, transport="sc", sc_hub=f"wss://{host}:{port}",
            sc_vmac=vmac_bytes(self.vmac), sc_device_uuid=self._identity.bytes,
            sc_ca_cert=str(self._papers / "authority.pem"),
            sc_client_cert=str(self._papers / f"{self.name}.pem"), sc_client_key=str(self._papers / f"{self.name}.key"),
            sc_heartbeat_interval_ms=HEARTBEAT_MS, sc_heartbeat_timeout_ms=SILENCE_MS,
        )  # fmt: skip
