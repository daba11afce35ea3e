"""A simulated device on BACnet Secure Connect: joined to a hub with a certificate of its own; and a hub's wire that can be made bad."""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rusty_bacnet import BACnetServer

from controls.tasks import end_tasks
from simulators.wire.bacnet_device import BacnetDevice
from simulators.wire.faults import Dice
from simulators.wire.ports import LOOPBACK
from simulators.wire.writes import Note
from twin.addresses import BacnetAddress
from twin.secure_connect import node_uuid, node_vmac, vmac_bytes
from twin.words import Binding, Point

HEARTBEAT_MS, SILENCE_MS = 3000, 6000  # the shortest that ASHRAE 135 AB.6.3 allows: it tells soon that its hub is gone
CHUNK = 65_536
UPGRADED = b"HTTP/1.1 101"  # the handshake passes as it is: what follows are frames
HEAD = 2  # opcode and length of a short WebSocket frame; behind it stands the BACnet/SC message


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


class HubInterposer:
    """A proxy between the hub and one node: it mutates what the hub says inside the encryption. Dial it in place of the hub.

    It shows the node the hub's certificate and the hub the node's, so it needs both: a proxy of a test site, never of a real one.
    `mutate` is the chance that a message from the hub is changed; `mutated` counts them.
    """

    def __init__(self, hub: tuple[str, int], papers: Path, node: str, *, seed: int = 0) -> None:
        self.mutate = 0.0
        self.mutated = 0
        self._hub, self._dice = hub, Dice(seed)
        authority = str(papers / "authority.pem")
        self._shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
        self._shown.load_cert_chain(papers / "hub.pem", papers / "hub.key")
        self._dialled = ssl.create_default_context(cafile=authority)
        self._dialled.load_cert_chain(papers / f"{node}.pem", papers / f"{node}.key")
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """Listen; the URL to dial."""
        self._server = await asyncio.start_server(self._node, LOOPBACK, 0, ssl=self._shown)
        return f"wss://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Cut every connection; safe to call again."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await end_tasks(list(self._tasks))

    async def _node(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):  # either side hung up, or we stop
            await self._between(reader, writer)
        self._tasks.discard(task)
        writer.close()

    async def _between(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_hub, to_hub = await asyncio.open_connection(*self._hub, ssl=self._dialled)
        both = [asyncio.create_task(self._carry(reader, to_hub)), asyncio.create_task(self._carry(from_hub, writer, told=True))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end_tasks(both)
            to_hub.close()

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, told: bool = False) -> None:
        while data := await source.read(CHUNK):
            if told and not data.startswith(UPGRADED) and self._dice.falls(self.mutate):
                data = data[:HEAD] + self._dice.mutated(data[HEAD:])
                self.mutated += 1
            target.write(data)
            await target.drain()
