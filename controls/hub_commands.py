"""The command `hub`: BACnet Secure Connect for a site that has no hub of its own."""

import asyncio
import json
import signal
import sys
from typing import Annotated

import typer

from controls.drivers.secure_hub import SecureHub
from twin.errors import SiteError
from twin.secure_connect import tls_folder
from twin.site import find_site, load_site, state_root
from twin.state import StateFolder


def hub(
    site: Annotated[str, typer.Argument(help="a site's name below sites/, or its folder")],
    state: Annotated[str | None, typer.Option("--state", help="where state lives")] = None,
    listen: Annotated[str | None, typer.Option(help="host:port; otherwise as [secure_connect] of site.toml says")] = None,
) -> None:
    """Run the site's hub until interrupted; nodes are let in by the site's own certificates (`wattproof certificate`)."""
    config = load_site(find_site(site))
    where = listen or config.secure_connect.listen
    if not where:
        raise SiteError(f"{config.name}: say where the hub listens: listen in [secure_connect] of site.toml, or --listen HOST:PORT")
    folder = tls_folder(StateFolder(state_root(state, config)), config.name)
    asyncio.run(_serve(SecureHub(folder, config.name, where)))


async def _serve(served: SecureHub) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    url = await served.start()
    print(json.dumps({"url": url}), flush=True)
    try:
        await served.keep(stop)
    finally:
        await served.stop()
    print(f"hub {url} has ended", file=sys.stderr)
