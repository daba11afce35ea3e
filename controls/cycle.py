"""The cycle: follow people's wishes, scan, think, rule, write down, act, read back. Read this and you have read the product.

1. Follow the journal: the mode, and what people asked for.
2. Scan all devices; journal the readings and freeze them as the image.
3. Strategies propose, the guard checks, the arbiter rules, interlocks hold last.
4. The commands are in the journal, durable, before any of them goes on the wire.
5. Write, read back, and journal what became of each command.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from controls.act import Hand
from controls.arbiter import Ruling, rule
from controls.drivers.connect import make_drivers
from controls.drivers.direct import DirectDevices, direct_drivers
from controls.drivers.papers import papers_of
from controls.guard import GuardState, Refusal, guard
from controls.holding import Holding, ReleaseReport
from controls.interlocks import interlocked, moved, waits
from controls.leases import Lease, Leases
from controls.polling import Poller
from controls.rights import Entitled, Rights
from controls.roll import Roll
from controls.rows import readings_row, record_row
from controls.scan import Scan, Scanner
from controls.strangers import Strangers
from controls.strategies import Strategy
from controls.tasks import end_tasks
from controls.wishes import News, Wishes
from twin.clock import Clock, monotonic_s
from twin.graph import Graph
from twin.history import History
from twin.interlocks import Interlock, interlocks_of
from twin.journal import Journal, Record
from twin.points import PointBook
from twin.site import Connection, Site
from twin.words import Image, Request, Result

WATCH_S = 0.5  # a lease that ends is let go on the wire within a second, and a person who gives the building back sees it begin
PROBE_WAITS = 4  # a lost device is asked again after so many waits for an answer, ever more rarely then
RECORD_ROWS = 20  # looked back for the last record of each secure meter


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
    polls_late: int = 0  # turns of the rates skipped so far, because the one before took too long
    dropped: int = 0  # values between cycles that found no room so far
    parts_s: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Cycle:
    """One site's control, cycle by cycle. Whoever runs it holds the site lock and moves the clock."""

    site: Site
    graph: Graph
    book: PointBook
    journal: Journal
    history: History
    connections: Mapping[str, Connection]
    clock: Clock
    strategies: Sequence[Strategy]
    read_only: bool = False
    direct: DirectDevices | None = None  # a simulated site in memory: no wire
    interlocks: Sequence[Interlock] | None = None  # None: those of the site's file and twin
    rights: Rights | None = None  # of a real site: what its newest grant lets be written

    def __post_init__(self) -> None:
        self._drivers = (
            make_drivers(
                self.book,
                self.connections,
                self.site.cycle.bacnet_engine,
                site=self.site.name,
                secure=self.site.secure_connect,
                answer_s=self.site.cycle.answer_s,
                network=self.site.bacnet,
            )
            if self.direct is None
            else direct_drivers(self.book, self.direct)
        )
        self._scanner = Scanner(self.book, self._drivers, probe_first_s=PROBE_WAITS * self.site.cycle.answer_s)
        self._poller = None if self.site.simulated else Poller(self._scanner, self.site.cycle, self.clock.now)
        self._hand = Hand(self.book, self._drivers)
        papers = papers_of(self.connections.values(), self.site.secure_connect)
        networks = {name: connection.network for name, connection in self.connections.items() if name in self._drivers}
        self._roll = Roll(self.journal, self._drivers, self._scanner, networks, papers)
        self._strangers = Strangers(self.connections if self.direct is None else {}, self.site.bacnet, self._dropped)
        leases = Leases(None if self.site.simulated else monotonic_s)
        self._holding = Holding(self.book, self._hand, self.journal, leases, self._roll.usable)
        self._wishes = Wishes(self.journal)
        self._guard = GuardState.at_start(self.graph, self.site)
        self._interlocks = interlocks_of(self.site, self.graph, self.book) if self.interlocks is None else self.interlocks
        self._image = Image(self.clock.now(), {})
        self.rewired = False  # the site's files lead elsewhere than this cycle's drivers: make a new one
        self._refused: set[tuple[str, str, str]] = set()
        self._records = _latest_records(self.journal)
        self._turn = asyncio.Lock()
        self.asked = asyncio.Event()  # set beside the cycle when a person asks for something: whoever paces the cycle need not wait

    @property
    def held(self) -> Mapping[str, Lease]:
        """The points we hold now."""
        return self._holding.leases

    @property
    def dropped(self) -> int:
        """Values between cycles that found no room so far."""
        return self._poller.dropped if self._poller else 0

    async def open(self) -> None:
        """Open the drivers, take fingerprints, and give back what an earlier life left held, before anything is read."""
        await self._strangers.open()
        await asyncio.gather(*[driver.open() for driver in self._drivers.values()])
        async with self._turn:
            now = self.clock.now()
            self._wishes.follow(now)  # what is old news is not answered again
            await self._roll.call_all(now)
            await self._holding.give_back_orphans(now)  # also where nothing may be written any more: giving back is always allowed

    async def step(self) -> CycleReport:
        """One cycle."""
        async with self._turn:
            parts = _Parts()
            now = self.clock.now()
            news = self._follow(now)
            self._tell_news(now)
            await self._roll.call(now)  # whoever returned is known again before its values are believed
            scan = await self._scanner.scan(now)
            parts.end("scan")
            image = await self._keep(scan)
            await self._roll.call(now)
            parts.end("keep")
            if self._only_reads or self._wishes.mode == "off":
                return self._report(scan, parts, Ruling(), released=await self._off(news, now))
            await self._holding.look_again(now)
            requests, refusals = self._think(image, now)
            able = [r for r in requests if self._holding.reachable(r.point) and not self._scanner.doubts(r.point)]
            cycle = self._holding.name()
            ruling = rule(able, self.book, image, now, self.held, cycle=cycle, lease_s=self.site.cycle.lease_s)
            ruling = interlocked(ruling, self.held, image, self._interlocks)
            parts.end("think")
            ruling = replace(ruling, refusals=self._new_refusals([*refusals, *ruling.refusals]))
            if any(waits(refusal) for refusal in ruling.refusals):
                self.asked.set()  # once: what stood in the way is let go in this cycle
            ruling, outcomes, released = await self._holding.enact(ruling, image, cycle)
            parts.end("act")
            return self._report(scan, parts, ruling, waiting=len(requests) - len(able), outcomes=outcomes, released=released)

    async def watch(self) -> None:
        """Beside the cycle: poll, give the building back when a person says so, end overrides and leases on time. Runs until cancelled."""
        polling = asyncio.create_task(self._poller.run()) if self._poller else None
        try:
            while polling is None or not polling.done():
                await asyncio.sleep(WATCH_S)
                async with self._turn:
                    await self._look_up()
            polling.result()  # its error is ours
        finally:
            await end_tasks([polling])

    async def _look_up(self) -> None:
        now = self.clock.now()
        news = self._follow(now)
        if self._wishes.mode == "off":
            await self._off(news, now)
        else:
            await self._holding.end_due(now)
        readings = self._scanner.between()  # what ends on the wire comes before what is only kept
        await asyncio.to_thread(self.history.add, readings)
        self._tell_news(now)
        if news.asked or moved(self._interlocks, readings, self._image):
            self.asked.set()

    def _tell_news(self, now: datetime) -> None:
        """What happened to devices since the last look, and who else spoke, goes into the journal."""
        if rows := [*self._roll.told(self._scanner.news(), now), *self._strangers.rows(now)]:
            self.journal.append(rows)

    def _dropped(self) -> int:
        return max((driver.dropped for driver in self._drivers.values()), default=0)  # all BACnet ones share their sockets

    async def release(self, by: str, why: str) -> ReleaseReport:
        """Give the building back: every point relinquished or restored, and journalled."""
        async with self._turn:
            return await self._holding.give_back(self.clock.now(), by=by, why=why)

    async def close(self) -> None:
        """Release what is held, then close the wire."""
        try:
            if self.held:
                await self.release("cycle", "the controller stops")
        finally:
            await self._strangers.close()
            await self._scanner.close()
            await asyncio.gather(*[driver.close() for driver in self._drivers.values()])

    # 1. What people want

    @property
    def _only_reads(self) -> bool:
        return self.read_only or (self.rights is not None and not self.book.writable)

    def _follow(self, now: datetime) -> News:
        if self.rights is not None and (entitled := self.rights.news(now)) is not None:
            self._heed(entitled)
        news = self._wishes.follow(now)
        for point in news.let_go:
            if point in self.held:
                self._holding.leases.end(point, now)
        if news.asked:
            self._refused = set()  # whoever asks again is answered again
        if news.unreadable:
            self.journal.append(
                Record("refusal", now, {"point": point, "by": by, "why": "", "refused_because": because})
                for point, by, because in news.unreadable
            )
        return news

    def _heed(self, entitled: Entitled) -> None:
        """Write from now on what a new grant says; what it says no more is asked for by nobody, and so let go with the next cycle."""
        self.book, self._interlocks = entitled.book, entitled.interlocks
        self.rewired = self.rewired or entitled.rewired
        self.asked.set()

    async def _off(self, news: News, now: datetime) -> int:
        """The building is its own; what a silent device still owes us is let go when it returns."""
        if news.mode_set_by or any(lease.value is not None for lease in self.held.values()):
            return (await self._holding.give_back(now, by=news.mode_set_by or "cycle", why="the optimiser is off")).points
        return await self._holding.end_due(now)

    # 2. What the building says

    async def _keep(self, scan: Scan) -> Image:
        """Journal and history get the readings, off the loop: polls and answers go on. The image holds them still for this cycle."""
        rows = [readings_row(name, readings, scan.at) for name, readings in scan.readings.items()]
        for point, content in scan.records.items():
            record = content.hex()
            if self._records.get(point) != record:
                self._records[point] = record
                rows.append(record_row(self._hand.connection(point), point, record, scan.at))
        rows += self._roll.told(scan.events, scan.at)
        await asyncio.to_thread(self.journal.append, rows)
        readings = {r.point: r for part in scan.readings.values() for r in part}
        await asyncio.to_thread(self.history.add, readings.values())
        self._image = Image(scan.at, readings)
        return self._image

    # 3. What to do

    def _think(self, image: Image, now: datetime) -> tuple[list[Request], list[Refusal]]:
        requests: list[Request] = list(self._wishes.overrides)
        for strategy in self.strategies:
            requests += strategy.propose(image, now)
        guarded = guard(requests, self.book, image, self._guard, now)
        self._guard = guarded.state
        return list(guarded.requests), list(guarded.refusals)

    def _new_refusals(self, refusals: Sequence[Refusal]) -> list[Refusal]:
        """The same refusal, cycle after cycle, stands in the journal once, however its wish is worded."""
        known, self._refused = self._refused, {_sense(refusal) for refusal in refusals}
        return [refusal for refusal in refusals if _sense(refusal) not in known]

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
            at=scan.at, mode=self._wishes.mode, asked=scan.asked, answered=scan.answered, commands=len(ruling.commands),
            writes=self._holding.writes, renewed=len(ruling.renewed), waiting=waiting, outcomes=dict(outcomes or {}),
            refusals=len(ruling.refusals), released=released, records=len(scan.records), lost=sorted(self._roll.lost),
            conflicts=sorted(self._holding.conflicts), held=len(self.held),
            overrun=not self.site.simulated and duration_s > self.site.cycle.step_s, duration_s=duration_s,
            polls_late=self._poller.overruns if self._poller else 0, dropped=self.dropped,
            parts_s=parts.parts_s,
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


def _sense(refusal: Refusal) -> tuple[str, str, str]:
    return refusal.point, refusal.by, refusal.refused_because


def _latest_records(journal: Journal) -> dict[str, str]:
    return {row.body["point"]: row.body["record"] for row in reversed(journal.latest(("record",), most=RECORD_ROWS))}
