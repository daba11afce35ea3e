"""Panels, tiles and tables."""

import re
from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import html

from dashboards.parts.numbers import MISSING

Component = Any  # Dash has no types of its own


def panel(title: str, children: Sequence[Component], name: str = "", tools: Sequence[Component] = ()) -> Component:
    """A titled box of the page; `tools` stand beside the title."""
    bar = html.Div([html.H2(title), html.Div(list(tools), className="tools")], className="panel-bar")
    return html.Section([bar, *children], className=f"panel {name}".strip())


def tile(name: str, label: str) -> Component:
    """One key figure; value and note are filled in live under `<name>-value` and `<name>-note`."""
    return html.Div(
        [
            html.Div(label, className="tile-label"),
            html.Div("–", id=f"{name}-value", className="tile-value"),
            html.Div("", id=f"{name}-note", className="tile-note"),
        ],
        className="tile",
        id=name,
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]], name: str = "") -> Component:
    """A small table for reading, not for work; the first column names the row, columns of numbers stand to the right."""
    numbers = [i > 0 and any(_is_number(row[i]) for row in rows) and not any(_is_words(row[i]) for row in rows) for i in range(len(heads))]
    kinds = ["num" if is_number else "" for is_number in numbers]
    head = html.Thead(html.Tr([html.Th(h, scope="col", className=kind) for h, kind in zip(heads, kinds, strict=True)]))
    body = [
        html.Tr([html.Th(row[0], scope="row"), *[html.Td(cell, className=kind) for cell, kind in zip(row[1:], kinds[1:], strict=True)]])
        for row in rows
    ]
    return html.Div(html.Table([head, html.Tbody(body)], className="table"), className=f"scroll {name}".strip())


def button(label: str, name: str, kind: str = "default", **more: Any) -> Component:
    """A button: `filled` for the main deed of a form, `danger` for what needs care."""
    variant = {"filled": "filled", "danger": "outline"}.get(kind, "default")
    return dmc.Button(
        label, id=name, variant=variant, color="red" if kind == "danger" else "slate", size="sm", className=f"button-{kind}", **more
    )


def said(name: str) -> Component:
    """Where a form says what became of it."""
    return html.Div("", id=name, className="said", role="status")


def _is_number(cell: Any) -> bool:
    return isinstance(cell, str) and re.fullmatch(r"[-−]?[¥$€£]?[\d\u202f., ]*\d( ?[%s])?", cell) is not None


def _is_words(cell: Any) -> bool:
    return not _is_number(cell) and cell != MISSING
