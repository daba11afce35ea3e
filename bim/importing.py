"""IFC models to one Brick twin: twin.ttl, plan.json and report.json, written whole or not at all."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bim.classifying import REVIEW_BELOW, Coverage, ifc_type
from bim.flow_report import flow_doubts, flows
from bim.opening import Model, open_model
from bim.placing import LOW_CONFIDENCE
from bim.readiness import check, is_quick
from bim.reading import ReadModels, read_models
from bim.review import Decision, read_decisions
from bim.room_mesh import RoomBody, glb
from bim.rooms import rings
from twin.clock import monotonic_s
from twin.errors import ModelError, SiteError
from twin.graph import Graph
from twin.shapes import Finding, validate
from twin.state import write_whole

IMPORTER_VERSION = "2"  # stands in twin.ttl; goes up when the same model would give another twin


@dataclass(frozen=True)
class Imported:
    """A finished import: the graph, what stands in plan.json and report.json, and the counts that `import --json` prints."""

    graph: Graph
    plan: Mapping[str, Any]
    report: Mapping[str, Any]
    counts: Mapping[str, Any]
    models: Sequence[Mapping[str, str]]  # file, sha256, schema: what the journal's `import` row holds


@dataclass(frozen=True)
class Changes:
    """What an import changed against the twin that stood there, by GlobalId."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def import_models(paths: Sequence[Path], out: Path, site_name: str, mesh: bool = False) -> Imported:
    """Read the models as one site; write twin.ttl, plan.json, report.json (and rooms.glb) into `out`, or nothing if anything fails."""
    start_s = monotonic_s()
    if not paths:
        raise ModelError(f"{site_name}: no IFC model given; put .ifc files into the site's models folder")
    models = [open_model(path) for path in paths]
    twin_file = out / "twin.ttl"
    earlier = _links(_earlier(twin_file, site_name))
    decisions = read_decisions(out / "review.toml")
    reading = read_models(models, {guid: row["node"] for guid, row in earlier.items()}, decisions)
    graph = Graph.from_triples(site_name, reading.triples([_shown(m.path, out) for m in models]))
    findings = validate(graph)
    changes = _compare(earlier, _links(graph))
    stated = [{"file": _shown(m.path, out), "sha256": m.sha256, "schema": m.schema} for m in models]
    plan, counts = plan_of(reading), counts_of(reading, models, findings, changes)
    report = report_of(reading, counts, findings, changes) | {"models": stated, "importer": IMPORTER_VERSION}
    report["warnings"] += _idle(decisions, reading)
    if is_quick(models):
        report["readiness"] = check(models).body()
    contents = {twin_file: graph.turtle(_header(stated)), out / "plan.json": _json(plan), out / "report.json": _json(report)}
    if mesh:
        contents[out / "rooms.glb"] = glb(list(_bodies(reading)))
    for path, content in contents.items():
        write_whole(path, content)
    return Imported(graph, plan, report, counts | {"seconds": round(monotonic_s() - start_s, 3)}, stated)


def plan_of(reading: ReadModels) -> dict[str, Any]:
    """Storeys, rooms with polygons and equipment with its place, in metres; ids are keys of the twin."""
    keys = reading.keys
    zone_of = {room: keys[group.ref] for group in reading.zones for room in reading.rooms_in(group)}
    storeys = [{"id": keys[p.ref], "name": p.name, "elevation_m": p.elevation_m} for p in reading.storeys]
    rooms = []
    for place in reading.rooms.values():
        shape = reading.shapes.get(place.ref)
        room = {
            "id": keys[place.ref],
            "name": place.name or place.long_name,
            "storey": reading.key_or_none(reading.storey_of(place.ref)),
            "area_m2": round(place.area_m2, 2) if place.area_m2 is not None else None,
            "polygons": rings(shape.floor) if shape else [],
        }
        rooms.append(room | ({"zone": zone_of[place.ref]} if place.ref in zone_of else {}))
    return {
        "storeys": sorted(storeys, key=lambda s: (s["elevation_m"], s["id"])),
        "rooms": sorted(rooms, key=lambda r: r["id"]),
        "equipment": sorted(_plan_equipment(reading), key=lambda e: str(e["id"])),
    }


def counts_of(reading: ReadModels, models: Sequence[Model], findings: Sequence[Finding], changes: Changes) -> dict[str, Any]:
    """The numbers that `import --json` prints, without the time it took."""
    verdicts = reading.classes.values()
    covered = Counter(v.coverage for v in verdicts)
    placed = [p for p in reading.placements.values() if p.room is not None]
    return {
        "schemas": [m.schema for m in models],
        "elements": {
            "total": len(reading.inventory.elements),
            "mapped": covered[Coverage.MAPPED],
            "generic": sum(v.match == "generic" for v in verdicts),
            "unmapped": covered[Coverage.UNMAPPED],
            "passive": covered[Coverage.PASSIVE],
            "by_domain": dict(sorted(Counter(v.domain for v in verdicts if v.coverage is Coverage.MAPPED).items())),
        },
        "rooms": len(reading.rooms),
        "placed": len(placed),
        "placed_low_confidence": sum(p.confidence < LOW_CONFIDENCE for p in placed),
        "feeds": len(reading.feeds),
        "points": len(reading.points),
        "bound": sum(bool(p.address and p.address.text) for p in reading.points),
        "review": sum(1 for _ in review(reading)),
        "violations": len(findings),
        **{name: len(getattr(changes, name)) for name in ("added", "removed", "moved", "changed")},
    }


def report_of(reading: ReadModels, counts: Mapping[str, Any], findings: Sequence[Finding], changes: Changes) -> dict[str, Any]:
    """All that a person should look at after an import."""
    return {
        "counts": counts,
        "review": list(review(reading)),
        "violations": [{"node": f.node, "rule": f.rule, "message": f.message} for f in findings],
        "warnings": list(_warnings(reading)),
        "changes": {name: list(getattr(changes, name)) for name in ("added", "removed", "moved", "changed")},
        "flows": flows(reading.traced, reading.serving, reading.inventory, reading.keys),
    }


def review(reading: ReadModels) -> Iterator[dict[str, Any]]:
    """Every uncertain item: what it is, what is proposed, on what evidence."""
    doubts = flow_doubts(reading.traced, reading.serving, reading.keys)
    for ref, element in reading.inventory.elements.items():
        verdict = reading.classes[ref]
        if verdict.coverage is Coverage.PASSIVE:
            continue
        placement = reading.placements[ref]
        why = [verdict.evidence] if verdict.confidence < REVIEW_BELOW else []
        why += [f"place: {placement.evidence}"] if placement.room is not None and placement.confidence < LOW_CONFIDENCE else []
        why += [f"address: {a.problem}" for a in element.addresses if a.problem]
        why += doubts.get(ref, [])
        if element.stated_class and verdict.match != "stated":
            why.append(f"stated class {element.stated_class!r} is not in Brick 1.5 or is deprecated")
        if why:
            yield {
                "id": reading.keys[ref], "global_id": element.global_id, "name": element.name, "ifc_type": ifc_type(element),
                "proposal": verdict.brick, "room": reading.key_or_none(placement.room), "confidence": verdict.confidence, "why": why,
            }  # fmt: skip


def _warnings(reading: ReadModels) -> Iterator[str]:
    double = {g: n for g, n in Counter(e.global_id for e in reading.inventory.elements.values()).items() if n > 1 and g}
    empty = sum(not e.global_id for e in reading.inventory.elements.values())
    if double:
        yield f"{len(double)} GlobalIds stand on {sum(double.values())} elements; export with unique ones, or changes cannot be followed"
    if empty:
        yield f"{empty} elements have no GlobalId"
    if reading.inventory.damaged:
        yield f"{reading.inventory.damaged} relations or placements point nowhere and were left out; export the model again"
    if reading.traced.undirected:
        yield f"{reading.traced.undirected} port connections have no flow direction; no feed was made of them"
    if reading.traced.contradicted:
        yield f"{reading.traced.contradicted} port connections state one direction on both sides; set FlowDirection anew in the model"
    if reading.traced.open_ends:
        yield f"{len(reading.traced.open_ends)} pipes, ducts or cables end in nothing; see gaps in report.json"
    yield from reading.notes
    flat = [p.name for p in reading.rooms.values() if p.ref not in reading.shapes]
    if flat:
        yield f"{len(flat)} rooms have no body with a floor, so no polygon: {', '.join(flat[:5])}"
    if not reading.storeys:
        yield "no storey in the models; rooms and equipment hang on the building"


def _idle(decisions: Mapping[str, Decision], reading: ReadModels) -> list[str]:
    known = {element.global_id for element in reading.inventory.elements.values()}
    return [f"review.toml decides on {global_id}, which no model holds any more" for global_id in sorted(decisions.keys() - known)]


def _bodies(reading: ReadModels) -> Iterator[RoomBody]:
    for ref, place in reading.rooms.items():
        shape = reading.shapes.get(ref)
        if shape is not None and shape.body is not None:
            storey = reading.key_or_none(reading.storey_of(ref))
            yield RoomBody(reading.keys[ref], place.name or place.long_name, storey, *shape.body)


def _plan_equipment(reading: ReadModels) -> Iterator[dict[str, Any]]:
    for ref in reading.equipment:
        element, placement = reading.inventory.elements[ref], reading.placements[ref]
        x, y = (round(v, 3) for v in element.position[:2]) if element.position else (None, None)
        yield {
            "id": reading.keys[ref],
            "name": element.name,
            "class": reading.classes[ref].brick.split(":", 1)[1],
            "room": reading.key_or_none(placement.room),
            "storey": reading.key_or_none(reading.storey_of_element(ref)),
            "x": x,
            "y": y,
        }


def _earlier(twin_file: Path, site_name: str) -> Graph | None:
    """The twin that stands there, if it is one of this site; a broken one is replaced, not a reason to stop."""
    try:
        graph = Graph.read(twin_file)
    except SiteError:
        return None
    return graph if graph.site == site_name else None


def _links(graph: Graph | None) -> dict[str, dict[str, str]]:
    """Nodes by GlobalId, those that only one node has."""
    rows = graph.ask("ifc_links") if graph is not None else []
    seen = Counter(row["global_id"] for row in rows)
    return {row["global_id"]: row for row in rows if seen[row["global_id"]] == 1 and row["global_id"]}


def _compare(before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]) -> Changes:
    if not before:
        return Changes()
    both = sorted(before.keys() & after.keys())
    return Changes(
        tuple(after[g]["node"] for g in sorted(after.keys() - before.keys())),
        tuple(before[g]["node"] for g in sorted(before.keys() - after.keys())),
        tuple(after[g]["node"] for g in both if before[g].get("place") != after[g].get("place")),
        tuple(after[g]["node"] for g in both if any(before[g][k] != after[g][k] for k in ("class", "name"))),
    )


def _header(models: Sequence[Mapping[str, str]]) -> list[str]:
    return [f"model {m['file']} sha256 {m['sha256']} schema {m['schema']}" for m in models] + [f"wattproof importer {IMPORTER_VERSION}"]


def _shown(path: Path, out: Path) -> str:
    """The model's path as the site knows it: relative to the site's folder, else the bare name (never a machine's path)."""
    full = path.resolve()
    return full.relative_to(out.resolve()).as_posix() if full.is_relative_to(out.resolve()) else path.name


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1).encode() + b"\n"
