"""The cycle: follow people's wishes, scan, think, rule, write down, act, read back. Read this and you have read the product.

1. Follow the journal: the mode, and what people asked for.
2. Scan all devices; journal the readings and freeze them as the image.
3. Strategies propose, the guard checks, the arbiter rules.
4. The commands are in the journal, durable, before any of them goes on the wire.
5. Write, read back, and journal what became of each command.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from controls.act import UNANSWERED, Hand, judge, ours
from controls.arbiter import PRIORITY, Refusal, Ruling, relinquish, rule
from controls.drivers import Held, WireTimeout
from controls.drivers.connect import make_drivers
from controls.leases import Lease, Leases
from controls.orphans import orphans
from controls.rows import alarm_row, command_row, device_row, outcome_row, readings_row, record_row, refusal_row
from controls.scan import Scan, Scanner
from controls.wishes import News, Wishes
from twin.clock import Clock, monotonic_s
from twin.errors import StateError, WireError
from twin.history import History
from twin.journal import Journal, Record
from twin.points import PointBook
from twin.site import Connection, Site
from twin.words import Command, Image, Request, Result

WATCH_S = 1.0  # a person who gives the building back sees it begin within a second
CONFLICT_PRIORITY = 50  # alarm: another client uses our slot, a technician must look
LOST_PRIORITY = 80  # alarm: a device does not answer
FINGERPRINT_ROWS = 200  # looked back for each device's last fingerprint: more than any site has devices
RECORD_ROWS = 20  # looked back for the last record of each secure meter


class Proposes(Protocol):
    """What the cycle asks of a strategy."""

    def propose(self, image: Image, now: datetime) -> list[Request]: ...


Guard = Callable[[Sequence[Request], Image, datetime], tuple[Sequence[Request], Sequence[Refusal]]]


@dataclass(frozen=True)
class CycleReport:
    """One cycle in figures."""

    at: datetime
    mode: str
    asked: int  # points
    answered: int
    commands: int
    writes: int  # over the wire: new commands, and registers written again for their watchdogs
    renewed: int
    waiting: int  # wishes for points whose device does not answer, or that are in conflict
    outcomes: Mapping[Result, int]
    refusals: int
    released: int
    records: int
    lost: Sequence[str]
    conflicts: Sequence[str]
    held: int
    overrun: bool
    duration_s: float
    parts_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ReleaseReport:
    """The building given back: points let go, and those that a device did not let go."""

    points: int
    not_released: Sequence[str]
    seconds: float


@dataclass
class Cycle:
    """One site's control, cycle by cycle. Whoever runs it holds the site lock and moves the clock."""

    site: Site
    graph: Any
    book: PointBook
    journal: Journal
    history: History
    connections: Mapping[str, Connection]
    clock: Clock
    strategies: Sequence[Proposes]
    guard: Guard | None = None
    read_only: bool = False

    def __post_init__(self) -> None:
        self._drivers = make_drivers(self.book, self.connections)
        self._scanner = Scanner(self.book, self._drivers)
        self._hand = Hand(self.book, self._drivers)
        self._leases = Leases(None if self.site.simulated else monotonic_s)
        self._wishes = Wishes(self.journal)
        self._conflicts: dict[str, Lease | None] = {}
        self._unknown = set(self._drivers)  # devices whose fingerprint was not taken since they were last away
        self._refused: set[tuple[str, str, str]] = set()
        self._records = _latest_records(self.journal)
        self._fingerprints = _latest_fingerprints(self.journal)
        self._writes = 0
        self._lost: set[str] = set()
        self._turn = asyncio.Lock()

    @property
    def held(self) -> Mapping[str, Lease]:
        """The points we hold now."""
        return self._leases

    async def open(self) -> None:
        """Open the drivers, take fingerprints, and give back what an earlier life left held, before anything is read."""
        await asyncio.gather(*[driver.open() for driver in self._drivers.values()])
        async with self._turn:
            now = self.clock.now()
            self._wishes.follow(now)  # what is old news is not answered again
            await self._identify(self._drivers, now)
            left = [] if self.read_only else orphans(self.journal)
            for lease in left:
                if self._hand.connection(lease.point):
                    self._leases.owe(lease)
            if left:
                await self._give_back(now, by="cycle", why="left held by an earlier life of the controller")

    async def step(self) -> CycleReport:
        """One cycle."""
        async with self._turn:
            parts = _Parts()
            now = self.clock.now()
            news = self._follow(now)
            scan = await self._scanner.scan(now)
            parts.end("scan")
            image = self._keep(scan)
            await self._identify([c for c in self._unknown if self._scanner.answers(c)], now)
            self._writes = 0
            parts.end("keep")
            if self.read_only or self._wishes.mode == "off":
                released = await self._off(news, now)
                return self._report(scan, parts, Ruling([], {}, [], []), released=released)
            await self._resolve_unverified(now)
            await self._end_conflicts(now)
            requests, refusals, waiting = self._think(image, now)
            cycle = self._name()
            ruling = rule(requests, self.book, image, now, self._leases, cycle=cycle, lease_s=self.site.cycle.lease_s)
            parts.end("think")
            ruling = replace(await self._take_over(ruling, now), refusals=[*refusals, *ruling.refusals])
            freed = relinquish(self._due(ruling, now), now, cycle=cycle, by="cycle", why="its lease ended, or nobody asks for it any more")
            self._write_down(ruling, freed, cycle, now)
            parts.end("rule and journal")
            outcomes = await self._act(ruling, image, now)
            released = await self._let_go(freed, now)
            parts.end("act")
            return self._report(scan, parts, ruling, waiting=waiting, outcomes=outcomes, released=released)

    async def watch(self) -> None:
        """Beside the cycle: give the building back when a person says so, and end overrides and leases on time. Runs until cancelled."""
        while True:
            await asyncio.sleep(WATCH_S)
            async with self._turn:
                now = self.clock.now()
                news = self._follow(now)
                if self._wishes.mode == "off":
                    await self._off(news, now)
                elif due := [lease for lease in self._leases.expired(now) if self._reachable(lease.point)]:
                    commands = relinquish(
                        due, now, cycle=self._name(), by="cycle", why="its lease ended, or a person took the override back"
                    )
                    self._write_down(Ruling([], {}, [], []), commands, self._name(), now)
                    await self._let_go(commands, now)

    async def release(self, by: str, why: str) -> ReleaseReport:
        """Give the building back: every point relinquished or restored, and journalled."""
        async with self._turn:
            return await self._give_back(self.clock.now(), by=by, why=why)

    async def close(self) -> None:
        """Release what is held, then close the wire."""
        try:
            if self._leases:
                await self.release("cycle", "the controller stops")
        finally:
            await self._scanner.close()
            await asyncio.gather(*[driver.close() for driver in self._drivers.values()])

    # 1. What people want

    def _follow(self, now: datetime) -> News:
        news = self._wishes.follow(now)
        for point in news.let_go:
            if point in self._leases:
                self._leases.end(point, now)
        if news.unreadable:
            self.journal.append(
                Record("refusal", now, {"point": point, "by": by, "why": "", "refused_because": because})
                for point, by, because in news.unreadable
            )
        return news

    async def _off(self, news: News, now: datetime) -> int:
        if not self._leases and not news.mode_set_by:
            return 0
        by = news.mode_set_by or "cycle"
        return (await self._give_back(now, by=by, why="the optimiser is off")).points

    # 2. What the building says

    def _keep(self, scan: Scan) -> Image:
        """Journal and history get the readings; the image holds them still for this cycle."""
        rows = [readings_row(name, readings, scan.at) for name, readings in scan.readings.items()]
        for point, content in scan.records.items():
            record = content.hex()
            if self._records.get(point) != record:
                self._records[point] = record
                rows.append(record_row(self._hand.connection(point), point, record, scan.at))
        for name, event in scan.events:
            rows += self._away_or_back(name, event, scan.at)
        self.journal.append(rows)
        readings = {r.point: r for part in scan.readings.values() for r in part}
        self.history.add(readings.values())
        return Image(scan.at, readings)

    def _away_or_back(self, name: str, event: str, at: datetime) -> list[Record]:
        lost = event == "lost"
        self._unknown.add(name)  # it may come back as another one
        (self._lost.add if lost else self._lost.discard)(name)
        message = f"{name} does not answer; check its power, cable and address" if lost else f"{name} answers again"
        return [
            device_row(name, event, self._fingerprints.get(name, {}), at),
            alarm_row("device", name, message, raised=lost, priority=LOST_PRIORITY, at=at),
        ]

    async def _identify(self, names: Iterable[str], now: datetime) -> None:
        """Take fingerprints of devices that are new or were away. Another device than the configured one is neither read nor commanded."""
        names = list(names)
        answers = await asyncio.gather(*[self._drivers[n].identify() for n in names], return_exceptions=True)
        rows: list[Record] = []
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, WireTimeout):
                continue  # the scan tells
            if isinstance(answer, WireError):
                if self._scanner.bar(name):
                    rows.append(alarm_row("identity", name, str(answer), raised=True, priority=CONFLICT_PRIORITY, at=now))
                continue
            if isinstance(answer, BaseException):
                raise answer
            rows += self._known(name, asdict(answer), now)
        if rows:
            self.journal.append(rows)

    def _known(self, name: str, fingerprint: dict[str, Any], now: datetime) -> list[Record]:
        before = self._fingerprints.get(name)
        self._unknown.discard(name)
        self._fingerprints[name] = fingerprint
        rows = [device_row(name, "found" if before in (None, fingerprint) else "changed", fingerprint, now)]
        if self._scanner.admit(name):
            rows.append(alarm_row("identity", name, f"{name} is itself again", raised=False, priority=CONFLICT_PRIORITY, at=now))
        return rows

    # 3. What to do

    def _think(self, image: Image, now: datetime) -> tuple[list[Request], list[Refusal], int]:
        requests: list[Request] = list(self._wishes.overrides)
        for strategy in self.strategies:
            requests += strategy.propose(image, now)
        refusals: list[Refusal] = []
        if self.guard is not None:
            passed, refused = self.guard(requests, image, now)
            requests, refusals = list(passed), list(refused)
        able = [r for r in requests if self._reachable(r.point)]
        return able, refusals, len(requests) - len(able)

    def _reachable(self, point: str) -> bool:
        """Whether the point may be commanded now. Points nobody knows pass: the arbiter refuses them with a reason."""
        connection = self._hand.connection(point)
        usable = self._scanner.answering(connection) and connection not in self._unknown
        return not connection or (usable and point not in self._conflicts)

    def _due(self, ruling: Ruling, now: datetime) -> list[Lease]:
        """Leases to end now: run out with nobody asking, or asked to be let go."""
        wanted = {*ruling.renewed, *(c.point for c in ruling.commands)}
        expired = {lease.point for lease in self._leases.expired(now)} - wanted
        asked = {point for point, _ in ruling.let_go}
        return [self._leases[p] for p in sorted(expired | asked) if self._reachable(p)]

    # 4. Write down, then act

    async def _take_over(self, ruling: Ruling, now: datetime) -> Ruling:
        """Look before the first write: what a point holds tells whether it has slots, what to give back, and who else uses our slot."""
        fresh = [c.point for c in ruling.commands if c.point not in self._leases]
        found = await self._hand.look(fresh) if fresh else {}
        commands = [c for c in ruling.commands if c.point in self._leases or self._free(c.point, found.get(c.point), now)]
        for command in commands:
            lease, held = self._leases.get(command.point), found.get(command.point)
            if held is not None:
                self._leases.grant(command, has_slots=held.has_slots, prior=None if held.has_slots else held.value)
            elif lease is not None:
                self._leases.grant(command, has_slots=lease.has_slots, prior=lease.prior)
        for point, until in ruling.renewed.items():
            if self._leases[point].result is not Result.REJECTED:  # a rejected value ends with its lease, then it is tried anew
                self._leases.renew(point, now, until)
        priors = {p: h.value for p, h in found.items() if not h.has_slots and p in self._leases}
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
        known, self._refused = self._refused, {(r.request.point, r.request.by, r.because) for r in ruling.refusals}
        rows += [refusal_row(r, now) for r in ruling.refusals if (r.request.point, r.request.by, r.because) not in known]
        if rows:
            self.journal.append(rows)

    # 5. Act, and look what became of it

    async def _act(self, ruling: Ruling, image: Image, now: datetime) -> Counter[Result]:
        """Write new commands, and again all registers that a watchdog would take back; then read back every point we hold."""
        values = {c.point: c.value for c in ruling.commands}
        for point in ruling.renewed:
            lease = self._leases[point]
            if not lease.has_slots and lease.result is not Result.REJECTED and not self._foreign(lease, image, now):
                values[point] = lease.value
        wrong = await self._hand.write(values)
        self._writes = len(wrong)
        fresh = {c.point for c in ruling.commands}
        verified = [p for p, lease in self._leases.items() if lease.value is not None and self._reachable(p)]
        return await self._verify([p for p in verified if p in fresh or self._leases[p].result is not Result.REJECTED], fresh, wrong, now)

    async def _verify(self, points: Sequence[str], fresh: set[str], wrong: Mapping[str, str], now: datetime) -> Counter[Result]:
        """Read back and judge; only what is new goes into the journal."""
        mute = {self._hand.connection(p) for p, words in wrong.items() if words.startswith(UNANSWERED)}
        held = await self._hand.look([p for p in points if self._hand.connection(p) not in mute])
        outcomes: Counter[Result] = Counter()
        rows = []
        for point in points:
            lease = self._leases[point]
            result, gone, detail = judge(self._hand, lease, held.get(point), wrong.get(point, ""))
            if point in fresh or result is not lease.result:
                outcomes[result] += 1
                rows.append(outcome_row(lease.command, point, result, held.get(point), detail, now))
            self._leases.note(point, result, gone=gone, read_back=held[point].value if point in held else None)
            if result is Result.CONFLICT:
                self._conflict(point, detail, now)
        if rows:
            self.journal.append(rows)
        return outcomes

    async def _resolve_unverified(self, now: datetime) -> None:
        """A write that nobody answered may have happened: read back before anything is tried again."""
        unsure = [p for p, lease in self._leases.items() if lease.result is Result.UNVERIFIED and lease.value is not None]
        if able := [p for p in unsure if self._reachable(p)]:
            await self._verify(able, set(), {}, now)

    def _foreign(self, lease: Lease, image: Image, now: datetime) -> bool:
        """Whether somebody else wrote a register of ours since the last cycle: then it is theirs."""
        reading = image.readings.get(lease.point)
        if reading is None or reading.value is None or reading.at != image.at:
            return False
        held = Held(lease.point, reading.value, has_slots=False)
        if ours(self._hand, lease, held):
            return False
        detail = f"the register holds {reading.value:g}, which we never wrote"
        self.journal.append([outcome_row(lease.command, lease.point, Result.CONFLICT, held, detail, now)])
        self._conflict(lease.point, detail, now)
        return True

    def _conflict(self, point: str, detail: str, now: datetime) -> None:
        """Two writers on one slot fight for ever: we stop, and a technician is told."""
        self._conflicts[point] = self._leases.get(point)
        self._leases.drop(point)
        message = f"{point}: {detail}; find the other client, or take the point out of points.csv"
        self.journal.append([alarm_row("conflict", point, message, raised=True, priority=CONFLICT_PRIORITY, at=now)])

    async def _end_conflicts(self, now: datetime) -> None:
        """A point is ours to use again once the other client has let go of it."""
        points = [p for p in self._conflicts if self._scanner.answering(self._hand.connection(p))]
        for point, held in (await self._hand.look(points)).items() if points else ():
            lease = self._conflicts[point]
            prior = lease.prior if lease else None
            if held.slot is None and (held.has_slots or self._hand.same(point, held.value, prior)):
                del self._conflicts[point]
                message = f"{point}: the other client has let go"
                self.journal.append([alarm_row("conflict", point, message, raised=False, priority=CONFLICT_PRIORITY, at=now)])

    # Giving back

    async def _let_go(self, commands: Sequence[Command], now: datetime) -> int:
        """Relinquish or restore, read back, and drop the leases that are free; what a silent device still holds stays owed."""
        if not commands:
            return 0
        leases = {c.point: self._leases[c.point] for c in commands}
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
                self._leases.drop(point)
            else:
                self._leases.owe(replace(leases[point], value=None, result=None, until=now))
        self.journal.append(rows)
        return sum(point not in self._leases for point in leases)

    def _still_holds(self, lease: Lease, held: Held) -> bool:
        full = held.slot is not None if held.has_slots else not self._hand.same(lease.point, held.value, self._empty(lease, held))
        return full and ours(self._hand, lease, held)

    def _empty(self, lease: Lease, held: Held) -> float | None:
        """What frees a point: nothing in our slot, or what the register held before us."""
        if held.has_slots:
            return None
        limits = self.book[lease.point].limits
        return lease.prior if lease.prior is not None or limits is None else limits.fallback

    def _given_back(self, lease: Lease, before: Held | None, after: Held | None, wrong: str) -> tuple[Result, str]:
        if before is None or after is None or wrong.startswith(UNANSWERED):
            return Result.UNVERIFIED, wrong or "the device does not answer"
        if not ours(self._hand, lease, before):
            return Result.CONFLICT, "it holds a value that we never wrote, and keeps it"
        if wrong:
            return Result.REJECTED, wrong
        return (Result.NOT_EFFECTIVE, "the device did not let go") if self._still_holds(lease, after) else (Result.APPLIED, "")

    async def _give_back(self, now: datetime, *, by: str, why: str) -> ReleaseReport:
        """Everything at once. A journal that cannot be written stops commands, never a release."""
        began, trouble = monotonic_s(), None
        cycle, points = self._name(), len(self._leases)
        commands = relinquish(self._leases.values(), now, cycle=cycle, by=by, why=why)
        try:
            self._write_down(Ruling([], {}, [], []), commands, cycle, now)
        except StateError as error:
            trouble = error
        await self._let_go(commands, now)
        report = ReleaseReport(points, sorted(self._leases), monotonic_s() - began)
        body = {"by": by, "why": why, "points": points, "held_after": len(report.not_released), "seconds": round(report.seconds, 3)}
        self.journal.append([Record("release", now, {**body, "not_released": list(report.not_released)})])
        if trouble is not None:
            raise trouble
        return report

    def _name(self) -> str:
        """A name for this cycle that no other cycle of this site ever had: the journal only grows."""
        return str(self.journal.size())

    def _report(
        self,
        scan: Scan,
        parts: "_Parts",
        ruling: Ruling,
        *,
        waiting: int = 0,
        outcomes: Mapping[Result, int] | None = None,
        released: int = 0,
    ) -> CycleReport:
        duration_s = parts.total_s()
        return CycleReport(
            at=scan.at, mode=self._wishes.mode, asked=scan.asked, answered=scan.answered, writes=self._writes,
            commands=len(ruling.commands), renewed=len(ruling.renewed), waiting=waiting, outcomes=dict(outcomes or {}), refusals=len(ruling.refusals), released=released,
            records=len(scan.records), lost=sorted(self._lost), conflicts=sorted(self._conflicts), held=len(self._leases),
            overrun=not self.site.simulated and duration_s > self.site.cycle.step_s, duration_s=duration_s, parts_s=parts.parts_s,
        )  # fmt: skip


class _Parts:
    """Where the time of a cycle goes."""

    def __init__(self) -> None:
        self._began = self._last = monotonic_s()
        self.parts_s: dict[str, float] = {}

    def end(self, name: str) -> None:
        now = monotonic_s()
        self.parts_s[name], self._last = now - self._last, now

    def total_s(self) -> float:
        return monotonic_s() - self._began


def _latest_fingerprints(journal: Journal) -> dict[str, dict[str, Any]]:
    rows = reversed(journal.latest(("device",), most=FINGERPRINT_ROWS))
    return {row.body["connection"]: row.body["fingerprint"] for row in rows if row.body["fingerprint"]}


def _latest_records(journal: Journal) -> dict[str, str]:
    return {row.body["point"]: row.body["record"] for row in reversed(journal.latest(("record",), most=RECORD_ROWS))}
