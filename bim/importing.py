"""IFC models to one Brick twin: twin, plan, reports and proposals, written all or none; people's decisions stay as they wrote them."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shapely.errors import ShapelyError

from bim.aside import Later, aside
from bim.binding import Addressed, bind_points
from bim.classifying import Coverage
from bim.comparing import Changes, Thing, compare, kept_keys, retire, retired_triples, things_of
from bim.opening import DAMAGED, Model, open_model
from bim.placing import LOW_CONFIDENCE
from bim.proposals import FIRST_REVIEW, elements_decided, proposals_text, review
from bim.readiness import check, is_quick
from bim.reading import ReadModels, read_models
from bim.reporting import Report, bodies, plan_of, report_of
from bim.reporting_html import page
from bim.review import Decisions, read_decisions
from bim.room_mesh import glb
from bim.shares import shares
from bim.tables import unit_of
from twin.clock import monotonic_s
from twin.errors import ModelError, SiteError, StateError
from twin.graph import Graph, Triple
from twin.points import point_rows
from twin.scans import FILE_NAME, Scan, read_scan
from twin.shapes import validate
from twin.state import write_all_whole

IMPORTER_VERSION = "4"  # stands in twin.ttl; goes up when the same model would give another twin
PROPOSALS = "review.proposals.toml"


@dataclass(frozen=True)
class Imported:
    """A finished import: the graph, what stands in plan.json and report.json, and the counts that `import --json` prints."""

    graph: Graph
    plan: Mapping[str, Any]
    report: Mapping[str, Any]
    counts: Mapping[str, Any]
    models: Sequence[Mapping[str, str]]  # file, sha256, schema: what the journal's `import` row holds
    review_sha256: str  # of the decisions that were applied; empty where there are none

    def journal_body(self) -> dict[str, object]:
        """The body of the journal's `import` row."""
        return {"models": list(self.models), "version": IMPORTER_VERSION, "counts": dict(self.counts), "review": self.review_sha256}


@dataclass(frozen=True)
class Beside:
    """What an import uses beside the models: a scan, and the points that have a history and so may not vanish."""

    scan: Scan | None = None
    with_history: Collection[str] = field(default=())


def import_models(
    paths: Sequence[Path], out: Path, site_name: str, mesh: bool = False, beside: Beside | None = None, readiness: bool = False
) -> Imported:
    """Read the models as one site and write everything into `out`. Nothing is written if anything fails.

    `mesh` writes the rooms' bodies too; `readiness` checks models of any size, where only quick checks are made without being asked.
    """
    start_s = monotonic_s()
    if not paths:
        raise ModelError(f"{site_name}: no IFC model given; put .ifc files into the site's models folder")
    if out.exists() and not out.is_dir():
        raise StateError(f"{out}: cannot be written into, it is a file; give a folder")
    beside = beside or Beside(read_scan(out / FILE_NAME))
    models = _each_once([open_model(path) for path in paths])
    wanted = readiness or is_quick(models)
    with aside(lambda: check(models).body() if wanted else None) as ready:
        done = _import(models, out, site_name, mesh, beside, ready)
    return replace(done, counts={**done.counts, "seconds": round(monotonic_s() - start_s, 3)})


def _import(
    models: Sequence[Model], out: Path, site_name: str, mesh: bool, beside: Beside, ready: Later[dict[str, Any] | None]
) -> Imported:
    before = things_of(_earlier(out / "twin.ttl", site_name))
    decisions = read_decisions(out / "review.toml")
    sheet = {row["point"]: row for _, row in point_rows(out / "points.csv")}
    files = [_shown(m.path, out) for m in models]
    reading = _read(models, kept_keys(before), decisions)
    unbound = Graph.from_triples(site_name, reading.triples(files)) if beside.scan is not None else None  # only a scan asks for owners
    addressed = bind_points(reading, unbound, sheet, decisions, beside.scan)
    retired = retire(before, set(addressed.reading.keys.values()), {*sheet, *beside.with_history})
    triples = [*addressed.reading.triples(files), *_retired(retired, before, addressed.reading)]
    graph = Graph.from_triples(site_name, triples)
    findings = validate(graph)
    changes = compare(before, things_of(graph), {t.node for t in retired}) if before else Changes()
    stated = [{"file": file, "sha256": m.sha256, "schema": m.schema} for file, m in zip(files, models, strict=True)]
    waiting = review(addressed, decisions)
    plan, counts = plan_of(addressed.reading), counts_of(addressed, models, len(findings), changes, len(waiting))
    readiness, unready = _readiness(ready)
    warnings = [*_idle(decisions, addressed), *_lost_rows(out / "points.csv", graph), *unready]
    report = report_of(Report(site_name, stated, IMPORTER_VERSION, addressed, counts, findings, changes, warnings, waiting, beside.scan))
    report["decided"] = elements_decided(addressed.reading, decisions)
    if readiness is not None:
        report["readiness"] = readiness
    contents = {
        out / "twin.ttl": graph.turtle(_header(stated)),
        out / "plan.json": _json(plan),
        out / "report.json": _json(report),
        out / "report.html": page(report, plan).encode(),
        out / PROPOSALS: proposals_text(report["review"]).encode(),
    }
    if mesh:
        contents[out / "rooms.glb"] = glb(list(bodies(addressed.reading)))
    if not (out / "review.toml").exists():
        contents[out / "review.toml"] = FIRST_REVIEW.encode()
    write_all_whole(contents)
    return Imported(graph, plan, report, counts, stated, _sha256(out / "review.toml"))


def _readiness(ready: Later[dict[str, Any] | None]) -> tuple[dict[str, Any] | None, list[str]]:
    """What the models lack, or the sentence that it could not be found out: readiness informs and never blocks."""
    try:
        return ready.result(), []
    except EOFError:
        return None, ["the readiness check crashed the IFC library, so a reference in a model is damaged; the twin was made without it"]


def _each_once(models: list[Model]) -> list[Model]:
    """The models; ModelError when two files are the same, which would put everything there twice."""
    first: dict[str, Path] = {}
    for model in models:
        if (other := first.setdefault(model.sha256, model.path)) is not model.path:
            raise ModelError(f"{model.path}: the same file as {other}, byte by byte; give each model once")
    return models


def _read(models: Sequence[Model], earlier_keys: Mapping[str, str], decisions: Decisions) -> ReadModels:
    """The models as one building; what the IFC and geometry libraries cannot stomach is said of the models, not of us."""
    try:
        return read_models(models, earlier_keys, decisions)
    except (*DAMAGED, ShapelyError) as error:
        names, reason = ", ".join(str(m.path) for m in models), " ".join(str(error).split())[:200]
        raise ModelError(f"{names}: a model is damaged ({reason}); export it again") from error


def counts_of(addressed: Addressed, models: Sequence[Model], violations: int, changes: Changes, waiting: int) -> dict[str, Any]:
    """The numbers that `import --json` prints, without the time it took."""
    reading = addressed.reading
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
            "share_percent": shares(verdicts, reading.places.values(), reading.zones),
            "by_domain": dict(sorted(Counter(v.domain for v in verdicts if v.coverage is Coverage.MAPPED).items())),
        },
        "rooms": len(reading.rooms),
        "placed": len(placed),
        "placed_low_confidence": sum(p.confidence < LOW_CONFIDENCE for p in placed),
        "feeds": len(reading.feeds),
        "points": len(reading.points),
        "bound": len(addressed.sources()),
        "review": waiting,
        "violations": violations,
        **changes.counts(),
    }


def _retired(retired: Sequence[Thing], before: Mapping[str, Thing], reading: ReadModels) -> Iterator[Triple]:
    """Retired points hang on their owner while that stands, else on the building."""
    present = set(reading.keys.values())
    fallback = next((reading.keys[r] for kind in ("building", "site") for r, p in reading.places.items() if p.kind == kind), "")
    for thing in retired:
        owner = thing.values["owner"]
        yield from retired_triples(thing, unit_of(f"brick:{thing.values['class']}"), owner if owner in present else fallback)


def _lost_rows(path: Path, graph: Graph) -> Iterator[str]:
    """Rows of points.csv that name no point of the new twin: `check` and every reader of the site would stop there."""
    rows = list(point_rows(path))
    points = {p.id: p for p in graph.points()} if rows else {}
    for line, row in rows:
        if row["point"] not in points:
            yield f"points.csv line {line}: {row['point']} is not in the twin; correct it or take the row away, or the site cannot run"
        elif points[row["point"]].retired:
            yield f"points.csv line {line}: {row['point']} is retired, no model holds it; it is neither read nor written"
        elif row.get("writable") == "yes" and not row.get("address"):
            binding = points[row["point"]].binding
            if binding is not None and not binding.accepted:
                yield f"points.csv line {line}: {row['point']} is writable, but only a scan says its address; accept that first"


def _idle(decisions: Decisions, addressed: Addressed) -> list[str]:
    """Decisions that decide nothing any more."""
    marks, keys = set(addressed.reading.marks.values()), {e.global_id for e in addressed.reading.inventory.elements.values()}
    idle = []
    for known_by in sorted(decisions.elements.keys() - marks):
        shared = known_by in keys
        end = "which stands on several elements; decide by the ids of review.proposals.toml" if shared else "which no model holds any more"
        idle.append(f"review.toml decides on {known_by}, {end}")
    return [*idle, *addressed.warnings, *addressed.reading.unresolved]


def _earlier(twin_file: Path, site_name: str) -> Graph | None:
    """The twin that stands there, if it is one of this site; a broken one is replaced, not a reason to stop."""
    try:
        graph = Graph.read(twin_file)
    except SiteError:
        return None
    return graph if graph.site == site_name else None


def _header(models: Sequence[Mapping[str, str]]) -> list[str]:
    return [f"model {m['file']} sha256 {m['sha256']} schema {m['schema']}" for m in models] + [f"wattproof importer {IMPORTER_VERSION}"]


def _shown(path: Path, out: Path) -> str:
    """The model's path as the site knows it: relative to the site's folder, else the bare name (never a machine's path)."""
    full = path.resolve()
    return full.relative_to(out.resolve()).as_posix() if full.is_relative_to(out.resolve()) else path.name


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1).encode() + b"\n"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
