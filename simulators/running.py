"""A simulated site in motion: plant, devices on the wire and the cycle take turns at one barrier.

One step: the plant's readings go into the devices; the cycle scans, thinks, rules and writes over the wire;
the plant then takes what its devices hold and moves on. Nothing else connects the controller with the plant.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from controls.cycle import Cycle, CycleReport
from controls.holding import ReleaseReport
from controls.strategies import Strategy
from controls.tasks import end_tasks
from simulators.direct import DirectDevices
from simulators.faulty import FaultyPlant
from simulators.plant import Plant, Step
from simulators.safety import unsafe
from simulators.score import Score
from simulators.wire.devices import FieldDevices
from simulators.wire.secure_device import HubSide
from twin.clock import SteppedClock, monotonic_s
from twin.graph import Graph
from twin.history import History
from twin.journal import Journal, Record
from twin.points import PointBook
from twin.secure_connect import TLS
from twin.site import Site
from twin.state import site_lock, write_json

RecordMaker = Callable[[datetime, float], bytes | None]
NAP_S = 0.2  # how soon a pacing loop notices that it shall stop
PACED_AFTER = timedelta(hours=7)  # the first night goes as fast as it can: nobody comes to watch an empty building


@dataclass(frozen=True, slots=True)
class Loss:
    """A fault to stage: a device vanishes from the wire before step `at_step` and comes back before `back_at_step`, if ever."""

    connection: str
    at_step: int
    back_at_step: int | None = None


@dataclass(frozen=True)
class SiteParts:
    """What a simulated site is made of before it moves."""

    site: Site
    graph: Graph
    book: PointBook
    plant: Plant
    folder: Path  # state
    strategies: list[Strategy]
    records: Mapping[str, RecordMaker] = field(default_factory=dict)
    losses: tuple[Loss, ...] = ()
    direct: bool = False  # devices in memory instead of on sockets, for long studies


@dataclass
class RunReport:
    """What happened, counted while it happened."""

    began: datetime | None = None
    steps: int = 0
    reads: int = 0
    writes: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    cycle_s: list[float] = field(default_factory=list)  # wall time of each cycle
    device_writes: int = 0
    release: ReleaseReport | None = None
    score: Score | None = None
    design: Mapping[str, float] = field(default_factory=dict)  # of the equipment, as sized in this run
    violations: int = 0  # values that we held outside what is safe, step by step
    stopped: bool = False  # by a person, before the period was over

    def count(self, cycle: CycleReport) -> None:
        self.steps += 1
        self.reads += cycle.answered
        self.writes += cycle.writes
        self.cycle_s.append(cycle.duration_s)
        self.outcomes.update({result.value: n for result, n in cycle.outcomes.items()})


class RunningSite:
    """Drives one site from its plant's first step until the period is over or `stop` is set; then gives the building back."""

    def __init__(self, parts: SiteParts) -> None:
        self.parts = parts
        self.journal = Journal(parts.folder / "journal.db")
        self.history = History(parts.folder / "history.db")
        self.direct = DirectDevices(parts.book, parts.site.connections) if parts.direct else None
        hub = HubSide(parts.site.name, parts.site.secure_connect.hub, parts.folder / TLS)
        self.devices = self.direct or FieldDevices(parts.book, parts.site.connections, records=parts.records, hub=hub)
        self.report = RunReport()

    async def run(self, *, speed: float | None, stop: asyncio.Event) -> RunReport:
        """Run paced (`speed` simulated seconds a second, after the first night) or, with None, as fast as it goes."""
        with site_lock(self.parts.folder, "simulated run"):
            try:
                await self._run(speed, stop)
            finally:
                await self.devices.stop()
                await asyncio.to_thread(self.parts.plant.close)
        return self.report

    async def _run(self, speed: float | None, stop: asyncio.Event) -> None:
        parts = self.parts
        step: Step | None = await asyncio.to_thread(parts.plant.reset)
        assert step is not None
        clock = SteppedClock(step.at)
        self.report.began = step.at
        connections = await self.devices.start()
        if isinstance(parts.plant, FaultyPlant) and isinstance(self.devices, FieldDevices):
            await parts.plant.break_devices(self.devices)
        write_json(
            parts.folder / "connections.json",
            {n: {"protocol": c.protocol, "host": c.host, "port": c.port, "device": c.device} for n, c in connections.items()},
        )
        await self._publish(step)
        self.journal.append(
            [Record("mode", step.at, {"mode": "automatic", "by": "simulation", "why": "a simulated site starts under control"})]
        )
        cycle = Cycle(
            parts.site, parts.graph, parts.book, self.journal, self.history, connections, clock, parts.strategies, direct=self.direct
        )
        await cycle.open()
        watching = asyncio.create_task(cycle.watch())
        try:
            while step is not None and not stop.is_set():
                begun_s = monotonic_s()
                clock.advance(step.at - clock.now())
                await self._stage_losses()
                await self._publish(step)
                self.report.count(await cycle.step())
                self._journal_score(step.at)
                held = await self.devices.held()
                self.report.violations += len(unsafe(held, parts.plant.own_schedule(step.at), parts.book))
                step = await asyncio.to_thread(parts.plant.step, held)
                if speed is not None and clock.now() - self.report.began >= PACED_AFTER:
                    await self._pace(begun_s, speed, stop)
            self.report.score = parts.plant.score()
            self.report.design = parts.plant.design()
            self.report.stopped = stop.is_set() and step is not None
        finally:
            await end_tasks([watching])
            why = "the simulation was stopped" if stop.is_set() else "the simulated period is over"
            self.report.release = await cycle.release("simulation", why)
            await cycle.close()
            self.report.device_writes = len(self.devices.log)

    async def _publish(self, step: Step) -> None:
        await self.devices.schedule(self.parts.plant.own_schedule(step.at))
        await self.devices.publish(step.readings, step.at)

    async def _stage_losses(self) -> None:
        for loss in self.parts.losses:
            if loss.at_step == self.report.steps:
                await self.devices.kill(loss.connection)
            if loss.back_at_step == self.report.steps:
                await self.devices.revive(loss.connection)

    async def _pace(self, begun_s: float, speed: float, stop: asyncio.Event) -> None:
        until_s = begun_s + timedelta(seconds=self.parts.plant.step_s).total_seconds() / speed
        while (left_s := until_s - monotonic_s()) > 0 and not stop.is_set():
            await asyncio.sleep(min(NAP_S, left_s))

    def _journal_score(self, at: datetime) -> None:
        self.journal.append([Record("score", at, self.parts.plant.score().as_row())])
