"""The point book: every point of a site with its Brick class, unit, owner, limits and address, from the twin and points.csv."""

import csv
import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from twin.addresses import BacnetAddress, parse_address
from twin.errors import SiteError
from twin.life_safety import by_class, by_name
from twin.words import RATES, Binding, Limits, Point

COLUMNS = (
    "point", "address", "unit", "scale", "writable", "low", "high", "step", "fallback", "interval_s", "on_min_s", "off_min_s", "rate",
)  # fmt: skip
"""points.csv: one row a point; empty cells leave what the twin says. `writable` is yes or no; `step` empty means no limit.

`interval_s` is the least time between two changes, `on_min_s` and `off_min_s` how long a point stays on or off; empty means none.
`rate` is fast, normal or slow: how often a real site reads the point; empty means as its class is read.
"""
_TIMES = ("interval_s", "on_min_s", "off_min_s")


class PointBook(Mapping[str, Point]):
    """The points by id, in order of id."""

    def __init__(self, points: Iterable[Point]) -> None:
        self._points = {p.id: p for p in sorted(points, key=lambda p: p.id)}

    def __getitem__(self, point: str) -> Point:
        return self._points[point]

    def __iter__(self) -> Iterator[str]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)

    @property
    def bound(self) -> list[Point]:
        """Points with an address."""
        return [p for p in self._points.values() if p.binding]

    @property
    def writable(self) -> list[Point]:
        """Points the arbiter may command."""
        return [p for p in self._points.values() if p.writable and p.binding]

    def by_connection(self) -> dict[str, list[Point]]:
        """Bound points grouped by the connection of their address."""
        groups: dict[str, list[Point]] = {}
        for point in self.bound:
            assert point.binding is not None
            groups.setdefault(parse_address(point.binding.address).connection, []).append(point)
        return groups


def read_points(path: Path, twin_points: Iterable[Point]) -> PointBook:
    """Merge the twin's points with points.csv; SiteError names file, line, what was expected and what came."""
    points = {p.id: p for p in twin_points}
    for line, row in point_rows(path):
        where, name = f"{path} line {line}", row["point"]
        if name not in points:
            near = difflib.get_close_matches(name, points, 1)
            meant = f" (did you mean {near[0]!r}?)" if near else ""
            raise SiteError(
                f"{where}: point {name!r} is not in the twin{meant}; import the model that holds it, correct the name, or take the row away"
            )
        if not points[name].retired:  # a retired point's row is kept like its history; `wattproof check` tells of it
            points[name] = _merged(points[name], row, where)
    return PointBook(points.values())


def point_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """(line, cells) of points.csv, none where there is no file; SiteError for what is no such table or names a point twice."""
    if not path.exists():
        return []
    seen: dict[str, int] = {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SiteError(f"{path}: not readable as UTF-8 text ({error}); export it as CSV in UTF-8") from None
    reader = csv.DictReader(text.splitlines())
    unknown = [c for c in reader.fieldnames or () if c not in COLUMNS]
    if unknown or not reader.fieldnames or "point" not in reader.fieldnames:
        raise SiteError(f"{path} line 1: columns must be among {', '.join(COLUMNS)}, got {', '.join(reader.fieldnames or ['nothing'])}")
    rows = []
    for row in reader:
        where = f"{path} line {reader.line_num}"
        if None in row or any(v is None for v in row.values()):
            raise SiteError(f"{where}: expected {len(reader.fieldnames)} cells as in the header")
        name = row["point"].strip()
        if name in seen:
            raise SiteError(f"{where}: {name} stands already in line {seen[name]}; keep one of them")
        seen[name] = reader.line_num
        rows.append((reader.line_num, {k: v.strip() for k, v in row.items()}))
    return rows


def _merged(point: Point, row: Mapping[str, str], where: str) -> Point:
    try:
        binding = point.binding
        if row.get("address"):
            address = parse_address(row["address"])
            binding = Binding(point.id, str(address), _number(row, "scale", 1.0))
        elif binding and row.get("scale"):
            binding = replace(binding, scale=_number(row, "scale", 1.0))
        writable = _yes(row, point.writable)
        limits = point.limits
        if row.get("low") or row.get("high") or row.get("fallback"):
            step = _number(row, "step", math.inf)
            limits = Limits(
                _number(row, "low"), _number(row, "high"), step, _number(row, "fallback"), *(_number(row, t, 0.0) for t in _TIMES)
            )
        elif limits and any(row.get(name) for name in _TIMES):
            limits = replace(limits, **{name: _number(row, name) for name in _TIMES if row.get(name)})
        _must_take_commands(binding, writable)
        if writable and (reason := by_class(point.brick) or next(filter(None, map(by_name, (point.id, point.label, point.owner))), "")):
            raise SiteError(f"{point.id}: {reason}: life safety is never written; set writable to no")
        unit, rate = row.get("unit") or point.unit, _rate(row, point.rate)
        return replace(point, unit=unit, binding=binding, writable=writable, limits=limits, rate=rate)
    except (ValueError, SiteError) as error:
        raise SiteError(f"{where}: {error}") from None


def _must_take_commands(binding: Binding | None, writable: bool) -> None:
    if not writable or binding is None:
        return
    address = parse_address(binding.address)
    if isinstance(address, BacnetAddress):
        if not address.commandable:
            raise SiteError(f"{binding.address} is an input and takes no command; set writable to no")
    elif address.table not in ("coil", "holding") or address.is_record:
        raise SiteError(f"{binding.address} cannot be written; only coils and holding registers can")


def _number(row: Mapping[str, str], column: str, otherwise: float | None = None) -> float:
    text = row.get(column, "")
    if not text and otherwise is not None:
        return otherwise
    try:
        return float(text)
    except ValueError:
        raise SiteError(f"{column} must be a number, got {text!r}") from None


def _rate(row: Mapping[str, str], otherwise: str) -> str:
    text = row.get("rate", "").lower()
    if text and text not in RATES:
        raise SiteError(f"rate must be {', '.join(RATES)} or empty, got {text!r}")
    return text or otherwise


def _yes(row: Mapping[str, str], otherwise: bool) -> bool:
    text = row.get("writable", "").lower()
    if text not in ("", "yes", "no"):
        raise SiteError(f"writable must be yes or no, got {text!r}")
    return otherwise if not text else text == "yes"
