"""The importer's data tables, each read once."""

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from twin.graph import brick

_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class MappingRow:
    """One row of ifc_to_brick.json."""

    ifc: str
    predefined: str  # empty: any value or none
    brick: str  # empty: on purpose not in the twin
    kind: str
    domain: str
    match: str
    note: str


@cache
def mapping() -> Mapping[tuple[str, str], MappingRow]:
    """IFC class and value -> row."""
    rows = json.loads((_DATA / "ifc_to_brick.json").read_text(encoding="utf-8"))["rows"]
    keys = ("ifc", "predefined", "brick", "kind", "domain", "match", "note")
    made = (MappingRow(*(row[key] or "" for key in keys)) for row in rows)
    return {(row.ifc, row.predefined): row for row in made}


@cache
def domain_of_class() -> Mapping[str, str]:
    """Brick class -> the domain that the mapping table gives it."""
    return {row.brick: row.domain for row in mapping().values() if row.brick}


@cache
def passive() -> Mapping[str, str]:
    """IFC class -> why it is not in the twin."""
    return {row["ifc_class"]: row["why"] for row in _rows("passive.csv")}


@cache
def name_rules() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Patterns over names, and the class each one means."""
    return tuple((re.compile(row["pattern"], re.IGNORECASE), row["brick"]) for row in _rows("name_rules.csv"))


@cache
def protected_rules() -> tuple[tuple[str, str, re.Pattern[str] | None, str], ...]:
    """IFC class, value (or empty), name pattern (or none) and the reason."""
    return tuple(
        (
            row["ifc_class"],
            row["predefined"],
            re.compile(row["name_pattern"], re.IGNORECASE) if row["name_pattern"] else None,
            row["reason"],
        )
        for row in _rows("protected.csv")
    )


@cache
def refinements() -> Mapping[tuple[str, str], str]:
    """(class, where it sits) -> the more precise class."""
    return {(row["brick"], row["where"]): row["refined"] for row in _rows("refinements.csv")}


def equipment_point(equipment: str, binary: bool, writable: bool) -> tuple[str, str]:
    """Class and tag of the point that an address on the equipment itself means."""
    for row in _rows("equipment_points.csv"):
        fits = row["object"] == "any" or binary
        if fits and row["writable"] == ("yes" if writable else "no") and brick().is_a(equipment, row["equipment"]):
            return row["brick"], row["tag"]
    raise AssertionError(f"equipment_points.csv has no row for {equipment}; its last rows must fit every equipment")


@cache
def unit_of(point_class: str) -> str:
    """The usual unit of a class: its own row, else the row of the nearest class above."""
    units = {row["brick"]: row["unit"] for row in _rows("units.csv")}
    level = [point_class]
    while level:
        for name in sorted(level):
            if name in units:
                return units[name]
        level = [above for name in level for above in brick().parents.get(name, ())]
    return "NUM"


@cache
def _rows(name: str) -> tuple[dict[str, str], ...]:
    with (_DATA / name).open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))
