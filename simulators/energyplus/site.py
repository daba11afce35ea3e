"""A whole simulated site from any EnergyPlus model: IFC, points with limits from sizing, site.toml, and what is left alone."""

import hashlib
import json
import math
import re
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
from simulators.weather import Weather
from twin.errors import SiteError
from twin.site import load_site, require_name
from twin.state import write_whole
from twin.words import slug

SIZING_DAY = date(SIMULATED_YEAR, 7, 14)  # any day: equipment is sized by the weather file's design conditions
HALF_HOUR_ZONES = {3.5: "Asia/Tehran", 4.5: "Asia/Kabul", 5.5: "Asia/Kolkata", 5.75: "Asia/Kathmandu", 6.5: "Asia/Yangon"}
COUNTRIES = {"USA": "US", "CHN": "CN", "CAN": "CA", "GBR": "GB", "DEU": "DE", "SGP": "SG", "HKG": "HK", "JPN": "JP", "IND": "IN"}
"""ISO 3166 codes of weather files and of grid regions; a country that is not here has the region XX: no law, no factor is assumed."""
MARGIN = 1.001  # a limit a little above the sized value, so that rounding to float32 stays inside
README = """# {name}

A simulated site made by `wattproof site-from-energyplus` from the EnergyPlus model `{model}` with the weather of {place}.

{rooms} zones ({served} with heating or cooling, {people} with people), {handlers} air handlers, {points} points.
Rooms, zones and equipment are the model's; addresses, emergency lights and fire dampers are made up so that the site can be controlled.

## Left to the model's own control

{left}
"""
SITE = """# A simulated site made from an EnergyPlus model; see README.md.
name = {name}
title = {title}
place = {place}
jurisdiction = {region}
timezone = {timezone}
area_m2 = {area_m2}
use = "simulated"
grid_region = {region}

[group]
name = {name}
owner = "Owner of {plain} (simulated)"
government = "Authority (simulated)"

[cycle]
step_s = 600
lease_s = 900

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
    name = name or slug(folder.name).replace(".", "_")
    try:
        require_name(name)
    except ValueError as error:
        raise SiteError(f"--out {folder}: {error}") from None
    if folder.exists():
        raise SiteError(f"{folder} exists already; name a folder that does not, nothing is overwritten")
    building, limits, climate = _sized(model, weather, name)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _write(partial, building, limits, climate, (model, weather))
        imported = import_models([partial / "models" / f"{name}.ifc"], partial, name)
        load_site(partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
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
    folder.mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "plant").mkdir()
    for source in sources:
        shutil.copyfile(source, folder / "plant" / source.name)
    write_whole(folder / "models" / f"{building.name}.ifc", author_model(building))
    write_whole(folder / "points.csv", author_points(building, limits).encode())
    region = COUNTRIES.get(_country(sources[1]), "XX")
    area = sum(zone.area_m2 * zone.multiplier for zone in building.zones)
    text = SITE.format(
        name=_text(building.name), title=_text(f"{building.name} (simulated)"), place=_text(f"{climate.name} (weather file)"),
        region=_text(region), timezone=_text(_timezone(climate)), area_m2=f"{area:.1f}", plain=building.name,
    )  # fmt: skip
    write_whole(folder / "site.toml", (text + author_connections(building)).encode())
    model, weather = sources
    plant = PLANT.format(
        model=_text(f"plant/{model.name}"), model_sha256=_text(_sha256(model)),
        weather=_text(f"plant/{weather.name}"), weather_sha256=_text(_sha256(weather)),
    )  # fmt: skip
    write_whole(folder / "plant.toml", plant.encode())
    write_whole(folder / "README.md", _readme(building, model.name, climate.name).encode())


def _readme(building: Building, model: str, place: str) -> str:
    return README.format(
        name=building.name, model=model, place=place, rooms=len(building.zones), handlers=len(building.air_handlers),
        served=sum(z.terminal != NOTHING for z in building.zones), people=sum(bool(z.people) for z in building.zones),
        points=len(design_points(building)), left="\n".join(f"- {note}" for note in building.left_alone) or "Nothing.",
    )  # fmt: skip


def _country(weather: Path) -> str:
    return weather.read_text(encoding="latin-1").split("\n", 1)[0].split(",")[3].strip().upper()


def _timezone(climate: Weather) -> str:
    """A zone of the weather's own offset without daylight saving: simulated clocks know none."""
    hours = climate.zone_h
    if hours == math.floor(hours):
        return "Etc/GMT" if hours == 0 else f"Etc/GMT{-int(hours):+d}"
    if hours not in HALF_HOUR_ZONES:
        raise SiteError(f"{climate.name}: no time zone of UTC{hours:+g} h is known here; known half hours: {sorted(HALF_HOUR_ZONES)}")
    return HALF_HOUR_ZONES[hours]


def _text(value: str) -> str:
    """A TOML text: JSON's escapes are valid there too."""
    return json.dumps(re.sub(r"[\x00-\x1f]", " ", value), ensure_ascii=False)


def _number(value: float) -> str:
    return f"{value:.6g}"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
