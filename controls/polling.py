"""Polling: between two cycles of a real site, every device's points at their rates; what comes too late is counted and told."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

from controls.agenda import FAST, NORMAL, SLOW, Agenda, Job
from controls.scan import Scanner
from controls.subscriptions import Subscriptions
from controls.tasks import end_tasks
from twin.clock import monotonic_s
from twin.site import CycleSettings

AGAIN_S = 2.0  # a device that did not answer is asked again so soon, whatever its rates: it returns, or is put aside
SHORTEST_S = 0.01  # nothing is so urgent that it may keep the loop from all else


class Poller:
    """Runs the agenda of a site beside its cycle. A simulated site has none: its clock stands still between two steps."""

    def __init__(self, scanner: Scanner, settings: CycleSettings, now: Callable[[], datetime]) -> None:
        self._scanner = scanner
        self._now = now
        self._subscriptions = Subscriptions(scanner, now)
        self._agenda = Agenda(_every_s(scanner, settings), monotonic_s())
        self._lost: set[str] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()  # a job has: its next turn may be due already

    @property
    def overruns(self) -> int:
        """Turns skipped so far because the one before took too long."""
        return self._agenda.overruns

    async def run(self) -> None:
        """Until cancelled."""
        subscribing = asyncio.create_task(self._subscriptions.run())
        try:
            while not subscribing.done():
                self._welcome()
                for job in self._agenda.take(monotonic_s()):
                    task = asyncio.create_task(self._do(job))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
                self._ended.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(SHORTEST_S, self._agenda.wait_s(monotonic_s()))):
                        await self._ended.wait()
            subscribing.result()  # its error is ours
        finally:
            await end_tasks([subscribing, *self._running])

    def _welcome(self) -> None:
        """Who has just returned is read at once."""
        lost = {name for name, watch in self._scanner.watches.items() if watch.lost}
        for name in self._lost - lost:
            self._agenda.hurry(name, monotonic_s())
        self._lost = lost

    @property
    def dropped(self) -> int:
        """Values told or polled between two cycles that found no room, so far."""
        return self._scanner.dropped + max((w.driver.missed for w in self._scanner.watches.values()), default=0)

    async def _do(self, job: Job) -> None:
        watch = self._scanner.watches[job.connection]
        samples = await self._scanner.poll(job.connection, job.rate)
        self._scanner.take(job.connection, samples, self._now())
        if event := self._agenda.done(job, monotonic_s()):
            watch.events.append(event)
        if samples and not watch.answering and not watch.lost:
            self._agenda.hurry(job.connection, monotonic_s() + AGAIN_S)
        self._ended.set()


def _every_s(scanner: Scanner, settings: CycleSettings) -> Mapping[Job, float]:
    """Each device's rates; flags of fast points come along with the normal ones."""
    every = {FAST: settings.fast_s, NORMAL: settings.normal_s, SLOW: settings.slow_s}
    found: dict[Job, float] = {}
    for name, watch in scanner.watches.items():
        for rate, points in ((FAST, watch.fast), (NORMAL, watch.usual), (SLOW, watch.slow)):
            if points:
                found[Job(name, rate)] = every[rate]
    return found
