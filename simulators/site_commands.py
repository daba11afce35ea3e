"""The commands `site-from-energyplus` and `site-from-ifc`: a whole simulated site from a model that somebody has."""

import json
from pathlib import Path
from typing import Annotated

import typer

from simulators.energyplus import engine
from simulators.energyplus.site import make_site
from simulators.ifc_site import make_ifc_site

TEXT = """{folder}: {zones} zones ({controllable_zones} with something to control), {air_handlers} air handlers, {points} points, \
{writable} of them writable"""
IFC_TEXT = """{folder}: {rooms} rooms found, {zones} zones with air, {air_handlers} air handlers, {found_equipment} pieces of found \
equipment with points, {points} points designed, {writable} of them writable"""


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


def site_from_ifc(
    models: Annotated[list[Path], typer.Argument(help="IFC files of one building: architecture, services, electrical")],
    weather: Annotated[str, typer.Option(help="an EPW file, or the name of a weather file in the EnergyPlus wheel")],
    out: Annotated[str, typer.Option(help="folder of the new site; its last part becomes the site's name")],
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object instead of text")] = False,
) -> None:
    """A simulated site from real IFC models: rooms and equipment as found, points as designed; what had to be assumed is named."""
    made = make_ifc_site(models, engine.find_file("weather", weather), Path(out).expanduser(), _progress)
    row = made.as_row()
    if as_json:
        typer.echo(json.dumps(row, ensure_ascii=False))
        return
    typer.echo(IFC_TEXT.format(**row))
    for kind, lines in (("assumed", made.assumed), ("no air", made.unserved), ("left alone", made.left_alone), ("note", made.notes)):
        for line in lines:
            typer.echo(f"  {kind}: {line}")


def _progress(what: str) -> None:
    typer.echo(what, err=True)
