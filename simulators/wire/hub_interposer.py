"""A proxy between a BACnet Secure Connect hub and one node: it mutates what the hub says inside the encryption.

It shows the node the hub's certificate and the hub the node's, so it needs both: a proxy of a test site, never of a real one.
"""

import asyncio
import contextlib
import ssl
from pathlib import Path

from controls.tasks import end_tasks
from simulators.wire.faults import Dice
from simulators.wire.ports import LOOPBACK

CHUNK = 65_536
UPGRADED = b"HTTP/1.1 101"  # the handshake passes as it is: what follows are frames
HEAD = 2  # opcode and length of a short WebSocket frame; behind it stands the BACnet/SC message


class HubInterposer:
    """Dial it in place of the hub. `mutate` is the chance that a message from the hub is changed; `mutated` counts them."""

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
