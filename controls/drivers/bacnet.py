"""BACnet/IP: one driver for each device, over either engine. Only present-value is ever written.

What devices answer is judged here, once for both engines: numbers, flags, refusals, and how many points a device can answer at once.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from math import isfinite
from typing import Any, TypeVar

from controls.drivers import Held, Sample, WireTimeout, faulty, good_samples, silent, to_raw, to_value
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
GLANCE: tuple[Asked, ...] = ((PRESENT_VALUE, None),)
GLANCE_BYTES = 16
READ_BYTES = 25  # present-value and status-flags are 23 bytes a point; refusals may be longer
HOLD_BYTES = 45  # value, slot and ruling priority
APDU_MIN, APDU_MAX = 50, 1476  # the standard's smallest, and BACnet/IP's largest
T = TypeVar("T")

_IDENTITY = ("object-identifier", "object-name", "vendor-name", "model-name", "firmware-revision", "serial-number")
NAMES: tuple[Asked, ...] = (("object-name", None), ("units", None))
NAMES_BYTES = 110  # a name of 64 letters, its units, and their tags


class BacnetDriver:
    """One BACnet device, behind the Driver contract."""

    def __init__(self, connection: str, settings: Connection, engine: Engine, way: Way) -> None:
        self.connection = connection
        self._settings = settings
        self._engine = engine
        self._way = way
        self._to = settings.vmac or f"{settings.host}:{settings.port}"
        self._apdu = APDU_COMMON
        self._chunk: dict[int, int] = {}  # learned: properties asked for each object -> objects a request
        self._multiple = True
        self._batches: dict[int, _Batch] = {}
        self._flagged: set[str] = set()  # points that were not good when they were last read with their flags

    async def open(self) -> None:
        await self._engine.open(self._settings.host)

    async def close(self) -> None:
        await self._engine.close()

    async def read(self, points: Sequence[Point]) -> list[Sample]:
        batch = self._batch(points)
        samples = await self._samples(batch, READ, READ_BYTES)
        self._flagged -= set(batch.ids)
        self._flagged |= {s.point for s in samples if s.quality is not Quality.GOOD}
        return samples

    async def glance(self, points: Sequence[Point]) -> list[Sample]:
        if self._flagged and not self._flagged.isdisjoint(self._batch(points).ids):
            return await self.read(points)
        return await self._samples(self._batch(points), GLANCE, GLANCE_BYTES)

    async def probe(self, point: Point) -> bool:
        try:
            await self._engine.read(self._to, thing_of(point), GLANCE[0])
        except WireTimeout:
            return False
        except WireError:
            return True  # it refuses, so it is there
        return True

    async def write(self, point: Point, value: float | None, priority: int) -> None:
        raw = None if value is None else to_raw(value, point)
        async with self._way.to_write():
            await self._answered(self._engine.write(self._to, thing_of(point), raw, priority))

    async def hold(self, points: Sequence[Point], priority: int) -> list[Held]:
        asked: tuple[Asked, ...] = ((PRESENT_VALUE, None), (PRIORITY_ARRAY, priority), (RULING_PRIORITY, None))
        rows = await self._rows(self._batch(points), asked, HOLD_BYTES)
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
        identifier, name, vendor, model, firmware, serial = texts
        revision = await self.revision()
        return Device(self.connection, "bacnet", _instance(identifier, wanted), name, vendor, model, firmware, serial, revision)

    async def revision(self) -> int:
        counted = await self._text(self._settings.device or ANY_DEVICE, "database-revision")
        return int(counted) if counted.isdigit() else -1

    async def inventory(self, points: Sequence[Point]) -> dict[str, list[str]]:
        batch = _Batch(tuple(points))
        rows = await self._rows(batch, NAMES, NAMES_BYTES)
        return {str(thing): _named(row) for thing, row in zip(batch.things, rows, strict=True)}

    async def subscribe(self, points: Sequence[Point], lifetime_s: int, take: Callable[[Sample], None]) -> list[Point]:
        told = {(thing_of(p).object_type, thing_of(p).instance): p for p in points}

        def hear(change: Change) -> None:
            point = told.get((change.thing.object_type, change.thing.instance))
            if point is not None:
                take(sample_of(point, [change.value, change.flags], monotonic_s()))

        taken: list[Point] = []
        for point in points:
            try:
                async with self._way.to_read():
                    await self._answered(self._engine.subscribe(self._to, thing_of(point), lifetime_s, hear))
            except WireError:
                break  # no room, no such service, or silent: the rest is polled
            taken.append(point)
        return taken

    @property
    def missed(self) -> int:
        return self._engine.missed

    @property
    def dropped(self) -> int:
        return self._engine.dropped

    async def _samples(self, batch: "_Batch", asked: tuple[Asked, ...], each_bytes: int) -> list[Sample]:
        try:
            rows = await self._rows(batch, asked, each_bytes)
        except WireTimeout as error:
            return [silent(name, monotonic_s(), str(error)) for name in batch.ids]
        except WireError as error:
            return [faulty(name, monotonic_s(), str(error)) for name in batch.ids]
        return samples_of(batch, rows)

    def _batch(self, points: Sequence[Point]) -> "_Batch":
        """The points prepared for asking; a tuple is the same at every scan, so it is prepared once."""
        if not isinstance(points, tuple):
            return _Batch(tuple(points))
        if id(points) not in self._batches:
            self._batches[id(points)] = _Batch(points)  # holds the tuple, so no other one gets its id
        return self._batches[id(points)]

    async def _rows(self, batch: "_Batch", asked: tuple[Asked, ...], each_bytes: int) -> list[Row]:
        """For each point the values of the asked properties, or a WireError; WireTimeout when the device is silent."""
        rows: list[Row] = []
        while len(rows) < len(batch.things):
            begin, end = len(rows), min(len(rows) + self._most(len(asked), each_bytes), len(batch.things))
            try:
                rows += await self._part(batch, asked, begin, end)
            except TooBigError:
                self._chunk[len(asked)] = (end - begin) // 2
        return rows

    def _most(self, properties: int, each_bytes: int) -> int:
        """How many objects to ask for at once: as learned, else as the device's message size and the engine allow."""
        fits = min((self._apdu - APDU_HEAD) // each_bytes, self._engine.properties_max // properties)
        return max(1, min(self._chunk.get(properties, fits), fits))

    async def _part(self, batch: "_Batch", asked: tuple[Asked, ...], begin: int, end: int) -> list[Row]:
        """One request; a reply that cannot be read is halved until the rotten row is alone."""
        if not self._multiple:
            return [await self._singly(thing, asked) for thing in batch.things[begin:end]]
        try:
            async with self._way.to_read():
                return await self._answered(self._engine.read_multiple(self._to, batch.question(self._engine, asked, begin, end)))
        except WireTimeout:
            raise
        except NoMultipleError:
            self._multiple = False
            return await self._part(batch, asked, begin, end)
        except (TooBigError, GarbledError) as error:
            if end - begin == 1:
                return [WireError(str(error))]
            if isinstance(error, TooBigError):
                raise
            middle = (begin + end) // 2
            return await self._part(batch, asked, begin, middle) + await self._part(batch, asked, middle, end)

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


class _Batch:
    """Points prepared for asking them often, all at once or in parts."""

    def __init__(self, points: tuple[Point, ...]) -> None:
        self.points = points
        self.things = [thing_of(point) for point in points]
        self.ids = [point.id for point in points]
        self.all_analog = all(thing.object_type.startswith("analog") for thing in self.things)
        self.scaled = any(p.binding and (p.binding.scale != 1.0 or p.binding.offset != 0.0) for p in points)
        self._questions: dict[tuple[tuple[Asked, ...], int, int], Any] = {}

    def question(self, engine: Engine, asked: tuple[Asked, ...], begin: int, end: int) -> Any:
        """The request for a part of the points."""
        key = (asked, begin, end)
        if key not in self._questions:
            self._questions[key] = engine.question(self.things[begin:end], asked)
        return self._questions[key]


def samples_of(batch: _Batch, rows: Sequence[Row]) -> list[Sample]:
    """Samples from present-value and status-flags, whatever stands in their place."""
    now = monotonic_s()
    if batch.all_analog and _clean(rows):
        reals = seven_digits([row[0] for row in rows])  # type: ignore[index, misc]
        if isfinite(sum(reals)):
            if batch.scaled:
                reals = [to_value(real, point) for real, point in zip(reals, batch.points, strict=True)]
            return good_samples(batch.ids, reals, now)
    return [sample_of(point, row, now) for point, row in zip(batch.points, rows, strict=True)]


def _clean(rows: Sequence[Row]) -> bool:
    """Whether each row is a real without a flag, as nearly always."""
    if {*map(type, rows)} != {list}:
        return False
    columns = zip(*rows, strict=True)
    return {*map(type, next(columns))} == {float} and not any(map(any, columns))


def sample_of(point: Point, row: Row, now: float) -> Sample:
    """One sample, whatever stands in the row."""
    if isinstance(row, WireError):
        return faulty(point.id, now, str(row))
    value = _present(point, row[0])
    flags = row[1] if len(row) > 1 and isinstance(row[1], Flags) else Flags(0)  # status-flags are optional in some object types
    if value is None or flags & Flags.FAULT:
        return faulty(point.id, now, f"present-value {row[0]!s}, {flags.words}")
    quality, reason = Quality.GOOD, Reason.NONE
    if flags & Flags.OUT_OF_SERVICE:
        quality, reason = Quality.UNCERTAIN, Reason.OUT_OF_SERVICE
    elif flags & Flags.OVERRIDDEN:
        quality, reason = Quality.UNCERTAIN, Reason.OVERRIDDEN
    return Sample(point.id, to_value(value, point), quality, reason, now)


def thing_of(point: Point) -> BacnetAddress:
    """The object a point is bound to."""
    assert point.binding is not None
    return _thing_of(point.binding.address)


def seven_digits(reals: Sequence[float]) -> list[float]:
    """Reals without the noise of their type: a Real has seven digits, more are none of the device's."""
    return list(map(float, ("%.7g " * len(reals) % tuple(reals)).split()))  # all in one text: half the time of one by one


def _named(row: Row) -> list[str]:
    """Name and units of an object; nothing for one that is not there. Only analog objects have units."""
    if isinstance(row, WireError) or isinstance(row[0], Refusal):
        return []
    return ["" if isinstance(cell, Refusal) else str(cell) for cell in row]


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
