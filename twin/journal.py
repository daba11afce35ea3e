"""The site journal: append-only, hash-chained, durable before it returns. Rooms meet here.

One row per device and cycle for readings, one per command and per outcome. Kinds and bodies: ARCHITECTURE.md, "Journal".
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twin.clock import wall_now
from twin.errors import StateError

KINDS = (
    "import",  # what the twin was made of
    "review",  # a person's decision on an import's proposal, made or withdrawn
    "mode",  # automatic or off, by whom and why
    "grant",  # what an engineer's verified signature lets be written
    "readings",  # one device, one cycle
    "record",  # a record that a device signed itself, as it came
    "forecast",  # what is expected, and by which model
    "request",  # a person's wish, as it came
    "command",  # the arbiter's ruling, durable before it goes on the wire
    "outcome",  # what the device holds after it
    "refusal",  # a wish the arbiter or the guard did not pass, and why
    "release",  # the building given back
    "prior",  # what a device without priority slots held before our first write
    "alarm",
    "reference",  # power and energy of a simulated baseline run
    "score",  # energy and comfort so far of a simulated site
    "device",  # fingerprints, losses and returns of devices
    "sign_in",  # who came, and who was refused
)
BUSY_TIMEOUT_S = 10  # several processes append; a commit takes milliseconds, so ten seconds mean trouble
_GENESIS = b"\x00" * 32


@dataclass(frozen=True, slots=True)
class Row:
    """One journal row; `at` is site time, `wall` calendar time, `hash` covers the row before."""

    number: int
    kind: str
    at: datetime
    wall: datetime
    body: Any
    hash: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """What is to be written: a kind, the site time and a JSON body."""

    kind: str
    at: datetime
    body: Any

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"journal kind {self.kind!r} is not one of {', '.join(KINDS)}")
        if self.at.tzinfo is None:
            raise ValueError(f"a journal row needs an aware time, got {self.at.isoformat()}")


class Journal:
    """One site's journal file. Several processes may append and read; rows are never changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()  # a cycle appends from a thread of its own; no other thread may look into an open transaction
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StateError(f"{path}: the journal cannot be opened ({error}); commands are refused without it") from None

    def append(self, records: Iterable[Record]) -> int:
        """Write the records in one durable transaction; return the last row's number."""
        with self._lock:
            return self._append(records, wall_now())

    def _append(self, records: Iterable[Record], wall: datetime) -> int:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            number, chain = self._tip()
            rows = []
            for record in records:
                number += 1
                body = json.dumps(record.body, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
                chain = _link(chain, number, record.kind, _stamp(record.at), _stamp(wall), body)
                rows.append((number, record.kind, _stamp(record.at), _stamp(wall), body, chain))
            self._db.executemany("INSERT INTO journal VALUES (?,?,?,?,?,?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise StateError(f"{self.path}: the journal cannot be written ({error}); commands are refused until it can") from None
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return number

    def after(self, number: int, kinds: Sequence[str] = (), most: int = 10_000) -> list[Row]:
        """Rows later than `number`, oldest first; at most `most` of them."""
        marks = ",".join("?" * len(kinds))
        where = f" AND kind IN ({marks})" if kinds else ""
        with self._lock:
            rows = self._db.execute(f"SELECT * FROM journal WHERE number > ?{where} ORDER BY number LIMIT ?", (number, *kinds, most))  # noqa: S608 (only '?' marks are put in)
            return [_row(row) for row in rows]

    def latest(self, kinds: Sequence[str], most: int = 1) -> list[Row]:
        """The newest rows of these kinds, newest first."""
        marks = ",".join("?" * len(kinds))
        with self._lock:
            rows = self._db.execute(f"SELECT * FROM journal WHERE kind IN ({marks}) ORDER BY number DESC LIMIT ?", (*kinds, most))  # noqa: S608 (only '?' marks are put in)
            return [_row(row) for row in rows]

    def size(self) -> int:
        return self._tip()[0]

    def check(self) -> int:
        """Recompute the whole chain; StateError names the first row that does not fit. Returns the number of rows."""
        chain, expected = _GENESIS, 0
        for number, kind, at, wall, body, stored in self._db.execute("SELECT * FROM journal ORDER BY number"):
            expected += 1
            chain = _link(chain, number, kind, at, wall, body)
            if number != expected or chain != stored:
                raise StateError(
                    f"{self.path}: row {expected} does not fit the rows before it; the journal was altered, restore it from backup"
                )
        return expected

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _tip(self) -> tuple[int, bytes]:
        with self._lock:
            row = self._db.execute("SELECT number, hash FROM journal ORDER BY number DESC LIMIT 1").fetchone()
        return (row[0], row[1]) if row else (0, _GENESIS)


_SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
CREATE TABLE IF NOT EXISTS journal (
  number INTEGER PRIMARY KEY, kind TEXT NOT NULL, at TEXT NOT NULL, wall TEXT NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS journal_kind ON journal (kind, number);
CREATE TRIGGER IF NOT EXISTS journal_stays BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS journal_kept BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'append only'); END;
"""


def _link(before: bytes, number: int, kind: str, at: str, wall: str, body: str) -> bytes:
    return hashlib.sha256(before + json.dumps([number, kind, at, wall, body], ensure_ascii=False).encode()).digest()


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _row(row: tuple[int, str, str, str, str, bytes]) -> Row:
    number, kind, at, wall, body, chain = row
    return Row(number, kind, datetime.fromisoformat(at), datetime.fromisoformat(wall), json.loads(body), chain)
