"""The facility manager's page."""

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from dashboards.building import Building
from dashboards.desk import Desk
from dashboards.follow import Facts
from dashboards.parts.charts import chart
from dashboards.parts.frames import button, panel, said, tile
from dashboards.parts.grids import column, grid, numeric
from dashboards.parts.numbers import age, clock_time, number, reading, unit_sign
from dashboards.parts.plans import plan_frame
from dashboards.texts import texts
from dashboards.views import control_room as view
from dashboards.views.energy import Energy, Saving, energy, power_lines
from dashboards.views.plan import plan

Words = Mapping[str, str]
Props = dict[str, dict[str, Any]]  # component id -> property -> value
TILES = {
    "power": "power_now",
    "energy": "energy_so_far",
    "saved-bau": "saved_bau",
    "saved-code": "saved_code",
    "comfort": "comfort",
    "alarms": "alarms_open",
}


def layout(desk: Desk, lang: str) -> Any:
    """The page without values; the live loop fills it."""
    words = texts(lang)
    return html.Div(
        [
            html.H1(words["page_control"], className="only-read"),
            html.Div([tile(f"tile-{name}", words[label]) for name, label in TILES.items()], className="tiles"),
            html.Div(
                [
                    panel(words["plan"], plan_frame(desk.building, words), "wide", [html.Span(words["plan_hint"], className="quiet")]),
                    html.Div(
                        [
                            _control(words),
                            panel(words["power"], [chart("power-chart", words["power_note"], lang)]),
                            panel(words["alarms"], [_alarms(words)]),
                        ],
                        className="stack",
                    ),
                    panel(words["commands"], [grid("commands-grid", _command_columns(words), words, height_px=290)], "full"),
                    panel(words["points"], _points(words, lang), "wide", [_filter(words)]),
                    panel(words["override"], _override(desk.building, words)),
                ],
                className="columns",
            ),
            *_dialogs(words),
        ]
    )


def live(desk: Desk, lang: str) -> dict[str, Any]:
    """Everything that moves on this page; only what changed is sent."""
    words = texts(lang)
    return dict(desk.look(lambda facts: _live(facts, desk.building, words)))


def _live(facts: Facts, building: Building, words: Words) -> dict[str, Any]:
    zone = building.site.zone
    alarms = view.alarm_rows(facts)
    rooms = plan(building, facts)
    props: Props = {
        **_tile_props(energy(facts), words),
        **_comfort_props(facts, rooms, words),
        **_alarm_tile(alarms, words),
        **_release_props(view.release(facts), facts, building, words),
        "points-grid": {"rowData": [_point(row, words) for row in view.point_rows(facts, building)]},
        "commands-grid": {"rowData": [_command(row, building, words) for row in view.command_rows(facts, building)]},
        "alarms-grid": {"rowData": [_alarm(row, building, words) for row in alarms]},
        "wishes-grid": {"rowData": [_wish(row, building, words) for row in view.wish_rows(facts, building)]},
    }
    states = {
        r.room: {
            "people": r.people,
            "cells": {k: {"text": c.text, "band": c.band, "quality": c.quality, "mark": c.mark} for k, c in r.cells.items()},
        }
        for r in rooms
    }
    lines = [
        {"key": line.key, "at": [at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") for at in line.at], "kw": line.kw}
        for line in power_lines(facts)
    ]
    return {"props": props, "plan": states, "power": lines}


# ---------------------------------------------------------------- figures


def _tile_props(now: Energy, words: Words) -> Props:
    baseline = {name: number(now.baseline_kw.get(name)) for name in ("bau", "code")}
    props: Props = {
        "tile-power-value": {"children": f"{number(now.power_kw)} kW"},
        "tile-power-note": {"children": words["baseline_now"].format(**baseline) if now.baseline_kw else ""},
        "tile-energy-value": {"children": f"{number(now.used_kwh, 0)} kWh"},
        "tile-energy-note": {"children": "" if now.used_kwh is not None else words["waiting"]},
    }
    by_name = {s.baseline: s for s in now.savings}
    for name in ("bau", "code"):
        props |= _saving_props(f"tile-saved-{name}", by_name.get(name), words)
    return props


def _saving_props(name: str, saving: Saving | None, words: Words) -> Props:
    if saving is None:
        return {f"{name}-value": {"children": "–"}, f"{name}-note": {"children": words["against_simulated"]}}
    note = words[f"saved_note_{saving.scope}"].format(saved=number(saving.saved_kwh, 0), kwh=number(saving.baseline_kwh, 0))
    return {f"{name}-value": {"children": f"{saving.saved_percent:.1f} %"}, f"{name}-note": {"children": note}}


def _comfort_props(facts: Facts, rooms: Any, words: Words) -> Props:
    score = facts.score.get("comfort", {}).get("pmv_over_07_percent")
    occupied = [r for r in rooms if r.people]
    inside = sum(not any(c.mark for c in r.cells.values()) for r in occupied)
    if score is not None:
        return {"tile-comfort-value": {"children": f"{score:.1f} %"}, "tile-comfort-note": {"children": words["comfort_note"]}}
    return {"tile-comfort-value": {"children": f"{inside} / {len(occupied)}"}, "tile-comfort-note": {"children": words["comfort_live"]}}


def _alarm_tile(alarms: tuple[view.AlarmRow, ...], words: Words) -> Props:
    count = view.open_alarms(alarms)
    standing = sum(a.state != "cleared" for a in alarms)
    return {
        "tile-alarms-value": {"children": str(count)},
        "tile-alarms-note": {"children": words["alarms_more"].format(n=standing) if standing else words["alarms_none"]},
        "tile-alarms": {"className": "tile tile-alert" if count else "tile"},
    }


# ---------------------------------------------------------------- control


def _control(words: Words) -> Any:
    return panel(
        words["control"],
        [
            html.Div(
                [
                    html.Div(
                        [html.Div(id="release-words", className="release-words"), html.Div(id="release-by", className="quiet")],
                        role="status",
                    ),
                    button(words["give_back"], "give-back", "danger"),
                    button(words["resume"], "resume", style={"display": "none"}),
                ],
                className="control",
            )
        ],
        "control-panel",
    )


def _dialogs(words: Words) -> list[Any]:
    return [
        _dialog("give-back", words["give_back"], words["give_back_explain"], words, "danger"),
        _dialog("resume", words["resume"], words["resume_explain"], words, "filled"),
        _dialog("acknowledge", words["acknowledge"], "", words, "filled"),
        dcc.Store(id="alarm-chosen"),
    ]


def _dialog(name: str, title: str, explain: str, words: Words, kind: str) -> Any:
    """A dialog with a reason and a button; nothing happens without both."""
    return dmc.Modal(
        id=f"{name}-dialog",
        title=title,
        centered=True,
        transitionProps={"duration": 0},
        children=[
            html.P(explain, id=f"{name}-explain"),
            dmc.TextInput(id=f"{name}-why", label=words["note"] if name == "acknowledge" else words["reason"]),
            html.Div([button(title, f"{name}-do", kind), said(f"{name}-said")], className="form-end"),
        ],
    )


def _release_props(now: view.Release, facts: Facts, building: Building, words: Words) -> Props:
    mode = facts.mode.body["mode"] if facts.mode else "none"
    by = words["release_by"].format(time=clock_time(now.at, building.site.zone), by=now.by, why=now.why) if now.at else ""
    text = {
        "none": words["release_none"] if mode == "automatic" else words["release_unruled"],
        "asked": words["release_asked"].format(by=now.by),
        "done": words["release_done"].format(points=now.points, held=now.held_after, seconds=f"{now.seconds:.1f}"),
    }[now.state]
    off = mode == "off"
    return {
        "release-words": {"children": text, "className": f"release-words release-{now.state}" + (" alert-text" if now.held_after else "")},
        "release-by": {"children": by},
        "give-back": {"style": {"display": "none"} if off else {}},
        "resume": {"style": {} if off else {"display": "none"}},
    }


# ---------------------------------------------------------------- grids


def _command_columns(words: Words) -> list[Any]:
    return [
        column("at", words["time"], 94),
        column("place", words["place"], 160),
        column("point", words["point"], 110),
        numeric("before", words["before"], 84),
        numeric("value", words["asked_value"], 92),
        column("result", words["result"], 150),
        column("by", words["by"], 120),
        column("why", words["why"]),
    ]


def _command(row: view.CommandRow, building: Building, words: Words) -> dict[str, Any]:
    unit = unit_sign(row.unit)
    value = words["let_go"] if row.value is None else f"{reading(row.value):g} {unit}".strip()
    result = words.get(f"result_{row.result}", row.result)
    tone = "bad" if row.result in ("rejected", "not_effective", "conflict", "unverified") else "quiet" if row.result == "masked" else ""
    before = reading(row.before)
    return {
        "id": row.id, "at": clock_time(row.at, building.site.zone), "place": row.place, "point": short(row.point), "value": value,
        "before": "" if before is None else f"{before:g}", "result": f"{result} {row.detail}".strip(),
        "by": row.by, "why": row.why, "tone": tone,
    }  # fmt: skip


def _alarms(words: Words) -> Any:
    columns = [
        column("at", words["time"], 94),
        numeric("priority", words["priority_short"], 44),
        column("state", words["state"], 100),
        column("message", words["message"], wrapText=True, autoHeight=True, cellClass="wrapped"),
    ]
    tools = html.Div(
        [button(words["acknowledge"], "acknowledge"), html.Span(words["alarm_choose"], id="alarm-said", className="quiet")],
        className="form-end",
    )
    return html.Div([grid("alarms-grid", columns, words, height_px=180, selectable=True), tools])


def _alarm(row: view.AlarmRow, building: Building, words: Words) -> dict[str, Any]:
    tone = {"raised": "alert", "cleared": "quiet"}.get(row.state, "")
    return {
        "id": row.id, "at": clock_time(row.at, building.site.zone), "priority": row.priority,
        "state": words.get(f"alarm_{row.state}", row.state), "source": row.source, "message": row.message,
        "tone": tone, "open": row.state == "raised",
    }  # fmt: skip


def _filter(words: Words) -> Any:
    return dmc.TextInput(id="points-filter", placeholder=words["filter"], size="xs", value="", **{"aria-label": words["filter"]})


def _points(words: Words, lang: str) -> list[Any]:
    columns = [
        column("place", words["place"], 132),
        column("kind", words["kind"], minWidth=150),
        numeric("value", words["value"], 76),
        column("unit", words["unit"], 56),
        numeric("held", words["held"], 92),
        column("quality", words["quality"], 80),
        numeric("age", words["age_column"], 58),
        column("point", words["point"], 146),
    ]
    return [
        grid("points-grid", columns, words, height_px=420, selectable=True),
        html.P(words["choose_row"], id="trend-title", className="quiet"),
        dcc.Store(id="trend-line"),
        html.Div(chart("trend-chart", words["trend"], lang, 180), id="trend-frame", hidden=True),
    ]


def _point(row: view.PointRow, words: Words) -> dict[str, Any]:
    reason = words.get(f"reason_{row.reason}", row.reason) if row.reason else ""
    quality = words[f"quality_{row.quality}"]
    return {
        "id": row.id, "place": row.place, "point": row.id, "kind": kind_words(row.brick, words),
        "value": reading(row.value), "unit": unit_sign(row.unit), "quality": f"{quality} ({reason})" if reason else quality,
        "age": age(row.age_s), "held": reading(row.held), "writable": row.writable,
        "tone": {"stale": "stale", "bad": "bad", "none": "quiet", "uncertain": "stale"}.get(row.quality, ""),
    }  # fmt: skip


def short(point: str) -> str:
    """A point's own name without its owner's."""
    return point.rpartition(".")[2] if "." in point else point


def kind_words(brick: str, words: Words) -> str:
    """A Brick class in the trade's words; one that has none in its own."""
    return words.get(f"kind_{brick}", brick.replace("_", " "))


# ---------------------------------------------------------------- wishes


def _override(building: Building, words: Words) -> list[Any]:
    data = [
        {"value": p.id, "label": f"{building.place_of.get(p.id, p.owner)} · {kind_words(p.brick, words)} ({p.id})"}
        for p in building.points.writable
    ]
    columns = [
        column("at", words["time"], 96),
        column("point", words["point"], 150),
        column("value", words["asked_value"], 84),
        column("state", words["state"]),
    ]
    return [
        dmc.Select(id="wish-point", label=words["override_point"], data=data, searchable=True, clearable=True, size="sm", limit=80),
        html.Div(
            [
                dmc.NumberInput(id="wish-value", label=words["override_value"], size="sm", decimalScale=2),
                dmc.NumberInput(id="wish-minutes", label=words["override_minutes"], value=60, min=1, max=1440, size="sm"),
            ],
            className="pair",
        ),
        dmc.TextInput(id="wish-why", label=words["reason"], size="sm"),
        html.P(words["override_none"], id="wish-limits", className="quiet"),
        html.Div(
            [button(words["override_ask"], "wish-ask", "filled"), button(words["override_let_go"], "wish-let-go")], className="form-end"
        ),
        said("wish-said"),
        html.H3(words["wishes"]),
        grid("wishes-grid", columns, words, height_px=180),
    ]


def _wish(row: view.WishRow, building: Building, words: Words) -> dict[str, Any]:
    value = words["let_go"] if row.value is None else f"{reading(row.value):g} {unit_sign(row.unit)}"
    until = clock_time(row.until, building.site.zone, "%H:%M")
    state = words[f"state_{row.state}"] + (
        f": {row.detail}" if row.detail else f" · {words['until']} {until}" if row.state != "over" else ""
    )
    return {
        "id": row.id, "at": clock_time(row.at, building.site.zone), "point": row.point, "value": value, "state": state,
        "tone": {"refused": "bad", "over": "quiet"}.get(row.state, ""),
    }  # fmt: skip
