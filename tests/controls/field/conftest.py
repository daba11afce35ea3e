"""A small building on real sockets: simulated devices, a stepped clock, a journal, and somebody who wishes things."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controls import subscriptions
from controls.cycle import Cycle, CycleReport
from controls.drivers import Driver
from controls.drivers.connect import make_drivers
from controls.scan import Scanner
from controls.subscriptions import Subscriptions
from simulators.design import AirHandlerDesign, Building, ZoneDesign, design_points
from simulators.wire.devices import FieldDevices
from twin.clock import SteppedClock, wall_now
from twin.graph import Graph
from twin.history import History
from twin.journal import Journal, Record
from twin.points import PointBook
from twin.site import BacnetNetwork, Connection, CycleSettings, GroupMembership, Site
from twin.words import Authority, Binding, Image, Limits, Point, Request

START = datetime(2026, 1, 12, 8, tzinfo=UTC)
STEP = timedelta(seconds=600)
CYCLE = CycleSettings(600, 900)


def building(storeys: int, zones: int) -> Building:
    square = ((0.0, 0.0), (5.0, 0.0), (5.0, 5.0), (0.0, 5.0))
    return Building(
        "Test House",
        tuple(4.0 * n for n in range(storeys)),
        tuple(ZoneDesign(f"Z{s}{n}", s, square, 4.0 * s, 3.0, f"AHU-{s + 1}", n == 0) for s in range(storeys) for n in range(zones)),
        tuple(AirHandlerDesign(f"AHU-{s + 1}", s) for s in range(storeys)),
    )


def point_book(house: Building) -> PointBook:
    def number(text: str, otherwise: float) -> float:
        return float(text) if text else otherwise

    return PointBook(
        Point(
            d.id,
            d.row["brick"],
            d.row["unit"],
            d.owner,
            writable=d.row["writable"] == "yes",
            limits=Limits(
                float(d.row["low"]),
                float(d.row["high"]),
                number(d.row["step"], float("inf")),
                number(d.row["fallback"], float(d.row["low"])),
            )
            if d.row["writable"] == "yes"
            else None,
            binding=Binding(d.id, d.address, d.scale),
        )
        for d in design_points(house)
    )


def site_of(
    folder: Path,
    connections: Mapping[str, Connection],
    *,
    simulated: bool = True,
    cycle: CycleSettings = CYCLE,
    bacnet: BacnetNetwork = BacnetNetwork(),  # noqa: B008 (a frozen value)
) -> Site:
    folder.mkdir(parents=True, exist_ok=True)
    if simulated:
        (folder / "plant.toml").write_text("")
    return Site(
        folder,
        "test_house",
        "Test House",
        "Wuhan",
        "CN-42",
        "Asia/Shanghai",
        1000.0,
        "office",
        "CN-HB",
        GroupMembership("g", "o", "gov"),
        connections,
        cycle=cycle,
        bacnet=bacnet,
    )


def connections_of(book: PointBook, networks: Mapping[str, str] | None = None) -> dict[str, Connection]:
    """`networks` names the router network behind which a connection stands."""
    behind = networks or {}
    return {
        name: Connection("bacnet", device=1000 + n, network=behind.get(name, ""))
        if str(points[0].binding.address).startswith("bacnet")
        else Connection("modbus", network=behind.get(name, ""))
        for n, (name, points) in enumerate(book.by_connection().items())
        if points[0].binding
    }


@dataclass
class Wishes:
    """A strategy that says what the test says."""

    name: str = "wishes"
    values: dict[str, float | None] = field(default_factory=dict)

    def propose(self, image: Image, now: datetime) -> list[Request]:
        return [Request(p, v, self.name, "the test wants it", now + timedelta(seconds=900)) for p, v in self.values.items()]


@dataclass
class House:
    folder: Path
    book: PointBook
    devices: FieldDevices
    connections: Mapping[str, Connection]
    journal: Journal
    history: History
    clock: SteppedClock
    wishes: Wishes
    cycle: Cycle
    settings: CycleSettings = CYCLE

    async def step(self, steps: int = 1) -> CycleReport:
        for _ in range(steps):
            self.clock.advance(STEP)
            await self.devices.publish(self.readings(), self.clock.now())
            report = await self.cycle.step()
        return report

    def readings(self) -> dict[str, float]:
        sensors = [p for p in self.book.bound if not p.writable and not p.id.endswith(("record", "level_now"))]
        return {p.id: 21.5 for p in sensors}

    def new_life(self) -> Cycle:
        """Another controller on the same journal, as after a crash."""
        site, graph = site_of(self.folder / "site", self.connections, cycle=self.settings), Graph.from_triples("test_house", [])
        return Cycle(site, graph, self.book, self.journal, self.history, self.connections, self.clock, [self.wishes])

    @asynccontextmanager
    async def somebody_else(self, connection: str) -> AsyncIterator[Driver]:
        """Another client on the bus: an operator's panel, a second supervisor."""
        drivers = make_drivers(self.book, self.connections)
        await drivers[connection].open()
        try:
            yield drivers[connection]
        finally:
            for driver in drivers.values():
                await driver.close()

    async def holds(self, point: str) -> float:
        return (await self.devices.held())[point]

    async def slot(self, point: str, priority: int = 13) -> float | None:
        connection = next(name for name, points in self.book.by_connection().items() if self.book[point] in points)
        async with self.somebody_else(connection) as other:
            return (await other.hold([self.book[point]], priority))[0].slot

    def rows(self, *kinds: str) -> list[tuple[str, dict]]:
        return [(row.kind, row.body) for row in self.journal.after(0, kinds)]

    def results(self, point: str) -> list[str]:
        return [body["result"] for _, body in self.rows("outcome") if body["point"] == point]

    def ask(self, point: str, value: float | None, hours: float = 4, authority: int = Authority.OPERATOR) -> None:
        until = self.clock.now() + timedelta(hours=hours)
        body = {
            "id": "1",
            "point": point,
            "value": value,
            "by": "ann",
            "why": "a meeting",
            "until": until.isoformat(),
            "authority": authority,
        }
        self.journal.append([Record("request", self.clock.now(), body)])


MakeHouse = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def settings() -> CycleSettings:
    """How the house's cycle runs; stories that need another pace or engine say so."""
    return CYCLE


@pytest.fixture
def house(tmp_path: Path, settings: CycleSettings) -> MakeHouse:
    """`async with house() as h`: devices up, cycle open."""

    @asynccontextmanager
    async def make(
        storeys: int = 1,
        zones: int = 2,
        strategies: Sequence[Wishes] = (),
        disturbed: Sequence[str] = (),
        networks: Mapping[str, str] | None = None,
        bacnet: BacnetNetwork = BacnetNetwork(),  # noqa: B008 (a frozen value)
    ) -> AsyncIterator[House]:
        book = point_book(building(storeys, zones))
        devices = FieldDevices(book, connections_of(book, networks), disturbed=disturbed)
        connections = await devices.start()
        journal, history = Journal(tmp_path / "journal.db"), History(tmp_path / "history.db")
        clock, wishes = SteppedClock(START), Wishes()
        site = site_of(tmp_path / "site", connections, cycle=settings, bacnet=bacnet)
        cycle = Cycle(site, Graph.from_triples("test_house", []), book, journal, history, connections, clock, [wishes, *strategies])
        home = House(tmp_path, book, devices, connections, journal, history, clock, wishes, cycle, settings)
        await devices.schedule({p.id: p.limits.fallback for p in book.writable if p.limits})
        await devices.publish(home.readings(), START)
        try:
            await cycle.open()
            yield home
        finally:
            await cycle.close()
            await devices.stop()
            journal.close()
            history.close()

    return make


@pytest.fixture
def house_devices() -> Callable[[PointBook], AbstractAsyncContextManager[tuple[FieldDevices, Mapping[str, Connection]]]]:
    """Only the devices of a point book, for a controller in another process."""

    @asynccontextmanager
    async def make(book: PointBook) -> AsyncIterator[tuple[FieldDevices, Mapping[str, Connection]]]:
        devices = FieldDevices(book, connections_of(book))
        connections = await devices.start()
        await devices.publish({p.id: 21.5 for p in book.bound if not p.writable and not p.id.endswith(("record", "level_now"))}, START)
        try:
            yield devices, connections
        finally:
            await devices.stop()

    return make


@pytest.fixture
def over_a_cable(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str, str], list[str]]:
    """Run the test's own file as asker and, with the word `devices`, as the devices at the far end of a cable; the asker's lines come back.

    Each end is a network namespace with what `ours` and `theirs` set up on v0 and v1: on one machine both would share one broadcast socket.
    The devices say `ready` and stay until their input ends.
    """
    if not shutil.which("unshare") or not shutil.which("ip") or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        pytest.skip("no right to make a network namespace (unshare -n) here: discovery over a real network stays untested")

    def run(ours: str, theirs: str) -> list[str]:
        far = f'read go; ip link set lo up; ip link set v1 up; {theirs} exec "$0" "$1" devices'
        script = (
            f"ip link set lo up; ip link add v0 type veth peer name v1; ip link set v0 up; {ours}\n"
            f'mkfifo go said; unshare -n sh -c \'{far}\' "$0" "$1" <go >said & exec 3>go 4<said\n'
            "sleep 0.5; ip link set v1 netns $!; echo go >&3\n"  # unshare has made its namespace by then
            'read ready <&4; [ "$ready" = ready ] && "$0" "$1" 3>&- 4<&-; exec 3>&-; wait'
        )
        child = ["unshare", "-n", "sh", "-c", script, sys.executable, str(request.path)]
        root = Path(__file__).parents[3]
        env = {**os.environ, "PYTHONPATH": str(root)}
        done = subprocess.run(child, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.stdout, done.stderr
        return done.stdout.splitlines()

    return run


@pytest.fixture
def scanner_of() -> Callable[..., AbstractAsyncContextManager[Scanner]]:
    """`async with scanner_of(h) as scanner`: our own drivers for a house's devices, without a cycle; `engine` is the BACnet one."""

    @asynccontextmanager
    async def make(h: House, engine: str = "fast") -> AsyncIterator[Scanner]:
        drivers = make_drivers(h.book, h.connections, engine)
        await asyncio.gather(*[d.open() for d in drivers.values()])
        scanner = Scanner(h.book, drivers)
        try:
            yield scanner
        finally:
            await scanner.close()
            await asyncio.gather(*[d.close() for d in drivers.values()])

    return make


@pytest.fixture
def subscribed(scanner_of, monkeypatch) -> Callable[..., AbstractAsyncContextManager[Scanner]]:
    """As `scanner_of`, with subscriptions that are tended often: a test has no seconds."""
    monkeypatch.setattr(subscriptions, "TICK_S", 0.05)

    @asynccontextmanager
    async def make(h: House, engine: str = "fast") -> AsyncIterator[Scanner]:
        async with scanner_of(h, engine) as scanner:
            task = asyncio.create_task(Subscriptions(scanner, wall_now).run())
            try:
                yield scanner
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    return make


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """`await until(condition)`: as soon as it is true; the deadline catches what never comes."""

    async def make(true: Callable[[], bool], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.02)

    return make
