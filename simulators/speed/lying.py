"""Figures of what lies on the wire: values believed from lying devices, and a gateway fed with mutated datagrams and frames."""

import asyncio
import logging
import random
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controls.cycle import Cycle
from controls.drivers.connect import make_drivers
from controls.tasks import end_tasks
from simulators.speed.figures import Figure
from simulators.speed.scenes import Mover, site_of
from simulators.wire.devices import FieldDevices
from simulators.wire.faults import Dice, Honest
from twin.clock import WallClock, monotonic_s, wall_now
from twin.errors import WattproofError
from twin.graph import Graph
from twin.history import History
from twin.journal import Journal
from twin.points import PointBook
from twin.site import Connection, CycleSettings
from twin.words import Binding, Limits, Point, Quality

POINTS = 50  # of each device
ROUNDS = 20  # reads under each lie
ANSWER_S = 0.1  # the devices are on this machine: a lie that is no answer at all shall not cost a second
DETECTABLE: Mapping[str, Sequence[str]] = {  # what a careful client can see; a device that simply shows a wrong number cannot be caught
    "modbus": (
        "transaction_zero", "other_function", "no_function", "coils_for_registers", "fewer_registers", "more_registers", "other_unit",
    ),
    "bacnet": ("rows_missing", "rows_extra", "rows_out_of_order"),
}  # fmt: skip
TOGETHER = 50  # mutated frames between two turns of the gateway
PAUSE_S = 0.002
HANG_S = 60.0  # a cycle that has not ended by then hangs
RECOVER_S = 60.0

_log = logging.getLogger(__name__)


async def lying_figures(frames: int) -> list[Figure]:
    """All of them; half a minute, and a minute more for each quarter of a million frames."""
    return [*await _believed(), *await _mutated(frames)]


async def _believed() -> list[Figure]:
    async with _scene() as (book, devices, connections):
        drivers = make_drivers(book, connections, answer_s=ANSWER_S)
        await asyncio.gather(*[d.open() for d in drivers.values()])
        found = {}
        for name, points in book.by_connection().items():
            wrong = asked = 0
            for lie in DETECTABLE[name]:
                devices.disturb(name, lie=lie)
                for _ in range(ROUNDS):
                    samples = await drivers[name].read(tuple(points))
                    asked += len(samples)
                    wrong += sum(s.quality is not Quality.BAD and s.value is not None and s.value != _truth(s.point) for s in samples)
            found[name] = (wrong, asked)
        await asyncio.gather(*[d.close() for d in drivers.values()])
    title = "wrong values believed, of {:,} asked of a lying {} device"
    return [Figure(title.format(asked, name), wrong, "", 0) for name, (wrong, asked) in found.items()]


async def _mutated(frames: int) -> list[Figure]:
    watch = _Watch()
    logging.getLogger().addHandler(watch)
    asyncio.get_running_loop().set_exception_handler(watch.unhandled)
    try:
        async with _scene() as (book, devices, connections), _gateway(book, connections) as cycle:
            seconds = await _fed(cycle, devices, frames, watch)
            recovered_s = await _recovered(cycle, watch)
            wrong_s = cycle.journal.size() - cycle.journal.check()
    finally:
        logging.getLogger().removeHandler(watch)
        for why in watch.said:
            _log.error("crash or hang: %s", why)
    return [
        Figure(f"{frames:,} mutated datagrams and frames: crashes, hangs and broken journal rows", watch.crashes + abs(wrong_s), "", 0),
        Figure("... fed a second", frames / seconds, "", 1000, more_is_better=True),
        Figure("... lines in the log, a minute", 60 * watch.lines / seconds, "", 60),
        Figure("... all values good after the last of them", recovered_s, "s", 10),
    ]


@dataclass
class _Watch(logging.Handler):
    """Counts what must not happen, and what the log says of it."""

    crashes: int = 0
    lines: int = 0
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(logging.WARNING)

    def __hash__(self) -> int:
        return id(self)

    def emit(self, record: logging.LogRecord) -> None:
        """One line of the log."""
        self.lines += 1

    def unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An error that nobody took."""
        self.crashed(f"{context.get('message')}: {context.get('exception')!r}")

    def crashed(self, why: str) -> None:
        """Counted, and the first ones are told at the end."""
        self.crashes += 1
        if len(self.said) < 3:
            self.said.append(why)


async def _fed(cycle: Cycle, devices: FieldDevices, frames: int, watch: _Watch) -> float:
    """Seconds that it took to feed so many: real answers of both devices, mutated, from their own addresses, while cycles go on."""
    recorded: dict[str, list[bytes]] = {name: await _recorded(cycle, devices, name, watch) for name in devices.between}
    dice, choose, begun, fed = Dice(7), random.Random(7), monotonic_s(), 0  # noqa: S311 (a bad wire, not a secret)
    cycling = asyncio.create_task(_cycles(cycle, watch))
    while fed < frames:
        for name, wire in devices.between.items():
            for _ in range(TOGETHER // 2):
                fed += wire.inject(dice.mutated(choose.choice(recorded[name])))
        await asyncio.sleep(PAUSE_S)
    seconds = monotonic_s() - begun
    await end_tasks([cycling])
    return seconds


class _Records(Honest):
    """Keeps what a device answered."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def answered(self, frame: bytes) -> Sequence[bytes]:
        self.frames.append(frame)
        return (frame,)


async def _recorded(cycle: Cycle, devices: FieldDevices, name: str, watch: _Watch) -> list[bytes]:
    """Answers to a cycle's reads, writes and read-backs."""
    records = _Records()
    devices.disturb(name, lie=records)
    for _ in range(3):
        await _step(cycle, watch)
    devices.disturb(name)
    return records.frames


async def _cycles(cycle: Cycle, watch: _Watch) -> None:
    while True:
        await _step(cycle, watch)
        await asyncio.sleep(PAUSE_S)


async def _step(cycle: Cycle, watch: _Watch) -> None:
    try:
        async with asyncio.timeout(HANG_S):
            await cycle.step()
    except TimeoutError:
        watch.crashed(f"a cycle did not end within {HANG_S:g} s")
    except WattproofError as error:
        watch.crashed(str(error))


async def _recovered(cycle: Cycle, watch: _Watch) -> float:
    """Seconds until every value is good again."""
    begun = monotonic_s()
    while monotonic_s() - begun < RECOVER_S:
        await _step(cycle, watch)
        latest = cycle.history.latest()
        if all(p.id in latest and latest[p.id].quality is Quality.GOOD for p in cycle.book.bound):
            return monotonic_s() - begun
        await asyncio.sleep(0.1)
    return RECOVER_S


@asynccontextmanager
async def _scene() -> AsyncIterator[tuple[PointBook, FieldDevices, Mapping[str, Connection]]]:
    """One BACnet and one Modbus device behind wires that can be made bad."""
    book = PointBook([*map(_bacnet, range(POINTS)), *map(_modbus, range(POINTS)), _setpoint()])
    devices = FieldDevices(book, {"bacnet": Connection("bacnet", device=1), "modbus": Connection("modbus")}, disturbed=DETECTABLE)
    connections = await devices.start()
    try:
        await devices.publish({p.id: _truth(p.id) for p in book.bound if not p.writable}, wall_now())
        await devices.schedule({_setpoint().id: _truth(_setpoint().id)})
        yield book, devices, connections
    finally:
        await devices.stop()


@asynccontextmanager
async def _gateway(book: PointBook, connections: Mapping[str, Connection]) -> AsyncIterator[Cycle]:
    with tempfile.TemporaryDirectory(prefix="wattproof-mutated-") as folder:
        journal, history = Journal(Path(folder) / "journal.db"), History(Path(folder) / "history.db")
        site = site_of(Path(folder), connections, CycleSettings(step_s=600, answer_s=ANSWER_S))
        cycle = Cycle(site, Graph.from_triples("load", []), book, journal, history, connections, WallClock(), [Mover([_setpoint().id])])
        try:
            await cycle.open()
            yield cycle
        finally:
            await cycle.close()
            history.close()
            journal.close()


def _truth(point: str) -> float:
    """What a point shows: each its own number."""
    return 1000.0 + int(point.rpartition("_")[2])


def _bacnet(n: int) -> Point:
    return Point(f"b.in_{n}", "", "NUM", "load", binding=Binding(f"b.in_{n}", f"bacnet:bacnet/analog-input,{n}"))


def _modbus(n: int) -> Point:
    return Point(f"m.in_{n}", "", "NUM", "load", binding=Binding(f"m.in_{n}", f"modbus:modbus/1/holding/{3 * n}:uint16"))


def _setpoint() -> Point:
    limits = Limits(0, 2000, 2000, 1060)
    return Point("b.out_60", "", "NUM", "load", writable=True, limits=limits, binding=Binding("b.out_60", "bacnet:bacnet/analog-output,60"))
