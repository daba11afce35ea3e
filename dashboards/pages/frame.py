"""The frame round every page: header with site, pages, language and scheme, and the line that says how things stand."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import dash_mantine_components as dmc
from dash import dcc, html

from dashboards.accounts import User
from dashboards.desk import Desk
from dashboards.parts.numbers import age, clock_time, number
from dashboards.texts import LANGUAGES, other_language, texts
from dashboards.views.control_room import Head, head
from dashboards.views.ledger import Glance
from twin.clock import wall_now

SLATE = ["#f4f6f8", "#e6eaee", "#ccd4db", "#afbbc6", "#93a2b0", "#7a8b9b", "#627385", "#4c5d6f", "#3a4a5b", "#2a3846"]
THEME = {
    "primaryColor": "slate",
    "colors": {"slate": SLATE},
    # These three together make filled buttons pass WCAG AA in light and dark.
    "primaryShade": 8,
    "autoContrast": True,
    "luminanceThreshold": 0.179,
    "fontFamily": "system-ui, 'Noto Sans CJK SC', 'Microsoft YaHei', sans-serif",
}
SCRIPT_WORDS = (
    "age", "age_none", "cut", "ended", "stale", "no_value", "too_warm", "too_cold", "high_co2", "marks", "below", "above", "nobody",
    "people_here", "controlled", "bau", "code", "verify_running",
)  # fmt: skip

PageLink = tuple[str, str]  # address, key of its word


def frame(user: User, pages: Sequence[PageLink], sites: Sequence[str]) -> Any:
    """The frame of a signed-in page; made anew for each page load, so each tab gets its own id."""
    words = texts(user.lang)
    return dmc.MantineProvider(
        id="theme",
        theme=THEME,
        forceColorScheme="light",
        children=[
            dcc.Location(id="url"),
            dcc.Store(id="tab", data=uuid4().hex),
            dcc.Store(id="words", data={key: words[key] for key in SCRIPT_WORDS}),
            dcc.Store(id="live"),
            dcc.Store(id="again", data=0),
            dcc.Store(id="choice"),
            dcc.Interval(id="clock", interval=1000),
            html.A(words["skip"], href="#main", className="skip"),
            html.Header([_bar(user, words, pages, sites), html.Div(status_line(words), className="status")], className="head"),
            html.Main(html.Div(id="page"), id="main"),
        ],
    )


def _bar(user: User, words: Mapping[str, str], pages: Sequence[PageLink], sites: Sequence[str]) -> Any:
    other = other_language(user.lang)
    links = [dcc.Link(words[key], href=path, className="page-link", id=f"link-{key}") for path, key in pages]
    # The picker is always there, since the live loop follows it; with one site there is nothing to pick.
    first = sites[0] if sites else None
    picker = dmc.Select(id="site", data=list(sites), value=first, allowDeselect=False, size="xs", **{"aria-label": words["site"]})
    if len(sites) < 2:
        picker = html.Div(picker, hidden=True)
    right = html.Div(
        [
            html.Span(f"{user.name} · {words['role_' + user.role]}", className="who"),
            dmc.Switch(id="dark", label=words["dark"], size="xs", persistence=True, persistence_type="local"),
            html.A(words["other"], href=f"/lang/{other}", lang=LANGUAGES[other]),
            html.Form(html.Button(words["out"], id="out", className="link"), action="/logout", method="POST"),
        ],
        className="bar-right",
    )
    return html.Div(
        [html.Span(words["product"], className="product"), html.Nav(links, **{"aria-label": words["menu"]}), picker, right],
        className="bar",
    )


def status_line(words: Mapping[str, str]) -> list[Any]:
    """The line under the header of a site's pages; its pieces are filled in live."""
    return [
        html.Strong(id="head-site"),
        html.Span(id="head-mode", className="badge"),
        html.Span(id="head-time", className="time"),
        html.Span(id="age", className="age", role="status"),
        html.Span(id="head-place"),
        html.Span(id="head-ledger", className="ledger", title=words["ledger"]),
        html.Span(id="head-silent", className="alert-text"),
    ]


def status_live(desk: Desk, lang: str) -> dict[str, Any]:
    """The values of the status line, and what the page's clock needs to tell the age of the data."""
    words = texts(lang)
    wall = wall_now()
    now: Head = desk.look(lambda facts: head(facts, desk.building, wall))
    site = desk.building.site
    silent = words["silent"].format(names=", ".join(now.silent)) if now.silent and len(now.silent) < len(site.connections) else ""
    return {
        "props": {
            "head-site": {"children": site.title or site.name},
            "head-mode": {
                "children": words[f"mode_{now.mode}"],
                "className": f"badge mode-{now.mode}",
                "title": words["mode_by"].format(by=now.by, why=now.why) if now.by else "",
            },
            "head-time": {"children": _time_text(now, desk, words)},
            "head-place": {"children": " · ".join([site.place, words["grid_region"].format(region=site.grid_region)])},
            "head-ledger": {"children": ledger_text(desk.ledger(), words), "className": f"ledger ledger-{desk.ledger().state}"},
            "head-silent": {"children": silent},
        },
        "age_s": now.age_s,
        "old_after_s": now.old_after_s,
    }


def ledger_text(glance: Glance, words: Mapping[str, str]) -> str:
    """The group in one line: how much is sealed, whether it is final, how old the checkpoint is."""
    if glance.state == "none":
        return words["ledger_none"]
    pieces = [words[f"ledger_{glance.state}"].format(size=number(glance.size, 0), open=number(glance.size - glance.final_size, 0))]
    if glance.sealed_at is not None:
        pieces.append(words["ledger_checkpoint"].format(age=age((wall_now() - glance.sealed_at).total_seconds())))
    if glance.delay_p95_s is not None:
        pieces.append(words["ledger_lag"].format(lag=f"{glance.delay_p95_s:.1f} s"))
    return " · ".join(pieces)


def _time_text(now: Head, desk: Desk, words: Mapping[str, str]) -> str:
    pieces = [words["simulated"] if desk.building.site.simulated else words["real"]]
    pieces.append(clock_time(now.site_time, desk.building.site.zone, "%Y-%m-%d %H:%M"))
    if now.pace and desk.building.site.simulated:
        pieces.append(words["pace"].format(pace=number(now.pace, 0)))
    return " · ".join(pieces)
