"""A whole simulated site from real IFC models: the models as they are, a designed one beside them, and an rc plant of what they enclose."""

import csv
import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bim.importing import import_models
from bim.surveying import survey
from simulators.author import Limits, author_connections, author_model, author_points
from simulators.design import DesignPoint, design_points
from simulators.enclosures import FABRIC, NEIGHBOURS, fabric_text, neighbours_text
from simulators.ifc_design import Design, design_site
from simulators.rc_building import Asks, RcBuilding, RcParameters, layout_from_graph
from simulators.site_folder import name_for, sha256_of, site_text, toml_text, whole
from simulators.weather import Weather, read_epw
from twin.check import check_site
from twin.errors import ModelError, SiteError
from twin.state import write_whole

Say = Callable[[str], None]
MARGIN = 1.001  # a limit a little above the sized value, so that rounding to float32 stays inside
README = """# {name}

A simulated site made by `wattproof site-from-ifc` from {models} with the weather of {place}.

{rooms} rooms were found, {zones} zones are given air, {points} points are designed ({writable} of them writable).
**Every point is designed, not found**: `designed.csv` lists each with its owner, and says whether the owner was found or is assumed.
`models/{designed}` holds the design as IFC, beside the models as they came.

## Assumed, because no model says it

{assumed}

## Rooms without air

{unserved}

## Found and left alone

{left}
"""
PLANT = """engine = "rc"
weather = {weather}
weather_sha256 = {weather_sha256}
start = "07-14"
fabric = "plant"
"""


@dataclass(frozen=True)
class MadeIfcSite:
    """What was made, and everything in it that no model says."""

    folder: Path
    rooms: int
    zones: int
    air_handlers: int
    found_equipment: int
    points: int
    writable: int
    assumed: tuple[str, ...]
    unserved: tuple[str, ...]
    left_alone: tuple[str, ...]
    notes: tuple[str, ...]
    violations: int

    def as_row(self) -> dict[str, Any]:
        """The figures for `--json`."""
        return {**{k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items()}, "folder": str(self.folder)}


def make_ifc_site(models: Sequence[Path], weather: Path, folder: Path, say: Say) -> MadeIfcSite:
    """Write a site folder, whole or not at all; the errors name the file and what to mend."""
    name = name_for(folder)
    twice = [path.name for path in models if [p.name for p in models].count(path.name) > 1]
    if twice:
        raise ModelError(f"{twice[0]}: two models have this file name; rename one")
    climate = read_epw(weather)
    say(f"reading {len(models)} model{'s' if len(models) > 1 else ''}")
    found = survey(models)
    say(f"designing for {len(found.rooms)} rooms and {len(found.equipment)} pieces of equipment")
    design = design_site(found, name)
    points = design_points(design.building)
    with whole(folder) as partial:
        say(f"writing {len(points)} points")
        designed = _write(partial, design, points, models, (weather, climate), len(found.rooms))
        say("importing the models and the design as one building")
        imported = import_models(sorted((partial / "models").glob("*.ifc")), partial, name)
        limits = _limits(imported.graph, design, points)
        write_whole(partial / "points.csv", author_points(design.building, limits).encode())
        _must_hold(partial, designed)
        partial_violations = int(imported.counts["violations"])
    return MadeIfcSite(
        folder, len(found.rooms), len(design.building.zones), len(design.building.air_handlers), len(design.known.equipment),
        len(points), sum(p.row["writable"] == "yes" for p in points), design.assumed, design.unserved, design.left_alone,
        found.notes, partial_violations,
    )  # fmt: skip


def _write(
    folder: Path, design: Design, points: Sequence[DesignPoint], models: Sequence[Path], weather: tuple[Path, Weather], rooms: int
) -> str:
    """Everything but what an import makes; the name of the designed model comes back."""
    (epw, climate), building = weather, design.building
    designed = f"{max(path.stem for path in models)}_designed.ifc"  # sorts after the models that it speaks of
    for place, sources in (("models", models), ("plant", [epw])):
        (folder / place).mkdir()
        for source in sources:
            shutil.copyfile(source, folder / place / source.name)
    write_whole(folder / "models" / designed, author_model(building, known=design.known))
    write_whole(folder / "plant" / FABRIC, fabric_text(design.enclosures, design.sources).encode())
    write_whole(folder / "plant" / NEIGHBOURS, neighbours_text(design.enclosures).encode())
    write_whole(folder / "points.csv", author_points(building).encode())
    write_whole(folder / "designed.csv", _designed_text(design, points).encode())
    site = site_text("IFC models", building.name, climate, epw, design.area_m2)
    write_whole(folder / "site.toml", (site + author_connections(building)).encode())
    plant = PLANT.format(weather=toml_text(f"plant/{epw.name}"), weather_sha256=toml_text(sha256_of(epw)))
    write_whole(folder / "plant.toml", plant.encode())
    readme = README.format(
        name=building.name, models=", ".join(f"`{path.name}`" for path in models), place=climate.name, rooms=rooms,
        zones=len(building.zones), points=len(points), writable=sum(p.row["writable"] == "yes" for p in points), designed=designed,
        assumed=_listed(design.assumed), unserved=_listed(design.unserved), left=_listed(design.left_alone),
    )  # fmt: skip
    write_whole(folder / "README.md", readme.encode())
    return designed


def _designed_text(design: Design, points: Sequence[DesignPoint]) -> str:
    """One row a point: nothing here was found, but some of the equipment was."""
    out = io.StringIO()
    sheet = csv.writer(out, lineterminator="\n")
    sheet.writerow(["point", "origin", "template", "brick", "owner", "owner_is", "owner_global_id"])
    for point in sorted(points, key=lambda p: p.id):
        there = design.known.equipment.get(point.owner)
        owner, kind, global_id = (there.name, "found", there.global_id) if there else (point.owner, "assumed", "")
        sheet.writerow([point.id, "designed", point.place, point.row["brick"], owner, kind, global_id])
    return out.getvalue()


def _limits(graph: Asks, design: Design, points: Sequence[DesignPoint]) -> Limits:
    """Outdoor air and pressure as this building's own air handlers are sized."""
    layout = layout_from_graph(graph, design.enclosures)
    building = RcBuilding(layout, RcParameters())
    limits: dict[str, Mapping[str, str]] = {}
    for n, tags in enumerate(layout.air_handlers.values()):
        high, least = float(building.fan_max[n]), float(building.outdoor_air_minimum[n])
        if "oa_f_sp" in tags:
            limits[tags["oa_f_sp"]] = {"low": "0", "high": f"{max(high, least) * MARGIN:.6g}", "fallback": f"{min(least, high):.6g}"}
    known = {p.id for p in points}
    assert limits.keys() <= known
    return limits


def _must_hold(folder: Path, designed: str) -> None:
    """A site that our own checks refuse is not handed out."""
    if findings := check_site(folder):
        first = findings[0]
        raise SiteError(f"the models and the design ({designed}) do not make one site: {first.where}: {first.message}")


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) or "Nothing."
