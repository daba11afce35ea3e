"""Grants: what an engineer released for writing at a real site. The ledger verifies the signature and journals the grant; controls obey it.

A grant holds the released points with their envelopes and addresses, and the connections those addresses name. Whatever the files say
later, more than the newest grant is never written, and what the files take back is not written either.
"""

import hashlib
import json
import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from twin.addresses import parse_address
from twin.clock import wall_now
from twin.interlocks import Interlock, parse_rule
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
    interlocks: Sequence[Mapping[str, str]] = ()
    revoked: Sequence[Mapping[str, str]] = ()  # what was taken back since: point or name, by, key, signed, and the key taken away, if one

    @property
    def counts_from(self) -> datetime:
        """No signature made earlier counts any more."""
        return max([self.signed, *(datetime.fromisoformat(r["signed"]) for r in self.revoked)])

    @property
    def keys_gone(self) -> frozenset[str]:
        """Keys that were taken away; they never come back."""
        return frozenset(r["key_gone"] for r in self.revoked if r["key_gone"])

    def body(self) -> dict[str, Any]:
        """The journal's `grant` row."""
        until = self.until.isoformat() if self.until else None
        lists = {"keys": list(self.keys), "interlocks": list(self.interlocks), "revoked": list(self.revoked)}
        return {**asdict(self), "signed": self.signed.isoformat(), "until": until, **lists}

    def without(self, points: Container[str], key: str, said: Mapping[str, str]) -> "Grant":
        """What is left when these points, and this key (empty: none), are taken back."""
        left = {name: row for name, row in self.points.items() if name not in points}
        names = {parse_address(row["address"]).connection for row in left.values()}
        return replace(
            self,
            points=left,
            connections={name: row for name, row in self.connections.items() if name in names},
            keys=[k for k in self.keys if k != key],
            revoked=[*self.revoked, {**said, "key_gone": key}],
        )


def released(site: Site, book: PointBook, interlocks: Sequence[Interlock] = ()) -> dict[str, Any]:
    """What makes points writable at this site, and what holds them: the part of its files that the signature covers."""
    points = {p.id: _row(p) for p in book.writable}
    names = {parse_address(row["address"]).connection for row in points.values()}
    connections = {name: _connection(site, name) for name in sorted(names) if name in site.connections}
    content = {"site": site.name, "points": points, "connections": connections, "protected_zones": list(site.protected_zones)}
    return {**content, "interlocks": [lock.body() for lock in interlocks]} if interlocks else content


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
    rest = body["points"], body["connections"], tuple(body["keys"]), tuple(body.get("interlocks", ())), tuple(body.get("revoked", ()))
    return Grant(body["by"], body["key"], signed, until, *rest)


def commissioned(config: Site, book: PointBook, journal: Journal, now: datetime | None = None) -> tuple[PointBook, list[str]]:
    """The book with what an engineer's grant lets be written, and what people must know of it. Simulated sites need no grant."""
    if config.simulated:
        return book, []
    grant = newest_grant(journal)
    if grant is None:
        nothing = PointBook(replace(p, writable=False) for p in book.values())
        return nothing, [
            "never commissioned: reading only, nothing is written; "
            "let an engineer run `wattproof sign` on the site's folder, then run `wattproof grant` here"
        ]
    return granted(config, book, grant, now or wall_now())


def who_may(usable: PointBook, grant: Grant | None) -> dict[str, str]:
    """For each point of a commissioned book that may be written, in words: between what, by whose grant, until when."""
    by = f"granted by {grant.by}" if grant else "a simulated site needs no grant"
    ends = f" until {grant.until:%Y-%m-%d}" if grant and grant.until else ""
    return {p.id: f"may be written {p.limits.low:g} to {p.limits.high:g}, {by}{ends}" for p in usable.writable if p.limits}


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


def interlocks_in_force(interlocks: Sequence[Interlock], grant: Grant | None, book: PointBook) -> tuple[tuple[Interlock, ...], list[str]]:
    """The signed ones, then what the files say beyond them: a file may hold more back, never less. And in words where the two differ."""
    if grant is None:
        return tuple(interlocks), []
    rows = [row for row in grant.interlocks if all(p in book for p in parse_rule(**row, where="the grant").points)]
    signed = {row["name"]: parse_rule(**row, where="the grant") for row in rows}
    now = {lock.name: lock for lock in interlocks}
    differences = [
        f"interlock {name!r} is not as signed; the signed one stays in force"
        for name, lock in signed.items()
        if name not in now or now[name].rule != lock.rule
    ]
    return (*signed.values(), *(lock for lock in interlocks if lock.name not in signed)), differences


def _granted(point: Point, site: Site, grant: Grant, differences: list[str]) -> Point:
    row = grant.points.get(point.id)
    if row is None or not point.writable:
        if point.writable and point.binding:
            by = next((r["by"] for r in grant.revoked if r["revoke"] in (point.id, grant.by)), "")
            differences.append(f"{point.id} was taken back by {by}" if by else f"{point.id} is not in the signed file")
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
