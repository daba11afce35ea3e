"""What the owner's server does when somebody clicks. Every callback names the action it needs; the service functions decide again."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from dash import ClientsideFunction, Input, Output, State, ctx, no_update

from dashboards.access import CURRENT, Wish, acknowledge, ask, give_back, must, resume
from dashboards.accounts import User
from dashboards.desk import Desk
from dashboards.live import add_live
from dashboards.pages import control_room, owner
from dashboards.pages.frame import frame, status_live
from dashboards.parts.numbers import number, reading, unit_sign
from dashboards.texts import texts
from twin.errors import AccessError

PAGES = (("/", "page_control"), ("/owner", "page_owner"))


def add_owner_pages(app: Any, desks: Sequence[Desk]) -> None:
    """Lay the owner's pages into the app."""
    by_name = {desk.name: desk for desk in desks}

    def desk_of(site: str) -> Desk:
        return by_name.get(site) or desks[0]

    def snapshot(user: User, path: str, site: str, _choice: str) -> dict[str, Any]:
        must(user, "read")
        desk = desk_of(site)
        status = status_live(desk, user.lang)
        page = (owner if path == "/owner" else control_room).live(desk, user.lang)
        return {**status, **page, "props": {**status["props"], **page["props"]}}

    app.layout = lambda: frame(CURRENT.get().user, PAGES, list(by_name))
    on = functools.partial(action, app)

    @on("read", Output("page", "children"), Input("url", "pathname"), Input("site", "value"))
    async def show_page(path: str, site: str) -> Any:
        lang = CURRENT.get().user.lang
        make = owner.layout if path == "/owner" else control_room.layout
        return await asyncio.to_thread(make, desk_of(site), lang)

    add_live(app, snapshot)
    add_scripts(app)
    _add_control(app, desk_of)
    _add_override(app, desk_of)
    _add_trend(app, desk_of)


def action(
    app: Any, name: str, *dependencies: Any, **more: Any
) -> Callable[[Callable[..., Awaitable[Any]]], Callable[..., Awaitable[Any]]]:
    """A callback that only a user whose role allows the action gets to run."""

    def wrap(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(function)
        async def guarded(*values: Any) -> Any:
            must(CURRENT.get().user, name)
            return await function(*values)

        guarded.__dict__["action"] = name
        app.callback(*dependencies, **more)(guarded)
        return guarded

    return wrap


def add_scripts(app: Any) -> None:
    """The page's own scripts, from assets/wattproof.js: the sink, the clock and the colour scheme."""
    own = functools.partial(ClientsideFunction, "wattproof")
    app.clientside_callback(own("sink"), Input("live", "data"))
    app.clientside_callback(own("drawn"), Input("page", "children"))
    app.clientside_callback(
        own("clock"),
        Output("age", "children"),
        Output("age", "className"),
        Output("again", "data"),
        Input("clock", "n_intervals"),
        State("words", "data"),
        State("again", "data"),
    )
    app.clientside_callback(own("scheme"), Output("theme", "forceColorScheme"), Input("dark", "checked"))


def _add_control(app: Any, desk_of: Callable[[str], Desk]) -> None:
    """The two buttons that change the mode, and acknowledging an alarm; each behind a dialog with a reason."""
    own = functools.partial(ClientsideFunction, "wattproof")
    for name in ("give-back", "resume"):
        app.clientside_callback(own("open"), Output(f"{name}-dialog", "opened"), Input(name, "n_clicks"), prevent_initial_call=True)
    app.clientside_callback(
        own("open_alarm"),
        Output("acknowledge-dialog", "opened"),
        Output("alarm-chosen", "data"),
        Output("acknowledge-explain", "children"),
        Input("acknowledge", "n_clicks"),
        State("alarms-grid", "selectedRows"),
        prevent_initial_call=True,
    )
    for name, change in (("give-back", give_back), ("resume", resume)):
        _add_mode_button(app, desk_of, name, change)

    @action(
        app,
        "acknowledge",
        Output("acknowledge-dialog", "opened", allow_duplicate=True),
        Output("acknowledge-said", "children"),
        Output("acknowledge-why", "value"),
        Input("acknowledge-do", "n_clicks"),
        State("alarm-chosen", "data"),
        State("acknowledge-why", "value"),
        State("site", "value"),
        prevent_initial_call=True,
    )
    async def do_acknowledge(_: int, alarm: str, note: str, site: str) -> Any:
        desk, user = desk_of(site), CURRENT.get().user
        try:
            await asyncio.to_thread(lambda: acknowledge(desk.follower.journal, user, alarm, note, desk.site_now()))
        except AccessError as error:
            return no_update, refusal(error, user.lang), no_update
        return False, "", ""


def _add_mode_button(app: Any, desk_of: Callable[[str], Desk], name: str, change: Callable[..., None]) -> None:
    @action(
        app,
        "command",
        Output(f"{name}-dialog", "opened", allow_duplicate=True),
        Output(f"{name}-said", "children"),
        Output(f"{name}-why", "value"),
        Input(f"{name}-do", "n_clicks"),
        State(f"{name}-why", "value"),
        State("site", "value"),
        prevent_initial_call=True,
    )
    async def do(_: int, why: str, site: str) -> Any:
        desk, user = desk_of(site), CURRENT.get().user
        try:
            await asyncio.to_thread(lambda: change(desk.follower.journal, user, why, desk.site_now()))
        except AccessError as error:
            return no_update, refusal(error, user.lang), no_update
        return False, "", ""


def _add_override(app: Any, desk_of: Callable[[str], Desk]) -> None:
    @action(
        app, "read", Output("wish-limits", "children"), Output("wish-value", "value"), Input("wish-point", "value"), State("site", "value")
    )
    async def show_limits(chosen: str | None, site: str) -> Any:
        words = texts(CURRENT.get().user.lang)
        desk = desk_of(site)
        point = desk.building.points.get(chosen or "")
        if point is None or point.limits is None:
            return words["override_none"], no_update
        now = await asyncio.to_thread(desk.look, lambda facts: facts.latest.get(point.id))
        limits = {"low": number(point.limits.low), "high": number(point.limits.high), "unit": unit_sign(point.unit)}
        return words["override_limits"].format(**limits), reading(now.value) if now and now.value is not None else point.limits.fallback

    @action(
        app,
        "command",
        Output("wish-said", "children"),
        Input("wish-ask", "n_clicks"),
        Input("wish-let-go", "n_clicks"),
        State("wish-point", "value"),
        State("wish-value", "value"),
        State("wish-minutes", "value"),
        State("wish-why", "value"),
        State("site", "value"),
        prevent_initial_call=True,
    )
    async def do_ask(*values: Any) -> Any:
        _, _, point, value, minutes, why, site = values
        desk, user = desk_of(site), CURRENT.get().user
        lets_go = ctx.triggered_id == "wish-let-go"
        if not isinstance(value, (int, float)) and not lets_go:
            return texts(user.lang)["wish_value"]
        wish = Wish(point or "", None if lets_go else float(value), why, minutes if isinstance(minutes, (int, float)) else 0)
        try:
            await asyncio.to_thread(lambda: ask(desk.follower.journal, user, desk.building.points.get(wish.point), wish, desk.site_now()))
        except AccessError as error:
            return refusal(error, user.lang)
        return texts(user.lang)["wish_done"]


def _add_trend(app: Any, desk_of: Callable[[str], Desk]) -> None:
    own = functools.partial(ClientsideFunction, "wattproof")
    app.clientside_callback(own("filter"), Input("points-filter", "value"))
    # An output of its own, or Dash would not run it when the page is drawn.
    app.clientside_callback(
        own("draw_plan"),
        Output("plan-drawn", "data"),
        Input("plan-layer", "value"),
        Input("plan-storey", "value"),
        Input("plan-outlines", "data"),
    )
    app.clientside_callback(
        own("choose_point"), Output("wish-point", "value"), Input("points-grid", "selectedRows"), prevent_initial_call=True
    )

    app.clientside_callback(own("draw_trend"), Input("trend-line", "data"))

    @action(
        app,
        "read",
        Output("trend-title", "children"),
        Output("trend-frame", "hidden"),
        Output("trend-line", "data"),
        Input("points-grid", "selectedRows"),
        State("site", "value"),
        prevent_initial_call=True,
    )
    async def show_trend(rows: list[dict[str, Any]], site: str) -> Any:
        if not rows:
            return no_update, no_update, no_update
        desk = desk_of(site)
        point = desk.building.points.get(rows[0]["id"])
        if point is None:
            return no_update, no_update, no_update
        readings = await asyncio.to_thread(desk.last_day, point.id)
        kept = [r for r in readings if r.value is not None]
        zone = desk.building.site.zone
        line = {
            "at": [r.at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") for r in kept],
            "y": [r.value for r in kept],
            "unit": unit_sign(point.unit),
        }
        return texts(CURRENT.get().user.lang)["trend_of"].format(point=point.id), False, line


def refusal(error: AccessError, lang: str) -> str:
    """What the page says to a refused wish: its own words where it has some."""
    words = texts(lang)
    return words.get(str(error), words["denied"])
