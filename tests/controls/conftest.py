"""Small twins and point books made from a building's design, as an import would make them."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from controls.forecast import OccupancyForecast
from simulators.design import METERS, AirHandlerDesign, Building, ZoneDesign, design_points
from twin.graph import Graph, Text, Triple
from twin.points import PointBook
from twin.site import GroupMembership, Site
from twin.words import Binding, Image, Limits, Point, Reading, slug


def thing(key: str, kind: str, *more: tuple[str, str | Text]) -> list[Triple]:
    return [(f"site:{key}", "rdf:type", kind), (f"site:{key}", "rdfs:label", Text(key)), *((f"site:{key}", p, v) for p, v in more)]


def twin_of(building: Building) -> Graph:
    """The graph of a designed building."""
    triples = []
    for handler in building.air_handlers:
        triples += thing(slug(handler.name), "brick:AHU")
    for zone in building.zones:
        box, lamps, key = slug(zone.box), slug(zone.luminaires), slug(zone.name)
        triples += thing(f"room_{key}", "rec:Room", ("tw:area_m2", Text(f"{zone.area_m2:.2f}", number=True)))
        triples += thing(f"zone_{key}", "rec:HVACZone", ("rec:hasPart", f"site:room_{key}"))
        triples += thing(box, "brick:RVAV", ("brick:feeds", f"site:zone_{key}"))
        triples += thing(lamps, "brick:Luminaire", ("brick:hasLocation", f"site:room_{key}"))
        triples.append((f"site:{slug(zone.air_handler)}", "brick:feeds", f"site:{box}"))
    for name, _, _, kind, _ in METERS.values():
        triples += thing(slug(name), f"brick:{kind}")
    for point in design_points(building):
        triples += thing(point.id, f"brick:{point.row['brick']}", ("brick:isPointOf", f"site:{slug(point.owner)}"))
    return Graph.from_triples("designed", triples)


def book_of(building: Building) -> PointBook:
    return PointBook(_point(p.id, p.address, p.scale, p.row) for p in design_points(building))


def _point(key: str, address: str, scale: float, row) -> Point:
    limits = None
    if row["writable"] == "yes":
        limits = Limits(float(row["low"]), float(row["high"]), float(row["step"] or "inf"), float(row["fallback"]))
    return Point(key, row["brick"], row["unit"], "owner", writable=limits is not None, limits=limits, binding=Binding(key, address, scale))


def site_of(folder: Path, book: PointBook, **changes) -> Site:
    rows = ["point,writable,low,high,step,fallback"]
    rows += [f"{p.id},yes,{x.low},{x.high},{x.step},{x.fallback}" for p in book.values() if (x := p.limits)]
    (folder / "points.csv").write_text("\n".join(rows), encoding="utf-8")
    facts = {"name": "small", "title": "Small", "place": "Anywhere", "jurisdiction": "CN-51", "timezone": "Asia/Shanghai"}
    more = {"area_m2": 400.0, "use": "office", "grid_region": "CN-SC", "group": GroupMembership("g", "o", "gov"), "connections": {}}
    return Site(folder=folder, **{**facts, **more, **changes})


SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 20.0), (0.0, 20.0))


@pytest.fixture
def building() -> Building:
    """Two storeys, an air handler each; east has a window, core has none; each 200 m2."""
    zones = [
        ZoneDesign(f"{name} {n + 1}", n, SQUARE, 3.0 * n, 3.0, f"AHU-{n + 1}", name == "East") for n in (0, 1) for name in ("East", "Core")
    ]
    return Building("small", (0.0, 3.0), tuple(zones), (AirHandlerDesign("AHU-1", 0), AirHandlerDesign("AHU-2", 1)))


@pytest.fixture
def graph(building: Building) -> Graph:
    return twin_of(building)


@pytest.fixture
def book(building: Building) -> PointBook:
    return book_of(building)


@pytest.fixture
def site(tmp_path: Path, book: PointBook) -> Site:
    return site_of(tmp_path, book)


@pytest.fixture
def office_hours(site: Site) -> OccupancyForecast:
    return OccupancyForecast.assumed(site.zone)


@pytest.fixture
def quiet(book: PointBook) -> dict[str, float]:
    """Readings of a summer night: nobody there, 25 °C, air at rest."""
    by_tag = {"zn_t": 25.0, "zn_rh": 50.0, "zn_co2": 450.0, "zn_lux": 0.0, "sa_t": 24.0, "ra_t": 25.0, "oa_t": 28.0, "oa_rh": 70.0}
    return {p: by_tag.get(p.rsplit(".", 1)[1], 0.0) for p in book if not book[p].writable}


@pytest.fixture
def image_of() -> Callable[[datetime, dict[str, float]], Image]:
    return lambda at, values: Image(at, {p: Reading(p, at, v) for p, v in values.items()})
