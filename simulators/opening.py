"""Open the plant of a simulated site as its plant.toml describes it."""

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, time, timedelta
from pathlib import Path

from simulators.enclosures import NO_ENCLOSURES, Enclosure, read_enclosures
from simulators.energyplus import engine
from simulators.energyplus.plant import EnergyPlusPlant
from simulators.plant import SIMULATED_YEAR, Period, Plant
from simulators.rc import RcPlant
from simulators.rc_building import Asks, RcLayout, RcParameters, layout_from_graph
from simulators.weather import Weather, month_day, read_epw, synthetic_weather
from twin.errors import MissingError, SiteError
from twin.site import Site

ENGINES = ("energyplus", "rc")


@dataclass(frozen=True)
class PlantSettings:
    """plant.toml: model and weather by name in the EnergyPlus wheel or by path, each with its hash; start as MM-DD; fabric as a folder."""

    engine: str = "energyplus"
    model: str = ""
    model_sha256: str = ""
    weather: str = ""
    weather_sha256: str = ""
    start: str = "07-14"
    first_weekday: str = ""
    fabric: str = ""  # folder with fabric.csv and neighbours.csv, for the rc plant
    rc: Mapping[str, float] = field(default_factory=dict)


def read_settings(site: Site) -> PlantSettings:
    """The site's plant.toml; SiteError names what is wrong in it."""
    path = site.plant_file
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SiteError(f"{path}: no such file; only a site with a plant.toml can be simulated") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SiteError(f"{path}: not readable as TOML ({error})") from None
    known = {f.name for f in fields(PlantSettings)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise SiteError(f"{path}: unknown key {unknown[0]!r}; known keys: {', '.join(sorted(known))}")
    wrong = [k for k, v in values.items() if not isinstance(v, dict if k == "rc" else str)]
    if wrong:
        raise SiteError(f"{path}: {wrong[0]} must be {'a table' if wrong[0] == 'rc' else 'a text'}, got {values[wrong[0]]!r}")
    settings = PlantSettings(**values)
    if settings.engine not in ENGINES:
        raise SiteError(f"{path}: engine must be one of {', '.join(ENGINES)}, got {settings.engine!r}")
    weekday = month_day(settings.start, SIMULATED_YEAR).strftime("%A")
    if settings.first_weekday and settings.first_weekday != weekday:
        raise SiteError(
            f"{path}: first_weekday is {settings.first_weekday}, but {settings.start} of {SIMULATED_YEAR} is a {weekday}; mend one"
        )
    return settings


def require_plant(site: Site, engine: str | None, start: str | None) -> None:
    """SiteError unless the site has a plant that can be opened with this engine and start (None: the site's own)."""
    settings = read_settings(site)
    _engine(settings, engine)
    month_day(start or settings.start, SIMULATED_YEAR)


def open_plant(
    site: Site, graph: Asks, *, engine: str | None = None, variant: str = "bau", start: str | None = None, days: int = 1, seed: int = 1
) -> Plant:
    """The site's plant, not yet started. Where EnergyPlus is asked for and absent, an rc plant stands in and its note says so."""
    settings = read_settings(site)
    wanted = _engine(settings, engine)
    try:
        period = Period(month_day(start or settings.start, SIMULATED_YEAR), days, site.zone)
    except ValueError as error:
        raise SiteError(f"{site.name}: {error}") from None
    if wanted == "energyplus":
        try:
            return _energyplus(site, settings, period, seed, variant)
        except MissingError as error:
            return _rc(site, graph, settings, period, seed, variant, note=f"rc stands in for energyplus: {error}")
    return _rc(site, graph, settings, period, seed, variant, note="")


def _engine(settings: PlantSettings, engine: str | None) -> str:
    wanted = engine or settings.engine
    if wanted not in ENGINES:
        raise SiteError(f"plant must be one of {', '.join(ENGINES)}, got {wanted!r}")
    return wanted


def people_before(
    site: Site, graph: Asks, plant: Plant, start: str | None, days: int, seed: int
) -> tuple[datetime, Iterator[tuple[datetime, dict[str, int]]]]:
    """What the plant's counters would have recorded in the days before the start: the start, and (time, count by point) for each step."""
    known = {row["point"] for row in graph.ask("points_of", brick_class="Occupancy_Count_Sensor")}
    counters = {point: people for point, people in plant.counters.items() if point in known}
    first = month_day(start or read_settings(site).start, SIMULATED_YEAR)
    occupancy = plant.people(first - timedelta(days=days), days, seed)
    begin = datetime.combine(first, time(), site.zone)
    history_begin = begin - timedelta(days=days)

    def rows() -> Iterator[tuple[datetime, dict[str, int]]]:
        for n in range(days * 24 * 3600 // occupancy.step_s):
            counts = occupancy.at(n)
            at = history_begin + timedelta(seconds=(n + 1) * occupancy.step_s)
            yield at, {point: counts[point.rpartition(".")[0]] for point in counters}

    return begin, rows()


def _energyplus(site: Site, settings: PlantSettings, period: Period, seed: int, variant: str) -> Plant:
    model = _file(site, "models", settings.model, settings.model_sha256)
    weather = _file(site, "weather", settings.weather, settings.weather_sha256)
    return EnergyPlusPlant(model, weather, period, seed=seed, variant=variant, lux_target=site.comfort.lux_target)


def _rc(site: Site, graph: Asks, settings: PlantSettings, period: Period, seed: int, variant: str, *, note: str) -> Plant:
    weather = _rc_weather(site, settings)
    if weather.synthetic:
        note = "; ".join(x for x in (note, f"the weather is synthetic ({weather.name})") if x)
    known = [f.name for f in fields(RcParameters)]
    if unknown := sorted(set(settings.rc) - set(known)):
        raise SiteError(f"{site.plant_file}: [rc] unknown key {unknown[0]!r}; known keys: {', '.join(known)}")
    try:
        parameters = RcParameters(**settings.rc)
    except (TypeError, ValueError) as error:
        raise SiteError(f"{site.plant_file}: [rc] {error}") from None
    plant = RcPlant(
        layout_from_graph(graph, enclosures_of(site, settings)), weather, period,
        seed=seed, variant=variant, parameters=parameters, lux_target=site.comfort.lux_target,
    )  # fmt: skip
    plant.note = note
    return plant


def plant_layout(site: Site, graph: Asks) -> RcLayout:
    """Zones, air handlers and meters of a site with the ids of their points."""
    return layout_from_graph(graph, enclosures_of(site, read_settings(site)))


def enclosures_of(site: Site, settings: PlantSettings) -> Mapping[str, Enclosure]:
    """What encloses the zones, where the site has it measured."""
    return read_enclosures(site.folder / settings.fabric) if settings.fabric else NO_ENCLOSURES


def _rc_weather(site: Site, settings: PlantSettings) -> Weather:
    try:
        return read_epw(_file(site, "weather", settings.weather, settings.weather_sha256))
    except MissingError:
        return synthetic_weather()


def _file(site: Site, kind: str, name: str, sha256: str) -> Path:
    """A file by path in the site's folder, else by its name in the wheel; its hash must be the one written down."""
    if not name:
        raise SiteError(f"{site.plant_file}: {'model' if kind == 'models' else 'weather'} is missing; give a name in the wheel or a path")
    own = site.folder / name
    path = own if own.is_file() else Path(name) if Path(name).is_file() else engine.shipped(kind, name)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 and found != sha256:
        raise SiteError(
            f"{site.plant_file}: {name} has SHA-256 {found}, expected {sha256}; another version is installed, check it and note its hash"
        )
    return path
