"""The lease table: every point that we hold in the building, until when, and what to give back. Nothing is held for ever."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from twin.words import Authority, Command, Result


@dataclass(frozen=True, slots=True)
class Lease:
    """One held point. `value` None: it may hold something of an earlier life, and only a release is due."""

    point: str
    value: float | None
    command: str
    by: str
    authority: Authority
    until: datetime
    deadline_s: float | None = None  # the same end on the monotonic clock of a real site
    has_slots: bool = True
    prior: float | None = None  # what a point without slots held before us
    result: Result | None = None
    gone: bool = False  # the device lost our value (restart, another client): it must be written again
    written: frozenset[float] = frozenset()  # every value we put there in this lease: what is ours to take back
    made_of: float | None = None  # what the device made of our latest value, where it stops at ends of its own


class Leases(Mapping[str, Lease]):
    """Leases by point. `monotonic` None: only site time counts (a simulated site)."""

    def __init__(self, monotonic: Callable[[], float] | None = None) -> None:
        self._monotonic = monotonic
        self._leases: dict[str, Lease] = {}

    def __getitem__(self, point: str) -> Lease:
        return self._leases[point]

    def __iter__(self) -> Iterator[str]:
        return iter(self._leases)

    def __len__(self) -> int:
        return len(self._leases)

    def grant(self, command: Command, *, has_slots: bool, prior: float | None) -> Lease:
        """Hold a point by a command; what we wrote there before in the same lease stays known."""
        assert command.value is not None
        before = self._leases.get(command.point)
        lease = Lease(
            command.point, command.value, command.id, command.by, command.authority, command.until,
            self._deadline_s(command.at, command.until), has_slots, prior,
            written=(before.written if before else frozenset()) | {command.value},
        )  # fmt: skip
        self._leases[command.point] = lease
        return lease

    def owe(self, lease: Lease) -> None:
        """Take over what an earlier life left behind; it is due for release at once."""
        self._leases[lease.point] = lease

    def renew(self, point: str, now: datetime, until: datetime) -> None:
        """Keep holding; a lease is never shortened by being renewed."""
        lease = self._leases[point]
        until = max(until, lease.until)
        self._leases[point] = replace(lease, until=until, deadline_s=self._deadline_s(now, until))

    def note(self, point: str, result: Result, *, gone: bool = False, read_back: float | None = None) -> None:
        """Remember what became of the latest command, and whether the device still has it; `read_back` is our slot, or the register."""
        lease = self._leases[point]
        # A register or slot that clamps shows what our own write made of it: that is ours too.
        clamped = read_back if result is Result.NOT_EFFECTIVE and not gone else None
        written = lease.written | {clamped} if clamped is not None else lease.written
        self._leases[point] = replace(lease, result=result, gone=gone, written=written, made_of=clamped)

    def end(self, point: str, now: datetime) -> None:
        """Let a lease run out now; the next look at `expired` finds it."""
        self._leases[point] = replace(self._leases[point], until=now)

    def drop(self, point: str) -> None:
        """The point is free (or no longer ours)."""
        self._leases.pop(point, None)

    def expired(self, now: datetime) -> list[Lease]:
        """Leases whose end has come by site time, or by monotonic time if the site's clock was moved."""
        tick = self._monotonic() if self._monotonic else None
        return [
            lease
            for lease in self._leases.values()
            if lease.value is None or lease.until <= now or (tick is not None and lease.deadline_s is not None and lease.deadline_s <= tick)
        ]

    def _deadline_s(self, now: datetime, until: datetime) -> float | None:
        return None if self._monotonic is None else self._monotonic() + (until - now).total_seconds()
