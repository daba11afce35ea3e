"""Following one site's journal: what stands in it so far, kept up to date row by row, for the views to look at."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from twin.journal import Journal, Row

COMMANDS_KEPT = 300  # newest commands a person may scroll through; older ones are in the ledger
WISHES_KEPT = 100
SERIES_KEPT = 20_160  # two weeks by the minute
PACE_ROWS = 40  # rows of readings from which the pace of site time is told
ROWS_AT_ONCE = 10_000

Body = dict[str, Any]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Value:
    """The newest value of a point, as the pages show it."""

    at: datetime
    value: float | None
    quality: str
    reason: str


@dataclass
class Facts:
    """What the journal says so far. Written only by `absorb`; views read it under the follower's lock."""

    rows: int = 0
    at: datetime | None = None  # site time: that of the newest readings; before the first, of the newest row
    read_at: datetime | None = None  # site time of the newest readings
    read_wall: datetime | None = None
    pace: deque[tuple[datetime, datetime]] = field(default_factory=lambda: deque(maxlen=PACE_ROWS))
    latest: dict[str, Value] = field(default_factory=dict)
    connections: dict[str, datetime] = field(default_factory=dict)  # connection -> wall time of its newest readings
    mode: Row | None = None
    release: Row | None = None
    commands: deque[Row] = field(default_factory=lambda: deque(maxlen=COMMANDS_KEPT))
    outcomes: dict[str, Row] = field(default_factory=dict)  # command id -> outcome
    wishes: deque[Row] = field(default_factory=lambda: deque(maxlen=WISHES_KEPT))
    refusals: deque[Row] = field(default_factory=lambda: deque(maxlen=WISHES_KEPT))
    alarms: dict[str, Row] = field(default_factory=dict)
    references: dict[str, Body] = field(default_factory=dict)  # bau, code
    score: Body = field(default_factory=dict)
    power: deque[tuple[datetime, float]] = field(default_factory=lambda: deque(maxlen=SERIES_KEPT))  # kW, the controlled building
    devices: dict[str, Row] = field(default_factory=dict)
    made_of: Body = field(default_factory=dict)


class Follower:
    """Keeps the facts of one site; several tabs share it."""

    def __init__(self, path: Path, power_point: str = "") -> None:
        self.journal = Journal(path)
        self.facts = Facts()
        self.power_point = power_point
        self._lock = threading.Lock()

    def look(self, view: Callable[[Facts], Any]) -> Any:
        """Take in what is new, then make a view while nothing moves."""
        with self._lock:
            while rows := self.journal.after(self.facts.rows, most=ROWS_AT_ONCE):
                for row in rows:
                    self._take(row)
                if len(rows) < ROWS_AT_ONCE:
                    break
            return view(self.facts)

    def _take(self, row: Row) -> None:
        """A row that is not in our form must not stop the page; the facts have moved past it."""
        try:
            absorb(self.facts, row, self.power_point)
        except (KeyError, TypeError, ValueError) as error:
            log.warning("journal row %d (%s) is not readable: %r", row.number, row.kind, error)

    def close(self) -> None:
        """Close the journal."""
        self.journal.close()


def absorb(facts: Facts, row: Row, power_point: str = "") -> None:
    """Take one journal row into the facts."""
    facts.rows = row.number
    take = _TAKE.get(row.kind)
    if take is not None:
        take(facts, row)
    # Not of any row: an import is dated by the calendar, and a simulated site may live in another year.
    facts.at = facts.read_at or row.at
    if row.kind == "readings" and power_point in row.body["values"]:
        value = row.body["values"][power_point][0]
        if value is not None:
            facts.power.append((row.at, value / 1000))


def _readings(facts: Facts, row: Row) -> None:
    facts.read_at, facts.read_wall = row.at, row.wall
    facts.connections[row.body["connection"]] = row.wall
    if not facts.pace or facts.pace[-1][0] != row.at:
        facts.pace.append((row.at, row.wall))
    for point, (value, quality, reason) in row.body["values"].items():
        facts.latest[point] = Value(row.at, value, quality, reason)


def _command(facts: Facts, row: Row) -> None:
    if len(facts.commands) == COMMANDS_KEPT:
        facts.outcomes.pop(facts.commands[0].body["id"], None)
    facts.commands.append(row)


def _outcome(facts: Facts, row: Row) -> None:
    facts.outcomes[row.body["command"]] = row


def _reference(facts: Facts, row: Row) -> None:
    facts.references[row.body["controller"]] = row.body


def _keep(name: str) -> Callable[[Facts, Row], None]:
    return lambda facts, row: setattr(facts, name, row)


_TAKE: Final[dict[str, Callable[[Facts, Row], None]]] = {
    "readings": _readings,
    "command": _command,
    "outcome": _outcome,
    "reference": _reference,
    "mode": _keep("mode"),
    "release": _keep("release"),
    "request": lambda facts, row: facts.wishes.append(row),
    "refusal": lambda facts, row: facts.refusals.append(row),
    "alarm": lambda facts, row: facts.alarms.update({row.body["id"]: row}),
    "device": lambda facts, row: facts.devices.update({row.body["connection"]: row}),
    "score": lambda facts, row: setattr(facts, "score", row.body),
    "import": lambda facts, row: setattr(facts, "made_of", row.body),
}
