"""Act: write to all devices at once, read back what they hold, and say what became of each command."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from controls.arbiter import PRIORITY
from controls.drivers import Driver, Held, WireTimeout
from controls.leases import Lease
from twin.addresses import ModbusAddress, parse_address
from twin.errors import WireError
from twin.points import PointBook
from twin.words import Point, Result

REAL_DIGITS = 1e-5  # a BACnet Real keeps seven digits; more than five must agree


class Hand:
    """Writes and reads back over all drivers; one request in flight for each device."""

    def __init__(self, book: PointBook, drivers: Mapping[str, Driver]) -> None:
        self._drivers = drivers
        self._points = {p.id: p for p in book.bound}
        self._connection = {p.id: name for name, points in book.by_connection().items() for p in points}

    def connection(self, point: str) -> str:
        """The connection a point is bound to."""
        return self._connection.get(point, "")

    async def write(self, values: Mapping[str, float | None]) -> dict[str, str]:
        """Write each value (None: empty our slot). The answer holds what went wrong: "" is an acknowledgement."""
        wrong: dict[str, str] = {}
        await asyncio.gather(*[self._write_one_by_one(c, part, values, wrong) for c, part in self._by_connection(values).items()])
        return wrong

    async def look(self, points: Iterable[str]) -> dict[str, Held]:
        """What the devices hold for these points; a point of a silent device is missing in the answer."""
        found: dict[str, Held] = {}
        await asyncio.gather(*[self._look(c, part, found) for c, part in self._by_connection(points).items()])
        return found

    def same(self, point: str, a: float | None, b: float | None) -> bool:
        """Whether two values are one as far as the point can tell them apart."""
        if a is None or b is None:
            return a is b
        return abs(a - b) <= max(_resolution(self._points[point]), REAL_DIGITS * max(1.0, abs(b)))

    def _by_connection(self, points: Iterable[str]) -> dict[str, list[Point]]:
        groups: dict[str, list[Point]] = {}
        for point in points:
            groups.setdefault(self._connection[point], []).append(self._points[point])
        return groups

    async def _write_one_by_one(
        self, connection: str, points: Sequence[Point], values: Mapping[str, float | None], wrong: dict[str, str]
    ) -> None:
        silent = ""
        for point in points:
            if silent:  # one time-out tells enough: the other writes would only hold everybody up
                wrong[point.id] = silent
                continue
            try:
                await self._drivers[connection].write(point, values[point.id], PRIORITY)
                wrong[point.id] = ""
            except WireTimeout as error:
                wrong[point.id] = silent = UNANSWERED + str(error)
            except WireError as error:
                wrong[point.id] = str(error)

    async def _look(self, connection: str, points: Sequence[Point], found: dict[str, Held]) -> None:
        try:
            found.update({h.point: h for h in await self._drivers[connection].hold(points, PRIORITY)})
        except WireError:
            return  # missing says it


UNANSWERED = "unanswered: "


def judge(hand: Hand, lease: Lease, held: Held | None, wrong: str, *, fresh: bool) -> tuple[Result, bool, str]:
    """What became of a lease's value: the result, whether the device lost it, and in words. `fresh`: it was written just now."""
    if wrong and not wrong.startswith(UNANSWERED):
        return Result.REJECTED, False, wrong
    if held is None or (held.value is None and held.slot is None and held.detail):
        return Result.UNVERIFIED, False, wrong or (held.detail if held else "the device did not answer the read-back")
    if not held.has_slots:
        return _without_slots(hand, lease, held)
    if held.slot is None:
        lost = "the write was lost on its way" if wrong else "the device restarted, or another client relinquished it"
        return Result.NOT_EFFECTIVE, True, f"our slot is empty: {lost}"
    if not hand.same(lease.point, held.slot, lease.value):
        if fresh or (lease.made_of is not None and hand.same(lease.point, held.slot, lease.made_of)):
            return Result.NOT_EFFECTIVE, False, f"the device acknowledged, and put {held.slot:g} into our slot"
        if any(hand.same(lease.point, held.slot, value) for value in lease.written):
            return Result.NOT_EFFECTIVE, True, f"our slot still holds {held.slot:g}"
        return Result.CONFLICT, False, f"our slot holds {held.slot:g}, which we never wrote"
    if held.ruling_priority is not None and held.ruling_priority < PRIORITY:
        return Result.MASKED, False, f"priority {held.ruling_priority} rules"
    if hand.same(lease.point, held.value, lease.value):
        return Result.APPLIED, False, ""
    return Result.NOT_EFFECTIVE, False, f"our slot holds {held.slot:g}, the present value is {held.value}"


def _without_slots(hand: Hand, lease: Lease, held: Held) -> tuple[Result, bool, str]:
    if hand.same(lease.point, held.value, lease.value):
        return Result.APPLIED, False, ""
    return Result.NOT_EFFECTIVE, False, f"the device holds {held.value}"


def ours(hand: Hand, lease: Lease, held: Held) -> bool:
    """Whether what the device holds may be taken back: our slot (or register) holds a value of ours, or nothing."""
    value = held.slot if held.has_slots else held.value
    if value is None:
        return True
    known = lease.written if held.has_slots or lease.prior is None else lease.written | {lease.prior}
    return any(hand.same(lease.point, value, k) for k in known)


def _resolution(point: Point) -> float:
    """Half a step of an integer register, in the point's unit."""
    assert point.binding is not None
    address = parse_address(point.binding.address)
    if isinstance(address, ModbusAddress) and address.data_type != "float32":
        return abs(point.binding.scale) * 0.51
    return 0.0
