"""The command `commission`: try every point of a simulated site, and report what is wrong."""

import json
from pathlib import Path
from typing import Annotated

import typer

from simulators.commissioning.reporting import as_row, write_report
from simulators.commissioning.running import Commissioned, Wanted, commission_site
from simulators.faults import Fault, draw_faults, kinds, read_faults
from simulators.opening import plant_layout
from twin.clock import wall_now
from twin.errors import SiteError, VerificationError
from twin.graph import Graph
from twin.points import read_points
from twin.site import Site, find_site, load_site


def commission(
    site: Annotated[str, typer.Argument(help="a simulated site's name or folder")],
    faults: Annotated[Path | None, typer.Option(help="a TOML file of [[fault]] tables to plant first: kind, place, size, other")] = None,
    draw: Annotated[str, typer.Option(help="kinds of faults to plant at drawn places, with commas, or all; needs no file")] = "",
    seed: Annotated[int, typer.Option(help="draws people, and the places of faults")] = 1,
    plant: Annotated[str | None, typer.Option(help="rc or energyplus; default: the site's plant.toml")] = None,
    start: Annotated[str | None, typer.Option(help="MM-DD; the first Sunday from then on is tried; default: the site's plant.toml")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object instead of text")] = False,
) -> None:
    """Try every point over the wire (read, command, fail-safe, override, alarm), find faults; writes commissioning.toml, .json, .html.

    With planted faults nothing is written into the site: that is a trial of the trial.
    """
    config = load_site(find_site(site))
    planted = _planted(config, faults, draw, seed)
    done = commission_site(config, Wanted(planted, seed, plant, start), lambda line: typer.echo(line, err=True))
    row = as_row(done)
    if not planted:
        book = read_points(config.points_file, Graph.read(config.twin_file).points())
        row["files"] = [str(path) for path in write_report(done, book, wall_now()).values()]
    _tell(done, row, as_json=as_json)
    if not done.verdict.passed and not planted:
        raise VerificationError(f"{config.name}: {len(done.verdict.findings)} findings; see {config.folder / 'commissioning.html'}")


def _planted(site: Site, file: Path | None, draw: str, seed: int) -> tuple[Fault, ...]:
    if not file and not draw:
        return ()
    if file and draw:
        raise SiteError("--faults and --draw exclude each other; give one")
    layout = plant_layout(site, Graph.read(site.twin_file))
    if file:
        return read_faults(file, layout, site.connections)
    wanted = list(kinds()) if draw == "all" else [kind.strip() for kind in draw.split(",")]
    unknown = [kind for kind in wanted if kind not in kinds()]
    if unknown:
        raise SiteError(f"--draw: no kind {unknown[0]!r}; known kinds: {', '.join(kinds())}")
    return draw_faults(wanted, layout, site.connections, seed)


def _tell(done: Commissioned, row: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(row, ensure_ascii=False))
        return
    word = "passed" if done.verdict.passed else "did not pass"
    typer.echo(f"{done.site.name}: {done.points} points in {done.seconds:.0f} s on {done.engine}; {word}")
    for fault in done.planted:
        typer.echo(f"  planted: {fault.said}")
    for finding in done.verdict.findings:
        typer.echo(f"  found: {finding.kind} at {finding.place}: {finding.seen}")
    for trial in done.verdict.points:
        if trial.failed:
            typer.echo(f"  failed: {trial.point}: {trial.words}")
