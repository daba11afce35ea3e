"""The arbiter: ranks what everybody wishes, holds it against each point's envelope, and alone makes commands.

Outside the envelope a wish is refused, never bent; only the largest change of one command is met part of the way.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controls.guard import Refusal
from controls.leases import Lease
from twin.addresses import BacnetAddress, parse_address
from twin.points import PointBook
from twin.words import Command, Image, Point, Request, Result

PRIORITY = 13  # below the manual operator (8) and minimum on/off (6), above a device's own default


@dataclass(frozen=True)
class Ruling:
    """What the arbiter decided: new commands, points that go on being held until later, and refusals. All other points are let go."""

    commands: Sequence[Command] = ()
    renewed: Mapping[str, datetime] = field(default_factory=dict)
    refusals: Sequence[Refusal] = ()
    inputs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by command: what the wish rests on
    priors: Mapping[str, float | None] = field(default_factory=dict)  # what points without slots held before our first write


def rule(
    requests: Iterable[Request], book: PointBook, image: Image, now: datetime, held: Mapping[str, Lease], *, cycle: str, lease_s: float
) -> Ruling:
    """One ruling a point: the strongest authority, then the earliest wish, that its envelope allows."""
    ruled: dict[str, Request] = {}
    refusals = []
    for request in sorted(requests, key=lambda r: r.authority):
        if request.point in ruled:
            continue
        because = objection(request, book, now)
        if because:
            refusals.append(Refusal(request.point, request.by, request.why, because))
        else:
            ruled[request.point] = request
    commands: list[Command] = []
    renewed: dict[str, datetime] = {}
    inputs: dict[str, Mapping[str, float]] = {}
    for point, request in ruled.items():
        if request.value is None:
            continue
        until = min(request.until, now + timedelta(seconds=lease_s))
        lease, value = held.get(point), _within_step(request.value, book[point], held.get(point), image)
        if lease is not None and _stands(lease, request, value):
            renewed[point] = until
            continue
        command = Command(
            f"{cycle}.{len(commands) + 1}", point, value, PRIORITY, request.by, request.why, now, until, request.authority,
            image.value(point),
        )  # fmt: skip
        commands.append(command)
        inputs[command.id] = dict(request.inputs)
    return Ruling(commands, renewed, refusals, inputs)


def relinquish(leases: Iterable[Lease], now: datetime, *, cycle: str, by: str, why: str) -> list[Command]:
    """Commands that give points back; what they held before is written where there are no slots."""
    return [
        Command(f"{cycle}.r{n}", lease.point, None, PRIORITY, by, why, now, now, lease.authority)
        for n, lease in enumerate(sorted(leases, key=lambda lease: lease.point), 1)
    ]


def objection(request: Request, book: PointBook, now: datetime) -> str:
    """Why a wish cannot be passed; empty if it can."""
    point = book.get(request.point)
    if point is None:
        return "there is no such point"
    if not point.writable or point.binding is None or point.limits is None:
        return "the point is not writable; points.csv says which are"
    if request.until <= now:
        return f"it ended at {request.until.isoformat()}"
    if request.value is None:
        return ""
    if not math.isfinite(request.value):
        return f"{request.value} is not a number that a device could hold"
    if not point.limits.low <= request.value <= point.limits.high:
        return f"{request.value:g} lies outside {point.limits.low:g} to {point.limits.high:g} {point.unit}"
    if _whole_only(point) and request.value != round(request.value):
        return f"{request.value:g} is no state of a binary or multi-state point"
    return ""


def _stands(lease: Lease, request: Request, value: float) -> bool:
    """Whether the device holds this already by the same authority, as far as we know."""
    return lease.value == value and lease.authority == request.authority and not lease.gone and lease.result is not Result.UNVERIFIED


def _within_step(value: float, point: Point, lease: Lease | None, image: Image) -> float:
    assert point.limits is not None
    before = lease.value if lease is not None and lease.value is not None else image.value(point.id)
    if before is None or not math.isfinite(point.limits.step):
        return value
    nearest = max(before - point.limits.step, min(before + point.limits.step, value))
    return max(point.limits.low, min(point.limits.high, nearest))  # a device may start outside the envelope


def _whole_only(point: Point) -> bool:
    assert point.binding is not None
    address = parse_address(point.binding.address)
    if isinstance(address, BacnetAddress):
        return address.object_type.startswith(("binary", "multi-state"))
    return address.table == "coil" or address.data_type == "bool"
