"""The facility manager's page: header, figures, points, commands, alarms and the button that gives the building back."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboards.building import Building
from dashboards.follow import Facts, Value
from twin.journal import Row
from twin.words import Point

PACE_SHOWN_ABOVE = 1.5  # a site at the pace of the wall clock needs no word about its pace
OLD_AFTER_STEPS = 2.5  # readings are old when more than two cycles were missed
OLD_AFTER_S_MIN = 10.0
ALARMS_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above every page of a site."""

    mode: str  # automatic, off or none
    by: str
    why: str
    site_time: datetime | None
    pace: float | None  # seconds of site time per second, when that says something
    age_s: float | None  # since the newest readings came, by the wall clock
    old_after_s: float
    silent: tuple[str, ...]  # connections from which nothing came for that long


@dataclass(frozen=True, slots=True)
class PointRow:
    """One point in the grid."""

    id: str
    place: str
    brick: str
    value: float | None
    unit: str
    quality: str
    reason: str
    at: datetime | None
    age_s: float | None  # by the site's clock
    writable: bool
    held: float | None  # what our newest command asks for, while it holds
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One command with what became of it."""

    id: str
    at: datetime
    point: str
    place: str
    value: float | None
    before: float | None
    unit: str
    by: str
    why: str
    priority: int
    result: str  # empty: not answered yet
    detail: str
    read_back: float | None


@dataclass(frozen=True, slots=True)
class WishRow:
    """One person's wish and where it stands: waiting, passed, refused or over."""

    id: str
    at: datetime
    point: str
    value: float | None
    unit: str
    by: str
    why: str
    until: datetime
    state: str
    detail: str


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One alarm as it stands now."""

    id: str
    at: datetime
    priority: int
    kind: str
    source: str
    message: str
    state: str


@dataclass(frozen=True, slots=True)
class Release:
    """Where giving the building back stands: none, asked or done."""

    state: str
    by: str = ""
    why: str = ""
    points: int = 0
    held_after: int = 0
    seconds: float = 0.0
    at: datetime | None = None


def head(facts: Facts, building: Building, wall: datetime) -> Head:
    """Mode, time, pace and age of the data."""
    pace = _pace(facts)
    real_step_s = building.site.cycle.step_s / (pace or 1.0)
    old_after_s = max(OLD_AFTER_S_MIN, OLD_AFTER_STEPS * real_step_s)
    mode = facts.mode.body if facts.mode else {}
    return Head(
        mode.get("mode", "none"),
        mode.get("by", ""),
        mode.get("why", ""),
        facts.read_at or facts.at,
        pace,
        (wall - facts.read_wall).total_seconds() if facts.read_wall else None,
        old_after_s,
        tuple(sorted(c for c, at in facts.connections.items() if (wall - at).total_seconds() > old_after_s)),
    )


def point_rows(facts: Facts, building: Building) -> tuple[PointRow, ...]:
    """Every point of the site with its newest value."""
    held = _held(facts)
    return tuple(_point_row(p, facts.latest.get(p.id), building, facts.read_at, held.get(p.id)) for p in building.points.values())


def command_rows(facts: Facts, building: Building) -> tuple[CommandRow, ...]:
    """Commands with their reason and outcome, newest first."""
    return tuple(_command_row(row, facts.outcomes.get(row.body["id"]), building) for row in reversed(facts.commands))


def wish_rows(facts: Facts, building: Building) -> tuple[WishRow, ...]:
    """Persons' wishes, newest first, each with its fate."""
    ruled = {(r.body["point"], r.body["by"]): r for r in facts.commands}
    refused = {(r.body["point"], r.body["by"]): r for r in facts.refusals}
    return tuple(_wish_row(row, ruled, refused, building, facts.at) for row in reversed(facts.wishes))


def alarm_rows(facts: Facts) -> tuple[AlarmRow, ...]:
    """Alarms that are not over first, by priority; then the newest of the others."""
    rows = [_alarm_row(row) for row in facts.alarms.values()]
    order = sorted(rows, key=lambda a: (a.state == "cleared", a.priority if a.state != "cleared" else 0, -a.at.timestamp()))
    return tuple(order[:ALARMS_SHOWN])


def release(facts: Facts) -> Release:
    """Whether the building was given back (also at the end of a run), is being given back, or is under control."""
    mode, row = facts.mode, facts.release
    asked = mode if mode is not None and mode.body["mode"] == "off" else None
    since = max(mode.number if mode else 0, facts.commands[-1].number if facts.commands and asked is None else 0)
    if row is not None and row.number > since:
        b = row.body
        said = asked.body if asked is not None else b  # a person's own reason says more than the controller's
        return Release("done", said.get("by", ""), said.get("why", ""), int(b["points"]), int(b["held_after"]), float(b["seconds"]), row.at)
    if asked is None:
        return Release("none")
    return Release("asked", asked.body.get("by", ""), asked.body.get("why", ""), at=asked.at)


def _pace(facts: Facts) -> float | None:
    if len(facts.pace) < 2:
        return None
    (first, first_wall), (last, last_wall) = facts.pace[0], facts.pace[-1]
    wall_s = (last_wall - first_wall).total_seconds()
    pace = (last - first).total_seconds() / wall_s if wall_s > 0 else 0.0
    return pace if pace > PACE_SHOWN_ABOVE else None


def _held(facts: Facts) -> dict[str, float]:
    """What our newest commands ask for, as long as they hold: nothing once the building was given back."""
    held: dict[str, float] = {}
    since = facts.release.number if facts.release else 0
    for row in facts.commands:
        if row.number > since:
            held[row.body["point"]] = row.body["value"]
    return {point: value for point, value in held.items() if value is not None}


def _point_row(point: Point, value: Value | None, building: Building, now: datetime | None, held: float | None) -> PointRow:
    age_s = (now - value.at).total_seconds() if value and now else None
    limits = point.limits
    return PointRow(
        point.id,
        building.place_of.get(point.id, point.owner),
        point.brick,
        value.value if value else None,
        point.unit,
        value.quality if value else "none",
        value.reason if value else "",
        value.at if value else None,
        age_s,
        point.writable,
        held,
        limits.low if limits else None,
        limits.high if limits else None,
    )


def _command_row(row: Row, outcome: Row | None, building: Building) -> CommandRow:
    b: dict[str, Any] = row.body
    o: dict[str, Any] = outcome.body if outcome else {}
    point = building.points.get(b["point"])
    return CommandRow(
        b["id"],
        row.at,
        b["point"],
        building.place_of.get(b["point"], ""),
        b["value"],
        b.get("before"),
        point.unit if point else "",
        b["by"],
        b["why"],
        int(b["priority"]),
        o.get("result", ""),
        o.get("detail", ""),
        o.get("read_back"),
    )


def _wish_row(row: Row, ruled: dict[Any, Row], refused: dict[Any, Row], building: Building, now: datetime | None) -> WishRow:
    b = row.body
    until = datetime.fromisoformat(b["until"])
    key = (b["point"], b["by"])
    refusal = _later(refused.get(key), row)
    state = "refused" if refusal else "passed" if _later(ruled.get(key), row) else "waiting"
    if now is not None and now >= until and not refusal:
        state = "over"
    point = building.points.get(b["point"])
    detail = refusal.body.get("refused_because", "") if refusal else ""
    return WishRow(b["id"], row.at, b["point"], b["value"], point.unit if point else "", b["by"], b["why"], until, state, detail)


def _later(row: Row | None, than: Row) -> Row | None:
    return row if row is not None and row.number > than.number else None


def _alarm_row(row: Row) -> AlarmRow:
    b = row.body
    return AlarmRow(
        b["id"], row.at, int(b.get("priority", 100)), b.get("kind", ""), b.get("source", ""), b.get("message", ""), b.get("state", "")
    )


def open_alarms(rows: Iterable[AlarmRow]) -> int:
    """How many alarms nobody has seen yet."""
    return sum(a.state == "raised" for a in rows)
