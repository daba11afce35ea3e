"""Drivers: one contract for every bus. A driver reads, writes and reads back; it decides nothing and keeps no history."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple, Protocol

from twin.errors import WireError
from twin.words import Device, Point, Quality, Reason


class WireTimeout(WireError):  # noqa: N818 (a time-out is the word of the trade)
    """The device did not answer in time: what it did with the request is not known."""


class Sample(NamedTuple):
    """One answer (or its absence) for one point; `recv_s` is monotonic time, `answered` whether the device said anything at all.

    A tuple, because a hundred thousand of them are made in a second.
    """

    point: str
    value: float | None
    quality: Quality
    reason: Reason
    recv_s: float
    answered: bool = True
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """What a device holds for a commanded point: its value, our slot's content and the priority that rules.

    `has_slots` False: the point has no priority array (Modbus, plain BACnet values), so whoever writes last rules.
    """

    point: str
    value: float | None
    slot: float | None = None
    ruling_priority: int | None = None
    has_slots: bool = True
    detail: str = ""


class Driver(Protocol):
    """One connection of a site. At most one request is in flight; a bad wire never raises from `read`."""

    connection: str

    async def open(self) -> None:
        """Get sockets ready; a silent device is no reason to raise."""
        ...

    async def close(self) -> None: ...

    async def read(self, points: Sequence[Point]) -> list[Sample]:
        """One sample for each point, in order."""
        ...

    async def glance(self, points: Sequence[Point]) -> list[Sample]:
        """As `read`, but flags (fault, out of service, overridden) may be those of the last reading: for often, between two readings."""
        ...

    async def probe(self, point: Point) -> bool:
        """Whether a lost device answers again; asked beside the lane where the wire allows, so that nobody waits for a dead one."""
        ...

    async def write(self, point: Point, value: float | None, priority: int) -> None:
        """Command a point; None relinquishes. WireError carries the device's words, WireTimeout says that none came."""
        ...

    async def hold(self, points: Sequence[Point], priority: int) -> list[Held]:
        """Read back what the device holds, our slot being `priority`; WireTimeout when it does not answer."""
        ...

    async def read_record(self, point: Point) -> bytes | None:
        """The signed record that a meter shows, whole, or None when there is none or it changed while being read."""
        ...

    async def subscribe(self, points: Sequence[Point], lifetime_s: int, take: Callable[[Sample], None]) -> list[Point]:
        """Ask the device to tell changes of these points by itself; those for which it agreed. [] where the bus knows no such thing."""
        ...

    @property
    def missed(self) -> int:
        """Told changes that found no room in the queue, so far."""
        ...

    @property
    def dropped(self) -> int:
        """Datagrams from senders that are no devices of the site, kept from our sockets so far; 0 where the bus knows none."""
        ...

    async def identify(self) -> Device:
        """The device's fingerprint; WireError when another device than the configured one answers."""
        ...

    async def revision(self) -> int:
        """The database revision of the fingerprint, alone; -1 where the device counts none. WireTimeout when it is silent."""
        ...

    async def inventory(self, points: Sequence[Point]) -> dict[str, list[str]]:
        """What the device calls the objects behind these points, by address: name and units; [] for an object that it has not.

        Empty where the bus has no names. WireTimeout when the device is silent.
        """
        ...


def silent(point: str, recv_s: float, detail: str) -> Sample:
    """The sample of a point whose device did not answer."""
    return Sample(point, None, Quality.BAD, Reason.FAULT, recv_s, answered=False, detail=detail)


def faulty(point: str, recv_s: float, detail: str) -> Sample:
    """The sample of a point for which the device answered, but not with a usable value."""
    return Sample(point, None, Quality.BAD, Reason.FAULT, recv_s, detail=detail)


def good_samples(points: Sequence[str], values: Iterable[float], recv_s: float) -> list[Sample]:
    """Good samples of many points at once, made by the hundred thousand a second; nothing is checked here."""
    fields = zip(points, values, *map(repeat, (Quality.GOOD, Reason.NONE, recv_s, True, "")), strict=False)
    return list(map(tuple.__new__, repeat(Sample), fields))


def to_value(raw: float, point: Point) -> float:
    """Engineering value of what came over the wire."""
    assert point.binding is not None
    if point.binding.scale == 1.0 and point.binding.offset == 0.0:
        return raw
    return round(raw * point.binding.scale + point.binding.offset, 9)  # 333 * 0.1 is 33.3, not 33.300000000000004


def to_raw(value: float, point: Point) -> float:
    """What goes over the wire for an engineering value."""
    assert point.binding is not None
    return (value - point.binding.offset) / point.binding.scale
