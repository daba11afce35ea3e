"""Making a simulated site ready to move: a working copy, its twin, weeks of history, a forecast, strategies and the plant."""

import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bim.importing import Imported, import_models
from controls.forecast import OccupancyForecast
from controls.strategies import find_strategies
from simulators.opening import open_plant, people_before
from simulators.plant import Plant
from simulators.running import RecordMaker, SiteParts
from twin.errors import StateError
from twin.graph import Graph
from twin.history import History
from twin.journal import Journal, Record
from twin.points import read_points
from twin.site import Site, load_site
from twin.words import Reading

HISTORY_DAYS = 28  # what the occupancy forecast learns from: four of each weekday
FORECAST_HOURS = 24


@dataclass(frozen=True)
class Period:
    """What is simulated: first day as MM-DD (None: the site's), number of days, seed, and an engine if not the site's own."""

    start: str | None = None
    days: int = 1
    seed: int = 1
    engine: str | None = None


def work_copy(folder: Path, work: Path) -> Site:
    """Copy a site's folder, so that a simulation never writes into the original; SiteError before anything is copied."""
    name = load_site(folder).name
    try:
        return load_site(Path(shutil.copytree(folder, work / name)))
    except OSError as error:
        raise StateError(f"{folder}: cannot be copied to {work} ({error}); check the disk and who may read and write there") from None


def make_twin(site: Site, state: Path, at: datetime) -> Imported:
    """Import the site's models into its folder and write that into its journal."""
    imported = import_models(site.models, site.folder, site.name)
    journal = Journal(state / "journal.db")
    journal.append([Record("import", at, imported.journal_body())])
    journal.close()
    return imported


def assemble(site: Site, state: Path, period: Period, records: Mapping[str, RecordMaker], without: Collection[str] = ()) -> SiteParts:
    """Twin, point book, plant, history, forecast and strategies (but those in `without`) of a site whose twin is made."""
    graph = Graph.read(site.twin_file)
    book = read_points(site.points_file, graph.points())
    plant = open_plant(site, graph, engine=period.engine, variant="bau", start=period.start, days=period.days, seed=period.seed)
    forecast = _forecast(site, graph, state, plant, period)
    return SiteParts(site, graph, book, plant, state, find_strategies(graph, site, forecast, without), records)


def _forecast(site: Site, graph: Graph, state: Path, plant: Plant, period: Period) -> OccupancyForecast:
    """Give the site the four weeks of counts that a real one would have, then learn from them."""
    start, counts = people_before(site, graph, plant, period.start, HISTORY_DAYS, period.seed)
    history = History(state / "history.db")
    history.add(Reading(point, at, float(count)) for at, row in counts for point, count in row.items())
    forecast = OccupancyForecast.fit(history, list(plant.counters), start, site.zone)
    history.close()
    journal = Journal(state / "journal.db")
    journal.append([Record("forecast", start, _forecast_body(forecast, start))])
    journal.close()
    return forecast


def _forecast_body(forecast: OccupancyForecast, start: datetime) -> dict[str, Any]:
    hours = []
    for hour in range(FORECAST_HOURS):
        at = start + timedelta(hours=hour)
        low, people, high = forecast.people(at)
        hours.append({"at": at.isoformat(), "people_low": round(low, 3), "people": round(people, 3), "people_high": round(high, 3)})
    return {"model": forecast.model, "made_from_days": forecast.made_from_days, "hours": hours}
