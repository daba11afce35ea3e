"""The command `import`: IFC models to one Brick twin."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from bim.importing import Imported, import_models
from twin.adopting import adopt
from twin.errors import SiteError
from twin.shapes import validate
from twin.site import find_site, load_site
from twin.words import slug


def import_(
    what: Annotated[list[str], typer.Argument(metavar="SITE | FILE...", help="A site (name or folder), or IFC files together with --out.")],
    out: Annotated[Path | None, typer.Option(help="Folder for twin.ttl, plan.json and report.json, when files are given.")] = None,
    mesh: Annotated[bool, typer.Option("--mesh", help="Write the rooms' bodies too, as rooms.glb (glTF 2.0) for a 3D view.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Turn IFC models into one Brick twin, with a report of what needs a look; somebody else's Brick model (.ttl) is adopted."""
    if out is not None and len(what) == 1 and what[0].lower().endswith(".ttl"):
        _adopt(Path(what[0]), out, as_json)
        return
    imported = _import_files([Path(w) for w in what], out, mesh) if out is not None else _import_site(what, mesh)
    if as_json:
        print(json.dumps(imported.counts, ensure_ascii=False))
    else:
        _tell(imported)


def _adopt(model: Path, out: Path, as_json: bool) -> None:
    """A Brick model that somebody else made becomes a twin: twin.ttl, and what was put right on the way."""
    adopted = adopt(model, slug(out.resolve().name))
    findings = validate(adopted.graph)
    counts = {
        "site": adopted.graph.site,
        "points": len(adopted.graph.points()),
        "equipment": len(adopted.graph.ask("equipment")),
        "violations": len(findings),
        "notes": list(adopted.notes),
    }
    adopted.graph.write(out / "twin.ttl", [f"adopted from {model.name} sha256 {hashlib.sha256(model.read_bytes()).hexdigest()}"])
    if as_json:
        print(json.dumps(counts, ensure_ascii=False))
        return
    print(f"{counts['site']}: {counts['equipment']} pieces of equipment, {counts['points']} points, {counts['violations']} rule violations")
    for note in adopted.notes:
        print(f"  note: {note}", file=sys.stderr)


def _import_site(what: list[str], mesh: bool) -> Imported:
    if len(what) != 1:
        raise SiteError(f"got {len(what)} names; give one site, or IFC files together with --out DIR")
    if what[0].lower().endswith(".ifc"):
        raise SiteError(f"{what[0]}: for IFC files say where the twin goes with --out DIR; without it, give a site")
    site = load_site(find_site(what[0]))
    return import_models(site.models, site.folder, site.name, mesh)


def _import_files(paths: list[Path], out: Path, mesh: bool) -> Imported:
    return import_models(paths, out, slug(out.resolve().name), mesh)


def _tell(imported: Imported) -> None:
    counts, elements = imported.counts, imported.counts["elements"]
    print(f"{imported.graph.site}: {', '.join(m['file'] for m in imported.models)}")
    print(
        f"  elements {elements['total']}: {elements['mapped']} mapped ({elements['generic']} to a general class), "
        f"{elements['unmapped']} unmapped, {elements['passive']} passive"
    )
    print(f"  rooms {counts['rooms']}, placed {counts['placed']} ({counts['placed_low_confidence']} unsure), feeds {counts['feeds']}")
    print(f"  points {counts['points']}, bound to an address {counts['bound']}")
    print(f"  for review {counts['review']}, rule violations {counts['violations']}, {counts['seconds']} s")
    if any(counts[name] for name in ("added", "removed", "moved", "changed")):
        print("  since the last import: " + ", ".join(f"{counts[name]} {name}" for name in ("added", "removed", "moved", "changed")))
    for warning in imported.report["warnings"]:
        print(f"  note: {warning}", file=sys.stderr)
