"""What the government's server does when somebody clicks; it reads and verifies, and controls nothing."""

import asyncio
import functools
import sqlite3
from pathlib import Path
from typing import Any

from dash import ClientsideFunction, Input, Output, State, html, no_update

from dashboards.access import CURRENT, must
from dashboards.accounts import User
from dashboards.archive import Archive
from dashboards.live import add_live
from dashboards.pages import inspector
from dashboards.pages.frame import frame
from dashboards.pages.owner_callbacks import action, add_scripts
from dashboards.texts import texts
from dashboards.views.ledger import Explorer
from twin.errors import WattproofError

PAGES = (("/", "page_inspector"),)


def add_government_pages(app: Any, state_root: Path, explorer: Explorer | None) -> None:
    """Lay the inspector's page into the app."""
    archive = Archive(state_root, explorer)

    def chosen(group: str | None) -> str:
        groups = archive.groups()
        return group if group in groups else next(iter(groups), "")

    def snapshot(user: User, _path: str, group: str, kind: str) -> dict[str, Any]:
        must(user, "audit")
        return inspector.live(archive, chosen(group), kind if kind in inspector.KINDS else "", user.lang)

    app.layout = lambda: frame(CURRENT.get().user, PAGES, archive.groups())
    on = functools.partial(action, app)

    @on("audit", Output("page", "children"), Input("url", "pathname"), Input("site", "value"))
    async def show_page(_path: str, _site: str) -> Any:
        return inspector.layout(CURRENT.get().user.lang)

    @on("audit", Output("entry-detail", "children"), Input("entries-grid", "selectedRows"), State("site", "value"), State("choice", "data"),
        prevent_initial_call=True)  # fmt: skip
    async def show_entry(rows: list[dict[str, Any]], group: str, kind: str) -> Any:
        if not rows:
            return no_update
        lang = CURRENT.get().user.lang
        return await asyncio.to_thread(inspector.entry_detail, archive, chosen(group), int(rows[0]["number"]), kind or "", lang)

    @on("verify", Output("verify-steps", "children"), Output("verify-said", "children", allow_duplicate=True), Input("verify", "n_clicks"),
        State("site", "value"), prevent_initial_call=True)  # fmt: skip
    async def verify(_: int, group: str) -> Any:
        lang = CURRENT.get().user.lang
        try:
            return await asyncio.to_thread(inspector.check_result, archive, chosen(group), lang), ""
        except (WattproofError, OSError, sqlite3.Error) as error:
            return html.P(str(error), className="verdict-failed"), ""

    add_live(app, snapshot)
    add_scripts(app)
    own = functools.partial(ClientsideFunction, "wattproof")
    app.clientside_callback(own("same"), Output("choice", "data"), Input("kind", "value"), prevent_initial_call=True)
    app.clientside_callback(
        own("running"), Output("verify-said", "children"), Input("verify", "n_clicks"), State("words", "data"), prevent_initial_call=True
    )
    assert texts("en")["verify_running"]  # the script shows these words while the server works
