"""The importer's data tables, each read once."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bim.naming import Words, words
from twin import life_safety
from twin.graph import brick

_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class MappingRow:
    """One row of ifc_to_brick.csv."""

    ifc: str
    predefined: str  # empty: any value or none
    brick: str  # empty: on purpose not in the twin
    domain: str
    match: str  # direct, generic, weak, skip
    note: str


@dataclass(frozen=True, slots=True)
class NameRule:
    """What a word in a name means; `strong` words name one kind of thing only."""

    brick: str
    strong: bool


@dataclass(frozen=True, slots=True)
class PassiveName:
    """Words of a thing that a twin neither reads nor moves; a `part` is told by the last word ("pump support")."""

    part: bool
    why: str


@dataclass(frozen=True, slots=True)
class ProtectedRule:
    """Life safety by IFC class and value, or by words in any name."""

    ifc_class: str
    predefined: str
    words: Words | None
    reason: str


@dataclass(frozen=True, slots=True)
class PlantCode:
    """What a code in a plant key says; `system` is the beginning of the system's code where it says so only there."""

    code: str
    system: str
    says: str


@cache
def mapping() -> Mapping[tuple[str, str], MappingRow]:
    """IFC class and value -> row."""
    return {(row["ifc"], row["predefined"]): MappingRow(**row) for row in _rows("ifc_to_brick.csv")}


@cache
def measures() -> Mapping[str, tuple[str, str, float]]:
    """IFC measure -> type of its unit, the SI unit in QUDT, and what turns the coherent unit (grams for masses) into that."""
    return {row["measure"]: (row["unit_type"], row["qudt"], float(row["factor"])) for row in _rows("measures.csv")}


@cache
def general_classes() -> frozenset[str]:
    """The closed list of Brick classes that name a family and no kind of thing: what is mapped to them counts as generic."""
    return frozenset(row["brick"] for row in _rows("general_classes.csv"))


@cache
def domain_of_class() -> Mapping[str, str]:
    """Brick class -> the domain that the mapping table gives it."""
    return {row.brick: row.domain for row in mapping().values() if row.brick}


@cache
def domain_of(brick_class: str) -> str:
    """The domain of a Brick class: its own in the mapping table, else that of the nearest class above."""
    level = [brick_class]
    while level:
        for name in sorted(level):
            if name in domain_of_class() and name not in ("brick:Equipment", "brick:Point"):
                return domain_of_class()[name]
        level = [above for name in level for above in brick().parents.get(name, ())]
    return "other"


@cache
def domain_of_ifc() -> Mapping[str, str]:
    """IFC class -> the domain of its elements where no Brick class was found."""
    return {row["ifc_class"]: row["domain"] for row in _rows("domains.csv")}


@cache
def passive() -> Mapping[str, str]:
    """IFC class -> why it is not in the twin."""
    return {row["ifc_class"]: row["why"] for row in _rows("passive.csv")}


@cache
def passive_unless_named() -> frozenset[str]:
    """Passive classes into which exporters also put equipment: a strong word in the name takes it out."""
    return frozenset(row["ifc_class"] for row in _rows("passive.csv") if row["name_counts"])


@cache
def name_rules() -> tuple[tuple[NameRule, Words], ...]:
    """Words in names, and the class each one means."""
    rows = _rows("name_rules.csv")
    return tuple((NameRule(r["brick"], r["strength"] == "strong"), words(r["en"], r["de"], r["zh"], r["unless"])) for r in rows)


@cache
def passive_names() -> tuple[tuple[PassiveName, Words], ...]:
    """Words in names of proxies that say: no equipment."""
    rows = _rows("passive_names.csv")
    return tuple((PassiveName(r["kind"] == "part", r["why"]), words(r["en"], r["de"], r["zh"])) for r in rows)


@cache
def protected_rules() -> tuple[ProtectedRule, ...]:
    """Life safety: what no strategy may write."""
    return tuple(
        ProtectedRule(
            r["ifc_class"], r["predefined"], words(r["en"], r["de"], r["zh"]) if r["en"] or r["de"] or r["zh"] else None, r["reason"]
        )
        for r in life_safety.rows()
    )


@cache
def qualifiers() -> tuple[tuple[str, frozenset[str], Words], ...]:
    """Key (supply, hot_water, ...), the values of IfcDistributionSystem that mean it, and its words."""
    return tuple((r["key"], frozenset(r["systems"].split()), words(r["en"], r["de"], r["zh"])) for r in _rows("qualifiers.csv"))


@cache
def narrower() -> frozenset[tuple[str, str]]:
    """(class by IFC, class by name) that agree although Brick does not put one below the other."""
    return frozenset((row["brick"], row["may_be"]) for row in _rows("narrower.csv"))


@cache
def refinements_of(brick_class: str) -> tuple[tuple[str, bool], ...]:
    """What makes a class narrower, the first that holds counts; True where its own name must say so and a system is not enough."""
    return tuple((row["where"], row["by"] == "name") for row in _rows("refinements.csv") if row["brick"] == brick_class)


@cache
def hint_properties() -> Mapping[str, str]:
    """Property name -> what its text names: a system, or a title of what the element is."""
    return {row["property"]: row["means"] for row in _rows("hint_properties.csv")}


@cache
def codes() -> tuple[tuple[str, str, str, float], ...]:
    """Classification system, code, Brick class and confidence."""
    return tuple((r["system"], r["code"], r["brick"], float(r["confidence"])) for r in _rows("codes.csv"))


@cache
def plant_codes(scheme: str) -> tuple[PlantCode, ...]:
    """The codes of a scheme of plant keys."""
    return tuple(PlantCode(r["code"], r["system"], r["says"]) for r in _rows("plant_keys.csv") if r["scheme"] == scheme)


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
