"""Every consistency check of a site's own files: all findings at once, each saying where and what to do."""

import csv
import hashlib
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from twin.addresses import parse_address
from twin.errors import SiteError
from twin.graph import Graph
from twin.interlocks import findings as useless
from twin.interlocks import interlocks_of
from twin.life_safety import life_safety
from twin.points import PointBook, point_rows, read_points
from twin.shapes import validate, validate_brick
from twin.site import Site, load_site

HEADER_LINES_MAX = 50  # the models' hashes stand in the first lines of twin.ttl


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit: where, and what to do."""

    where: str
    message: str


def check_site(folder: Path) -> list[Finding]:
    """All findings of a site, in the order in which they should be mended."""
    try:
        site = load_site(folder)
    except SiteError as error:
        return [Finding("site.toml", str(error))]
    findings = [*_models(site), *_plant_is_readable(site), *_twin_is_fresh(site), *tariff_findings(folder / "tariff.csv")]
    if not site.twin_file.exists():
        return findings
    try:
        graph = Graph.read(site.twin_file)
        book = read_points(site.points_file, graph.points())
    except SiteError as error:
        return [*findings, Finding("twin", str(error))]
    for rule in BOOK_RULES:
        findings += rule(site, book)
    return [*findings, *_protected(site, graph, book), *_interlocks(site, graph, book)]


def check_brick(folder: Path) -> list[Finding]:
    """What in the twin violates our own shapes or Brick 1.5's; nothing where there is no twin to look at, since `check_site` says that."""
    try:
        graph = Graph.read(folder / "twin.ttl")
    except SiteError:
        return []
    return [Finding("twin.ttl", f"{f.node}, {f.rule}: {f.message}") for f in (*validate(graph), *validate_brick(graph))]


def _models(site: Site) -> Iterator[Finding]:
    if not site.models:
        yield Finding("models", f"{site.folder / 'models'} holds no .ifc file; put the building's models there")


def _plant_is_readable(site: Site) -> Iterator[Finding]:
    """Its keys are the simulator's to know; whoever opens the plant checks them."""
    try:
        if site.simulated:
            tomllib.loads(site.plant_file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        yield Finding("plant.toml", f"not readable as TOML ({error}); correct it, or take it away from a real site")


def _twin_is_fresh(site: Site) -> Iterator[Finding]:
    if not site.twin_file.exists():
        yield Finding("twin.ttl", f"not made yet; run `wattproof import {site.name}`")
        return
    with site.twin_file.open(encoding="utf-8", errors="replace") as file:
        header = "".join(line for _, line in zip(range(HEADER_LINES_MAX), file, strict=False) if line.startswith("#"))
    for model in site.models:
        digest = hashlib.sha256(model.read_bytes()).hexdigest()
        if digest not in header:
            yield Finding("twin.ttl", f"{model.name} has changed since the twin was made; run `wattproof import {site.name}` again")


def _connections_are_known(site: Site, book: PointBook) -> Iterator[Finding]:
    for name, points in book.by_connection().items():
        if name not in site.connections:
            yield Finding("site.toml", f"no [connections.{name}], which {len(points)} points need (first: {points[0].id}); add it")


def _addresses_are_used_once(_: Site, book: PointBook) -> Iterator[Finding]:
    users = defaultdict(list)
    for point in book.bound:
        assert point.binding is not None
        users[str(parse_address(point.binding.address))].append(point.id)
    for address, points in users.items():
        if len(points) > 1:
            yield Finding("points", f"{address} is used by {', '.join(points)}; keep it at one of them")


def _protocols_fit(site: Site, book: PointBook) -> Iterator[Finding]:
    for point in book.bound:
        assert point.binding is not None
        protocol, _, rest = point.binding.address.partition(":")
        connection = site.connections.get(rest.partition("/")[0])
        if connection and connection.protocol != protocol:
            yield Finding("points", f"{point.id}: address is {protocol}, its connection in site.toml is {connection.protocol}; correct one")


def _retired_rows(site: Site, book: PointBook) -> Iterator[Finding]:
    for line, row in point_rows(site.points_file):
        if row["point"] in book and book[row["point"]].retired:
            yield Finding(
                "points.csv",
                f"line {line}: {row['point']} is retired, no model holds it any more; it is neither read nor written. "
                "Take the row away, or bring the element back into the model and import again",
            )


def _device_ids_differ(site: Site, _: PointBook) -> Iterator[Finding]:
    """Two BACnet devices with one id answer each other's questions (ASHRAE 135: an id is unique in the internetwork)."""
    users = defaultdict(list)
    for name, connection in site.connections.items():
        if connection.protocol == "bacnet" and connection.device:
            users[connection.device].append(name)
    for device, names in users.items():
        if len(names) > 1:
            yield Finding("site.toml", f"connections {', '.join(names)} all name BACnet device {device}; give each device an id of its own")


BOOK_RULES: tuple[Callable[[Site, PointBook], Iterator[Finding]], ...] = (
    _connections_are_known,
    _addresses_are_used_once,
    _protocols_fit,
    _retired_rows,
    _device_ids_differ,
)


def _protected(site: Site, graph: Graph, book: PointBook) -> Iterator[Finding]:
    try:
        protected = protected_points(graph, site)
    except SiteError as error:
        yield Finding("site.toml", str(error))
        return
    if not site.simulated:  # a simulated device learns its own schedule from the same rows
        for point in book.writable:
            if point.id in protected:
                yield Finding("points.csv", f"{point.id} is protected and never written; set writable to no")


def _interlocks(site: Site, graph: Graph, book: PointBook) -> Iterator[Finding]:
    """Only those that people wrote: what the twin proves may well stand on points that nobody made writable."""
    try:
        stated = [lock for lock in interlocks_of(site, graph, book) if not lock.derived]
    except SiteError as error:
        yield Finding("interlocks.csv", str(error))
        return
    for message in useless(stated, book):
        yield Finding("interlocks.csv", message)


def protected_points(graph: Graph, site: Site) -> frozenset[str]:
    """Points of life safety, of its equipment, of protected zones and of the air handlers that serve those: they are only read."""
    zones = protected_zones(graph, site)
    safety = life_safety(graph)
    owners = safety | {row["air_handler"] for row in graph.ask("terminals") if row["zone"] in zones}
    points = {row["point"] for row in graph.ask("zone_points", brick_class="Point") if row["zone"] in zones}
    return frozenset(points | {row["point"] for row in graph.ask("points") if row.get("owner") in owners or row["point"] in safety})


def protected_zones(graph: Graph, site: Site) -> set[str]:
    """Keys of the zones that site.toml protects by key, name or room; a name that means nothing must not protect nothing."""
    rows = graph.ask("zones")
    for name in site.protected_zones:
        if not any(name in (row["zone"], row["name"], row["room"]) for row in rows):
            known = ", ".join(sorted({row["name"] for row in rows}))
            raise SiteError(f"{site.folder / 'site.toml'}: protected zone {name!r} is not in the twin; its zones are {known}")
    return {row["zone"] for row in rows for name in site.protected_zones if name in (row["zone"], row["name"], row["room"])}


def tariff_findings(path: Path) -> Iterator[Finding]:
    """tariff.csv must price each hour of the day once."""
    if not path.exists():
        return
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        yield Finding("tariff.csv", f"not readable as UTF-8 text ({error}); export it as CSV in UTF-8")
        return
    priced = [0] * 24
    for number, row in enumerate(csv.DictReader(text.splitlines()), 2):
        cells = [(row.get(c) or "").strip() for c in ("from_hour", "to_hour", "cents_per_kwh")]
        if not all(re.fullmatch(r"\d+", c) for c in cells) or not int(cells[0]) < int(cells[1]) <= 24:
            yield Finding(
                "tariff.csv", f"line {number}: expected from_hour, to_hour, cents_per_kwh as whole numbers, got {', '.join(cells)}"
            )
            continue
        for hour in range(int(cells[0]), int(cells[1])):
            priced[hour] += 1
    wrong = [str(h) for h, n in enumerate(priced) if n != 1]
    if wrong:
        yield Finding("tariff.csv", f"each hour needs one price; hours {', '.join(wrong)} have none or several")
