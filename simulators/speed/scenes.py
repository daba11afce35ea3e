"""Scenes of the field bus figures: drivers on one side, simulated devices in a process of their own on the other."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from controls.drivers.bacnet import BacnetDriver
from controls.drivers.bacnet_engine import Engine
from controls.drivers.connect import make_engine
from controls.drivers.lanes import Traffic
from simulators.wire.replay import Load
from twin.clock import monotonic_s
from twin.site import Connection, CycleSettings, GroupMembership, Site
from twin.words import Binding, Image, Limits, Point, Request

EACH = 50  # points a request, for us and for all peers


@dataclass(frozen=True)
class Scene:
    """Drivers to devices on the wire, and the points to read from each."""

    drivers: Sequence[BacnetDriver]
    points: tuple[Point, ...]


class Wire:
    """Simulated devices in a process of their own, and where they listen."""

    def __init__(self, load: Load) -> None:
        command = [sys.executable, "-m", "simulators.wire.replay"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 (our own module)
        self._told = 0
        self._load = load
        self.bacnet: Sequence[int] = ()
        self.modbus: Sequence[int] = ()

    async def start(self) -> None:
        """Wait until they listen."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(self._load.text() + "\n")
        self._process.stdin.flush()
        ports = json.loads(await asyncio.to_thread(self._process.stdout.readline))
        self.bacnet, self.modbus = ports["bacnet"], ports["modbus"]

    async def end(self) -> int:
        """Take them off the wire; how many changes of value the flooding one has told."""
        assert self._process.stdin
        assert self._process.stdout
        if self._process.poll() is None:
            self._process.stdin.close()
            self._told = int(await asyncio.to_thread(self._process.stdout.readline) or 0)
            await asyncio.to_thread(self._process.wait)
        return self._told


@asynccontextmanager
async def devices(load: Load) -> AsyncIterator[Wire]:
    """Devices that answer meanwhile."""
    wire = Wire(load)
    try:
        await wire.start()
        yield wire
    finally:
        await wire.end()


@asynccontextmanager
async def drivers_to(ports: Sequence[int], engine_name: str) -> AsyncIterator[Scene]:
    """A driver for each device, its message size known."""
    engine: Engine = make_engine(engine_name)
    traffic = Traffic()
    drivers = [BacnetDriver("b", Connection("bacnet", port=port, device=1), engine, traffic.way()) for port in ports]
    await asyncio.gather(*[d.open() for d in drivers])
    await asyncio.gather(*[d.identify() for d in drivers])  # tells how much fits one message
    try:
        yield Scene(drivers, tuple(point("b", f"analog-input,{n}") for n in range(EACH)))
    finally:
        await engine.close()


@asynccontextmanager
async def scanning(scene: Scene, every_s: float) -> AsyncIterator[None]:
    """All devices read at this pace meanwhile, those of one turn at once."""
    enough = False

    async def scan(driver: BacnetDriver) -> None:
        while not enough:
            begun = monotonic_s()
            await driver.read(scene.points)
            await asyncio.sleep(max(0.0, begun + every_s - monotonic_s()))

    tasks = [asyncio.create_task(scan(d)) for d in scene.drivers]
    try:
        yield
    finally:
        enough = True
        await asyncio.gather(*tasks)


@dataclass
class Mover:
    """A strategy that holds points and moves one of them at each turn."""

    points: Sequence[str]
    name: str = "speed"
    turn: int = 0

    def propose(self, image: Image, now: datetime) -> list[Request]:
        """All points, one of them with another value than last time."""
        self.turn += 1
        until = now + timedelta(seconds=900)
        return [Request(p, float(self._turns(n) % 5 + 20), self.name, "measured", until) for n, p in enumerate(self.points)]

    def _turns(self, place: int) -> int:
        """How often the point at this place has moved."""
        return (self.turn + len(self.points) - 1 - place) // len(self.points)


def site_of(folder: Path, connections: Mapping[str, Connection], cycle: CycleSettings) -> Site:
    """A real site without a model, for a cycle that runs in this process."""
    return Site(
        folder, "load", "Load", "Wuhan", "CN-42", "Asia/Shanghai", 1000.0, "office", "CN-HB", GroupMembership("g", "o", "gov"),
        connections, cycle=cycle,
    )  # fmt: skip


def point(connection: str, place: str, *, protocol: str = "bacnet", writable: bool = False) -> Point:
    """A point at a place of a connection, writable ones from 0 to 100."""
    name = f"{connection}.{place}".replace("-", "_").replace(",", "_").replace("/", "_").replace(":", "_")
    limits = Limits(0, 100, 100, 20) if writable else None
    return Point(name, "", "NUM", "load", writable=writable, limits=limits, binding=Binding(name, f"{protocol}:{connection}/{place}"))


@contextmanager
def timed_ms(times: list[float]) -> Iterator[None]:
    """Adds how long its block took."""
    begun = monotonic_s()
    yield
    times.append(1000 * (monotonic_s() - begun))


def p99(times: Sequence[float]) -> float:
    """The 99th percentile."""
    return sorted(times)[int(0.99 * len(times))]
