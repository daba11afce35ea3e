"""BACnet/IP: one driver for each device, over either engine. Only present-value is ever written.

What devices answer is judged here, once for both engines: numbers, flags, refusals, and how many points a device can answer at once.
"""

from collections.abc import Awaitable, Sequence
from functools import cache
from math import isfinite
from typing import TypeVar

import numpy as np

from controls.drivers import Held, Sample, WireTimeout, faulty, silent, to_raw, to_value
from controls.drivers.bacnet_engine import (
    ANY_DEVICE,
    DEVICE,
    MAX_APDU,
    PRESENT_VALUE,
    PRIORITY_ARRAY,
    RULING_PRIORITY,
    STATUS_FLAGS,
    Asked,
    Cell,
    Change,
    Engine,
    Flags,
    GarbledError,
    NoMultipleError,
    Refusal,
    Row,
    TooBigError,
    UnknownObjectError,
)
from controls.drivers.lanes import Way
from twin.addresses import BacnetAddress, parse_address
from twin.clock import monotonic_s
from twin.errors import WireError
from twin.site import Connection
from twin.words import Device, Point, Quality, Reason

READ: tuple[Asked, ...] = ((PRESENT_VALUE, None), (STATUS_FLAGS, None))
APDU_COMMON = 1024  # bytes that a device surely takes on BACnet/IP if it has not said otherwise
APDU_HEAD = 3
READ_BYTES = 25  # present-value and status-flags are 23 bytes a point; refusals may be longer
HOLD_BYTES = 45  # value, slot and ruling priority
APDU_MIN, APDU_MAX = 50, 1476  # the standard's smallest, and BACnet/IP's largest
BIG = 1e7  # a Real has seven digits: above this they all stand before the point
T = TypeVar("T")

_IDENTITY = ("object-identifier", "object-name", "vendor-name", "model-name", "firmware-revision", "serial-number")


class BacnetDriver:
    """One BACnet device, behind the Driver contract."""

    def __init__(self, connection: str, settings: Connection, engine: Engine, way: Way) -> None:
        self.connection = connection
        self._settings = settings
        self._engine = engine
        self._way = way
        self._to = f"{settings.host}:{settings.port}"
        self._apdu = APDU_COMMON
        self._chunk: dict[int, int] = {}  # learned: properties asked for each object -> objects a request
        self._multiple = True

    async def open(self) -> None:
        await self._engine.open(self._settings.host)

    async def close(self) -> None:
        await self._engine.close()

    async def read(self, points: Sequence[Point]) -> list[Sample]:
        things = [thing_of(point) for point in points]
        try:
            rows = await self._rows(things, READ, READ_BYTES)
        except WireTimeout as error:
            return [silent(p.id, monotonic_s(), str(error)) for p in points]
        except WireError as error:
            return [faulty(p.id, monotonic_s(), str(error)) for p in points]
        return samples_of(points, things, rows)

    async def write(self, point: Point, value: float | None, priority: int) -> None:
        raw = None if value is None else to_raw(value, point)
        async with self._way.to_write():
            await self._answered(self._engine.write(self._to, thing_of(point), raw, priority))

    async def hold(self, points: Sequence[Point], priority: int) -> list[Held]:
        asked: tuple[Asked, ...] = ((PRESENT_VALUE, None), (PRIORITY_ARRAY, priority), (RULING_PRIORITY, None))
        rows = await self._rows([thing_of(point) for point in points], asked, HOLD_BYTES)
        held = [_held(point, row) for point, row in zip(points, rows, strict=True)]
        for n, (point, row) in enumerate(zip(points, rows, strict=True)):
            if held[n].has_slots and not isinstance(row, WireError) and isinstance(row[2], Refusal):
                held[n] = await self._with_whole_array(point, held[n])
        return held

    async def read_record(self, point: Point) -> bytes | None:
        raise WireError(f"{point.id}: a BACnet device shows no signed record; bind it to Modbus holding registers")

    async def identify(self) -> Device:
        wanted = self._settings.device or ANY_DEVICE
        try:
            texts = [await self._text(wanted, name) for name in _IDENTITY]
        except UnknownObjectError:
            other = await self._text(ANY_DEVICE, "object-identifier")
            raise WireError(
                f"{self.connection}: expected device {wanted} at {self._to}, {other or 'another one'} answers; correct site.toml"
            ) from None
        await self._learn_size(wanted)
        return Device(self.connection, "bacnet", _instance(texts[0], wanted), *texts[1:])

    async def subscribe(self, points: Sequence[Point], subscriber: int, lifetime_s: int) -> list[Point]:
        taken = []
        for point in points:
            try:
                async with self._way.to_read():
                    await self._answered(self._engine.subscribe(self._to, thing_of(point), subscriber, lifetime_s))
            except WireError:
                break  # no room, no such service, or silent: the rest is polled
            taken.append(point)
        return taken

    async def _rows(self, things: Sequence[BacnetAddress], asked: Sequence[Asked], each_bytes: int) -> list[Row]:
        """For each object the values of the asked properties, or a WireError; WireTimeout when the device is silent."""
        rows: list[Row] = []
        while len(rows) < len(things):
            part = things[len(rows) : len(rows) + self._most(len(asked), each_bytes)]
            try:
                rows += await self._part(part, asked)
            except TooBigError:
                self._chunk[len(asked)] = len(part) // 2
        return rows

    def _most(self, properties: int, each_bytes: int) -> int:
        """How many objects to ask for at once: as learned, else as the device's message size and the engine allow."""
        fits = min((self._apdu - APDU_HEAD) // each_bytes, self._engine.properties_max // properties)
        return max(1, min(self._chunk.get(properties, fits), fits))

    async def _part(self, things: Sequence[BacnetAddress], asked: Sequence[Asked]) -> list[Row]:
        """One request; a reply that cannot be read is halved until the rotten row is alone."""
        if not self._multiple:
            return [await self._singly(thing, asked) for thing in things]
        try:
            async with self._way.to_read():
                rows = await self._engine.read_multiple(self._to, things, asked)
                self._way.answered = True
                return rows
        except WireTimeout:
            self._way.answered = False
            raise
        except NoMultipleError:
            self._multiple = False
            return await self._part(things, asked)
        except (TooBigError, GarbledError) as error:
            if len(things) == 1:
                return [WireError(str(error))]
            if isinstance(error, TooBigError):
                raise
            half = len(things) // 2
            return await self._part(things[:half], asked) + await self._part(things[half:], asked)

    async def _singly(self, thing: BacnetAddress, asked: Sequence[Asked]) -> Row:
        """For devices without ReadPropertyMultiple: one property at a time, a refusal standing for its value."""
        return [await self._one(thing, one) for one in asked]

    async def _one(self, thing: BacnetAddress, asked: Asked) -> Cell:
        async with self._way.to_read():
            try:
                return await self._answered(self._engine.read(self._to, thing, asked))
            except WireTimeout:
                raise
            except WireError as error:
                return Refusal(error)

    async def _with_whole_array(self, point: Point, held: Held) -> Held:
        """The ruling priority from the whole priority array, for devices that do not say it."""
        array = await self._one(thing_of(point), (PRIORITY_ARRAY, None))
        taken = [n + 1 for n, slot in enumerate(array) if slot is not None] if isinstance(array, tuple) else []
        return Held(held.point, held.value, held.slot, min(taken, default=None), True, held.detail)

    async def _text(self, device: int, name: str) -> str:
        cell = await self._one(BacnetAddress(self.connection, DEVICE, device), (name, None))
        if isinstance(cell, Refusal):
            if "unknown-object" in cell:
                raise UnknownObjectError(cell)
            return ""  # an optional property that the device lacks
        return "" if cell is None else str(cell)

    async def _learn_size(self, device: int) -> None:
        size = await self._one(BacnetAddress(self.connection, DEVICE, device), (MAX_APDU, None))
        if isinstance(size, (int, float)) and APDU_MIN <= size <= APDU_MAX:
            self._apdu = int(size)

    async def _answered(self, request: Awaitable[T]) -> T:
        """The answer, and a note whether there was one: a device that falls silent leaves its place to others."""
        try:
            answer = await request
        except WireTimeout:
            self._way.answered = False
            raise
        self._way.answered = True
        return answer


def samples_of(points: Sequence[Point], things: Sequence[BacnetAddress], rows: Sequence[Row]) -> list[Sample]:
    """Samples from present-value and status-flags, whatever stands in their place."""
    now = monotonic_s()
    samples: list[Sample | None] = [None] * len(points)
    reals: list[float] = []
    clean: list[int] = []
    for n, row in enumerate(rows):
        if type(row) is list and type(row[0]) is float and row[1] == 0 and things[n].object_type[0] == "a":
            clean.append(n)  # nearly all: an analog object with a real and no flag
            reals.append(row[0])
        else:
            samples[n] = sample_of(points[n], row, now)
    for n, value in zip(clean, seven_digits(reals), strict=True):
        point = points[n]
        if isfinite(value):
            samples[n] = Sample(point.id, to_value(value, point), Quality.GOOD, Reason.NONE, now)
        else:
            samples[n] = faulty(point.id, now, f"present-value {value}")
    return samples  # type: ignore[return-value]  # each has been filled


def sample_of(point: Point, row: Row, now: float) -> Sample:
    """One sample, whatever stands in the row."""
    if isinstance(row, WireError):
        return faulty(point.id, now, str(row))
    value = _present(point, row[0])
    flags = row[1] if isinstance(row[1], Flags) else Flags(0)  # status-flags are optional in some object types
    if value is None or flags & Flags.FAULT:
        return faulty(point.id, now, f"present-value {row[0]!s}, {flags.words}")
    quality, reason = Quality.GOOD, Reason.NONE
    if flags & Flags.OUT_OF_SERVICE:
        quality, reason = Quality.UNCERTAIN, Reason.OUT_OF_SERVICE
    elif flags & Flags.OVERRIDDEN:
        quality, reason = Quality.UNCERTAIN, Reason.OVERRIDDEN
    return Sample(point.id, to_value(value, point), quality, reason, now)


def change_sample(point: Point, change: Change) -> Sample:
    """The sample that a change-of-value notification brings."""
    return sample_of(point, (change.value, change.flags), monotonic_s())


def thing_of(point: Point) -> BacnetAddress:
    """The object a point is bound to."""
    assert point.binding is not None
    return _thing_of(point.binding.address)


def seven_digits(reals: Sequence[float]) -> list[float]:
    """Reals without the noise of their type: a Real has seven digits, more are none of the device's."""
    found = np.array(reals, dtype=np.float64)
    size = np.abs(found)
    with np.errstate(all="ignore"):  # a NaN stays one
        scale = 10.0 ** np.clip(6 - np.floor(np.log10(np.where(size > 0, size, 1.0))), 0, 22)
        cut: list[float] = np.where(size < BIG, np.round(found * scale) / scale, found).tolist()
    return cut


def _held(point: Point, row: Row) -> Held:
    if isinstance(row, WireError):
        return Held(point.id, None, detail=str(row))
    value, slot, ruling = _present(point, row[0]), _number(row[1]), _number(row[2])
    return Held(
        point.id,
        None if value is None else to_value(value, point),
        None if slot is None else to_value(slot, point),
        None if ruling is None else int(ruling),
        not isinstance(row[1], Refusal),
        str(row[0]) if value is None else "",
    )


def _present(point: Point, cell: Cell) -> float | None:
    """A present-value of the type that its object has: a real for analog ones, a whole number for the others."""
    wanted = float if thing_of(point).object_type.startswith("analog") else int
    return _number(cell) if isinstance(cell, wanted) else None


def _number(cell: Cell) -> float | None:
    """A finite number, or None for all else that may stand in a row: refusals, nulls, texts, NaN."""
    if isinstance(cell, Flags) or not isinstance(cell, (int, float)) or not isfinite(cell):
        return None
    return seven_digits([cell])[0] if isinstance(cell, float) else float(cell)


@cache
def _thing_of(address: str) -> BacnetAddress:
    parsed = parse_address(address)
    assert isinstance(parsed, BacnetAddress)
    return parsed


def _instance(identifier: str, otherwise: int) -> int:
    digits = identifier.rpartition(",")[2]
    return int(digits) if digits.isdigit() else otherwise
