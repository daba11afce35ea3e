"""Figures of the field bus: how fast points are read and commands acknowledged, with other clients asked the same in the same run."""

import asyncio
import gc
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from controls.drivers import WireTimeout
from controls.drivers.bacnet import BacnetDriver
from controls.drivers.bacnet_engine import Engine
from controls.drivers.connect import make_drivers, make_engine
from controls.drivers.lanes import Traffic
from controls.drivers.modbus import ModbusDriver
from controls.drivers.modbus_plan import plan
from controls.scan import Scanner
from simulators.speed.figures import Figure
from simulators.speed_peers import Timed, bac0, libmodbus, node_bacnet
from simulators.wire.ports import free_udp_port
from simulators.wire.replay import Load
from twin.clock import cpu_s, monotonic_s, wall_now
from twin.points import PointBook
from twin.site import Connection
from twin.words import Binding, Limits, Point

EACH = 50  # points a request, for us and for all peers
PASSES = 40
ROUNDS = 3  # the median of them counts
TURNAROUND_S = 0.02
EVERY_S = 0.5  # how often each device's points are read while commands go out: 10,000 points a second
COMMANDS = 300
DEVICES_OF_PEER = 10  # with all hundred, bacpypes3 loses answers and its figure means nothing
LINKS = 4
BLOCK = 125
PRIORITY = 13


def bus_figures() -> list[Figure]:
    """All of them; a minute or two."""
    return asyncio.run(_figures())


async def _figures() -> list[Figure]:
    gc.freeze()  # as `wattproof run` does
    return [*await _throughput(), *await _building(), *await _silent_devices(), *await _registers()]


async def _throughput() -> list[Figure]:
    async with (
        _load(Load(devices=10, points=2 * EACH)) as (ports, _),
        _drivers(ports, "fast") as fast,
        _drivers(ports, "reference") as slow,
    ):
        glance = await _timed(fast, lambda d, p: d.glance(p), PASSES)
        read = await _timed(fast, lambda d, p: d.read(p), PASSES)
        reference = await _timed(slow, lambda d, p: d.glance(p), 1)
        with tempfile.TemporaryDirectory(prefix="wattproof-node-") as folder:
            node = await asyncio.to_thread(node_bacnet, ports, 2 * EACH, EACH, free_udp_port(), Path(folder))
        other = await asyncio.to_thread(bac0, ports, 2 * EACH, EACH, free_udp_port())
    peers: dict[str, Timed] = {"bacpypes3": reference} | ({"node-bacnet": node} if node else {}) | ({"BAC0": other} if other else {})
    python = min(cpu for name, (_, cpu) in peers.items() if name != "node-bacnet")
    return [
        Figure(f"BACnet RPM of {EACH}, judged: wall time a point (12.5 is 80,000 a second)", glance[0], "us", 12.5, _part(peers, 0)),
        Figure(f"BACnet RPM of {EACH}, judged: CPU a point", glance[1], "us", 8.0, _part(peers, 1)),
        Figure("BACnet CPU a point, as a share of bacpypes3's and BAC0's", 100 * glance[1] / python, "%", 5.0),
        Figure("BACnet with status-flags, judged: CPU a point (two properties)", read[1], "us", 16.0),
    ]


async def _building() -> list[Figure]:
    """10,000 points on 100 devices that take 20 ms each, and commands while 10,000 points a second are read."""
    async with _load(Load(devices=100, points=100, turnaround_s=TURNAROUND_S)) as (ports, _):
        async with _drivers(ports, "fast") as fast:
            scan = await _timed(fast, lambda d, p: d.read(p), 1, points=100)
            latency = await _commands_while_scanning(fast)
        async with _drivers(ports[:DEVICES_OF_PEER], "reference") as slow:
            reference = await _timed(slow, lambda d, p: d.read(p), 1, points=100, rounds=1)
            peer = await _commands_while_scanning(slow, commands=COMMANDS // 4)
    n = 100 * len(ports) / 1e6
    allowed, slower = 1000 * TURNAROUND_S, "bacpypes3, 1,000 points a second"
    return [
        Figure("BACnet 10,000 points on 100 devices of 20 ms, with flags", scan[0] * n, "s", 1.0, {"bacpypes3": reference[0] * n}),
        Figure("... as a share of a core every 5 s", 100 * scan[1] * n / 5, "%", 10.0, {"bacpypes3": 100 * reference[1] * n / 5}),
        Figure("command to acknowledgement, 10,000 points a second read, p50", latency[0], "ms", 50 + allowed, {slower: peer[0]}),
        Figure("command to acknowledgement, 10,000 points a second read, p99", latency[1], "ms", 50 + allowed, {slower: peer[1]}),
    ]


async def _commands_while_scanning(scene: "_Scene", commands: int = COMMANDS) -> tuple[float, float]:
    """p50 and p99 in ms."""

    enough = False

    async def scan(driver: BacnetDriver) -> None:
        while not enough:
            begun = monotonic_s()
            await driver.read(scene.points)
            await asyncio.sleep(max(0.0, begun + EVERY_S - monotonic_s()))

    scanning = [asyncio.create_task(scan(d)) for d in scene.drivers]
    times = []
    try:
        for n in range(commands):
            await asyncio.sleep(0.01)
            driver = scene.drivers[n % len(scene.drivers)]
            begun = monotonic_s()
            with suppress(WireTimeout):  # a peer that drowns in its scan loses answers; the time it took counts all the same
                await driver.write(_point("b", f"analog-value,{n % 50}", writable=True), 20.0 + n % 5, PRIORITY)
            times.append(1000 * (monotonic_s() - begun))
    finally:
        enough = True
        await asyncio.gather(*scanning)
    times.sort()
    return statistics.median(times), times[int(0.99 * len(times))]


async def _silent_devices() -> list[Figure]:
    """A scan of 80 devices alone, and with 20 more that are lost and probed."""
    alone = await _scan_s(Load(devices=80, points=100, turnaround_s=TURNAROUND_S))
    among = await _scan_s(Load(devices=100, points=100, turnaround_s=TURNAROUND_S, silent=20))
    return [Figure("20 % silent devices: the others' scan is longer by", max(0.0, 100 * (among / alone - 1)), "%", 10.0)]


async def _scan_s(load: Load) -> float:
    async with _load(load) as (ports, _):
        names = [f"d{n}" for n in range(len(ports))]
        points = [_point(name, f"analog-input,{n}") for name in names for n in range(100)]
        connections = {name: Connection("bacnet", port=port) for name, port in zip(names, ports, strict=True)}
        drivers = make_drivers(PointBook(points), connections)
        scanner = Scanner(PointBook(points), drivers)
        times = []
        for n in range(14):
            begun = monotonic_s()
            await scanner.scan(wall_now())
            if n >= 3:  # after three the silent ones are put aside
                times.append(monotonic_s() - begun)
                await asyncio.sleep(0.3)  # their probes fall among the scans
        await scanner.close()
        await asyncio.gather(*[d.close() for d in drivers.values()])
    return statistics.median(times)


async def _registers() -> list[Figure]:
    """One gateway that takes four connections; every second register is wanted, so half of what is read along is not useful."""
    async with _load(Load(devices=0, gateways=1)) as (_, ports):
        points = [_point("m", f"1/holding/{n}:uint16", protocol="modbus") for n in range(80 * BLOCK)]
        driver = ModbusDriver("m", Connection("modbus", port=ports[0], links=LINKS), Traffic())
        await driver.open()
        await driver.read(points)
        times = []
        for _ in range(ROUNDS):
            begun = monotonic_s()
            samples = await driver.read(points)
            times.append(1e6 * (monotonic_s() - begun) / len(points))
        assert all(s.value == n % 65536 for n, s in enumerate(samples)), "a register was read wrongly"
        await driver.close()
        peer = await asyncio.to_thread(libmodbus, ports[0], BLOCK, 400)
    best = -(-len(points) // BLOCK)
    return [
        Figure("Modbus, each register a point: wall time a register (5 is 200,000 a second)", statistics.median(times), "us", 5.0,
               {"libmodbus, blocks undecoded": peer} if peer else {}),
        Figure("Modbus requests, against the best plan", len(plan(points)) / best, "x", 1.2),
    ]  # fmt: skip


@dataclass(frozen=True)
class _Scene:
    """Drivers to devices on the wire, and the points to read from each."""

    drivers: Sequence[BacnetDriver]
    points: tuple[Point, ...]


@asynccontextmanager
async def _drivers(ports: Sequence[int], engine_name: str) -> AsyncIterator[_Scene]:
    engine: Engine = make_engine(engine_name)
    traffic = Traffic()
    drivers = [BacnetDriver("b", Connection("bacnet", port=port, device=1), engine, traffic.way()) for port in ports]
    await asyncio.gather(*[d.open() for d in drivers])
    await asyncio.gather(*[d.identify() for d in drivers])  # tells how much fits one message
    try:
        yield _Scene(drivers, tuple(_point("b", f"analog-input,{n}") for n in range(EACH)))
    finally:
        await engine.close()


async def _timed(
    scene: _Scene,
    ask: Callable[[BacnetDriver, Sequence[Point]], Awaitable[Sequence[object]]],
    passes: int,
    *,
    points: int = EACH,
    rounds: int = ROUNDS,
) -> Timed:
    """Wall and CPU time a point in microseconds, medians; every device is asked one request at a time."""
    wanted = scene.points if points == EACH else tuple(_point("b", f"analog-input,{n}") for n in range(points))

    async def often(driver: BacnetDriver, times: int) -> None:
        for _ in range(times):
            await ask(driver, wanted)

    await asyncio.gather(*[often(d, 1) for d in scene.drivers])
    walls, cpus = [], []
    for _ in range(rounds):
        wall, cpu = monotonic_s(), cpu_s()
        await asyncio.gather(*[often(d, passes) for d in scene.drivers])
        n = len(scene.drivers) * points * passes / 1e6
        walls.append((monotonic_s() - wall) / n)
        cpus.append((cpu_s() - cpu) / n)
    return statistics.median(walls), statistics.median(cpus)


@asynccontextmanager
async def _load(load: Load) -> AsyncIterator[tuple[list[int], list[int]]]:
    """BACnet and Modbus ports of simulated devices in a process of their own."""
    command = [sys.executable, "-m", "simulators.wire.replay"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 (our own module)
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(load.text() + "\n")
        process.stdin.flush()
        ports = json.loads(await asyncio.to_thread(process.stdout.readline))
        yield ports["bacnet"], ports["modbus"]
    finally:
        process.stdin.close()
        await asyncio.to_thread(process.wait)


def _point(connection: str, place: str, *, protocol: str = "bacnet", writable: bool = False) -> Point:
    name = f"{connection}.{place}".replace("-", "_").replace(",", "_").replace("/", "_").replace(":", "_")
    limits = Limits(0, 100, 100, 20) if writable else None
    return Point(name, "", "NUM", "load", writable=writable, limits=limits, binding=Binding(name, f"{protocol}:{connection}/{place}"))


def _part(peers: dict[str, Timed], which: int) -> dict[str, float]:
    return {name: figures[which] for name, figures in peers.items()}
