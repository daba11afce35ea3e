"""The history of readings: hot rows in SQLite, read by several processes while one writes."""

import sqlite3
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from twin.errors import StateError
from twin.words import Quality, Reading, Reason

BUSY_TIMEOUT_S = 10


class History:
    """One site's readings by point and time; a reading is kept once and never changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()  # a cycle adds from a thread of its own
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StateError(f"{path}: the history cannot be opened ({error}); check the disk and the folder's owner") from None

    def add(self, readings: Iterable[Reading]) -> None:
        """Keep readings; one that stands already (same point and time) stays as it is."""
        rows = [(_seconds(r.at), r.point, r.value, r.quality.value, r.reason.value) for r in readings]
        with self._lock:
            self._add(rows)

    def _add(self, rows: list[tuple[float, str, float | None, str, str]]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO reading VALUES (?,?,?,?,?)", rows)
            self._db.executemany(_KEEP_LATEST, rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise StateError(f"{self.path}: readings cannot be kept ({error}); check the disk") from None

    def latest(self) -> dict[str, Reading]:
        """The newest reading of every point."""
        with self._lock:
            return {row[1]: _reading(row) for row in self._db.execute("SELECT at, point, value, quality, reason FROM latest")}

    def series(self, point: str, start: datetime, end: datetime) -> list[Reading]:
        """Readings of one point from `start` to before `end`, oldest first."""
        question = "SELECT at, point, value, quality, reason FROM reading WHERE point = ? AND at >= ? AND at < ? ORDER BY at"
        with self._lock:
            return [_reading(row) for row in self._db.execute(question, (point, _seconds(start), _seconds(end)))]

    def close(self) -> None:
        with self._lock:
            self._db.close()


_SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=NORMAL;
CREATE TABLE IF NOT EXISTS reading (at REAL, point TEXT, value REAL, quality TEXT, reason TEXT, PRIMARY KEY (point, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS latest (point TEXT PRIMARY KEY, at REAL, value REAL, quality TEXT, reason TEXT) WITHOUT ROWID;
"""

_KEEP_LATEST = """
INSERT INTO latest VALUES (?2, ?1, ?3, ?4, ?5)
ON CONFLICT (point) DO UPDATE SET at = ?1, value = ?3, quality = ?4, reason = ?5 WHERE at <= ?1
"""


def _seconds(at: datetime) -> float:
    return at.timestamp()


def _reading(row: tuple[float, str, float | None, str, str]) -> Reading:
    at, point, value, quality, reason = row
    return Reading(point, datetime.fromtimestamp(at, UTC), value, Quality(quality), Reason(reason))
