"""The command `plant`: a simulated site's devices on loopback, for anybody's BACnet or Modbus client."""

import asyncio
import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from simulators.faults import read_faults
from simulators.faulty import FaultyPlant
from simulators.keeping import Keeper, Kept, Show
from simulators.opening import open_plant, plant_layout
from simulators.plant import Plant
from twin.errors import SiteError
from twin.graph import Graph
from twin.points import read_points
from twin.site import Connection, find_site, load_site

LINE = "  {name:<16} {protocol:<7} {host}:{port}{device}  {points} points"


def plant(
    site: Annotated[str, typer.Argument(help="a site's name or folder")],
    speed: Annotated[float, typer.Option(min=0.1, max=36000, help="simulated seconds a second")] = 60.0,
    days: Annotated[int, typer.Option(min=1, max=365, help="simulated days until it ends by itself")] = 7,
    start: Annotated[str | None, typer.Option(help="first day, MM-DD; default: the site's plant.toml")] = None,
    seed: Annotated[int, typer.Option(help="draws the people")] = 1,
    engine: Annotated[str | None, typer.Option("--plant", help="rc or energyplus; default: the site's plant.toml")] = None,
    faults: Annotated[Path | None, typer.Option(help="a TOML file of [[fault]] tables: kind, place, size, other")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object when the devices are up, one at the end")] = False,
) -> None:
    """Keep a simulated site's devices running until Ctrl-C; what clients write, the building obeys at its next step of ten minutes."""
    config = load_site(find_site(site))
    graph = Graph.read(config.twin_file)
    book = read_points(config.points_file, graph.points())
    if any(connection.vmac for connection in config.connections.values()):
        raise SiteError(f"{config.name}: a device on BACnet Secure Connect needs its hub; keep a site without one")
    opened: Plant = open_plant(config, graph, engine=engine, start=start, days=days, seed=seed)
    if faults is not None:
        layout = plant_layout(config, graph)
        opened = FaultyPlant(opened, read_faults(faults, layout, config.connections), layout)
    counted = {name: len(graph.ask("connection_points", connection=name)) for name in config.connections}

    def show(connections: Mapping[str, Connection]) -> None:
        rows = {name: {"protocol": c.protocol, "host": c.host, "port": c.port, "device": c.device} for name, c in connections.items()}
        if as_json:
            typer.echo(json.dumps({"site": config.name, "plant": opened.engine, "note": opened.note, "connections": rows}))
            return
        typer.echo(
            f"{config.name} ({opened.engine}, {opened.weather.name}) is up; Ctrl-C ends it" + (f"; {opened.note}" * bool(opened.note))
        )
        for name, row in rows.items():
            device = f" device {row['device']}" if row["device"] else ""
            typer.echo(LINE.format(name=name, **(row | {"device": device}), points=counted[name]))

    if opened.note:
        typer.echo(opened.note, err=True)
    kept = asyncio.run(_keep(Keeper(config, book, opened), speed, show))
    told = {"steps": kept.steps, "writes": kept.writes, "until": kept.until.isoformat() if kept.until else None, "stopped": kept.stopped}
    typer.echo(json.dumps(told) if as_json else f"{config.name}: {kept.steps} steps, {kept.writes} writes seen; every device is closed")


async def _keep(keeper: Keeper, speed: float, show: Show) -> Kept:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await keeper.keep(speed, stop, show)
