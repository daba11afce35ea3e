"""Live values: one loop per browser tab pushes what changed into one store of the page; a newer loop of the same tab ends the older one."""

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any

from dash import Input, State, ctx, set_props

from dashboards.access import CURRENT
from dashboards.accounts import User

PUSH_S = 0.5  # people see half a second as "now"; the journal moves slower

Snapshot = Callable[
    [User, str, str, str], dict[str, Any]
]  # user, address of the page, chosen site or group, further choice -> values by part


class Loops:
    """Which loop speaks for which tab. Numbers come from one counter, never per tab: a reused one would wake an old loop."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], int] = {}
        self._numbers = itertools.count(1)

    def begin(self, tab: tuple[str, str]) -> int:
        """A new loop for this tab; the one before ends at its next turn."""
        self._newest[tab] = next(self._numbers)
        return self._newest[tab]

    def speaks(self, tab: tuple[str, str], number: int) -> bool:
        """Whether this loop is still the tab's newest."""
        return self._newest.get(tab) == number

    def end(self, tab: tuple[str, str], number: int) -> None:
        """Forget a loop that ended by itself."""
        if self.speaks(tab, number):
            del self._newest[tab]


def add_live(app: Any, snapshot: Snapshot) -> None:
    """Give the app its live loop. `again` is raised by the page's clock while the line is cut."""
    loops = Loops()

    inputs = [Input("url", "pathname"), Input("again", "data"), Input("site", "value"), Input("choice", "data"), State("tab", "data")]

    @app.callback(*inputs, websocket=True, persistent=True)  # type: ignore[untyped-decorator]
    async def stream(path: str, _again: int, site: str, choice: str, tab: str) -> None:
        socket, visit = ctx.websocket, CURRENT.get()
        if socket is None or not visit.user.name:
            return
        key = (visit.user.sid, str(tab))
        mine = loops.begin(key)
        sent: dict[str, str] = {}
        count = itertools.count(1)  # the page asks for everything again when a number is missing
        try:
            while not socket.is_shutdown and loops.speaks(key, mine) and visit.still_there():
                values = await asyncio.to_thread(snapshot, visit.user, path, site or "", choice or "")
                set_props("live", {"data": {"loop": mine, "count": next(count), "for": visit.user.name, **changed(values, sent)}})
                await asyncio.sleep(PUSH_S)
        finally:
            loops.end(key, mine)


def changed(values: dict[str, Any], sent: dict[str, str]) -> dict[str, Any]:
    """The parts and properties that differ from what this tab has; `sent` remembers them. Numbers about age always go."""
    news: dict[str, Any] = {k: v for k, v in values.items() if k.endswith("_s")}
    for part, value in values.items():
        if part == "props":
            news["props"] = {name: props for name, props in value.items() if _differs(f"#{name}", props, sent)}
        elif not part.endswith("_s") and _differs(part, value, sent):
            news[part] = value
    return news


def _differs(name: str, value: Any, sent: dict[str, str]) -> bool:
    text = json.dumps(value, sort_keys=True, default=_plain)
    if sent.get(name) == text:
        return False
    sent[name] = text
    return True


def _plain(value: Any) -> Any:
    """Dash components as the browser gets them."""
    return value.to_plotly_json() if hasattr(value, "to_plotly_json") else str(value)
