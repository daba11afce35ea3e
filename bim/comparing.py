"""What a new import changed: added, removed, moved, changed and retired, each with what was before and what is now."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twin.graph import Graph, Text, Triple, brick

MOVED_M = 0.5  # less is a draughtsman's correction
_FIELDS = ("class", "name", "owner", "address")


@dataclass(frozen=True)
class Thing:
    """A node of the twin as a re-import compares it."""

    node: str
    values: Mapping[str, str]  # class, name, owner, address, place
    position: tuple[float, ...] | None
    retired: bool
    global_id: str

    @property
    def is_point(self) -> bool:
        return brick().is_a(f"brick:{self.values['class']}", "brick:Point")


@dataclass(frozen=True)
class Changes:
    """Differences to the last import; each a row of id, name, class, and before and after of what differs."""

    added: Sequence[Mapping[str, Any]] = ()
    removed: Sequence[Mapping[str, Any]] = ()
    moved: Sequence[Mapping[str, Any]] = ()
    changed: Sequence[Mapping[str, Any]] = ()
    retired: Sequence[Mapping[str, Any]] = field(default=())

    KINDS = ("added", "removed", "moved", "changed", "retired")

    def counts(self) -> dict[str, int]:
        return {kind: len(getattr(self, kind)) for kind in self.KINDS}

    def rows(self) -> dict[str, list[Mapping[str, Any]]]:
        return {kind: list(getattr(self, kind)) for kind in self.KINDS}


def things_of(graph: Graph | None) -> dict[str, Thing]:
    """Everything that is compared, by GlobalId, by mark, or by the node itself where no IFC object stands behind it."""
    rows = {row["node"]: row for row in graph.ask("things")} if graph is not None else {}
    counted = Counter(row.get("global_id", "") for row in rows.values())
    found: dict[str, Thing] = {}
    for node, row in rows.items():
        global_id = row.get("global_id", "")
        unique = global_id if global_id and counted[global_id] == 1 else ""
        known_by = row.get("mark") or unique or f"node:{node}"
        found[known_by if known_by not in found else f"node:{node}"] = _thing(row, unique)
    return found


def kept_keys(things: Mapping[str, Thing]) -> dict[str, str]:
    """GlobalId -> key of the last import, so that what was renamed keeps its key."""
    return {thing.global_id: thing.node for thing in things.values() if thing.global_id}


def compare(before: Mapping[str, Thing], after: Mapping[str, Thing], retired: Collection[str]) -> Changes:
    """The differences; `retired` are the nodes that this import keeps only for their history. Nothing differs from no twin at all."""
    if not before:
        return Changes()
    new = [after[k] for k in sorted(after.keys() - before.keys(), key=lambda k: after[k].node) if not after[k].retired]
    new += [after[k] for k in sorted(after.keys() & before.keys()) if before[k].retired and not after[k].retired]
    gone = [before[k] for k in before.keys() - after.keys() if not before[k].retired and before[k].node not in retired]
    both = [(before[k], after[k]) for k in sorted(before.keys() & after.keys()) if not before[k].retired and not after[k].retired]
    given_up = [t for t in before.values() if t.node in retired and not t.retired]
    return Changes(
        [_row(t) for t in new],
        [_row(t) for t in sorted(gone, key=lambda t: t.node)],
        [row for old, now in both if (row := _moved(old, now))],
        [row for old, now in both if (row := _changed(old, now))],
        [_row(t) for t in sorted(given_up, key=lambda t: t.node)],
    )


def retire(before: Mapping[str, Thing], present: Collection[str], needed: Collection[str]) -> list[Thing]:
    """Points of the last twin that no model holds any more but points.csv or the history names: kept, neither read nor written."""
    return [t for t in before.values() if t.node not in present and t.is_point and (t.retired or t.node in needed) and t.node in needed]


def retired_triples(thing: Thing, unit: str, owner: str) -> Iterator[Triple]:
    """A retired point: what it was and whose, without an address."""
    node = f"site:{thing.node}"
    yield node, "rdf:type", f"brick:{thing.values['class']}"
    yield node, "rdfs:label", Text(thing.values["name"])
    yield node, "brick:hasUnit", f"unit:{unit}"
    yield f"unit:{unit}", "rdf:type", "qudt:Unit"
    yield node, "brick:isPointOf", f"site:{owner}"
    yield node, "tw:retired", Text("true")
    if thing.global_id:
        yield node, "ref:hasExternalReference", f"{node}-ifc"
        yield f"{node}-ifc", "rdf:type", "ref:IFCReference"
        yield f"{node}-ifc", "ref:hasIfcProjectReference", "site:model-1"
        yield f"{node}-ifc", "ref:ifcGlobalID", Text(thing.global_id)
        yield f"{node}-ifc", "ref:ifcName", Text(thing.values["name"])


def _thing(row: Mapping[str, str], global_id: str) -> Thing:
    values = {key: row.get(key, "") for key in (*_FIELDS, "place")}
    position = tuple(float(v) for v in row["position"].split()) if row.get("position") else None
    return Thing(row["node"], values, position, row.get("retired") == "true", global_id)


def _row(thing: Thing) -> dict[str, Any]:
    shown = {"id": thing.node, "name": thing.values["name"], "class": thing.values["class"]}
    return shown | {key: thing.values[key] for key in ("place", "owner") if thing.values[key]}


def _moved(old: Thing, now: Thing) -> dict[str, Any] | None:
    far = old.position is not None and now.position is not None and math.dist(old.position, now.position) > MOVED_M
    if old.values["place"] == now.values["place"] and not far:
        return None
    ends = {name: {"place": t.values["place"] or None, "position_m": t.position} for name, t in (("before", old), ("after", now))}
    return {"id": now.node, "name": now.values["name"], "class": now.values["class"], **ends}


def _changed(old: Thing, now: Thing) -> dict[str, Any] | None:
    other = [key for key in _FIELDS if old.values[key] != now.values[key]]
    if not other:
        return None
    ends = {name: {key: t.values[key] or None for key in other} for name, t in (("before", old), ("after", now))}
    return {"id": now.node, "name": now.values["name"], "class": now.values["class"], **ends}
