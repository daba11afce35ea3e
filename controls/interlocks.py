"""Interlocks over a ruling: commands that would bring together what must not be together are refused, by name; in the order of the list.

What must hold, by number; a value that is not seen (missing, bad, old) counts as the dangerous one:

1. `A forbids B`: we do not command A into its condition while B is, or comes, in its own; nor the other way round. The wish with less
   authority gives way, among equals B.
2. `B only while A`: B is commanded into its condition only while A is seen in its own, and stays there after this ruling.
3. A's condition is not ended by us while B stands in its own by our command: A waits as it is until B has been let go.
   Life safety does not wait.
4. A refused wish leaves what stands, where that is safe; else the point is let go.

Both the image and the ruling count, so the order of writes within a cycle does not matter.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from controls.arbiter import Ruling
from controls.guard import Refusal
from controls.leases import Lease
from controls.strategies.watch import fresh
from twin.interlocks import FORBIDS, Condition, Interlock
from twin.words import Authority, Command, Image, Reading

_WAITS = ": waits until "


def interlocked(ruling: Ruling, held: Mapping[str, Lease], image: Image, interlocks: Sequence[Interlock]) -> Ruling:
    """The ruling without what an interlock forbids, each with its reason. Pure."""
    case = _Case(ruling, held, image)
    while any(case.judge(lock) for lock in interlocks):  # what gives way may take the ground from under another
        pass
    return case.ruled()


def moved(interlocks: Iterable[Interlock], readings: Iterable[Reading], image: Image) -> bool:
    """Whether a reading that came since the image changes a condition: whoever holds the other point should look now."""
    conditions: dict[str, list[Condition]] = {}
    for lock in interlocks:
        for condition in (lock.first, lock.second):
            conditions.setdefault(condition.point, []).append(condition)
    for reading in readings:
        for condition in conditions.get(reading.point, ()):
            before = image.value(reading.point)
            if reading.value is not None and before is not None and condition.holds(reading.value) != condition.holds(before):
                return True
    return False


def waits(refusal: Refusal) -> bool:
    """Whether the wish only waits for another point to be let go."""
    return _WAITS in refusal.refused_because


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What this ruling wants of a point: a new command, or (None) its lease going on."""

    value: float
    authority: Authority
    until: datetime
    command: Command | None


class _Case:
    """One ruling and what its interlocks make of it."""

    def __init__(self, ruling: Ruling, held: Mapping[str, Lease], image: Image) -> None:
        self._ruling, self._held, self._image = ruling, held, image
        self._wanted = {c.point: _Wanted(float(c.value), c.authority, c.until, c) for c in ruling.commands if c.value is not None}
        for point, until in ruling.renewed.items():
            lease = held[point]
            if lease.value is not None:
                self._wanted[point] = _Wanted(lease.value, lease.authority, until, None)
        self._stays: dict[str, datetime] = {}  # refused, and what stands goes on
        self._refusals: dict[str, Refusal] = {}

    def judge(self, lock: Interlock) -> bool:
        """Let one interlock act; whether it took anything out."""
        return self._forbids(lock) if lock.kind == FORBIDS else self._only_while(lock)

    def ruled(self) -> Ruling:
        """What is left of the ruling."""
        commands = [w.command for w in self._wanted.values() if w.command is not None]
        renewed = {p: w.until for p, w in self._wanted.items() if w.command is None}
        inputs = {c.id: self._ruling.inputs[c.id] for c in commands if c.id in self._ruling.inputs}
        refusals = [*self._ruling.refusals, *self._refusals.values()]
        return replace(self._ruling, commands=commands, renewed={**renewed, **self._stays}, refusals=refusals, inputs=inputs)

    def _forbids(self, lock: Interlock) -> bool:
        if not (self._may_be(lock.first) and self._may_be(lock.second)):
            return False
        ours = [c for c in (lock.second, lock.first) if self._brings(c)]
        if not ours:
            return False
        yielding = max(ours, key=lambda c: self._wanted[c.point].authority)  # among equals the first listed here: the second of the rule
        other = lock.first if yielding is lock.second else lock.second
        return self._refuse(yielding, lock, other)

    def _only_while(self, lock: Interlock) -> bool:
        gives, ground = lock.first, lock.second
        if self._brings(gives) and not (self._is(ground, self._now(ground.point)) and self._is(ground, self._after(ground.point))):
            return self._refuse(gives, lock, ground)
        return self._must_wait(gives, ground) and self._wait(ground, lock, gives)

    def _must_wait(self, gives: Condition, ground: Condition) -> bool:
        """Whether a command of ours would end the ground while what stands on it is still held there by us."""
        wanted, lease = self._wanted.get(ground.point), self._held.get(gives.point)
        if wanted is None or wanted.command is None or ground.holds(wanted.value) or wanted.authority <= Authority.EQUIPMENT:
            return False
        held = lease is not None and (lease.value is None or gives.holds(lease.value))  # None: what could not be let go yet
        return held and self._is(gives, self._now(gives.point)) and self._is(ground, self._now(ground.point))

    def _refuse(self, condition: Condition, lock: Interlock, other: Condition) -> bool:
        unseen = "" if self._now(other.point) is not None else f"; {other.point} is not seen"
        return self._take_out(condition, f"interlock {lock.name}: {lock.rule}{unseen}")

    def _wait(self, condition: Condition, lock: Interlock, gives: Condition) -> bool:
        return self._take_out(condition, f"interlock {lock.name}{_WAITS}{gives.point} is let go")

    def _take_out(self, condition: Condition, because: str) -> bool:
        point = condition.point
        wanted, lease = self._wanted.pop(point), self._held.get(point)
        by, why = (wanted.command.by, wanted.command.why) if wanted.command else (lease.by if lease else "", "held since an earlier cycle")
        self._refusals[point] = Refusal(point, by, why, because)
        stays = _WAITS in because or (lease is not None and lease.value is not None and not condition.holds(lease.value))
        if lease is not None and lease.value is not None and wanted.command is not None and stays:
            self._stays[point] = wanted.until
        return True

    def _brings(self, condition: Condition) -> bool:
        """Whether this ruling commands the point into its condition."""
        wanted = self._wanted.get(condition.point)
        return wanted is not None and condition.holds(wanted.value)

    def _may_be(self, condition: Condition) -> bool:
        """Whether the point may be in its condition now or after this ruling."""
        return any(value is None or condition.holds(value) for value in (self._now(condition.point), self._after(condition.point)))

    def _is(self, condition: Condition, value: float | None) -> bool:
        return value is not None and condition.holds(value)

    def _now(self, point: str) -> float | None:
        return fresh(self._image, point)

    def _after(self, point: str) -> float | None:
        """What the point will be: as ruled, as it stands, or (None) what nobody knows when we let go of it."""
        if point in self._wanted:
            return self._wanted[point].value
        lease = self._held.get(point)
        if point in self._stays:
            return lease.value if lease else None
        return self._now(point) if lease is None else None
