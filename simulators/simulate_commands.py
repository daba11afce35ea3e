"""The command `simulate`: one simulated period, under the building's own control or ours, as one row of key figures."""

import asyncio
import json
import signal
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from simulators.baselines import run_baseline, score_as_json
from simulators.founding import meter_records
from simulators.opening import open_plant
from simulators.plant import Plant
from simulators.preparing import Period, assemble, make_twin, work_copy
from simulators.running import RunningSite
from simulators.schedules import VARIANTS
from twin.clock import monotonic_s, wall_now
from twin.errors import SiteError
from twin.graph import Graph
from twin.points import read_points
from twin.site import Site, find_site, load_site
from twin.state import StateFolder

RULES = "rules"
CONTROLLERS = (*VARIANTS, RULES)
TEXT = """{site}, {controller}, {days} day(s) from {start}, {plant}
whole building {whole:.0f} kWh, HVAC and light {hvac_light:.0f} kWh, peak {peak_kw:.0f} kW
PPD {ppd_mean:.1f} %, |PMV| > 0.7 {pmv_over_07_percent:.1f} %, {kelvin_hours_per_zone:.2f} K.h a zone, \
CO2 > 1000 ppm {co2_over_1000_percent:.1f} %, RH > 65 % {rh_over_65_percent:.1f} %, light deficit {lux_deficit_percent:.1f} %"""


def simulate(
    site: Annotated[str, typer.Argument(help="a site's name or folder")],
    controller: Annotated[str, typer.Option(help="bau (business as usual), code, or rules (ours, over the site's own wires)")] = "bau",
    days: Annotated[int, typer.Option(min=1, max=365)] = 1,
    start: Annotated[str | None, typer.Option(help="first day, MM-DD; default: the site's plant.toml")] = None,
    seed: Annotated[int, typer.Option(help="draws the people")] = 1,
    plant: Annotated[str | None, typer.Option(help="rc or energyplus; default: the site's plant.toml")] = None,
    speed: Annotated[float | None, typer.Option(min=1, help="rules only: simulated seconds a second; default: as fast as it goes")] = None,
    state: Annotated[str | None, typer.Option("--state", help="rules only: where journal and history are kept; default: nowhere")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object instead of text")] = False,
) -> None:
    """One simulated period of a site."""
    if controller not in CONTROLLERS:
        raise SiteError(f"--controller must be one of {', '.join(CONTROLLERS)}, got {controller!r}")
    begun_s = monotonic_s()
    period = Period(start, days, seed, plant)
    folder = find_site(site)
    facts = _under_rules(folder, period, speed, state) if controller == RULES else _under_own_control(load_site(folder), period, controller)
    row = {"site": load_site(folder).name, "controller": controller, "days": days, "seed": seed, **facts}
    row["wall_s"] = round(monotonic_s() - begun_s, 2)
    if row["note"]:
        typer.echo(row["note"], err=True)
    typer.echo(json.dumps(row) if as_json else TEXT.format(**(row | row["energy_kwh"] | row["comfort"])))


def _under_own_control(site: Site, period: Period, variant: str) -> dict[str, Any]:
    opened = open_plant(
        site, Graph.read(site.twin_file), engine=period.engine, variant=variant, start=period.start, days=period.days, seed=period.seed
    )
    first, score, design = run_baseline(opened)
    return {**_about(opened), "start": first.isoformat(), "design": design, **score_as_json(score)}


def _under_rules(folder: Path, period: Period, speed: float | None, state: str | None) -> dict[str, Any]:
    """The controlled run; without a state folder it works in a temporary one."""
    if state is not None:
        return asyncio.run(_controlled(load_site(folder), StateFolder(Path(state).expanduser().absolute()), period, speed))
    with tempfile.TemporaryDirectory(prefix="wattproof-simulate-") as name:
        site = work_copy(folder, Path(name) / "work")
        folders = StateFolder(Path(name) / "state")
        make_twin(site, folders.site(site.name), wall_now())
        return asyncio.run(_controlled(site, folders, period, speed))


async def _controlled(site: Site, state: StateFolder, period: Period, speed: float | None) -> dict[str, Any]:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    book = read_points(site.points_file, Graph.read(site.twin_file).points())
    parts = assemble(site, state.site(site.name), period, meter_records(site, book, state))
    report = await RunningSite(parts).run(speed=speed, stop=stop)
    assert report.score is not None
    assert report.began is not None
    assert report.release is not None
    released = {
        "points": report.release.points,
        "held_after": len(report.release.not_released),
        "seconds": round(report.release.seconds, 2),
    }
    wire = {"reads": report.reads, "writes": report.writes, "outcomes": dict(report.outcomes)}
    facts = {"start": report.began.isoformat(), "stopped": report.stopped, "wire": wire, "release": released}
    return {**_about(parts.plant), **facts, **score_as_json(report.score)}


def _about(plant: Plant) -> dict[str, Any]:
    return {"plant": plant.engine, "note": plant.note, "weather": plant.weather.name, "step_s": plant.step_s}
