"""The command that serves the pages."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from dashboards.building import read_building
from dashboards.desk import Desk
from dashboards.server import LOOPBACK, Kind, Pages, bind, make_server, web_server
from dashboards.views.ledger import Explorer
from ledger import explorer
from twin.errors import SiteError
from twin.site import find_site, load_site, product_root, state_root
from twin.state import StateFolder

PORT_OWNER, PORT_GOVERNMENT = 8050, 8051


def serve(
    sites: Annotated[list[str] | None, typer.Argument(help="names or folders of sites; none: every site with state")] = None,
    government: Annotated[bool, typer.Option("--government", help="the inspector's server")] = False,
    state: Annotated[str | None, typer.Option(help="state folder")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one; 8050, or 8051 for the government")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object when ready")] = False,
) -> None:
    """Serve the control room and the owner's page, or with --government the inspector's page."""
    root = state_root(state, load_site(find_site(sites[0])) if sites else None)
    kind: Kind = "government" if government else "owner"
    listening = bind((PORT_GOVERNMENT if government else PORT_OWNER) if port is None else port)
    desks = [] if government else _desks(sites or _sites_with_state(root), state, explorer)
    pages = make_server(kind, root, desks, explorer)
    url = f"http://{LOOPBACK}:{listening.getsockname()[1]}"
    asyncio.run(_serve(pages, listening, url, as_json))


async def _serve(pages: Pages, listening: object, url: str, as_json: bool) -> None:
    server = web_server(pages)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, setattr, server, "should_exit", True)
    serving = asyncio.create_task(server.serve(sockets=[listening]))  # type: ignore[list-item]
    while not server.started and not serving.done():
        await asyncio.sleep(0.02)
    _announce(pages.setup_url(url), url, as_json)
    await serving


def _announce(setup_url: str, url: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"url": url, "setup_url": setup_url}), flush=True)
    else:
        words = f"first start: open {setup_url} once to choose your name and password" if setup_url else f"open {url}"
        print(f"wattproof serve: {words}", file=sys.stderr, flush=True)


def _desks(names: list[str], state: str | None, explorer: Explorer | None) -> list[Desk]:
    from twin.graph import Graph

    if not names:
        raise SiteError(f"{state_root(state)}: expected at least one site to show, found none; name one (wattproof serve SITE)")
    sites = [load_site(find_site(name)) for name in names]
    return [Desk(read_building(site, Graph.read(site.twin_file)), StateFolder(state_root(state, site)), explorer) for site in sites]


def _sites_with_state(root: Path) -> list[str]:
    folders = sorted((root / "sites").glob("*/journal.db"))
    return [f.parent.name for f in folders if (product_root() / "sites" / f.parent.name / "site.toml").exists()]
