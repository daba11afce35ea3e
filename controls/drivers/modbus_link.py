"""One Modbus connection: TCP, TLS, a serial line or RTU over TCP, and no reply believed unasked.

The library takes replies with another function, count, echo or transaction for good ones: all of that is checked here.
Nothing is retried: a write that was not answered may have happened, so the cycle reads back first.
"""

import asyncio
import logging
import ssl
from typing import Any

from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient, AsyncModbusTlsClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from controls.drivers import WireTimeout
from controls.drivers.lanes import Way
from twin.clock import monotonic_s
from twin.errors import WireError
from twin.site import Connection

ANSWER_S = 1.0  # a gateway answers within tenths of a second; a dead one may cost a cycle one second
READS = {
    "coil": (1, "read_coils"),
    "discrete": (2, "read_discrete_inputs"),
    "holding": (3, "read_holding_registers"),
    "input": (4, "read_input_registers"),
}
EXCEPTIONS = {
    1: "illegal function", 2: "illegal data address", 3: "illegal data value", 4: "device failure", 5: "acknowledge",
    6: "device busy", 10: "gateway path unavailable", 11: "gateway target does not answer",
}  # fmt: skip
ILLEGAL_FUNCTION = 1  # over TLS also what a client gets whose role may not do that (Modbus/TCP Security)
ROLE_ADVICE = "; our certificate's role may not do that there: issue it with the device's role (`wattproof certificate issue --role`)"
NUMBERED = ("tcp", "tls")  # framings whose requests and replies carry a transaction number

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # it logs hex dumps for what we count and report ourselves


class ExceptionReplyError(WireError):
    """The device refused with an exception code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class ModbusLink:
    """One connection to a gateway or device; one request at a time."""

    def __init__(self, connection: str, settings: Connection, way: Way, answer_s: float = ANSWER_S) -> None:
        self._name = connection
        self._settings = settings
        self._way = way
        self._answer_s = answer_s
        self._client: Any = None
        self._replied_s = 0.0
        self.place = settings.serial or f"{settings.host}:{settings.port}"

    async def open(self) -> None:
        """Connect; WireTimeout if nobody is there."""
        async with self._way.to_read():
            await self._connected()

    def drop(self) -> None:
        """Close the connection: a late reply must not answer the next question."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def words(self, unit: int, table: str, start: int, count: int) -> list[int]:
        """Exactly `count` registers, or bits as 0 and 1."""
        function, call = READS[table]
        async with self._way.to_read():
            reply = await self._asked(function, unit, call, start, count=count)
        words = reply.bits if function <= 2 else reply.registers
        enough = (count + 7) // 8 * 8 if function <= 2 else count  # bits come padded to whole bytes
        if len(words) != enough:
            self.drop()
            raise WireError(f"{self._name}: asked unit {unit} for {count} of {table}, got {len(words)}")
        return [int(w) for w in words[:count]]

    async def write_bit(self, unit: int, coil: int, on: bool, what: str) -> None:
        """WireTimeout if the echo is another one: what the device holds is not known then."""
        async with self._way.to_write():
            reply = await self._asked(5, unit, "write_coil", coil, on)
        _same([reply.address, *reply.bits[:1]], [coil, on], what)

    async def write_words(self, unit: int, start: int, words: list[int], what: str) -> None:
        """All registers of one value in one request, so that no half of it is ever there."""
        async with self._way.to_write():
            if len(words) == 1:
                reply = await self._asked(6, unit, "write_register", start, words[0])
                _same([reply.address, *reply.registers], [start, *words], what)
            else:
                reply = await self._asked(16, unit, "write_registers", start, words)
                _same([reply.address, reply.count], [start, len(words)], what)

    async def information(self, unit: int) -> dict[int, str]:
        """The texts of the device identification; ExceptionReplyError where the device has none."""
        async with self._way.to_read():
            reply = await self._asked(43, unit, "read_device_information", read_code=1, object_id=0)
        return {k: v.decode(errors="replace") for k, v in getattr(reply, "information", {}).items() if isinstance(v, bytes)}

    async def _asked(self, function: int, unit: int, call: str, *arguments: Any, **more: Any) -> Any:
        """One request; only a reply of the same transaction, unit and function comes back."""
        client = await self._connected()
        await self._pause()
        where = f"{self._name} at {self.place} unit {unit}"
        try:
            reply: ModbusPDU = await getattr(client, call)(*arguments, device_id=unit, **more)
        except (TimeoutError, ModbusException, OSError) as error:
            self._way.answered = False
            self.drop()
            raise WireTimeout(f"{where}: no answer to {call} ({error})") from None
        self._way.answered = True
        self._replied_s = monotonic_s()
        numbered = self._settings.framing in NUMBERED
        if (numbered and reply.transaction_id != client.ctx.next_tid) or reply.dev_id != unit:
            self.drop()
            raise WireError(f"{where}: a reply to another question came (transaction {reply.transaction_id}, unit {reply.dev_id})")
        if reply.isError():
            code = getattr(reply, "exception_code", 0)
            advice = ROLE_ADVICE if self._settings.framing == "tls" and code == ILLEGAL_FUNCTION else ""
            raise ExceptionReplyError(f"{where}: {call} refused: {EXCEPTIONS.get(code, f'exception {code}')}{advice}", code)
        if reply.function_code != function:
            self.drop()
            raise WireError(f"{where}: asked function {function}, function {reply.function_code} answered")
        return reply

    async def _pause(self) -> None:
        left_s = self._replied_s + self._settings.delay_ms / 1000 - monotonic_s()
        if self._settings.delay_ms and left_s > 0:
            await asyncio.sleep(left_s)

    async def _connected(self) -> Any:
        if self._client is not None and self._client.connected:
            return self._client
        self.drop()
        client = _client(self._settings, self._answer_s)
        if not await client.connect():
            client.close()
            self._way.answered = False
            why = await _tls_trouble(self._settings, self._answer_s) if self._settings.framing == "tls" else ""
            raise WireTimeout(f"{self._name}: no connection to {self.place}; {why or 'check cable, power and address'}")
        _pass_over_unreadable(client.ctx)
        self._client = client
        return client


def _client(s: Connection, answer_s: float) -> Any:
    common: dict[str, Any] = {"timeout": answer_s, "retries": 0, "reconnect_delay": 0}
    if s.framing == "rtu":
        return AsyncModbusSerialClient(s.serial, baudrate=s.baud, parity=s.parity, framer=FramerType.RTU, **common)
    if s.framing == "tls":
        return AsyncModbusTlsClient(s.host, port=s.port, sslctx=_tls(s), **common)
    framer = FramerType.RTU if s.framing == "rtu_over_tcp" else FramerType.SOCKET
    return AsyncModbusTcpClient(s.host, port=s.port, framer=framer, **common)


def _pass_over_unreadable(library: Any) -> None:
    """A reply with a function that does not exist is passed over and the request times out: the library would raise into the loop."""
    taken = library.callback_data

    def take(data: bytes, addr: Any = None) -> int:
        try:
            return int(taken(data, addr))
        except ModbusException:
            return len(data)

    library.callback_data = take


def _tls(s: Connection) -> ssl.SSLContext:
    """Both ends show a certificate of the site's own authority (Modbus/TCP Security)."""
    try:
        context = ssl.create_default_context(cafile=s.tls_ca)
        context.load_cert_chain(s.tls_cert, s.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise WireError(f"certificates for {s.host}:{s.port} cannot be used ({error}); check tls_ca, tls_cert and tls_key") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def _tls_trouble(s: Connection, answer_s: float) -> str:
    """What stands in the way, which the library keeps to itself: said by one more handshake."""
    try:
        async with asyncio.timeout(answer_s):
            _, writer = await asyncio.open_connection(s.host, s.port, ssl=_tls(s))
        writer.close()
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is refused: {error.verify_message}"
    except ssl.SSLError as error:
        return f"no TLS with it: {error.reason}"
    except (OSError, TimeoutError):
        return ""
    return ""


def _same(echo: list[Any], sent: list[Any], what: str) -> None:
    if echo != sent:
        raise WireTimeout(f"{what}: wrote {sent}, the device echoed {echo}; what it holds is not known")
