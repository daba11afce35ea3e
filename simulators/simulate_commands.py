"""The command `simulate`: one simulated period under the building's own control, as one row of key figures."""

import json
from typing import Annotated

import typer

from simulators.baselines import run_baseline, score_as_json
from simulators.opening import open_plant
from simulators.schedules import VARIANTS
from twin.clock import monotonic_s
from twin.errors import SiteError
from twin.graph import Graph
from twin.site import find_site, load_site

TEXT = """{site}, {controller}, {days} day(s) from {start}, {plant}
whole building {whole:.0f} kWh, HVAC and light {hvac_light:.0f} kWh, peak {peak_kw:.0f} kW
PPD {ppd_mean:.1f} %, |PMV| > 0.7 {pmv_over_07_percent:.1f} %, {kelvin_hours_per_zone:.2f} K.h a zone, \
CO2 > 1000 ppm {co2_over_1000_percent:.1f} %, RH > 65 % {rh_over_65_percent:.1f} %, light deficit {lux_deficit_percent:.1f} %"""


def simulate(
    site: Annotated[str, typer.Argument(help="a site's name or folder")],
    controller: Annotated[str, typer.Option(help="bau (business as usual) or code")] = "bau",
    days: Annotated[int, typer.Option(min=1, max=365)] = 1,
    start: Annotated[str | None, typer.Option(help="first day, MM-DD; default: the site's plant.toml")] = None,
    seed: Annotated[int, typer.Option(help="draws people and forecast errors")] = 1,
    plant: Annotated[str | None, typer.Option(help="rc or energyplus; default: the site's plant.toml")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object instead of text")] = False,
) -> None:
    """One simulated period of a site under its own control."""
    if controller not in VARIANTS:
        raise SiteError(f"--controller must be one of {', '.join(VARIANTS)}, got {controller!r}")
    begun_s = monotonic_s()
    found = load_site(find_site(site))
    opened = open_plant(found, Graph.read(found.twin_file), engine=plant, variant=controller, start=start, days=days, seed=seed)
    first, score = run_baseline(opened)
    row = {
        "site": found.name, "controller": controller, "plant": opened.engine, "note": opened.note, "start": first.isoformat(),
        "days": days, "seed": seed, "step_s": opened.step_s, **score_as_json(score), "wall_s": round(monotonic_s() - begun_s, 2),
    }  # fmt: skip
    if as_json:
        typer.echo(json.dumps(row))
        return
    typer.echo(TEXT.format(**(row | row["energy_kwh"] | row["comfort"])))
    if opened.note:
        typer.echo(opened.note, err=True)
