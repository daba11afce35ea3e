"""Strategies: each proposes requests that save energy, from what the twin says there is to read and to move.

No strategy knows a building, a zone or an address. None writes: the guard and the arbiter rule on every request.
A strategy whose points the twin does not have is not made. On stale data a strategy takes the safe side or stays silent,
and a silent strategy leaves the point to the device's own schedule.
"""

from datetime import datetime
from typing import Protocol

from controls.forecast import OccupancyForecast
from twin.graph import Graph
from twin.site import Site
from twin.words import Image, Request


class Strategy(Protocol):
    """One way to save energy. It keeps state only for latches and timers, keyed by node of the twin."""

    name: str

    def propose(self, image: Image, now: datetime) -> list[Request]:
        """Wishes for this cycle; `now` is site time. A point not named is let go."""
        ...


def find_strategies(graph: Graph, site: Site, forecast: OccupancyForecast) -> list[Strategy]:
    """All strategies that this twin has things for."""
    return []
