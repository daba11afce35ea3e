"""A whole simulated site from any EnergyPlus model: IFC, points with limits from sizing, site.toml, and what is left alone."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bim.importing import import_models
from simulators.author import author_connections, author_model, author_points
from simulators.design import NOTHING, Building, design_points
from simulators.energyplus.plant import EnergyPlusPlant
from simulators.plant import SIMULATED_YEAR, Period
from simulators.site_folder import name_for, sha256_of, site_text, toml_text, whole
from simulators.weather import Weather
from twin.site import load_site
from twin.state import write_whole

SIZING_DAY = date(SIMULATED_YEAR, 7, 14)  # any day: equipment is sized by the weather file's design conditions
MARGIN = 1.001  # a limit a little above the sized value, so that rounding to float32 stays inside
README = """# {name}

A simulated site made by `wattproof site-from-energyplus` from the EnergyPlus model `{model}` with the weather of {place}.

{rooms} zones ({served} with heating or cooling, {people} with people), {handlers} air handlers, {points} points.
Rooms, zones and equipment are the model's; addresses, emergency lights and fire dampers are made up so that the site can be controlled.

## Left to the model's own control

{left}
"""
PLANT = """engine = "energyplus"
model = {model}
model_sha256 = {model_sha256}
weather = {weather}
weather_sha256 = {weather_sha256}
start = "07-14"
"""


@dataclass(frozen=True)
class MadeSite:
    """What was made: its folder and what is in it; `left_alone` names what nobody outside controls."""

    folder: Path
    zones: int
    controllable_zones: int
    air_handlers: int
    points: int
    writable: int
    left_alone: tuple[str, ...]
    violations: int

    def as_row(self) -> dict[str, Any]:
        """The figures for `--json`."""
        return {**vars(self), "folder": str(self.folder), "left_alone": list(self.left_alone)}


def make_site(model: Path, weather: Path, folder: Path, name: str = "") -> MadeSite:
    """Write a site folder, whole or not at all; SiteError where it exists already, or the model cannot be read or sized."""
    name = name_for(folder, name)
    building, limits, climate = _sized(model, weather, name)
    with whole(folder) as partial:
        _write(partial, building, limits, climate, (model, weather))
        imported = import_models([partial / "models" / f"{name}.ifc"], partial, name)
        load_site(partial)
    points = design_points(building)
    writable = [p for p in points if p.row["writable"] == "yes"]
    controllable = {p.of for p in writable} & {z.name for z in building.zones}
    return MadeSite(
        folder, len(building.zones), len(controllable), len(building.air_handlers), len(points), len(writable), building.left_alone,
        int(imported.counts["violations"]),
    )  # fmt: skip


def _sized(model: Path, weather: Path, name: str) -> tuple[Building, dict[str, dict[str, str]], Weather]:
    """The building of the model, and the limits that its sizing gives; the engine runs its design days for that."""
    plant = EnergyPlusPlant(model, weather, Period(SIZING_DAY, 1, ZoneInfo("UTC")), seed=1)
    try:
        start = plant.reset()
        own, sizing = plant.own_schedule(start.at), plant.sizing
    finally:
        plant.close()
    limits: dict[str, dict[str, str]] = {}
    for key, most in sizing.fan_m3_s.items():
        least = sizing.minimum_outdoor_air_m3_s.get(key, 0.0)
        high = max(most, least) * MARGIN
        limits[f"{key}.oa_f_sp"] = {"low": "0", "high": _number(high), "fallback": _number(min(least, high))}
    for key, pressure in sizing.fan_pressure_pa.items():
        limits[f"{key}.sa_p_sp"] = {"low": _number(0.15 * pressure), "high": _number(pressure * MARGIN), "fallback": _number(pressure)}
    for point, value in own.items():
        if point.endswith(".sa_t_sp"):
            limits[point] = {"low": "10", "high": "20", "fallback": _number(min(20.0, max(10.0, value)))}
        if point.endswith(".min_flow"):
            limits[point] = {"low": "5", "high": "100", "fallback": _number(max(5.0, value))}
    building = plant.building
    return Building(name, *list(vars(building).values())[1:]), limits, plant.weather


def _write(folder: Path, building: Building, limits: Mapping[str, Mapping[str, str]], climate: Weather, sources: tuple[Path, Path]) -> None:
    (folder / "models").mkdir()
    (folder / "plant").mkdir()
    for source in sources:
        shutil.copyfile(source, folder / "plant" / source.name)
    write_whole(folder / "models" / f"{building.name}.ifc", author_model(building))
    write_whole(folder / "points.csv", author_points(building, limits).encode())
    area = sum(zone.area_m2 * zone.multiplier for zone in building.zones)
    text = site_text("an EnergyPlus model", building.name, climate, sources[1], area)
    write_whole(folder / "site.toml", (text + author_connections(building)).encode())
    model, weather = sources
    plant = PLANT.format(
        model=toml_text(f"plant/{model.name}"), model_sha256=toml_text(sha256_of(model)),
        weather=toml_text(f"plant/{weather.name}"), weather_sha256=toml_text(sha256_of(weather)),
    )  # fmt: skip
    write_whole(folder / "plant.toml", plant.encode())
    write_whole(folder / "README.md", _readme(building, model.name, climate.name).encode())


def _readme(building: Building, model: str, place: str) -> str:
    return README.format(
        name=building.name, model=model, place=place, rooms=len(building.zones), handlers=len(building.air_handlers),
        served=sum(z.terminal != NOTHING for z in building.zones), people=sum(bool(z.people) for z in building.zones),
        points=len(design_points(building)), left="\n".join(f"- {note}" for note in building.left_alone) or "Nothing.",
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.6g}"
