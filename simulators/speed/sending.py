"""Figures of commands while the bus is busy: to the acknowledgement, with journal and read-back, and while a device floods us."""

import asyncio
import resource
import statistics
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from controls.arbiter import PRIORITY
from controls.collecting import settle
from controls.cycle import Cycle
from controls.drivers import WireTimeout
from controls.tasks import end_tasks
from simulators.speed.figures import Figure
from simulators.speed.scenes import EACH, Mover, Scene, Wire, devices, drivers_to, p99, point, scanning, site_of, timed_ms
from simulators.wire.replay import Load
from twin.clock import WallClock, monotonic_s, thread_cpu_s, wall_now
from twin.graph import Graph
from twin.history import History
from twin.journal import Journal
from twin.points import PointBook
from twin.site import Connection, CycleSettings
from twin.words import Point

DEVICES = 100
TURNAROUND_S = 0.02
EVERY_S = 0.5  # how often each device's points are read while commands go out: 10,000 points a second
COMMANDS = 300
DEVICES_OF_PEER = 10  # with all hundred, bacpypes3 loses answers and its figure means nothing
HELD = 20  # points that the gateway holds while one of them moves
STEPS = 30
FLOODED_STEPS = 60
DRAIN_S = 2.0  # what the last turn of polling brought is in the history by then
FLOOD = 10_000  # changes of value a second
TICK_S = 0.001
TOLD_CLASS = "Supply_Air_Static_Pressure_Sensor"  # fast, so its device is asked to tell its changes


async def sending_figures() -> list[Figure]:
    """All of them; two minutes."""
    return [*await _acknowledged(), *await _journalled(), *await _flooded()]


async def _acknowledged() -> list[Figure]:
    async with devices(Load(devices=DEVICES, points=100, turnaround_s=TURNAROUND_S)) as wire:
        async with drivers_to(wire.bacnet, "fast") as fast:
            times = await _commands(fast, COMMANDS)
        async with drivers_to(wire.bacnet[:DEVICES_OF_PEER], "reference") as slow:
            peer = await _commands(slow, COMMANDS // 4)
    allowed, slower = 50 + 1000 * TURNAROUND_S, "bacpypes3, 1,000 points a second"
    title = "command to acknowledgement, 10,000 points a second read"
    return [
        Figure(f"{title}, p50", statistics.median(times), "ms", allowed, {slower: statistics.median(peer)}),
        Figure(f"{title}, p99", p99(times), "ms", allowed, {slower: p99(peer)}),
    ]


async def _commands(scene: Scene, commands: int) -> list[float]:
    """Milliseconds of each command."""
    times: list[float] = []
    async with scanning(scene, EVERY_S):
        for n in range(commands):
            await asyncio.sleep(0.01)
            driver = scene.drivers[n % len(scene.drivers)]
            with (
                timed_ms(times),
                suppress(WireTimeout),
            ):  # a peer that drowns in its scan loses answers; the time it took counts all the same
                await driver.write(point("b", f"analog-value,{n % EACH}", writable=True), 20.0 + n % 5, PRIORITY)
    return times


async def _journalled() -> list[Figure]:
    """A whole gateway on 10,000 points, all of them polled every second beside its cycles; one of the held points moves in each cycle."""
    async with devices(Load(devices=DEVICES, points=100, turnaround_s=TURNAROUND_S)) as wire:
        seen = await _gateway(wire, points=100, steps=STEPS)
    return [
        Figure("command with journal and read-back, 10,000 points polled, p50", statistics.median(seen.acted_ms), "ms", 100),
        Figure(f"command with journal and read-back, 10,000 points polled, worst of {STEPS}", max(seen.acted_ms), "ms", 100),
        Figure("... and the longest piece of work in one go on the gateway's loop, CPU time", seen.stall_ms, "ms", 50),
    ]


async def _flooded() -> list[Figure]:
    """One device tells 10,000 changes a second while the others are polled and commanded."""
    async with devices(Load(devices=HELD, points=EACH, flood=FLOOD)) as wire:
        seen = await _gateway(wire, points=EACH, steps=FLOODED_STEPS, told=TOLD_CLASS)
    rate = seen.told / seen.seconds
    lost = 100 * max(0, seen.told - seen.kept - seen.dropped) / max(1, seen.told)
    return [
        Figure("change-of-value flood: told a second", rate, "", FLOOD * 0.95, more_is_better=True),
        Figure(f"... command with journal and read-back, worst of {FLOODED_STEPS}", max(seen.acted_ms), "ms", 100),
        Figure("... memory grown, the history's cache and 100,000 kept readings included", seen.grown_mb, "MB", 100),
        Figure("... changes neither kept nor counted as dropped", lost, "%", 1.0),
    ]


@dataclass
class Seen:
    """What a gateway did meanwhile."""

    acted_ms: list[float] = field(default_factory=list)  # of each cycle: its command in the journal, sent, read back
    stall_ms: float = 0.0
    seconds: float = 0.0
    grown_mb: float = 0.0
    kept: int = 0  # readings of the first point in the history
    told: int = 0  # changes that the flooding device sent
    dropped: int = 0


async def _gateway(wire: Wire, *, points: int, steps: int, told: str = "") -> Seen:
    """A cycle on these devices with its polling beside it, in this process."""
    names = [f"d{n:03d}" for n in range(len(wire.bacnet))]
    held = [
        point(name, f"analog-value,{n}", writable=True) for n, name in enumerate(names[:HELD])
    ]  # one slot each: the devices share theirs
    read = [point(name, f"analog-input,{n}") for name in names for n in range(points)]
    if told:
        read[0] = Point(read[0].id, told, read[0].unit, read[0].owner, binding=read[0].binding)
    connections = {name: Connection("bacnet", port=port, device=1) for name, port in zip(names, wire.bacnet, strict=True)}
    with tempfile.TemporaryDirectory(prefix="wattproof-gateway-") as folder:
        book, state = PointBook([*read, *held]), Path(folder)
        journal, history = Journal(state / "journal.db"), History(state / "history.db")
        site = site_of(state, connections, CycleSettings(step_s=600, fast_s=1, normal_s=1, slow_s=1))
        cycle = Cycle(site, Graph.from_triples("load", []), book, journal, history, connections, WallClock(), [Mover([p.id for p in held])])
        try:
            return await _run(cycle, wire, steps)
        finally:
            await cycle.close()
            history.close()
            journal.close()


async def _run(cycle: Cycle, wire: Wire, steps: int) -> Seen:
    seen = Seen()
    await cycle.open()
    settle()  # as `wattproof run` does
    await cycle.step()  # takes the points over, which needs one more look at each
    beside = [asyncio.create_task(cycle.watch()), asyncio.create_task(_feel_stalls(seen))]
    before_mb, begun = _memory_mb(), monotonic_s()
    for _ in range(steps):
        report = await cycle.step()  # one new command each, and again those that a starved device left unanswered
        seen.acted_ms.append(1000 * report.parts_s["act"])
        await asyncio.sleep(0.05)
    seen.seconds, seen.grown_mb = monotonic_s() - begun, max(0.0, _memory_mb() - before_mb)
    seen.told = await wire.end()  # the devices are gone from here on, and what they told is on its way
    await asyncio.sleep(DRAIN_S)
    await end_tasks(beside)
    start = wall_now() - timedelta(seconds=2 * seen.seconds)
    seen.kept = len(cycle.history.series(cycle.book.bound[0].id, start, wall_now()))
    seen.dropped = cycle.dropped
    return seen


async def _feel_stalls(seen: Seen) -> None:
    """The most processor time that the loop used before anything else came to its turn: what others do on this machine does not count."""
    while True:
        begun = thread_cpu_s()
        await asyncio.sleep(TICK_S)
        seen.stall_ms = max(seen.stall_ms, 1000 * (thread_cpu_s() - begun))


def _memory_mb() -> float:
    """What this process holds now, not its peak."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20
