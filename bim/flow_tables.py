"""The tables of flows: what a system's name and value say of medium and direction, and which equipment gives, takes or passes on."""

import csv
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from twin.graph import brick

_DATA = Path(__file__).parent / "data"


class Stream(NamedTuple):
    """What flows, and whether from the plant to the rooms (supply), back (return) or in from outside (intake); empty: unknown."""

    medium: str = ""
    role: str = ""

    def filled(self, other: "Stream") -> "Stream":
        """This, with the other's word where this has none; two words for one medium's role against each other say nothing."""
        return Stream(self.medium or other.medium, self.role or other.role)


def stream_of(value: str, name: str) -> Stream:
    """Medium and role of a system or port by its IfcDistributionSystemEnum value and its name; words for both ways say neither."""
    by_value = _exact("value").get(value.upper(), Stream())
    found = [stream for pattern, stream in _patterns("name") if pattern.search(name.replace("_", " "))]
    roles = {s.role for s in found if s.role and not (s.medium == "electrical" and by_value.medium not in ("", "electrical"))}
    medium = by_value.medium or next((s.medium for s in found if s.medium), "")
    return Stream(medium, roles.pop() if len(roles) == 1 else "" if roles else by_value.role)


def stream_of_segment(ifc_classes: Iterable[str]) -> Stream:
    """What a pipe, duct or cable carries by its class."""
    return next((_exact("segment")[name] for name in ifc_classes if name in _exact("segment")), Stream())


def port_word(name: str) -> str:
    """`in` or `out` where a port's name says so, else empty."""
    roles = {stream.role for pattern, stream in _patterns("port") if pattern.search(name.replace("_", " "))}
    return roles.pop() if len(roles) == 1 else ""


@cache
def flow_role(brick_class: str, ifc_classes: tuple[str, ...], medium: str) -> str:
    """`source`, `sink` or `inline` for that medium: by IFC class, else by the nearest Brick class above; empty when neither is known."""
    for name in ifc_classes:
        if (name, medium) in _roles():
            return _roles()[name, medium]
    level, seen = [brick_class], {brick_class}
    while level:
        for name in sorted(level):
            if (name, medium) in _roles():
                return _roles()[name, medium]
        level = [above for name in level for above in brick().parents.get(name, ()) if above not in seen]
        seen.update(level)
    return ""


@cache
def _roles() -> Mapping[tuple[str, str], str]:
    return {(row["what"], row["medium"]): row["role"] for row in _rows("flow_roles.csv")}


@cache
def _exact(kind: str) -> Mapping[str, Stream]:
    return {row["pattern"]: Stream(row["medium"], row["role"]) for row in _rows("flow_systems.csv") if row["kind"] == kind}


@cache
def _patterns(kind: str) -> tuple[tuple[re.Pattern[str], Stream], ...]:
    rows = (row for row in _rows("flow_systems.csv") if row["kind"] == kind)
    return tuple((re.compile(row["pattern"], re.IGNORECASE), Stream(row["medium"], row["role"])) for row in rows)


def _rows(name: str) -> list[dict[str, str]]:
    with (_DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
