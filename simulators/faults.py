"""Faults of a building as values with a seed: what is planted where, read from a file or drawn, and named as a commissioning names them."""

import csv
import random
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from simulators.rc_building import RcLayout
from twin.errors import SiteError

SIGNED = ("sensor_drift", "co2_offset", "clock_off")
SUB_METERS = ("hvac_meter.energy", "lighting_meter.energy")
SITE = "site"


@dataclass(frozen=True)
class Fault:
    """One fault: its kind (fault_kinds.csv), the place it sits at (a point, zone, air handler, connection or `site`), and how bad it is."""

    kind: str
    place: str
    size: float = 0.0
    other: str = ""  # the second place of a swap

    @property
    def said(self) -> str:
        """In one line."""
        return f"{self.kind} at {self.place}" + (f" and {self.other}" if self.other else "") + (f" ({self.size:g})" if self.size else "")


@cache
def kinds() -> Mapping[str, Mapping[str, str]]:
    """The rows of fault_kinds.csv by kind."""
    with (Path(__file__).parent / "fault_kinds.csv").open(encoding="utf-8", newline="") as file:
        return {row["kind"]: row for row in csv.DictReader(file)}


def read_faults(path: Path, layout: RcLayout, connections: Iterable[str]) -> tuple[Fault, ...]:
    """A file of [[fault]] tables with kind, place, size and other; SiteError names what cannot be."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("fault", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SiteError(f"{path}: not readable as TOML ({error}); expected [[fault]] tables with kind and place") from None
    if not tables:
        raise SiteError(f"{path}: no [[fault]] in it; each has kind, place and where it counts size and other")
    return tuple(_fault(f"{path}: fault {n}", table, layout, connections) for n, table in enumerate(tables, start=1))


def _fault(where: str, table: Mapping[str, object], layout: RcLayout, connections: Iterable[str]) -> Fault:
    unknown = sorted(set(table) - {"kind", "place", "size", "other"})
    if unknown:
        raise SiteError(f"{where}: unknown key {unknown[0]!r}; known keys: kind, place, size, other")
    kind, place, other = (str(table.get(key, "")) for key in ("kind", "place", "other"))
    if kind not in kinds():
        raise SiteError(f"{where}: no kind {kind!r}; known kinds: {', '.join(kinds())}")
    size = table.get("size", 0.0)
    if isinstance(size, bool) or not isinstance(size, (int, float)):
        raise SiteError(f"{where}: size must be a number, got {size!r}")
    allowed = places(kind, layout, connections)
    for name in filter(None, (place, other)) if place else ("",):
        if name not in allowed:
            raise SiteError(
                f"{where}: {kind} cannot sit at {name!r}; expected one of {', '.join(allowed[:8])}{' ...' if allowed[8:] else ''}"
            )
    if kinds()[kind]["place"] in ("two_zones", "meters") and not other:
        raise SiteError(f"{where}: {kind} needs `other`, the second place")
    return Fault(kind, place, float(size), other)


def places(kind: str, layout: RcLayout, connections: Iterable[str]) -> list[str]:
    """Where this kind can sit at this site."""
    where = kinds()[kind]["place"]
    tags = {"zone_temperature": "zn_t", "two_zones": "zn_t", "zone_co2": "zn_co2", "zone_setpoint": "clg_sp", "lights": "level"}
    if where in tags:
        return [zone.points[tags[where]] for zone in layout.zones if tags[where] in zone.points]
    if where in ("meter", "meters"):
        return [layout.meters[name] for name in SUB_METERS if name in layout.meters]
    return {
        "zone": [zone.key for zone in layout.zones],
        "air_handler": list(layout.air_handlers),
        "connection": sorted(connections),
        SITE: [SITE],
    }[where]


def draw_faults(wanted: Sequence[str], layout: RcLayout, connections: Iterable[str], seed: int) -> tuple[Fault, ...]:
    """One fault of each wanted kind; place, size and sign drawn, no two at one place."""
    dice = random.Random(seed)  # noqa: S311 (a bad building, not a secret)
    connections, used = list(connections), set[str]()
    found = []
    for kind in wanted:
        row = kinds()[kind]
        free = [place for place in places(kind, layout, connections) if place not in used and _owner(place) not in used]
        pair = row["place"] in ("two_zones", "meters")
        if len(free) < 1 + pair:
            raise SiteError(f"no place is left for {kind}; this site has {len(places(kind, layout, connections))}")
        chosen = dice.sample(free, 1 + pair)
        size = dice.uniform(float(row["least"]), float(row["most"])) * (dice.choice((-1, 1)) if kind in SIGNED else 1)
        found.append(Fault(kind, chosen[0], round(size, 2), chosen[1] if pair else ""))
        used |= {place for name in chosen for place in (name, _owner(name))}
    return tuple(found)


def _owner(place: str) -> str:
    """The zone, air handler or meter that a point belongs to by its id."""
    return place.rpartition(".")[0] or place
