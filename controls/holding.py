"""What we hold in the building: taking points over, writing and verifying, conflicts with other clients, and giving back.

Every command is in the journal, durable, before it goes on the wire; every point ends as it was found.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from controls.act import UNANSWERED, Hand, judge, ours
from controls.arbiter import PRIORITY, Ruling, relinquish
from controls.drivers import Held
from controls.leases import Lease, Leases
from controls.orphans import orphans
from controls.rows import alarm_row, command_row, outcome_row, refusal_row
from twin.clock import monotonic_s
from twin.errors import StateError
from twin.journal import Journal, Record
from twin.points import PointBook
from twin.words import Command, Image, Result

LEASE_ENDED = "its lease ended and nobody renewed it"
CONFLICT_PRIORITY = 50  # alarm: another client uses our slot, a technician must look


@dataclass(frozen=True)
class ReleaseReport:
    """The building given back: points let go, and those that a device did not let go."""

    points: int
    not_released: Sequence[str]
    seconds: float


class Holding:
    """The points we hold, by lease. `usable` says whether a connection's device may be commanded now."""

    def __init__(self, book: PointBook, hand: Hand, journal: Journal, leases: Leases, usable: Callable[[str], bool]) -> None:
        self._book = book
        self._hand = hand
        self._journal = journal
        self.leases = leases
        self._usable = usable
        self.conflicts: dict[str, Lease | None] = {}
        self._away: set[str] = set()  # connections that could not be reached at the last look
        self.writes = 0

    def reachable(self, point: str) -> bool:
        """Whether the point may be commanded now. Points nobody knows pass: the arbiter refuses them with a reason."""
        connection = self._hand.connection(point)
        return not connection or (self._usable(connection) and point not in self.conflicts)

    def name(self) -> str:
        """A name for a cycle or release that no other of this site ever had: the journal only grows."""
        return str(self._journal.size())

    # Taking and commanding

    async def enact(self, ruling: Ruling, image: Image, cycle: str) -> tuple[Ruling, Counter[Result], int]:
        """Take points over, write the ruling down, then act on it; the ruling as it went, the outcomes, and points let go."""
        now = image.at
        ruling = await self._take_over(ruling, now)
        freed = relinquish(self._unwanted(ruling), now, cycle=cycle, by="cycle", why="nobody asks for it any more")
        self._write_down(ruling, freed, cycle, now)
        outcomes = await self._act(ruling, image, now)
        return ruling, outcomes, await self._let_go(freed, now)

    def _unwanted(self, ruling: Ruling) -> list[Lease]:
        """What nobody asks for any more is let go at once; the lease itself is for the case that we fall silent."""
        wanted = {*ruling.renewed, *(c.point for c in ruling.commands)}
        return [lease for lease in self.leases.values() if lease.point not in wanted and self.reachable(lease.point)]

    async def _take_over(self, ruling: Ruling, now: datetime) -> Ruling:
        """Look before the first write: what a point holds tells whether it has slots, what to give back, and who else uses our slot."""
        fresh = [c.point for c in ruling.commands if c.point not in self.leases]
        found = await self._hand.look(fresh) if fresh else {}
        commands = [c for c in ruling.commands if c.point in self.leases or self._free(c.point, found.get(c.point), now)]
        for command in commands:
            lease, held = self.leases.get(command.point), found.get(command.point)
            if held is not None:
                self.leases.grant(command, has_slots=held.has_slots, prior=None if held.has_slots else held.value)
            elif lease is not None:
                self.leases.grant(command, has_slots=lease.has_slots, prior=lease.prior)
        for point, until in ruling.renewed.items():
            if self.leases[point].result is not Result.REJECTED:  # a rejected value ends with its lease, then it is tried anew
                self.leases.renew(point, now, until)
        priors = {p: h.value for p, h in found.items() if not h.has_slots and p in self.leases}
        return replace(ruling, commands=commands, priors=priors)

    def _free(self, point: str, held: Held | None, now: datetime) -> bool:
        """Whether a point may be taken: it can be read (else it could not be given back), and our slot is empty."""
        if held is None or (held.value is None and not held.has_slots):
            return False
        if held.slot is not None:
            self._conflict(point, f"slot {PRIORITY} holds {held.slot:g}, which we never wrote", now)
        return held.slot is None

    def _write_down(self, ruling: Ruling, freed: Sequence[Command], cycle: str, now: datetime) -> None:
        rows = [Record("prior", now, {"point": point, "value": value}) for point, value in ruling.priors.items()]
        rows += [command_row(command, cycle, ruling.inputs.get(command.id, {})) for command in (*ruling.commands, *freed)]
        rows += [refusal_row(r, now) for r in ruling.refusals]
        if rows:
            self._journal.append(rows)

    async def _act(self, ruling: Ruling, image: Image, now: datetime) -> Counter[Result]:
        """Write new commands, and again all registers that a watchdog would take back; then read back every point we hold."""
        values = {c.point: c.value for c in ruling.commands}
        for point in ruling.renewed:
            lease = self.leases[point]
            if not lease.has_slots and lease.result is not Result.REJECTED and self._still_ours(lease, image, now):
                values[point] = lease.value
        wrong = await self._hand.write(values)
        self.writes = len(wrong)
        fresh = {c.point for c in ruling.commands}
        verified = [p for p, lease in self.leases.items() if lease.value is not None and self.reachable(p)]
        return await self._verify([p for p in verified if p in fresh or self.leases[p].result is not Result.REJECTED], fresh, wrong, now)

    async def _verify(self, points: Sequence[str], fresh: set[str], wrong: Mapping[str, str], now: datetime) -> Counter[Result]:
        """Read back and judge; only what is new goes into the journal."""
        held = await self._hand.look(points)  # also where a write was not answered: it may have happened
        outcomes: Counter[Result] = Counter()
        rows = []
        for point in points:
            lease = self.leases[point]
            there = held.get(point)
            result, gone, detail = judge(
                self._hand, lease, there, wrong.get(point, ""), fresh=point in fresh or lease.result is Result.UNVERIFIED
            )
            if point in fresh or result is not lease.result:
                outcomes[result] += 1
                rows.append(outcome_row(lease.command, point, result, there, detail, now))
            self.leases.note(point, result, gone=gone, read_back=_made_of(there, written_now=point in wrong))
            if result is Result.CONFLICT:
                self._conflict(point, detail, now)
        if rows:
            self._journal.append(rows)
        return outcomes

    async def look_again(self, now: datetime) -> None:
        """Before anything new: free what ran out unseen, resolve writes that nobody answered, and see whether conflicts have ended."""
        self.writes = 0
        await self._end_what_ran_out_unseen(now)
        await self._resolve_unverified(now)
        await self._end_conflicts(now)

    async def _end_what_ran_out_unseen(self, now: datetime) -> None:
        """A device that was away for longer than its leases is its own again before anything new is asked of it."""
        held = {self._hand.connection(point) for point in self.leases}
        back = {c for c in self._away if self._usable(c)}
        self._away = {c for c in held if not self._usable(c)}
        if back:
            await self.end_due(now, back)

    async def _resolve_unverified(self, now: datetime) -> None:
        """A write that nobody answered may have happened: read back before anything is tried again."""
        unsure = [p for p, lease in self.leases.items() if lease.result is Result.UNVERIFIED and lease.value is not None]
        if able := [p for p in unsure if self.reachable(p)]:
            await self._verify(able, set(), {}, now)

    def _still_ours(self, lease: Lease, image: Image, now: datetime) -> bool:
        """Whether this cycle saw our value in a register: what was not seen is not overwritten, what somebody else wrote is theirs."""
        reading = image.readings.get(lease.point)
        if reading is None or reading.value is None or reading.at != image.at:
            return False
        held = Held(lease.point, reading.value, has_slots=False)
        if ours(self._hand, lease, held):
            return True
        detail = f"the register holds {reading.value:g}, which we never wrote"
        self._journal.append([outcome_row(lease.command, lease.point, Result.CONFLICT, held, detail, now)])
        self._conflict(lease.point, detail, now)
        return False

    def _conflict(self, point: str, detail: str, now: datetime) -> None:
        """Two writers on one slot fight for ever: we stop, and a technician is told."""
        self.conflicts[point] = self.leases.get(point)
        self.leases.drop(point)
        message = f"{point}: {detail}; find the other client, or take the point out of points.csv"
        self._journal.append([alarm_row("conflict", point, message, raised=True, priority=CONFLICT_PRIORITY, at=now)])

    async def _end_conflicts(self, now: datetime) -> None:
        """A point is ours to use again once the other client has let go of it."""
        points = [p for p in self.conflicts if self._usable(self._hand.connection(p))]
        for point, held in (await self._hand.look(points)).items() if points else ():
            lease = self.conflicts[point]
            prior = lease.prior if lease else None
            if held.slot is None and (held.has_slots or self._hand.same(point, held.value, prior)):
                del self.conflicts[point]
                message = f"{point}: the other client has let go"
                self._journal.append([alarm_row("conflict", point, message, raised=False, priority=CONFLICT_PRIORITY, at=now)])

    # Giving back

    async def end_due(self, now: datetime, connections: Collection[str] | None = None) -> int:
        """End leases whose time has come (of these connections alone, if named); how many points became free."""
        due = [lease for lease in self.leases.expired(now) if self.reachable(lease.point)]
        if connections is not None:
            due = [lease for lease in due if self._hand.connection(lease.point) in connections]
        if not due:
            return 0
        cycle = self.name()
        commands = relinquish(due, now, cycle=cycle, by="cycle", why=LEASE_ENDED)
        self._write_down(Ruling(), commands, cycle, now)
        return await self._let_go(commands, now)

    async def give_back_orphans(self, now: datetime) -> None:
        """Release what an earlier life of the controller left held, as the journal tells."""
        left = [lease for lease in orphans(self._journal) if self._hand.connection(lease.point)]
        for lease in left:
            self.leases.owe(lease)
        if left:
            await self.give_back(now, by="cycle", why="left held by an earlier life of the controller")

    async def _let_go(self, commands: Sequence[Command], now: datetime) -> int:
        """Relinquish or restore, read back, and drop the leases that are free; what a silent device still holds stays owed."""
        if not commands:
            return 0
        leases = {c.point: self.leases[c.point] for c in commands}
        before = await self._hand.look(leases)
        todo = {p: self._empty(leases[p], held) for p, held in before.items() if self._still_holds(leases[p], held)}
        wrong = await self._hand.write(todo)
        after = {**before, **(await self._hand.look(todo) if todo else {})}
        rows = []
        for command in commands:
            point = command.point
            result, detail = self._given_back(leases[point], before.get(point), after.get(point), wrong.get(point, ""))
            rows.append(outcome_row(command.id, point, result, after.get(point), detail, now))
            if result in (Result.APPLIED, Result.CONFLICT):
                self.leases.drop(point)
            else:
                self.leases.owe(replace(leases[point], value=None, result=None, until=now))
        self._journal.append(rows)
        return sum(point not in self.leases for point in leases)

    def _still_holds(self, lease: Lease, held: Held) -> bool:
        full = held.slot is not None if held.has_slots else not self._hand.same(lease.point, held.value, self._empty(lease, held))
        return full and ours(self._hand, lease, held)

    def _empty(self, lease: Lease, held: Held) -> float | None:
        """What frees a point: nothing in our slot, or what the register held before us."""
        if held.has_slots:
            return None
        limits = self._book[lease.point].limits
        return lease.prior if lease.prior is not None or limits is None else limits.fallback

    def _given_back(self, lease: Lease, before: Held | None, after: Held | None, wrong: str) -> tuple[Result, str]:
        if before is None or after is None or wrong.startswith(UNANSWERED):
            return Result.UNVERIFIED, wrong or "the device does not answer"
        if not ours(self._hand, lease, before):
            return Result.CONFLICT, "it holds a value that we never wrote, and keeps it"
        if wrong:
            return Result.REJECTED, wrong
        return (Result.NOT_EFFECTIVE, "the device did not let go") if self._still_holds(lease, after) else (Result.APPLIED, "")

    async def give_back(self, now: datetime, *, by: str, why: str) -> ReleaseReport:
        """Everything at once. A journal that cannot be written stops commands, never a release."""
        began, trouble = monotonic_s(), None
        cycle, points = self.name(), len(self.leases)
        commands = relinquish(self.leases.values(), now, cycle=cycle, by=by, why=why)
        try:
            self._write_down(Ruling(), commands, cycle, now)
        except StateError as error:
            trouble = error
        await self._let_go(commands, now)
        report = ReleaseReport(points, sorted(self.leases), monotonic_s() - began)
        body = {"by": by, "why": why, "points": points, "held_after": len(report.not_released), "seconds": round(report.seconds, 3)}
        self._journal.append([Record("release", now, {**body, "not_released": list(report.not_released)})])
        if trouble is not None:
            raise trouble
        return report


def _made_of(held: Held | None, *, written_now: bool) -> float | None:
    """What the device made of our value: our slot; or the register, if we wrote it just now (else somebody else may have)."""
    if held is None or held.has_slots:
        return held.slot if held else None
    return held.value if written_now else None
