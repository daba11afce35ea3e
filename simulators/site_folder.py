"""The folder of a made site: written whole or not at all, with region and time zone by its weather file."""

import hashlib
import json
import math
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulators.weather import Weather
from twin.errors import SiteError
from twin.site import require_name
from twin.words import slug

HALF_HOUR_ZONES = {3.5: "Asia/Tehran", 4.5: "Asia/Kabul", 5.5: "Asia/Kolkata", 5.75: "Asia/Kathmandu", 6.5: "Asia/Yangon"}
COUNTRIES = {"USA": "US", "CHN": "CN", "CAN": "CA", "GBR": "GB", "DEU": "DE", "SGP": "SG", "HKG": "HK", "JPN": "JP", "IND": "IN"}
"""ISO 3166 codes of weather files and of grid regions; a country that is not here has the region XX: no law, no factor is assumed."""
SITE = """# A simulated site made from {made_from}; see README.md.
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


def name_for(folder: Path, name: str = "") -> str:
    """The name of the site in a folder to be made; SiteError where it cannot be one or the folder exists."""
    name = name or slug(folder.name).replace(".", "_")
    try:
        require_name(name)
    except ValueError as error:
        raise SiteError(f"--out {folder}: {error}") from None
    if folder.exists():
        raise SiteError(f"{folder} exists already; name a folder that does not, nothing is overwritten")
    return name


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `folder` at the end, or nothing where something fails."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        try:
            partial.mkdir(parents=True)
        except OSError as error:
            raise SiteError(f"--out {folder}: cannot be made ({error.strerror}); name a folder that can") from None
        yield partial
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def region_of(weather: Path) -> str:
    """The country that the first line of a weather file names."""
    country = weather.read_text(encoding="latin-1").split("\n", 1)[0].split(",")[3].strip().upper()
    return COUNTRIES.get(country, "XX")


def timezone_of(climate: Weather) -> str:
    """A zone of the weather's own offset without daylight saving: simulated clocks know none."""
    hours = climate.zone_h
    if hours == math.floor(hours):
        return "Etc/GMT" if hours == 0 else f"Etc/GMT{-int(hours):+d}"
    if hours not in HALF_HOUR_ZONES:
        raise SiteError(f"{climate.name}: no time zone of UTC{hours:+g} h is known here; known half hours: {sorted(HALF_HOUR_ZONES)}")
    return HALF_HOUR_ZONES[hours]


def site_text(made_from: str, name: str, climate: Weather, weather: Path, area_m2: float) -> str:
    """The site.toml of a made site, but for its connections."""
    return SITE.format(
        made_from=made_from, name=toml_text(name), plain=name, title=toml_text(f"{name} (simulated)"),
        place=toml_text(f"{climate.name} (weather file)"),
        region=toml_text(region_of(weather)), timezone=toml_text(timezone_of(climate)), area_m2=f"{area_m2:.1f}",
    )  # fmt: skip


def toml_text(value: str) -> str:
    """A TOML text: JSON's escapes are valid there too."""
    return json.dumps(re.sub(r"[\x00-\x1f]", " ", value), ensure_ascii=False)


def sha256_of(path: Path) -> str:
    """Of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
