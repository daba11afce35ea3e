"""What an import tells: the floor plan as data, and everything a person should look at, for report.json and report.html."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shapely.geometry.base import BaseGeometry

from bim.binding import Addressed
from bim.classifying import Coverage, ifc_type
from bim.comparing import Changes
from bim.flow_report import flows
from bim.marks import broken_global_ids
from bim.placing import LOW_CONFIDENCE
from bim.reading import ReadModels, node_of
from bim.room_mesh import RoomBody
from bim.rooms import RoomShape, areas_only, rings
from twin.scans import Scan
from twin.shapes import Finding


@dataclass(frozen=True)
class Report:
    """All that a report is made from."""

    site: str
    models: Sequence[Mapping[str, str]]
    importer: str
    addressed: Addressed
    counts: Mapping[str, Any]
    findings: Sequence[Finding]
    changes: Changes
    warnings: Sequence[str]
    waiting: Sequence[Mapping[str, Any]]  # what a person should decide on
    scan: Scan | None


def report_of(made: Report) -> dict[str, Any]:
    """The report as plain values; the same input gives the same report."""
    reading = made.addressed.reading
    return {
        "site": made.site,
        "models": list(made.models),
        "importer": made.importer,
        "counts": made.counts,
        "domains": domains(reading),
        "unmapped": _unmapped(reading),
        "placement": dict(sorted(Counter(_rung(p.evidence) for p in reading.placements.values()).items())),
        "unsure": sorted(key for ref, key in reading.keys.items() if ref in reading.placements and _is_unsure(reading, ref)),
        "feeds": _feeds(reading),
        "flows": flows(reading.traced, reading.serving, reading.inventory, reading.keys),
        "points": _points(made.addressed),
        "binding": _binding(made),
        "review": list(made.waiting),
        "violations": [{"node": f.node, "rule": f.rule, "message": f.message} for f in made.findings],
        "warnings": [*_warnings(reading), *made.warnings],
        "changes": made.changes.rows(),
    }


def domains(reading: ReadModels) -> dict[str, dict[str, int]]:
    """Elements by domain: mapped (of these generic) and, under `none`, what no table or name rule knows."""
    found: dict[str, dict[str, int]] = {}
    for verdict in reading.classes.values():
        if verdict.coverage is not Coverage.PASSIVE:
            row = found.setdefault("none" if verdict.coverage is Coverage.UNMAPPED else verdict.domain, {"elements": 0, "generic": 0})
            row["elements"] += 1
            row["generic"] += verdict.match == "generic"
    return dict(sorted(found.items()))


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
            "polygons": rings(_open_floor(shape, reading.voids.get(place.ref))) if shape else [],
        }
        rooms.append(room | ({"zone": zone_of[place.ref]} if place.ref in zone_of else {}))
    return {
        "storeys": sorted(storeys, key=lambda s: (s["elevation_m"], s["id"])),
        "rooms": sorted(rooms, key=lambda r: r["id"]),
        "equipment": sorted(_plan_equipment(reading), key=lambda e: str(e["id"])),
    }


def _open_floor(shape: RoomShape, void: BaseGeometry | None) -> BaseGeometry:
    """A room's floor without the openings in the slab below it."""
    return shape.floor if void is None else areas_only(shape.floor.difference(void)) or shape.floor


def bodies(reading: ReadModels) -> Iterator[RoomBody]:
    """The rooms' bodies for a 3D view."""
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


def _is_unsure(reading: ReadModels, ref: Any) -> bool:
    placement = reading.placements[ref]
    return reading.classes[ref].confidence < LOW_CONFIDENCE or placement.confidence < LOW_CONFIDENCE


def _rung(evidence: str) -> str:
    return "reviewed" if evidence.startswith("reviewed") else evidence


def _unmapped(reading: ReadModels) -> list[dict[str, Any]]:
    """What became general equipment, by IFC type with the reason and one example."""
    found: dict[tuple[str, str], list[str]] = {}
    for ref, verdict in reading.classes.items():
        if verdict.coverage is Coverage.UNMAPPED:
            found.setdefault((ifc_type(reading.inventory.elements[ref]), verdict.evidence), []).append(reading.keys[ref])
    return [{"ifc_type": kind, "why": why, "elements": len(keys), "example": min(keys)} for (kind, why), keys in sorted(found.items())]


def _feeds(reading: ReadModels) -> list[dict[str, str]]:
    keys = reading.keys
    edges = [{"from": keys[feed.source], "to": keys[feed.target], "evidence": feed.evidence} for feed in reading.traced.feeds]
    edges += [{"from": keys[s.terminal], "to": keys[s.target], "evidence": s.evidence} for s in reading.serving]
    return sorted(edges, key=lambda e: (e["from"], e["to"]))


def _points(addressed: Addressed) -> list[dict[str, Any]]:
    reading, sources = addressed.reading, addressed.sources()
    rows = []
    for point in reading.points:
        key = reading.keys[node_of(point)]
        address = addressed.sheet.get(key) or (point.address.text if point.address else "")
        rows.append(
            {
                "id": key,
                "class": point.brick.removeprefix("brick:"),
                "unit": point.unit,
                "owner": reading.key_or_none(point.owner),
                "address": address or None,
                "bound_by": sources.get(key),
            }
        )
    return sorted(rows, key=lambda r: r["id"])


def _binding(made: Report) -> dict[str, Any]:
    """Where addresses come from, what the scan matched by itself, and what is left on both sides."""
    matched, sources = made.addressed.matched, made.addressed.sources()
    keys = [made.addressed.reading.keys[node_of(p)] for p in made.addressed.reading.points]
    return {
        "by_source": dict(sorted(Counter(sources.values()).items())),
        "scan_at": made.scan.at if made.scan else None,
        "matched": [{"address": m.address, "point": m.point, "confidence": m.score, "evidence": m.evidence} for m in matched.bound],
        "objects_left": list(matched.objects_left),
        "points_left": sorted(key for key in keys if key not in sources),
        "connections_to_add": sorted(
            {f"{d.connection}: {d.protocol}, {d.address}, device {d.id}" for d in made.scan.devices if not d.known} if made.scan else ()
        ),
        "problems": list(made.scan.problems) if made.scan else [],
    }


def _warnings(reading: ReadModels) -> Iterator[str]:
    elements = reading.inventory.elements
    double = {g: n for g, n in Counter(e.global_id for e in elements.values()).items() if n > 1 and g}
    empty = sum(not e.global_id for e in elements.values())
    broken = broken_global_ids(elements)
    if double:
        yield f"{len(double)} GlobalIds stand on {sum(double.values())} elements; export with unique ones, or changes are hard to follow"
    if empty:
        yield f"{empty} elements have no GlobalId"
    if broken:
        yield f"{len(broken)} GlobalIds are malformed (not 22 characters of IFC's base 64), such as {broken[0]!r}; export the model again"
    yield from dict.fromkeys(reading.inventory.notes)
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
    nowhere = sum(elements[ref].position is None for ref in reading.placements)
    if nowhere:
        yield f"{nowhere} elements have no placement; they stand where the model contains them, and on no plan"
    if not reading.storeys:
        yield "no storey in the models; rooms and equipment hang on the building"
