"""A proxy on loopback between controller and device: any stack can stand behind it, and the wire in between is as bad as asked.

It knows no protocol: UDP passes datagrams, TCP passes Modbus frames. What a frame says is changed by a lie, and refused by a role.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Collection
from typing import Any

from controls.tasks import end_tasks
from ledger.tls import role_of
from simulators.wire import modbus_lies
from simulators.wire.faults import Dice, Faults, Honest, Passed
from simulators.wire.ports import LOOPBACK

CLIENTS_MAX = 64  # remembered at once: a flood of forged senders must not fill the memory
DATAGRAM_MAX = 65_535
REORDER_HOLD_S = 0.05  # an overtaken answer comes after the next one, or after this long
BUSY_S = 1.0  # a device with one buffer forgets a request that it could not answer
MBAP_BYTES = 6  # transaction, protocol, length; the length counts what follows


class UdpInterposer:
    """Datagrams between one device and its clients. `clients` are the addresses that asked, `overruns` requests lost to a full buffer."""

    def __init__(self, device: tuple[str, int], faults: Faults | None = None, lie: Honest | None = None) -> None:
        self.asked = self.answered = self.lost = self.overruns = 0
        self.disturb(faults or Faults(), lie)
        self._device = device
        self._front: socket.socket | None = None
        self._behind: dict[tuple[str, int], socket.socket] = {}
        self._held: tuple[tuple[str, int], bytes] | None = None
        self._busy_until = 0.0
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def clients(self) -> list[tuple[str, int]]:
        return list(self._behind)

    def disturb(self, faults: Faults, lie: Honest | None = None) -> None:
        """From now on the wire is like this."""
        self.faults, self._dice, self._lie = faults, Dice(faults.seed), lie or Honest()

    async def start(self, host: str = LOOPBACK, port: int = 0) -> int:
        """Open the client's side; the port."""
        self._front = _udp()
        self._front.bind((host, port))
        asyncio.get_running_loop().add_reader(self._front, self._from_client)
        return int(self._front.getsockname()[1])

    async def stop(self) -> None:
        """Close all sockets; safe to call again."""
        loop = asyncio.get_running_loop()
        for timer in self._timers:
            timer.cancel()
        for end in [*self._behind.values(), *([self._front] if self._front else [])]:
            loop.remove_reader(end)
            end.close()
        self._behind.clear()
        self._front = None

    def inject(self, frame: bytes) -> int:
        """Send a frame that the device never sent to everybody who asked it before, from the device's address; to how many."""
        for client in self.clients:
            self._send_back(client, frame)
        return len(self.clients)

    def _from_client(self) -> None:
        while (received := _receive(self._front)) is not None:
            frame, client = received
            self.asked += 1
            if self._is_lost():
                continue
            passed = self._lie.asked(frame)
            for request in passed.on:
                for _ in range(2 if self._dice.falls(self.faults.duplicate) else 1):
                    with contextlib.suppress(OSError):  # the device is off
                        self._towards_device(client).send(request)
            for answer in passed.back:
                self._answer(client, answer)

    def _is_lost(self) -> bool:
        now = asyncio.get_running_loop().time()
        full = self.faults.one_buffer and now < self._busy_until
        self.overruns += full
        lost = self.faults.mute or full or self._dice.falls(self.faults.drop)
        if self.faults.one_buffer and not lost:
            self._busy_until = now + self.faults.delay_s + BUSY_S
        self.lost += lost
        return lost

    def _towards_device(self, client: tuple[str, int]) -> socket.socket:
        if client not in self._behind:
            if len(self._behind) >= CLIENTS_MAX:
                oldest = self._behind.pop(next(iter(self._behind)))
                asyncio.get_running_loop().remove_reader(oldest)
                oldest.close()
            end = _udp()
            end.connect(self._device)
            self._behind[client] = end
            asyncio.get_running_loop().add_reader(end, self._from_device, client, end)
        return self._behind[client]

    def _from_device(self, client: tuple[str, int], end: socket.socket) -> None:
        while (received := _receive(end)) is not None:
            for answer in self._lie.answered(received[0]):
                self._answer(client, answer)

    def _answer(self, client: tuple[str, int], frame: bytes) -> None:
        if self.faults.mute or self._dice.falls(self.faults.drop):
            self.lost += 1
            return
        if self._dice.falls(self.faults.mutate):
            frame = self._dice.mutated(frame)
        twice = self._dice.falls(self.faults.duplicate)
        if self._dice.falls(self.faults.reorder) and self._held is None:
            self._held = client, frame
            self._later(REORDER_HOLD_S, self._let_overtaken_go)
            return
        for _ in range(2 if twice else 1):
            if self.faults.delay_s:
                self._later(self.faults.delay_s, self._send_back, client, frame)
            else:
                self._send_back(client, frame)
        self._let_overtaken_go()

    def _let_overtaken_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._send_back(*held)

    def _later(self, delay_s: float, deed: Callable[..., None], *arguments: Any) -> None:
        def now() -> None:
            self._timers.discard(timer)
            deed(*arguments)

        timer = asyncio.get_running_loop().call_later(delay_s, now)
        self._timers.add(timer)

    def _send_back(self, client: tuple[str, int], frame: bytes) -> None:
        if self._front is None:
            return
        self.answered += 1
        self._busy_until = 0.0
        with contextlib.suppress(OSError):  # the client is gone, or its buffer is full: as on a real wire
            self._front.sendto(frame, client)


class TcpInterposer:
    """Modbus frames between one server and its clients; `connections` counts those that were accepted."""

    def __init__(self, device: tuple[str, int], faults: Faults | None = None, lie: Honest | None = None) -> None:
        self.asked = self.answered = self.lost = self.connections = 0
        self.disturb(faults or Faults(), lie)
        self._device = device
        self._tls: ssl.SSLContext | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    def disturb(self, faults: Faults, lie: Honest | None = None) -> None:
        """From now on the wire is like this."""
        self.faults, self._dice, self._lie = faults, Dice(faults.seed), lie or Honest()

    async def start(self, host: str = LOOPBACK, port: int = 0) -> int:
        """Open the client's side; the port."""
        self._server = await asyncio.start_server(self._client, host, port, ssl=self._tls)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close all sockets; safe to call again."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await end_tasks(list(self._tasks))
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    def inject(self, frame: bytes) -> int:
        """Send a frame that the server never sent over every open connection; over how many."""
        open_ones = [writer for writer in self._writers if not writer.is_closing()]
        for writer in open_ones:
            writer.write(frame)
        return len(open_ones)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # either side hung up, or we stop: asyncio would log a cancelled client as an error
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Request and answer in turn: Modbus TCP has one in flight on a connection, and so have the servers behind."""
        behind: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while True:
                frame = await self._frame(reader)
                self.asked += 1
                if self.faults.mute or self._dice.falls(self.faults.drop):
                    self.lost += 1
                    continue
                passed = self._passed(frame, writer)
                for answer in passed.back:
                    await self._answer(writer, answer)
                for request in passed.on:
                    behind = behind or await asyncio.open_connection(*self._device)
                    behind[1].write(request)
                    for answer in self._lie.answered(await self._frame(behind[0])):
                        await self._answer(writer, answer)
        finally:
            if behind is not None:
                behind[1].close()

    async def _frame(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readexactly(MBAP_BYTES)
        return head + await reader.readexactly(struct.unpack(">H", head[4:])[0])

    def _passed(self, frame: bytes, _writer: asyncio.StreamWriter) -> Passed:
        return self._lie.asked(frame)

    async def _answer(self, writer: asyncio.StreamWriter, frame: bytes) -> None:
        if self.faults.delay_s:
            await asyncio.sleep(self.faults.delay_s)
        if self.faults.mute or self._dice.falls(self.faults.drop):
            self.lost += 1
            return
        if self._dice.falls(self.faults.mutate):
            frame = self._dice.mutated(frame)
        if self._dice.falls(self.faults.cut):
            writer.write(frame[: len(frame) // 2])
            await writer.drain()
            _reset(writer)
            raise ConnectionResetError("cut on purpose")
        self.answered += 1
        writer.write(frame * (2 if self._dice.falls(self.faults.duplicate) else 1))
        await writer.drain()


class RtuInterposer(TcpInterposer):
    """As before, for RTU frames over TCP. They have no length field: each comes whole, because both ends send it at once."""

    async def _frame(self, reader: asyncio.StreamReader) -> bytes:
        frame = await reader.read(DATAGRAM_MAX)
        if not frame:
            raise asyncio.IncompleteReadError(frame, 1)
        return frame


class SecureInterposer(TcpInterposer):
    """A Modbus/TCP Security gateway before a plain server: both ends show certificates, and a client's role decides who may write.

    `papers` are the authority, our certificate and its key. Modbus/TCP Security says that a request beyond its role gets exception 1.
    """

    def __init__(self, device: tuple[str, int], papers: tuple[str, str, str], writers: Collection[str]) -> None:
        super().__init__(device)
        authority, certificate, key = papers
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
        self._tls.load_cert_chain(certificate, key)
        self._tls.verify_mode = ssl.CERT_REQUIRED
        self._writing_roles = frozenset(writers)
        self.refused = 0

    def _passed(self, frame: bytes, writer: asyncio.StreamWriter) -> Passed:
        if frame[modbus_lies.FUNCTION] not in modbus_lies.WRITES or self._role_of(writer) in self._writing_roles:
            return super()._passed(frame, writer)
        self.refused += 1
        return Passed(back=(modbus_lies.exception(frame, modbus_lies.ILLEGAL_FUNCTION),))

    def _role_of(self, writer: asyncio.StreamWriter) -> str:
        return role_of(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))


Interposer = UdpInterposer | TcpInterposer


def _udp() -> socket.socket:
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.setblocking(False)
    return end


def _receive(end: socket.socket | None) -> tuple[bytes, tuple[str, int]] | None:
    """The next datagram that waits, if one does."""
    if end is None or end.fileno() < 0:
        return None
    while True:
        try:
            return end.recvfrom(DATAGRAM_MAX)
        except BlockingIOError:
            return None
        except ConnectionRefusedError:
            continue  # word of an earlier datagram that nobody took


def _reset(writer: asyncio.StreamWriter) -> None:
    """Hang up without a good-bye."""
    end = writer.get_extra_info("socket")
    if end is not None:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
