"""Grants: what an engineer released for writing at a real site. The ledger verifies the signature and journals the grant; controls obey it.

A grant holds the released points with their envelopes and addresses, and the connections those addresses name. Whatever the files say
later, more than the newest grant is never written, and what the files take back is not written either.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from twin.addresses import parse_address
from twin.journal import Journal
from twin.points import PointBook
from twin.site import Site
from twin.words import Binding, Limits, Point

FORMAT = "wattproof site signature 1"
LIMIT_NAMES = ("low", "high", "step", "fallback", "interval_s", "on_min_s", "off_min_s")


@dataclass(frozen=True)
class Grant:
    """What may be written: by point its row, by name its connection; `until` None has no end."""

    by: str
    key: str
    signed: datetime
    until: datetime | None
    points: Mapping[str, Mapping[str, Any]]
    connections: Mapping[str, Mapping[str, Any]]
    keys: Sequence[str]  # public keys of engineers who may sign the next one

    def body(self) -> dict[str, Any]:
        """The journal's `grant` row."""
        until = self.until.isoformat() if self.until else None
        return {**asdict(self), "signed": self.signed.isoformat(), "until": until, "keys": list(self.keys)}


def released(site: Site, book: PointBook) -> dict[str, Any]:
    """What makes points writable at this site: the part of its files that the signature covers."""
    points = {p.id: _row(p) for p in book.writable}
    names = {parse_address(row["address"]).connection for row in points.values()}
    connections = {name: _connection(site, name) for name in sorted(names) if name in site.connections}
    return {"site": site.name, "points": points, "connections": connections, "protected_zones": list(site.protected_zones)}


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical form."""
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def newest_grant(journal: Journal) -> Grant | None:
    """The grant in force, whether it has ended or not; None at a site that was never commissioned."""
    rows = journal.latest(("grant",))
    if not rows:
        return None
    body = rows[0].body
    until = datetime.fromisoformat(body["until"]) if body["until"] else None
    signed = datetime.fromisoformat(body["signed"])
    return Grant(body["by"], body["key"], signed, until, body["points"], body["connections"], tuple(body["keys"]))


def granted(site: Site, book: PointBook, grant: Grant, now: datetime) -> tuple[PointBook, list[str]]:
    """The book with exactly the granted points writable, as granted; and in words what the files say otherwise."""
    differences: list[str] = []
    if grant.until is not None and grant.until <= now:
        return PointBook(replace(p, writable=False) for p in book.values()), [
            f"the grant of {grant.by} ended at {grant.until:%Y-%m-%d %H:%M}"
        ]
    points = [_granted(point, site, grant, differences) for point in book.values()]
    gone = sorted(set(grant.points) - {p.id for p in points if p.writable})
    if gone:
        differences.append(f"{len(gone)} granted points are not writable now (first: {gone[0]})")
    return PointBook(points), differences


def _granted(point: Point, site: Site, grant: Grant, differences: list[str]) -> Point:
    row = grant.points.get(point.id)
    if row is None or not point.writable:
        if point.writable and point.binding:
            differences.append(f"{point.id} is not in the signed file")
        return replace(point, writable=False)
    name = parse_address(row["address"]).connection
    if name not in site.connections or _connection(site, name) != grant.connections.get(name):
        differences.append(f"{point.id}: connection {name} is not as signed")
        return replace(point, writable=False)
    if _row(point) != row:
        differences.append(f"{point.id}: its row is not as signed; the signed one stays in force")
    limits = {n: math.inf if row[n] is None else row[n] for n in LIMIT_NAMES}
    return replace(point, binding=Binding(point.id, row["address"], row["scale"], row["offset"]), limits=Limits(**limits))


def _connection(site: Site, name: str) -> dict[str, Any]:
    """A connection as it is signed: files by their place in the site's folder, which may stand elsewhere on the engineer's machine."""
    folder = f"{site.folder}/"
    return {key: value.removeprefix(folder) if isinstance(value, str) else value for key, value in asdict(site.connections[name]).items()}


def _row(point: Point) -> dict[str, Any]:
    """A writable point as it is signed; JSON knows no infinity, so no limit is null."""
    assert point.binding is not None
    assert point.limits is not None
    limits = {name: value if math.isfinite(value := getattr(point.limits, name)) else None for name in LIMIT_NAMES}
    where = {"address": point.binding.address, "scale": point.binding.scale, "offset": point.binding.offset}
    return {"brick": point.brick, "unit": point.unit, **where, **limits}
