"""Strategies: each proposes requests that save energy, from what the twin says there is to read and to move.

No strategy knows a building, a zone or an address. None writes: the guard and the arbiter rule on every request.
A strategy whose points the twin does not have is not made. On stale data a strategy takes the safe side or stays silent,
and a silent strategy leaves the point to the device's own schedule.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from controls.forecast import OccupancyForecast
from controls.strategies.layout import read_layout
from controls.strategies.lighting import Lighting
from controls.strategies.minimum_flow import MinimumFlow
from controls.strategies.setpoints import Setpoints
from controls.strategies.start_stop import StartStop
from controls.strategies.static_pressure import StaticPressure
from controls.strategies.supply_air import SupplyAir
from controls.strategies.tuning import Tuning
from controls.strategies.ventilation import Ventilation
from controls.strategies.watch import Watch
from twin.check import protected_points
from twin.graph import Graph
from twin.points import PointBook, read_points
from twin.site import Site
from twin.words import Image, Request


class Strategy(Protocol):
    """One way to save energy. It keeps state only for latches and timers, keyed by node of the twin."""

    name: str

    def propose(self, image: Image, now: datetime) -> list[Request]:
        """Wishes for this cycle; `now` is site time. A point not named is let go."""
        ...


NAMES = ("start_stop", "setpoints", "minimum_flow", "supply_air", "ventilation", "static_pressure", "lighting")


def find_strategies(graph: Graph, site: Site, forecast: OccupancyForecast, without: Collection[str] = ()) -> list[Strategy]:
    """All strategies that this twin has things for, but those named in `without` (a study of what each is worth).

    Start and stop is first, because the others follow it.
    """
    layout = read_layout(graph).without(protected_points(graph, site))
    book = read_points(site.points_file, graph.points())
    watch = Watch(layout, site, forecast, Tuning())
    pressures = _own_values(book, [a.pressure_setpoint for a in layout.air_handlers])
    supplies = _own_values(book, [a.supply_setpoint for a in layout.air_handlers])
    found: list[tuple[Strategy, bool]] = [
        (StartStop(watch), any(a.fan for a in layout.air_handlers)),
        (Setpoints(watch), any(z.heating and z.cooling for z in layout.zones)),
        (MinimumFlow(watch), any(z.minimum_flow for z in layout.zones)),
        (SupplyAir(watch, supplies), bool(supplies)),
        (Ventilation(watch), any(a.outdoor_air_setpoint for a in layout.air_handlers)),
        (StaticPressure(watch, pressures), bool(pressures)),
        (Lighting(watch), any(z.lights and z.people for z in layout.zones)),
    ]
    return [strategy for strategy, has_points in found if has_points and strategy.name not in without]


def _own_values(book: PointBook, points: list[str | None]) -> dict[str, float]:
    """What each setpoint is when nobody commands it: the fallback of its limits."""
    limits = {p: book[p].limits for p in points if p is not None and p in book}
    return {p: limit.fallback for p, limit in limits.items() if limit is not None}
