"""Interlocks: what our commands must never bring together, as rows of interlocks.csv, and those that the twin itself proves.

Two forms: `A > x forbids B > y` (never both by our doing; of two equal wishes the second gives way) and `B > y only while A > x`
(B needs to see A so; A is free, and waits until we have let go of B). Signs are >, <, >= and <=. Values are in each point's unit.
"""

import csv
import difflib
import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twin.errors import SiteError
from twin.graph import Graph
from twin.points import PointBook
from twin.site import Site
from twin.words import Point

COLUMNS = ("name", "rule", "why")
FORBIDS, ONLY_WHILE = "forbids", "only while"
NONE = "none"  # instead of a rule: the interlock of this name that the twin proves does not hold here, says the engineer
_SIGNS = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}
_CONDITION = r"([a-z0-9_.]+)\s*(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)"
_RULE = re.compile(rf"{_CONDITION}\s+({FORBIDS}|{ONLY_WHILE})\s+{_CONDITION}")
_OPEN_SHARE = 0.05  # of its range: a valve that leaks or rests on its seat is not open
_ON = 0.5


@dataclass(frozen=True, slots=True)
class Condition:
    """A point above or below a value."""

    point: str
    sign: str
    value: float

    def holds(self, value: float) -> bool:
        return bool(_SIGNS[self.sign](value, self.value))

    def __str__(self) -> str:
        return f"{self.point} {self.sign} {self.value:g}"


@dataclass(frozen=True, slots=True)
class Interlock:
    """Two conditions. `forbids`: never both by our doing. `only while`: the first is commanded only while the second is seen to hold."""

    name: str
    first: Condition
    kind: str
    second: Condition
    why: str = ""
    derived: bool = False  # the twin proves it; nobody wrote it

    @property
    def rule(self) -> str:
        return f"{self.first} {self.kind} {self.second}"

    @property
    def points(self) -> tuple[str, str]:
        return self.first.point, self.second.point

    def body(self) -> dict[str, str]:
        """As it is signed and journalled."""
        return {"name": self.name, "rule": self.rule, "why": self.why}


def interlocks_of(site: Site, graph: Graph, book: PointBook) -> tuple[Interlock, ...]:
    """Those of interlocks.csv in its order, then those that the twin proves and nobody took out. SiteError for a bad file."""
    stated, without = read_interlocks(site.interlocks_file, book)
    proved = [lock for lock in derived_interlocks(graph, book) if lock.name not in without | {s.name for s in stated}]
    unknown = without - {lock.name for lock in derived_interlocks(graph, book)}
    if unknown:
        raise SiteError(f"{site.interlocks_file}: {min(unknown)!r} is to be taken out, and the twin proves none of that name")
    return (*stated, *proved)


def read_interlocks(path: Path, book: PointBook) -> tuple[tuple[Interlock, ...], set[str]]:
    """The rows, and the names of proved interlocks that are taken out; SiteError names file, line, what was expected and what came."""
    if not path.exists():
        return (), set()
    stated: dict[str, Interlock] = {}
    without: set[str] = set()
    for line, row in _rows(path):
        where = f"{path} line {line}"
        name, rule = row["name"], row["rule"]
        if not name or name in stated or name in without:
            raise SiteError(f"{where}: each interlock needs a name of its own, got {name!r}")
        if rule.lower() == NONE:
            if not row.get("why"):
                raise SiteError(f"{where}: say in the column why, why {name!r} does not hold here")
            without.add(name)
            continue
        lock = parse_rule(name, rule, row.get("why", ""), where)
        _must_be_known(lock, book, where)
        stated[name] = lock
    return tuple(stated.values()), without


def parse_rule(name: str, rule: str, why: str, where: str) -> Interlock:
    """An interlock from its text; SiteError says what was expected."""
    match = _RULE.fullmatch(rule.strip())
    if match is None:
        raise SiteError(f"{where}: expected 'A > 5 forbids B > 5' or 'B > 5 only while A > 0.5' (signs > < >= <=), got {rule!r}")
    first = Condition(match[1], match[2], float(match[3]))
    second = Condition(match[5], match[6], float(match[7]))
    if first.point == second.point:
        raise SiteError(f"{where}: {first.point} stands on both sides; its limits belong into points.csv")
    return Interlock(name, first, match[4], second, why)


def derived_interlocks(graph: Graph, book: PointBook) -> tuple[Interlock, ...]:
    """What holds wherever the twin proves both points, bound, on one unit: heating and cooling not both, and neither without its fan."""
    units: dict[str, dict[str, list[Point]]] = {}
    states: set[str] = set()
    for row in graph.ask("unit_commands"):
        if row["point"] in book and book[row["point"]].binding:
            units.setdefault(row["unit"], {}).setdefault(row["does"], []).append(book[row["point"]])
            if row.get("state"):
                states.add(row["point"])
    return tuple(lock for unit, does in sorted(units.items()) for lock in _of_unit(unit, does, states))


def findings(interlocks: Iterable[Interlock], book: PointBook) -> Iterator[str]:
    """What makes a stated interlock useless, in words."""
    for lock in interlocks:
        commanded = [lock.first] if lock.kind == ONLY_WHILE else [lock.first, lock.second]
        if not any(book[c.point].writable for c in commanded):
            yield f"interlock {lock.name!r} holds nothing: {' and '.join(c.point for c in commanded)} cannot be written"
        for point in lock.points:
            if book[point].binding is None or book[point].retired:
                yield f"interlock {lock.name!r}: {point} is not read (no address, or retired), so what it holds can never be commanded"


def _of_unit(unit: str, does: Mapping[str, Sequence[Point]], states: set[str]) -> Iterator[Interlock]:
    heating, cooling = does.get("heating", ()), does.get("cooling", ())
    for hot in heating:
        for cold in cooling:
            why = "heating and cooling of one unit fight each other"
            yield Interlock(f"{unit}: {hot.id} or {cold.id}", _open(hot), FORBIDS, _open(cold), why, derived=True)
    fans = [p for p in does.get("fan", ()) if p.id in states] or list(does.get("fan", ()))
    if len(fans) == 1:  # of several nobody says which one moves the air over the coil
        for coil in (*heating, *cooling):
            why = "a coil without air burns or freezes"
            yield Interlock(f"{unit}: {coil.id} with fan", _open(coil), ONLY_WHILE, Condition(fans[0].id, ">", _ON), why, derived=True)


def _open(point: Point) -> Condition:
    low, high = (point.limits.low, point.limits.high) if point.limits else (0.0, 100.0 if point.unit == "PERCENT" else 1.0)
    return Condition(point.id, ">", round(low + _OPEN_SHARE * (high - low), 6))


def _must_be_known(lock: Interlock, book: PointBook, where: str) -> None:
    for point in lock.points:
        if point not in book:
            near = difflib.get_close_matches(point, book, 1)
            raise SiteError(f"{where}: point {point!r} is not in the twin" + (f"; did you mean {near[0]!r}?" if near else ""))


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SiteError(f"{path}: not readable as UTF-8 text ({error}); export it as CSV in UTF-8") from None
    reader = csv.DictReader(text.splitlines())
    names = list(reader.fieldnames or ())
    if not {"name", "rule"} <= set(names) <= set(COLUMNS):
        raise SiteError(f"{path} line 1: columns must be {', '.join(COLUMNS)}, got {', '.join(names) or 'nothing'}")
    rows = []
    for row in reader:
        if None in row or any(v is None for v in row.values()):
            raise SiteError(f"{path} line {reader.line_num}: expected {len(names)} cells as in the header")
        rows.append((reader.line_num, {k: v.strip() for k, v in row.items()}))
    return rows
