"""What the government's server does."""

from pathlib import Path
from typing import Any

from dash import html

from dashboards.views.ledger import Explorer


def add_government_pages(app: Any, state_root: Path, explorer: Explorer | None) -> None:
    """Lay the inspector's pages into the app."""
    app.layout = html.Div()
