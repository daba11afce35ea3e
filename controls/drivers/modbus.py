"""Modbus by pymodbus: all units behind one gateway or line, read in blocks over as many links as the gateway allows.

A unit that stays mute is asked ever more rarely, as long as others speak: its time-outs cost everybody behind the gateway.
"""

import asyncio
import math
import struct
from collections import deque
from collections.abc import Callable, Sequence

from controls.drivers import Held, Sample, WireTimeout, faulty, good_samples, silent, to_raw, to_value
from controls.drivers.lanes import Traffic
from controls.drivers.modbus_link import ANSWER_S, ExceptionReplyError, ModbusLink
from controls.drivers.modbus_plan import BLOCK_MAX, Block, address_of, halves, plan
from controls.drivers.modbus_values import Places, encoded
from twin.clock import monotonic_s
from twin.errors import WireError
from twin.site import Connection
from twin.words import Device, Point, Quality, Reason

MUTE_SKIPS_MAX = 32  # reads a mute unit is passed over: its time-out costs every unit behind the gateway
TORN_TRIES = 2  # a meter that renews its record while it is read gets one more try
ILLEGAL_ADDRESS = 2


class ModbusDriver:
    """One gateway, device or serial line, all its units behind the Driver contract."""

    missed = dropped = 0

    def __init__(self, connection: str, settings: Connection, traffic: Traffic, unit: int = 1, answer_s: float = ANSWER_S) -> None:
        self.connection = connection
        self._unit = unit  # who is asked for the fingerprint
        self._links = [ModbusLink(connection, settings, traffic.way(settings.network), answer_s) for _ in range(settings.links)]
        self._plans: dict[tuple[str, ...], list[Block]] = {}
        self._places: dict[int, tuple[Block, Places]] = {}
        self._mute: dict[int, int] = {}  # units that did not answer: reads to pass before each is asked again
        self._skip: dict[int, int] = {}

    async def open(self) -> None:
        for link in self._links:
            try:
                await link.open()
            except WireError:
                return  # the scan will say it, and try again

    async def close(self) -> None:
        for link in self._links:
            link.drop()

    async def read(self, points: Sequence[Point]) -> list[Sample]:
        key = tuple(p.id for p in points)
        now, over = self._by_last_answers(self._plans.get(key) or plan(points))
        turn = _Turn(deque(now), learned=over)
        await asyncio.gather(*[self._work(link, turn) for link in self._links[: len(now)]])
        self._plans[key] = sorted(turn.learned, key=lambda b: (b.unit, b.table, b.start))
        by_point = turn.samples
        return [by_point.get(p.id) or silent(p.id, monotonic_s(), "its unit did not answer; asked again later") for p in points]

    async def glance(self, points: Sequence[Point]) -> list[Sample]:
        return await self.read(points)  # registers have no flags

    async def probe(self, point: Point) -> bool:
        return (await self.read([point]))[0].answered  # one connection takes one request at a time: there is no way beside it

    async def subscribe(self, points: Sequence[Point], lifetime_s: int, take: Callable[[Sample], None]) -> list[Point]:
        return []  # Modbus devices only answer

    def _by_last_answers(self, blocks: Sequence[Block]) -> tuple[list[Block], list[Block]]:
        """What to ask now, units that answered first, and what to pass over: mute units, as long as others speak."""
        speaking = any(b.unit not in self._mute for b in blocks)
        over = {unit for unit in self._mute if speaking and self._skip[unit] > 0}
        for unit in over:
            self._skip[unit] -= 1
        now = sorted((b for b in blocks if b.unit not in over), key=lambda b: b.unit in self._mute)
        return now, [b for b in blocks if b.unit in over]

    async def _work(self, link: ModbusLink, turn: "_Turn") -> None:
        """Read block after block over one link, until none is left."""
        while turn.todo:
            block = turn.todo.popleft()
            try:
                words = await link.words(block.unit, block.table, block.start, block.count)
                places = self._places_of(block)
                found = _samples(block, places, places.values(words))
            except ExceptionReplyError as error:
                if error.code == ILLEGAL_ADDRESS and len(block.points) > 1:
                    turn.todo.extendleft(reversed(halves(block)))  # there is a hole in it
                    continue
                found = [faulty(p.id, monotonic_s(), str(error)) for p in block.points]
            except WireTimeout as error:  # one time-out a read: the rest waits for the next one
                self._fell_mute(block.unit)
                turn.give_up(str(error))
                found = [silent(p.id, monotonic_s(), str(error)) for p in block.points]
            except WireError as error:
                found = [faulty(p.id, monotonic_s(), str(error)) for p in block.points]
            else:
                self._mute.pop(block.unit, None)
            turn.keep(block, found)

    def _places_of(self, block: Block) -> Places:
        if id(block) not in self._places:
            self._places[id(block)] = (block, Places(block))  # holds the block, so no other one gets its id
        return self._places[id(block)][1]

    def _fell_mute(self, unit: int) -> None:
        self._mute[unit] = self._skip[unit] = min(2 * self._mute.get(unit, 1), MUTE_SKIPS_MAX)

    async def write(self, point: Point, value: float | None, priority: int) -> None:
        if value is None:
            raise WireError(f"{point.id}: Modbus has no slots to relinquish; write the prior value back")
        at, raw = address_of(point), to_raw(value, point)
        if at.table == "coil":
            await self._links[0].write_bit(at.unit, at.register, raw >= 0.5, point.id)
        else:
            await self._links[0].write_words(at.unit, at.register, encoded(at, raw, point.id), point.id)

    async def hold(self, points: Sequence[Point], priority: int) -> list[Held]:
        samples = await self.read(points)
        if samples and not any(s.answered for s in samples):
            raise WireTimeout(samples[0].detail)
        return [Held(s.point, s.value, has_slots=False, detail=s.detail) for s in samples]

    async def read_record(self, point: Point) -> bytes | None:
        at, link = address_of(point), self._links[0]
        for _ in range(TORN_TRIES):
            registers = await link.words(at.unit, at.table, at.register, min(BLOCK_MAX, at.registers))
            length = registers[0]
            if length == 0:
                return None
            whole = 1 + (length + 1) // 2
            if whole > at.registers:
                raise WireError(f"{point.id}: the record says {length} bytes, its registers hold {2 * (at.registers - 1)}")
            first = list(registers)
            while len(registers) < whole:
                start = len(registers)
                registers += await link.words(at.unit, at.table, at.register + start, min(BLOCK_MAX, whole - start))
            if len(registers) == len(first) or await link.words(at.unit, at.table, at.register, len(first)) == first:
                return struct.pack(f">{whole - 1}H", *registers[1:whole])[:length]
        return None

    async def identify(self) -> Device:
        try:
            texts = await self._links[0].information(self._unit)
        except ExceptionReplyError:
            return Device(self.connection, "modbus", 0)  # identification is optional; that it answered is what we know
        return Device(self.connection, "modbus", 0, "", texts.get(0, ""), texts.get(1, ""), texts.get(2, ""))

    async def revision(self) -> int:
        return -1

    async def inventory(self, points: Sequence[Point]) -> dict[str, list[str]]:
        return {}  # registers have no names


class _Turn:
    """One reading of a gateway: blocks still to ask, what came, and the blocks as they are by now."""

    def __init__(self, todo: deque[Block], learned: list[Block]) -> None:
        self.todo = todo
        self.learned = list(learned)
        self.samples: dict[str, Sample] = {}

    def keep(self, block: Block, found: Sequence[Sample]) -> None:
        self.samples |= {s.point: s for s in found}
        self.learned.append(block)

    def give_up(self, why: str) -> None:
        """Nothing more is asked this time."""
        while self.todo:
            block = self.todo.popleft()
            self.keep(block, [silent(p.id, monotonic_s(), why) for p in block.points])


def _samples(block: Block, places: Places, raws: Sequence[float]) -> list[Sample]:
    now = monotonic_s()
    if places.unscaled and math.isfinite(sum(raws)):
        return good_samples(places.ids, raws, now)
    return [
        Sample(point.id, to_value(raw, point), Quality.GOOD, Reason.NONE, now)
        if math.isfinite(raw)
        else faulty(point.id, now, f"{raw} came as a value")
        for point, raw in zip(block.points, raws, strict=True)
    ]
