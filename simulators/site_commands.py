"""The command `site-from-energyplus`: a whole simulated site from any EnergyPlus model."""

import json
from pathlib import Path
from typing import Annotated

import typer

from simulators.energyplus import engine
from simulators.energyplus.site import make_site

TEXT = """{folder}: {zones} zones ({controllable_zones} with something to control), {air_handlers} air handlers, {points} points, \
{writable} of them writable"""


def site_from_energyplus(
    model: Annotated[str, typer.Argument(help="an epJSON or IDF file, or the name of a model in the EnergyPlus wheel")],
    weather: Annotated[str, typer.Option(help="an EPW file, or the name of a weather file in the wheel")],
    out: Annotated[str, typer.Option(help="folder of the new site; its last part becomes the site's name")],
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object instead of text")] = False,
) -> None:
    """A simulated site from an EnergyPlus model: IFC, points, site.toml and plant.toml; what cannot be controlled is named."""
    made = make_site(engine.find_file("models", model), engine.find_file("weather", weather), Path(out).expanduser())
    row = made.as_row()
    if as_json:
        typer.echo(json.dumps(row))
        return
    typer.echo(TEXT.format(**row))
    for note in made.left_alone:
        typer.echo(f"  left alone: {note}")
