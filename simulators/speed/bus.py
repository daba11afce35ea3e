"""Figures of the field bus: how fast points are read and commands acknowledged, with other clients asked the same in the same run."""

import asyncio
import random
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from controls.collecting import settle
from controls.drivers.bacnet import BacnetDriver
from controls.drivers.connect import make_drivers
from controls.drivers.lanes import Traffic
from controls.drivers.modbus import ModbusDriver
from controls.drivers.modbus_plan import address_of, plan
from controls.scan import Scanner
from simulators.speed.figures import Figure
from simulators.speed.peers import Timed, bac0, libmodbus, node_bacnet
from simulators.speed.scenes import EACH, Scene, devices, drivers_to, point
from simulators.wire.ports import free_udp_port
from simulators.wire.replay import Load
from twin.clock import cpu_s, monotonic_s, wall_now
from twin.points import PointBook
from twin.site import Connection
from twin.words import Point

PASSES = 40
ROUNDS = 3  # the median of them counts
TURNAROUND_S = 0.02
DEVICES_OF_PEER = 10  # with all hundred, bacpypes3 loses answers and its figure means nothing
LINKS = 4
BLOCK = 125


async def reading_figures() -> list[Figure]:
    """All of them; a minute."""
    settle()  # as `wattproof run` does
    return [*await _throughput(), *await _building(), *await _silent_devices(), *await _registers()]


async def _throughput() -> list[Figure]:
    async with (
        devices(Load(devices=10, points=2 * EACH)) as wire,
        drivers_to(wire.bacnet, "fast") as fast,
        drivers_to(wire.bacnet, "reference") as slow,
    ):
        ports = list(wire.bacnet)
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
    """10,000 points on 100 devices that take 20 ms each."""
    async with devices(Load(devices=100, points=100, turnaround_s=TURNAROUND_S)) as wire:
        ports = wire.bacnet
        async with drivers_to(ports, "fast") as fast:
            scan = await _timed(fast, lambda d, p: d.read(p), 1, points=100)
        async with drivers_to(ports[:DEVICES_OF_PEER], "reference") as slow:
            reference = await _timed(slow, lambda d, p: d.read(p), 1, points=100, rounds=1)
    n = 100 * len(ports) / 1e6
    return [
        Figure("BACnet 10,000 points on 100 devices of 20 ms, with flags", scan[0] * n, "s", 1.0, {"bacpypes3": reference[0] * n}),
        Figure("... as a share of a core every 5 s", 100 * scan[1] * n / 5, "%", 10.0, {"bacpypes3": 100 * reference[1] * n / 5}),
    ]


async def _silent_devices() -> list[Figure]:
    """A scan of 80 devices alone, and with 20 more that are lost and probed."""
    alone = await _scan_s(Load(devices=80, points=100, turnaround_s=TURNAROUND_S))
    among = await _scan_s(Load(devices=100, points=100, turnaround_s=TURNAROUND_S, silent=20))
    return [Figure("20 % silent devices: the others' scan is longer by", max(0.0, 100 * (among / alone - 1)), "%", 10.0)]


async def _scan_s(load: Load) -> float:
    async with devices(load) as wire:
        ports = wire.bacnet
        names = [f"d{n}" for n in range(len(ports))]
        points = [point(name, f"analog-input,{n}") for name in names for n in range(100)]
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
    """One gateway that takes four connections; and the map of a meter whose values stand apart, as real ones do."""
    async with devices(Load(devices=0, gateways=1)) as wire:
        ports = wire.modbus
        points = [point("m", f"1/holding/{n}:uint16", protocol="modbus") for n in range(80 * BLOCK)]
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
    scattered = _scattered()
    return [
        Figure("Modbus, each register a point: wall time a register (5 is 200,000 a second)", statistics.median(times), "us", 5.0,
               {"libmodbus, blocks undecoded": peer} if peer else {}),
        Figure("Modbus requests for scattered values, against the fewest possible", len(plan(scattered)) / _fewest(scattered), "x", 1.2),
    ]  # fmt: skip


def _scattered() -> list[Point]:
    """Values of one and two registers with gaps between them: mostly none or a few registers, now and then a wide one."""
    dice = random.Random(3)  # noqa: S311 (a map, not a secret)
    points, register = [], 0
    for _ in range(1000):
        kind, size = dice.choice((("uint16", 1), ("float32", 2)))
        points.append(point("m", f"1/holding/{register}:{kind}", protocol="modbus"))
        register += size + (dice.randrange(60) if dice.random() < 0.02 else dice.randrange(6))
    return points


def _fewest(points: Sequence[Point]) -> int:
    """Requests of the best plan: each begins at the first value not yet covered and reaches as far as it may, over any gap."""
    blocks, end = 0, -1
    for at in map(address_of, points):
        if at.register + at.registers > end:
            blocks, end = blocks + 1, at.register + BLOCK
    return blocks


async def _timed(
    scene: Scene,
    ask: Callable[[BacnetDriver, Sequence[Point]], Awaitable[Sequence[object]]],
    passes: int,
    *,
    points: int = EACH,
    rounds: int = ROUNDS,
) -> Timed:
    """Wall and CPU time a point in microseconds, medians; every device is asked one request at a time."""
    wanted = scene.points if points == EACH else tuple(point("b", f"analog-input,{n}") for n in range(points))

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


def _part(peers: dict[str, Timed], which: int) -> dict[str, float]:
    return {name: figures[which] for name, figures in peers.items()}
