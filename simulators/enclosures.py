"""What encloses the zones of a simulated site: plant/fabric.csv and neighbours.csv, measured from models and open to correction."""

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from twin.errors import SiteError

FABRIC, NEIGHBOURS = "fabric.csv", "neighbours.csv"


@dataclass(frozen=True)
class Enclosure:
    """Height in m, areas in m²: windows, outer wall with its windows, roof, ground, to rooms without heating, and to other zones."""

    height_m: float
    window_m2: float
    facade_m2: float
    roof_m2: float
    ground_m2: float
    unheated_m2: float = 0.0
    shared: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.height_m > 0:
            raise ValueError(f"height_m must be above 0, got {self.height_m:g}")
        if self.window_m2 > self.facade_m2:
            raise ValueError(f"window_m2 must lie within facade_m2, got {self.window_m2:g} of {self.facade_m2:g}")


NO_ENCLOSURES: Mapping[str, Enclosure] = {}
AREAS = tuple(f.name for f in fields(Enclosure) if f.name != "shared")


def read_enclosures(folder: Path) -> dict[str, Enclosure]:
    """Both files of a folder by zone; SiteError names the line of what cannot be."""
    shared: dict[str, dict[str, float]] = {}
    for line, row in _rows(folder / NEIGHBOURS, ("zone", "neighbour", "area_m2")):
        area = _number(folder / NEIGHBOURS, line, "area_m2", row)
        for one, other in ((row["zone"], row["neighbour"]), (row["neighbour"], row["zone"])):
            shared.setdefault(one, {})[other] = area
    found = {}
    for line, row in _rows(folder / FABRIC, ("zone", *AREAS)):
        values = {name: _number(folder / FABRIC, line, name, row) for name in AREAS}
        try:
            found[row["zone"]] = Enclosure(**values, shared=shared.get(row["zone"], {}))
        except ValueError as error:
            raise SiteError(f"{folder / FABRIC} line {line}: {error}") from None
    return found


def fabric_text(enclosures: Mapping[str, Enclosure], sources: Mapping[str, str]) -> str:
    """fabric.csv; `sources` says of each zone where its figures are from."""
    out = io.StringIO()
    sheet = csv.writer(out, lineterminator="\n")
    sheet.writerow(["zone", *AREAS, "source"])
    for zone, e in sorted(enclosures.items()):
        sheet.writerow([zone, *(f"{getattr(e, name):.2f}" for name in AREAS), sources[zone]])
    return out.getvalue()


def neighbours_text(enclosures: Mapping[str, Enclosure]) -> str:
    """neighbours.csv; each pair stands once."""
    out = io.StringIO()
    sheet = csv.writer(out, lineterminator="\n")
    sheet.writerow(["zone", "neighbour", "area_m2"])
    pairs = {(min(zone, other), max(zone, other)): area for zone, e in enclosures.items() for other, area in e.shared.items()}
    sheet.writerows([zone, other, f"{area:.2f}"] for (zone, other), area in sorted(pairs.items()))
    return out.getvalue()


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise SiteError(f"{path}: cannot be read ({error}); plant.toml names its folder, put it there or take `fabric` out") from None
    for line, row in enumerate(rows, start=2):
        missing = [name for name in columns if not row.get(name)]
        if missing:
            raise SiteError(f"{path} line {line}: no {missing[0]}; expected the columns {', '.join(columns)}")
        yield line, row


def _number(path: Path, line: int, name: str, row: Mapping[str, str]) -> float:
    try:
        value = float(row[name])
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise SiteError(f"{path} line {line}: {name} must be a number, 0 or above, got {row[name]!r}")
    return value
