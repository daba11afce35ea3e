"""Speed of a site in motion: the help page, the demo office's own model and questions, and the cycle over real wires."""

import asyncio
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bim.importing import import_models
from simulators.preparing import Period, assemble, make_twin, work_copy
from simulators.running import RunningSite, RunReport
from simulators.speed import bus, lying, recovery, sending
from simulators.speed.figures import Figure, median_s, p95, times_s
from twin.clock import wall_now
from twin.graph import Graph
from twin.site import Site, find_site, product_root
from twin.state import StateFolder

SITE = "demo_office"
QUERY_RUNS = 200
STARTS = 5


def help_page(_: Path) -> Iterator[Figure]:
    """What everybody waits for first."""
    yield Figure("help page, as a whole process", median_s(STARTS, _help), "s", 0.3)


def demo_site(folder: Path) -> Iterator[Figure]:
    """The demo office: import, questions, and a controlled day over BACnet and Modbus."""
    site = work_copy(find_site(SITE), folder / "work")
    import_s = median_s(3, lambda: import_models(site.models, site.folder, site.name))
    graph = Graph.read(site.twin_file)
    query_s = times_s(QUERY_RUNS, lambda: graph.ask("zone_points", brick_class="Zone_Air_Temperature_Sensor"))
    points = len(graph.points())
    cycles_s = sorted(_controlled_day(site, StateFolder(folder / "state")).cycle_s)
    yield Figure("IFC model of the demo office to its twin, validated", import_s, "s", 3.0)
    yield Figure(f"named query zone_points, {points} points, p95", 1000 * p95(query_s), "ms", 10.0)
    yield Figure(f"cycle over BACnet and Modbus, {points} points, median", 1000 * statistics.median(cycles_s), "ms", 200.0)
    yield Figure(f"cycle over BACnet and Modbus, {points} points, p95", 1000 * p95(cycles_s), "ms", 500.0)


def bus_reading(_: Path) -> Iterator[Figure]:
    """Reading many devices, other people's clients beside."""
    yield from asyncio.run(bus.reading_figures())


def bus_sending(_: Path) -> Iterator[Figure]:
    """Commands while the bus is busy."""
    yield from asyncio.run(sending.sending_figures())


def bus_lies(frames: int) -> Iterator[Figure]:
    """Devices that lie, and so many mutated frames."""
    yield from asyncio.run(lying.lying_figures(frames))


def bus_recovery(folder: Path) -> Iterator[Figure]:
    """A gateway killed, a device back, leases ended."""
    yield from asyncio.run(recovery.recovery_figures(folder))


def _controlled_day(site: Site, state: StateFolder) -> RunReport:
    make_twin(site, state.site(site.name), wall_now())
    parts = assemble(site, state.site(site.name), Period(engine="rc"), {})

    async def run() -> RunReport:
        return await RunningSite(parts).run(speed=None, stop=asyncio.Event())

    return asyncio.run(run())


def _help() -> None:
    subprocess.run([sys.executable, "-m", "twin", "--help"], cwd=product_root(), stdout=subprocess.DEVNULL, check=True)
