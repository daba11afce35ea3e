"""Decisions of people on uncertain elements (review.toml), by GlobalId; every import applies them again.

["2O2Fr$t4X7Zf8NOew3FLOH"]
brick = "FCU"              # this class it is; or: passive = true, it is nothing to read or move
by = "M. Chen"
why = "fan coil by its name plate"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bim.classifying import CONFIDENCE_STATED, Classified, Coverage
from bim.tables import domain_of_class
from twin.errors import SiteError
from twin.graph import brick

_KEYS = {"brick", "passive", "by", "why"}


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided on one element: its class, or (empty) that it is passive."""

    brick: str
    by: str
    why: str


def read_decisions(path: Path) -> dict[str, Decision]:
    """The decisions by GlobalId; SiteError names what is wrong in the file."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SiteError(f"{path}: not readable as TOML ({error})") from None
    return {global_id: _decision(table, f'{path}: ["{global_id}"]') for global_id, table in tables.items()}


def decided(verdict: Classified, decision: Decision | None) -> Classified:
    """The verdict after a person has looked."""
    if decision is None:
        return verdict
    evidence = f"reviewed by {decision.by}: {decision.why}"
    if not decision.brick:
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
    if not isinstance(table, Mapping) or not set(table) <= _KEYS:
        raise SiteError(f"{where}: expected a table of {', '.join(sorted(_KEYS))}")
    if not table.get("by") or not table.get("why"):
        raise SiteError(f"{where}: say who decided (by) and on what grounds (why)")
    if ("brick" in table) == (table.get("passive") is True):
        raise SiteError(f"{where}: give either brick = CLASS or passive = true")
    name = f"brick:{str(table['brick']).removeprefix('brick:')}" if "brick" in table else ""
    if name and (name not in brick().classes or name in brick().deprecated):
        raise SiteError(f"{where}: {table['brick']!r} is not a class of Brick 1.5 or is deprecated")
    return Decision(name, str(table["by"]), str(table["why"]))
