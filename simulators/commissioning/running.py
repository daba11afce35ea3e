"""Run a commissioning: a Sunday of trials and a working day, over the site's own wires, with faults if they are wanted."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from controls.strategies.layout import read_layout
from simulators.commissioning.evidence import Evidence
from simulators.commissioning.judging import Verdict, judge
from simulators.commissioning.programme import LOSSES, Programme, make_programme
from simulators.commissioning.trial import Trial
from simulators.faults import Fault
from simulators.faulty import FaultyPlant
from simulators.opening import open_plant, plant_layout, read_settings
from simulators.plant import SIMULATED_YEAR, Plant
from simulators.running import Loss, RunningSite, SiteParts
from simulators.weather import month_day
from twin.addresses import parse_address
from twin.check import protected_points
from twin.clock import monotonic_s
from twin.errors import SiteError
from twin.graph import Graph
from twin.journal import Journal
from twin.points import PointBook, read_points
from twin.site import Site

MILD_C = 12.0  # outdoors at noon: above it rooms are warm enough to be pushed by cooling
CLOCK_STEPS = (-6, 6)  # an hour late and an hour early
ROWS = 100_000
Say = Callable[[str], None]


@dataclass(frozen=True)
class Commissioned:
    """What was tried and how it went."""

    site: Site
    verdict: Verdict
    programme: Programme
    began: datetime
    engine: str
    weather: str
    planted: tuple[Fault, ...]
    points: int
    seconds: float
    stopped: bool


@dataclass(frozen=True)
class Wanted:
    """What a person wants tried: faults to plant, the seed of people, an engine and a start if not the site's own."""

    faults: Sequence[Fault] = ()
    seed: int = 1
    engine: str | None = None
    start: str | None = None


def commission_site(site: Site, wanted: Wanted, say: Say, stop: asyncio.Event | None = None) -> Commissioned:
    """All trials of a simulated site. Journal and history live in a temporary folder."""
    begun_s = monotonic_s()
    graph = Graph.read(site.twin_file)
    book = read_points(site.points_file, graph.points())
    _must_be_triable(site, graph, book)
    start = sunday(month_day(wanted.start or read_settings(site).start, SIMULATED_YEAR))
    plant = open_plant(site, graph, engine=wanted.engine, start=f"{start:%m-%d}", days=2, seed=wanted.seed)
    sound: Plant = plant
    if wanted.faults:
        plant = FaultyPlant(plant, wanted.faults, plant_layout(site, graph))
    noon = datetime(start.year, start.month, start.day, 12, tzinfo=site.zone)
    cooling = plant.weather.at("dry_bulb_c", noon) > MILD_C
    programme = make_programme(read_layout(graph).without(protected_points(graph, site)), book, list(site.connections), cooling=cooling)
    silent = {fault.place for fault in wanted.faults if fault.kind == "device_silent"}
    losses = tuple(
        Loss(c, at, at + w.steps) for at, w in programme.named(LOSSES) for c in w.lost if c not in silent and not site.connections[c].vmac
    )
    with tempfile.TemporaryDirectory(prefix="wattproof-commission-") as folder:
        parts = SiteParts(site, graph, book, plant, Path(folder), [], losses=losses)
        running = RunningSite(parts)
        trial = Trial(programme, running.journal, say)
        parts.strategies.append(trial)
        report = asyncio.run(running.run(speed=None, stop=stop or asyncio.Event()))
        if report.stopped:
            raise SiteError(
                f"{site.name}: stopped after {report.steps} of {programme.steps} steps; the building was given back, nothing is judged"
            )
        evidence = _evidence(site, graph, book, trial, sound, running.journal)
    assert report.began is not None
    return Commissioned(
        site, judge(evidence), programme, report.began, plant.engine, plant.weather.name, tuple(wanted.faults),
        len(evidence.connection_of), monotonic_s() - begun_s, report.stopped,
    )  # fmt: skip


def sunday(start: date) -> date:
    """The first Sunday from a day on: nobody is there, and nothing that is tried is felt."""
    found = start + timedelta(days=(6 - start.weekday()) % 7)
    return found if found + timedelta(days=1) <= date(SIMULATED_YEAR, 12, 31) else found - timedelta(days=7)


def _must_be_triable(site: Site, graph: Graph, book: PointBook) -> None:
    if not site.simulated:
        raise SiteError(f"{site.name} is a real site; it is tried as a simulated one first: give its folder a plant.toml and no real hosts")
    if not graph.ask("zones") or not book.writable:
        raise SiteError(
            f"{site.name}: nothing to try; the twin has {len(graph.ask('zones'))} zones and {len(book.writable)} writable points"
        )


def _evidence(site: Site, graph: Graph, book: PointBook, trial: Trial, sound: Plant, journal: Journal) -> Evidence:
    times = trial.recording.times
    step = timedelta(seconds=sound.step_s)
    outcomes = Counter(row.body["point"] for row in journal.latest(("outcome",), ROWS) if row.body["result"] == "masked")
    alarms = [(row.at, row.body["kind"], row.body["source"], row.body["state"]) for row in journal.latest(("alarm",), ROWS)]
    where = {p.id: a.connection for p in book.bound if p.binding and not getattr(a := parse_address(p.binding.address), "is_record", False)}
    layout = plant_layout(site, graph)
    roles = (("main", "main_meter.energy"), ("hvac", "hvac_meter.energy"), ("light", "lighting_meter.energy"))
    lamps = {row["owner"]: row["point"] for row in graph.ask("points_of", brick_class="Luminance_Sensor")}
    commands = graph.ask("points_of", brick_class="Luminance_Command")
    return Evidence(
        read_layout(graph), book, trial.programme, trial.recording,
        [sound.own_schedule(at) for at in times],
        {lag: [sound.own_schedule(at + lag * step) for at in times] for lag in CLOCK_STEPS},
        sound.design(), where, outcomes, alarms,
        {role: layout.meters[name] for role, name in roles if name in layout.meters},
        {row["point"]: lamps[row["owner"]] for row in commands if row["owner"] in lamps},
        protected_points(graph, site),
    )  # fmt: skip
