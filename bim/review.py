"""Decisions of people (review.toml), by GlobalId or by the address of a scanned object; every import applies them again.

["2O2Fr$t4X7Zf8NOew3FLOH"]
brick = "FCU"              # this class it is; or: passive = true, it is nothing to read or move
room = "office_3"          # it stands there: key, name or GlobalId of a room
serves = "zone_3"          # it serves this zone or room
by = "M. Chen"
why = "fan coil by its name plate"

["bacnet:ddc_1/analog-output,4"]
point = "vav_1.dmp"        # this object is that point; or: owner and brick for a new point; or: ignore = true
writable = true            # it takes commands there; limits still come from points.csv
by = "M. Chen"
why = "pulled the actuator's plug and saw it"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bim.classifying import CONFIDENCE_STATED, Classified, Coverage
from bim.tables import domain_of_class
from twin.addresses import parse_address
from twin.errors import SiteError
from twin.graph import brick, class_name

_ELEMENT_KEYS = {"brick", "passive", "room", "serves", "address", "writable", "by", "why"}
_OBJECT_KEYS = {"point", "owner", "brick", "name", "ignore", "writable", "by", "why"}


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided on one element: its class, that it is passive, its room, what it serves, its address. Empty: not decided."""

    by: str
    why: str
    brick: str = ""
    passive: bool = False
    room: str = ""
    serves: str = ""
    address: str = ""
    writable: bool = False


@dataclass(frozen=True, slots=True)
class ObjectDecision:
    """What a person decided on one scanned object: the point it is, a new point of an owner, or (neither) that it is ignored."""

    by: str
    why: str
    point: str = ""
    owner: str = ""
    brick: str = ""
    name: str = ""
    writable: bool = False


@dataclass(frozen=True)
class Decisions:
    """All decisions of a site: on elements by GlobalId or mark, on objects by address."""

    elements: Mapping[str, Decision]
    objects: Mapping[str, ObjectDecision]

    def get(self, known_by: str) -> Decision | None:
        return self.elements.get(known_by)


NO_DECISIONS = Decisions({}, {})


def read_decisions(path: Path) -> Decisions:
    """The decisions of a file, none where there is no file; SiteError names what is wrong in it."""
    try:
        return parse_decisions(path.read_bytes().decode("utf-8-sig"), str(path))
    except FileNotFoundError:
        return NO_DECISIONS
    except (OSError, UnicodeDecodeError) as error:
        raise SiteError(f"{path}: not readable as TOML ({error})") from None


def parse_decisions(text: str, where: str) -> Decisions:
    """The decisions of a text; `where` stands before every complaint."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SiteError(f"{where}: not readable as TOML ({error})") from None
    elements, objects = {}, {}
    for header, table in tables.items():
        place = f'{where}: ["{header}"]'
        if is_address(header):
            objects[header] = _object_decision(header, table, place)
        else:
            elements[header] = _decision(table, place)
    return Decisions(elements, objects)


def is_address(header: str) -> bool:
    """Whether a table of review.toml speaks of a scanned object and not of an element."""
    return header.startswith(("bacnet:", "modbus:"))


def decided(verdict: Classified, decision: Decision | None) -> Classified:
    """The verdict after a person has looked."""
    if decision is None or not (decision.brick or decision.passive):
        return verdict
    evidence = f"reviewed by {decision.by}: {decision.why}"
    if decision.passive:
        return replace(verdict, coverage=Coverage.PASSIVE, brick="", match="reviewed", domain="passive", evidence=evidence, confidence=1.0)
    domain = domain_of_class().get(decision.brick, verdict.domain if verdict.coverage is not Coverage.PASSIVE else "other")
    return replace(
        verdict,
        coverage=Coverage.MAPPED,
        brick=decision.brick,
        match="reviewed",
        domain=domain,
        evidence=evidence,
        confidence=CONFIDENCE_STATED,
    )


def _decision(table: object, where: str) -> Decision:
    checked = _table(table, _ELEMENT_KEYS, where)
    if "brick" in checked and checked.get("passive") is True:
        raise SiteError(f"{where}: give either brick = CLASS or passive = true")
    if not any(checked.get(key) for key in ("brick", "passive", "room", "serves", "address")):
        raise SiteError(f"{where}: decide something: either brick = CLASS or passive = true, or room, serves or address")
    if checked.get("writable") and not checked.get("address"):
        raise SiteError(f"{where}: writable belongs to an address; give both")
    address = _address(checked["address"], where) if "address" in checked else ""
    return Decision(
        checked["by"],
        checked["why"],
        _class(checked["brick"], "", where) if "brick" in checked else "",
        checked.get("passive") is True,
        str(checked.get("room", "")),
        str(checked.get("serves", "")),
        address,
        checked.get("writable") is True,
    )


def _object_decision(header: str, table: object, where: str) -> ObjectDecision:
    checked = _table(table, _OBJECT_KEYS, where)
    _address(header, where)
    said = [key for key in ("point", "owner", "ignore") if checked.get(key)]
    if len(said) != 1:
        raise SiteError(f"{where}: give one of point = KEY, owner = KEY with brick = CLASS, or ignore = true")
    if "owner" in checked and "brick" not in checked:
        raise SiteError(f"{where}: a new point needs its class too; give brick = CLASS")
    kind = _class(checked["brick"], "brick:Point", where) if "brick" in checked else ""
    texts = (str(checked.get("point", "")), str(checked.get("owner", "")), kind, str(checked.get("name", "")))
    return ObjectDecision(checked["by"], checked["why"], *texts, checked.get("writable") is True)


def _table(table: object, keys: set[str], where: str) -> dict[str, Any]:
    if not isinstance(table, Mapping) or not set(table) <= keys:
        raise SiteError(f"{where}: expected a table of {', '.join(sorted(keys))}")
    for key in ("passive", "writable", "ignore"):
        if key in table and not isinstance(table[key], bool):
            raise SiteError(f"{where}: {key} must be true or false, got {table[key]!r}")
    for key in keys - {"passive", "writable", "ignore"}:
        if key in table and not isinstance(table[key], str):
            raise SiteError(f"{where}: {key} must be a text in quotes, got {table[key]!r}")
    if not table.get("by") or not table.get("why"):
        raise SiteError(f"{where}: say who decided (by) and on what grounds (why)")
    return dict(table)


def _class(text: str, below: str, where: str) -> str:
    name = class_name(text)
    if name not in brick().classes or name in brick().deprecated or name.startswith("rec:"):
        raise SiteError(f"{where}: {text!r} is not a class of Brick 1.5 or is deprecated")
    if below and not brick().is_a(name, below):
        raise SiteError(f"{where}: {text!r} is no class of a point")
    return name


def _address(text: str, where: str) -> str:
    try:
        return str(parse_address(text))
    except SiteError as error:
        raise SiteError(f"{where}: {error}") from None
