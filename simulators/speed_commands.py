"""The command `speed`: the product's speed figures, each measured in this very run."""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from bim.importing import import_models
from simulators.figures import Figure
from simulators.preparing import Period, assemble, make_twin, work_copy
from simulators.running import RunningSite, RunReport
from simulators.speed_bus import bus_figures
from twin.clock import monotonic_s, wall_now
from twin.graph import Graph
from twin.site import Site, find_site, product_root
from twin.state import StateFolder

SITE = "demo_office"
QUERY_RUNS = 200
STARTS = 5


def speed(as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False) -> None:
    """Measure speed on this machine; medians, since machines are noisy."""
    with tempfile.TemporaryDirectory(prefix="wattproof-speed-") as name:
        figures = measure(Path(name))
    if as_json:
        print(json.dumps({"rows": [figure.row() for figure in figures]}))
        return
    for row in (figure.row() for figure in figures):
        peers = "".join(f"; {name} {value:.3g}" for name, value in row["peers"].items())
        verdict = "holds " if row["holds"] else "MISSES"
        print(f"{verdict}  {row['name']:<84} {row['value']:>10.3f} {row['unit']:<3} (target {row['target']:g}{peers})")


def measure(folder: Path) -> list[Figure]:
    """Every figure, in a folder of its own."""
    site = work_copy(find_site(SITE), folder / "work")
    import_s = _median_s(3, lambda: import_models(site.models, site.folder, site.name))
    graph = Graph.read(site.twin_file)
    query_s = sorted(_times_s(QUERY_RUNS, lambda: graph.ask("zone_points", brick_class="Zone_Air_Temperature_Sensor")))
    points = len(graph.points())
    report = _controlled_day(site, StateFolder(folder / "state"))
    cycles_s = sorted(report.cycle_s)
    return [
        Figure("help page, as a whole process", _median_s(STARTS, _help), "s", 0.3),
        Figure("IFC model of the demo office to its twin, validated", import_s, "s", 3.0),
        Figure(f"named query zone_points, {points} points, p95", 1000 * query_s[int(0.95 * len(query_s))], "ms", 10.0),
        Figure(f"cycle over BACnet and Modbus, {points} points, median", 1000 * statistics.median(cycles_s), "ms", 200.0),
        Figure(f"cycle over BACnet and Modbus, {points} points, p95", 1000 * cycles_s[int(0.95 * len(cycles_s))], "ms", 500.0),
        *bus_figures(),
    ]


def _controlled_day(site: Site, state: StateFolder) -> RunReport:
    make_twin(site, state.site(site.name), wall_now())
    parts = assemble(site, state.site(site.name), Period(engine="rc"), {})

    async def run() -> RunReport:
        return await RunningSite(parts).run(speed=None, stop=asyncio.Event())

    return asyncio.run(run())


def _help() -> None:
    subprocess.run([sys.executable, "-m", "twin", "--help"], cwd=product_root(), stdout=subprocess.DEVNULL, check=True)


def _times_s(runs: int, work: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(runs):
        begun = monotonic_s()
        work()
        times.append(monotonic_s() - begun)
    return times


def _median_s(runs: int, work: Callable[[], object]) -> float:
    return statistics.median(_times_s(runs, work))
