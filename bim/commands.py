"""The command `import`: IFC models to one Brick twin."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bim.apart import Outcome, import_apart
from bim.importing import PROPOSALS, Beside
from twin.adopting import adopt
from twin.clock import wall_now
from twin.errors import SiteError
from twin.history import History
from twin.journal import Journal, Record
from twin.scans import FILE_NAME, read_scan
from twin.shapes import validate
from twin.site import Site, find_site, load_site, state_root
from twin.state import StateFolder
from twin.words import slug

_FINDINGS_SHOWN = 10  # in a terminal


def import_(
    what: Annotated[list[str], typer.Argument(metavar="SITE | FILE...", help="A site (name or folder), or IFC files together with --out.")],
    out: Annotated[Path | None, typer.Option(help="Folder for twin, plan, reports and review.toml, when files are given.")] = None,
    mesh: Annotated[bool, typer.Option("--mesh", help="Write the rooms' bodies too, as rooms.glb (glTF 2.0) for a 3D view.")] = False,
    readiness: Annotated[
        bool, typer.Option("--readiness", help="Check readiness of models over 20 MB too (100 MB: half a minute).")
    ] = False,
    scan: Annotated[Path | None, typer.Option(help="A scan.json of `wattproof discover`; a site's own is found by itself.")] = None,
    state: Annotated[
        str | None, typer.Option("--state", help="where the site's state lives (default: WATTPROOF_STATE, else ~/.local/state/wattproof)")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Turn IFC models into one Brick twin, with a report of what needs a look; somebody else's Brick model (.ttl) is adopted."""
    if out is not None and len(what) == 1 and what[0].lower().endswith(".ttl"):
        _adopt(Path(what[0]), out, as_json)
        return
    if out is not None:
        imported = _import_files([Path(w) for w in what], out, scan, mesh=mesh, readiness=readiness)
    else:
        imported = _import_site(what, scan, state, mesh=mesh, readiness=readiness)
    if as_json:
        print(json.dumps(imported.counts, ensure_ascii=False))
    else:
        _tell(imported)


def _adopt(model: Path, out: Path, as_json: bool) -> None:
    """A Brick model that somebody else made becomes a twin: twin.ttl, and what was put right on the way."""
    adopted = adopt(model, slug(out.resolve().name))
    findings = validate(adopted.graph)
    counts: dict[str, Any] = {
        "site": adopted.graph.site,
        "points": len(adopted.graph.points()),
        "equipment": len(adopted.graph.ask("equipment")),
        "violations": len(findings),
        "findings": [f"{f.node}, {f.rule}: {f.message}" for f in findings],
        "notes": list(adopted.notes),
    }
    adopted.graph.write(out / "twin.ttl", [f"adopted from {model.name} sha256 {hashlib.sha256(model.read_bytes()).hexdigest()}"])
    if as_json:
        print(json.dumps(counts, ensure_ascii=False))
        return
    print(f"{counts['site']}: {counts['equipment']} pieces of equipment, {counts['points']} points, {counts['violations']} rule violations")
    for finding in counts["findings"][:_FINDINGS_SHOWN]:
        print(f"  violation: {finding}", file=sys.stderr)
    if len(findings) > _FINDINGS_SHOWN:
        print(f"  and {len(findings) - _FINDINGS_SHOWN} more; --json prints all", file=sys.stderr)
    for note in adopted.notes:
        print(f"  note: {note}", file=sys.stderr)


def _import_site(what: list[str], scan: Path | None, state: str | None, **extras: bool) -> Outcome:
    if len(what) != 1:
        raise SiteError(f"got {len(what)} names; give one site, or IFC files together with --out DIR")
    if what[0].lower().endswith(".ifc"):
        raise SiteError(f"{what[0]}: for IFC files say where the twin goes with --out DIR; without it, give a site")
    site = load_site(find_site(what[0]))
    folder = StateFolder(state_root(state, site)).site(site.name)
    found = read_scan(_existing(scan) or folder / FILE_NAME)
    imported = import_apart(site.models, site.folder, site.name, beside=Beside(found, _with_history(folder)), **extras)
    write_down(site, folder, "import", dict(imported.journal_body))
    return imported


def _import_files(paths: list[Path], out: Path, scan: Path | None, **extras: bool) -> Outcome:
    found = read_scan(_existing(scan) or out / FILE_NAME)
    return import_apart(paths, out, slug(out.resolve().name), beside=Beside(found), **extras)


def _existing(scan: Path | None) -> Path | None:
    if scan is not None and not scan.is_file():
        raise SiteError(f"{scan}: no such scan; make one with `wattproof discover`")
    return scan


def write_down(site: Site, folder: Path, kind: str, *bodies: dict[str, object]) -> None:
    """Rows of one kind into the site's journal. A simulated site's clock stands where its last run left it."""
    journal = Journal(folder / "journal.db")
    last = journal.after(journal.size() - 1) if site.simulated and journal.size() else []
    at = last[0].at if last else wall_now()
    journal.append(Record(kind, at, body) for body in bodies)
    journal.close()


def _with_history(folder: Path) -> set[str]:
    """Points that have readings: a new import may retire them, never drop them."""
    if not (folder / "history.db").exists():
        return set()
    history = History(folder / "history.db")
    points = set(history.latest())
    history.close()
    return points


def _tell(imported: Outcome) -> None:
    counts, elements = imported.counts, imported.counts["elements"]
    print(f"{imported.site}: {', '.join(m['file'] for m in imported.models)}")
    print(
        f"  elements {elements['total']}: {elements['mapped']} mapped ({elements['generic']} to a general class), "
        f"{elements['unmapped']} unmapped, {elements['passive']} passive"
    )
    print(f"  rooms {counts['rooms']}, placed {counts['placed']} ({counts['placed_low_confidence']} unsure), feeds {counts['feeds']}")
    sources = ", ".join(f"{n} by {source}" for source, n in imported.report["binding"]["by_source"].items())
    print(f"  points {counts['points']}, bound to an address {counts['bound']}" + (f" ({sources})" if sources else ""))
    print(f"  for review {counts['review']}, rule violations {counts['violations']}, {counts['seconds']} s")
    kinds = ("added", "removed", "moved", "changed", "retired")
    if any(counts[name] for name in kinds):
        print("  since the last import: " + ", ".join(f"{counts[name]} {name}" for name in kinds))
    if "readiness" not in imported.report:
        print("  readiness not checked, the models are over 20 MB; import with --readiness")
    if counts["review"]:
        print(f"  look at report.html; decide with `wattproof review` or from {PROPOSALS}")
    for warning in imported.report["warnings"]:
        print(f"  note: {warning}", file=sys.stderr)
