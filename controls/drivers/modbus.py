"""Modbus TCP by pymodbus: blocks of registers instead of single ones, and no reply believed unasked.

The library takes replies with another function, count, echo or transaction for good ones: all of that is checked here.
Nothing is retried: a write that was not answered may have happened, so the cycle reads back first.
"""

import asyncio
import logging
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from controls.drivers import Held, Sample, WireTimeout, faulty, silent, to_raw, to_value
from twin.addresses import ModbusAddress, parse_address
from twin.clock import monotonic_s
from twin.errors import WireError
from twin.site import Connection
from twin.words import Device, Point, Quality, Reason

TIMEOUT_S = 1.0  # a gateway answers within tenths of a second; a dead one may cost a cycle one second
BLOCK_MAX = 125  # registers in one request: the protocol's limit
GAP_MAX = 8  # unused registers that are cheaper to read along than to ask around
MUTE_SKIPS_MAX = 32  # reads a mute unit is passed over: its time-out costs every unit behind the gateway
TORN_TRIES = 2  # a meter that renews its record while it is read gets one more try

_FORMATS = {"uint16": ">H", "int16": ">h", "uint32": ">I", "int32": ">i", "float32": ">f", "uint64": ">Q", "bool": ">H"}
_READ_FUNCTIONS = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
_ILLEGAL_ADDRESS = 2
_EXCEPTIONS = {
    1: "illegal function", 2: "illegal data address", 3: "illegal data value", 4: "device failure", 5: "acknowledge",
    6: "device busy", 10: "gateway path unavailable", 11: "gateway target does not answer",
}  # fmt: skip

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # it logs hex dumps for what we count and report ourselves


@dataclass(frozen=True, slots=True)
class Block:
    """Registers (or bits) read in one request, and the points that live in them."""

    unit: int
    table: str
    start: int
    count: int
    points: tuple[Point, ...]


class _ExceptionReplyError(WireError):
    """The device refused with an exception code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def plan(points: Sequence[Point], gap_max: int = GAP_MAX) -> list[Block]:
    """The fewest blocks that cover the points without splitting a value or bridging a wide gap."""
    blocks: list[Block] = []
    for point in sorted(points, key=_place):
        at = _address(point)
        last = blocks[-1] if blocks else None
        end = at.register + at.registers
        if last and (last.unit, last.table) == (at.unit, at.table) and _fits(last, at.register, end, gap_max):
            count = max(last.count, end - last.start)
            blocks[-1] = Block(last.unit, last.table, last.start, count, (*last.points, point))
        else:
            blocks.append(Block(at.unit, at.table, at.register, at.registers, (point,)))
    return blocks


class ModbusDriver:
    """One Modbus TCP connection, all its units behind the Driver contract."""

    def __init__(self, connection: str, settings: Connection, unit: int = 1) -> None:
        self.connection = connection
        self._unit = unit  # who is asked for the fingerprint
        self._settings = settings
        self._one_at_a_time = asyncio.Lock()
        self._client: AsyncModbusTcpClient | None = None
        self._plans: dict[tuple[str, ...], list[Block]] = {}
        self._mute: dict[int, int] = {}  # units that did not answer: reads to pass before each is asked again
        self._skip: dict[int, int] = {}

    async def open(self) -> None:
        async with self._one_at_a_time:
            try:
                await self._connected()
            except WireError:
                return  # the scan will say it, and try again

    async def close(self) -> None:
        self._drop()

    async def read(self, points: Sequence[Point]) -> list[Sample]:
        samples: dict[str, Sample] = {}
        key = tuple(p.id for p in points)
        blocks, learned = self._by_last_answers(self._plans.get(key) or plan(points))
        async with self._one_at_a_time:
            while blocks:
                block = blocks.pop(0)
                try:
                    found = [_sample(p, value) for p, value in await self._block(block)]
                except _ExceptionReplyError as error:
                    if error.code == _ILLEGAL_ADDRESS and len(block.points) > 1:
                        blocks = _halves(block) + blocks  # there is a hole in it
                        continue
                    found = [faulty(p.id, monotonic_s(), str(error)) for p in block.points]
                except WireTimeout as error:  # one time-out a read: the rest waits for the next one
                    self._mute[block.unit] = min(2 * self._mute.get(block.unit, 1), MUTE_SKIPS_MAX)
                    self._skip[block.unit] = self._mute[block.unit]
                    rest, blocks = [block, *blocks], []
                    learned += rest[1:]
                    found = [silent(p.id, monotonic_s(), str(error)) for b in rest for p in b.points]
                except WireError as error:
                    found = [faulty(p.id, monotonic_s(), str(error)) for p in block.points]
                else:
                    self._mute.pop(block.unit, None)
                samples |= {s.point: s for s in found}
                learned.append(block)
        self._plans[key] = learned
        return [samples.get(p.id) or silent(p.id, monotonic_s(), "its unit did not answer; asked again later") for p in points]

    def _by_last_answers(self, blocks: Sequence[Block]) -> tuple[list[Block], list[Block]]:
        """What to ask now, units that answered first, and what to pass over: mute units, as long as others speak."""
        speaking = any(b.unit not in self._mute for b in blocks)
        over = {unit for unit in self._mute if speaking and self._skip[unit] > 0}
        for unit in over:
            self._skip[unit] -= 1
        now = sorted((b for b in blocks if b.unit not in over), key=lambda b: b.unit in self._mute)
        return now, [b for b in blocks if b.unit in over]

    async def write(self, point: Point, value: float | None, priority: int) -> None:
        if value is None:
            raise WireError(f"{point.id}: Modbus has no slots to relinquish; write the prior value back")
        at = _address(point)
        raw = to_raw(value, point)
        async with self._one_at_a_time:
            if at.table == "coil":
                reply = await self._ask(5, at.unit, "write_coil", at.register, raw >= 0.5)
                _same(list(reply.bits[:1]), [raw >= 0.5], point.id)
                return
            registers = _encoded(at, raw, point.id)
            if len(registers) == 1:
                reply = await self._ask(6, at.unit, "write_register", at.register, registers[0])
                _same([reply.address, *reply.registers], [at.register, *registers], point.id)
            else:
                reply = await self._ask(16, at.unit, "write_registers", at.register, registers)
                _same([reply.address, reply.count], [at.register, len(registers)], point.id)

    async def hold(self, points: Sequence[Point], priority: int) -> list[Held]:
        samples = await self.read(points)
        if samples and not any(s.answered for s in samples):
            raise WireTimeout(samples[0].detail)
        return [Held(s.point, s.value, has_slots=False, detail=s.detail) for s in samples]

    async def read_record(self, point: Point) -> bytes | None:
        at = _address(point)
        async with self._one_at_a_time:
            for _ in range(TORN_TRIES):
                registers = await self._registers(at.unit, at.table, at.register, min(BLOCK_MAX, at.registers))
                length = registers[0]
                if length == 0:
                    return None
                whole = 1 + (length + 1) // 2
                if whole > at.registers:
                    raise WireError(f"{point.id}: the record says {length} bytes, its registers hold {2 * (at.registers - 1)}")
                first = list(registers)
                while len(registers) < whole:
                    start = len(registers)
                    registers += await self._registers(at.unit, at.table, at.register + start, min(BLOCK_MAX, whole - start))
                if len(registers) == len(first) or await self._registers(at.unit, at.table, at.register, len(first)) == first:
                    return struct.pack(f">{whole - 1}H", *registers[1:whole])[:length]
        return None

    async def identify(self) -> Device:
        async with self._one_at_a_time:
            try:
                reply = await self._ask(43, self._unit, "read_device_information", read_code=1, object_id=0)
            except _ExceptionReplyError:
                return Device(self.connection, "modbus", 0)  # identification is optional; that it answered is what we know
            texts = {k: v.decode(errors="replace") for k, v in getattr(reply, "information", {}).items() if isinstance(v, bytes)}
        return Device(self.connection, "modbus", 0, "", texts.get(0, ""), texts.get(1, ""), texts.get(2, ""))

    async def _block(self, block: Block) -> list[tuple[Point, float]]:
        words = await self._registers(block.unit, block.table, block.start, block.count)
        return [(p, _decoded(_address(p), words[_address(p).register - block.start :])) for p in block.points]

    async def _registers(self, unit: int, table: str, start: int, count: int) -> list[int]:
        function = _READ_FUNCTIONS[table]
        call = {1: "read_coils", 2: "read_discrete_inputs", 3: "read_holding_registers", 4: "read_input_registers"}[function]
        reply = await self._ask(function, unit, call, start, count=count)
        words = reply.bits if function <= 2 else reply.registers
        enough = (count + 7) // 8 * 8 if function <= 2 else count  # bits come padded to whole bytes
        if len(words) != enough:
            self._drop()
            raise WireError(f"{self.connection}: asked unit {unit} for {count} of {table}, got {len(words)}")
        return [int(w) for w in words[:count]]

    async def _ask(self, function: int, unit: int, call: str, *arguments: Any, **more: Any) -> ModbusPDU:
        """One request; only a reply of the same transaction, unit and function comes back."""
        client = await self._connected()
        where = f"{self.connection} at {self._settings.host}:{self._settings.port} unit {unit}"
        try:
            reply: ModbusPDU = await getattr(client, call)(*arguments, device_id=unit, **more)
        except (TimeoutError, ModbusException, OSError) as error:
            self._drop()  # a late reply must not answer the next question
            raise WireTimeout(f"{where}: no answer to {call} ({error})") from None
        if reply.transaction_id != client.ctx.next_tid or reply.dev_id != unit:
            self._drop()
            raise WireError(f"{where}: a reply to another question came (transaction {reply.transaction_id}, unit {reply.dev_id})")
        if reply.isError():
            code = getattr(reply, "exception_code", 0)
            raise _ExceptionReplyError(f"{where}: {call} refused: {_EXCEPTIONS.get(code, f'exception {code}')}", code)
        if reply.function_code != function:
            self._drop()
            raise WireError(f"{where}: asked function {function}, function {reply.function_code} answered")
        return reply

    async def _connected(self) -> AsyncModbusTcpClient:
        if self._client is not None and self._client.connected:
            return self._client
        self._drop()
        s = self._settings
        client = AsyncModbusTcpClient(s.host, port=s.port, timeout=TIMEOUT_S, retries=0, reconnect_delay=0)
        if not await client.connect():
            client.close()
            raise WireTimeout(f"{self.connection}: no connection to {s.host}:{s.port}; check cable, power and address")
        self._client = client
        return client

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _address(point: Point) -> ModbusAddress:
    assert point.binding is not None
    parsed = parse_address(point.binding.address)
    assert isinstance(parsed, ModbusAddress)
    return parsed


def _place(point: Point) -> tuple[int, str, int]:
    at = _address(point)
    return at.unit, at.table, at.register


def _fits(block: Block, start: int, end: int, gap_max: int) -> bool:
    return start - (block.start + block.count) <= gap_max and max(end, block.start + block.count) - block.start <= BLOCK_MAX


def _halves(block: Block) -> list[Block]:
    half = len(block.points) // 2
    return plan(block.points[:half], gap_max=0) + plan(block.points[half:], gap_max=0)


def _sample(point: Point, raw: float) -> Sample:
    if not math.isfinite(raw):
        return faulty(point.id, monotonic_s(), f"{raw} came as a value")
    return Sample(point.id, to_value(raw, point), Quality.GOOD, Reason.NONE, monotonic_s())


def _decoded(at: ModbusAddress, words: Sequence[int]) -> float:
    if at.table in ("coil", "discrete"):
        return float(words[0])
    own = words[: at.registers] if at.word_order == "big" else words[: at.registers][::-1]
    return float(struct.unpack(_FORMATS[at.data_type], struct.pack(f">{len(own)}H", *own))[0])


def _encoded(at: ModbusAddress, raw: float, name: str) -> list[int]:
    try:
        content = struct.pack(_FORMATS[at.data_type], raw if at.data_type == "float32" else round(raw))
    except (struct.error, OverflowError):
        raise WireError(f"{name}: {raw:g} does not fit {at.data_type}; check the scale in points.csv") from None
    words = list(struct.unpack(f">{len(content) // 2}H", content))
    return words if at.word_order == "big" else words[::-1]


def _same(echo: Sequence[Any], sent: Sequence[Any], name: str) -> None:
    if list(echo) != list(sent):
        raise WireTimeout(f"{name}: wrote {list(sent)}, the device echoed {list(echo)}; what it holds is not known")
