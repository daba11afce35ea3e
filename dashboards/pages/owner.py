"""The owner's page."""

from typing import Any

from dash import html

from dashboards.desk import Desk


def layout(desk: Desk, lang: str) -> Any:
    """The page."""
    return html.Div()


def live(desk: Desk, lang: str) -> dict[str, Any]:
    """What moves."""
    return {"props": {}}
