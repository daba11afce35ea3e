"""A group's log, for looking only: one SQLite file with entries, bodies, tree nodes, checkpoints and cosignatures."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.checkpoint import Note, NoteSignature, parse_note
from ledger.entry import Body, Entry
from ledger.errors import FormatError, LedgerError, RefusedError
from ledger.founding import LOG
from ledger.group import Group
from ledger.registry import REGISTRY_KINDS
from ledger.tables import Witnesses
from ledger.tree import largest_half, make_consistency, make_inclusion, node_hash

BUSY_TIMEOUT_S = 10  # a checkpoint commits in milliseconds


@dataclass(frozen=True, slots=True)
class Last:
    """Where a source stands: its last entry's number, hash and calendar time."""

    seq: int
    hash: bytes
    wall_ms: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A row of the log: leaf number, entry, and the body as it is kept (epoch 0: open)."""

    number: int
    entry: Entry
    epoch: int
    box: bytes


class Reader:
    """A group's log, for looking only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise LedgerError(f"{path}: there is no log; found the group first")
        self._db = connect(path)

    def size(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(number) + 1, 0) FROM entry").fetchone()[0])

    def stored(self, low: int, high: int, kinds: Sequence[str] = ()) -> Iterator[Stored]:
        """Rows low <= number < high, oldest first."""
        marks = ",".join("?" * len(kinds))
        where = f" AND kind IN ({marks})" if kinds else ""
        query = (
            f"SELECT number, leaf, epoch, box FROM entry JOIN body USING (number) WHERE number >= ? AND number < ?{where} ORDER BY number"  # noqa: S608 (only '?' marks are put in)
        )
        for number, leaf, epoch, box in self._db.execute(query, (low, high, *kinds)):
            yield Stored(number, _decoded(number, leaf), epoch, box)

    def leaf_bytes(self, low: int, high: int) -> Iterator[tuple[int, bytes, int, bytes]]:
        """Rows as they are, for whoever does not want to trust this module's reading: number, leaf, epoch, box."""
        query = "SELECT number, leaf, epoch, box FROM entry JOIN body USING (number) WHERE number >= ? AND number < ? ORDER BY number"
        return iter(self._db.execute(query, (low, high)).fetchall())

    def newest(self) -> Note:
        """The newest checkpoint with the cosignatures it has so far."""
        row = self._db.execute("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
        return self._with_cosignatures(*row)

    def final(self) -> Note | None:
        """The newest checkpoint with the cosignatures that the group's policy asks for, the government's among them."""
        policy = self.witnesses()
        enough = "SELECT size FROM cosignature GROUP BY size HAVING count(*) >= ? AND sum(name = ?)"
        query = f"SELECT size, note FROM checkpoint WHERE size IN ({enough}) ORDER BY size DESC LIMIT 1"  # noqa: S608 (both parts stand here)
        row = self._db.execute(query, (policy.needed, policy.keys[0].name)).fetchone()
        return self._with_cosignatures(*row) if row else None

    def witnesses(self) -> Witnesses:
        """Who cosigns now."""
        return self.group().witnesses

    def note_at(self, size: int) -> Note | None:
        """The checkpoint of exactly this size."""
        row = self._db.execute("SELECT size, note FROM checkpoint WHERE size = ?", (size,)).fetchone()
        return self._with_cosignatures(*row) if row else None

    def checkpoints(self) -> list[tuple[int, int]]:
        """Size and calendar time (ms) of every checkpoint, oldest first."""
        return self._db.execute("SELECT size, wall_ms FROM checkpoint ORDER BY size").fetchall()

    def cosigned(self, size: int) -> list[tuple[str, int]]:
        """Who cosigned the checkpoint of this size, and when (s since 1970)."""
        return self._db.execute("SELECT name, time_s FROM cosignature WHERE size = ? ORDER BY name", (size,)).fetchall()

    def group(self, size: int | None = None) -> Group:
        """The group after the registry entries below `size`."""
        rows = self.stored(0, self.size() if size is None else size, REGISTRY_KINDS)
        first = next(rows, None)
        if first is None:
            raise LedgerError(f"{self.path}: the log is empty; the group was never founded")
        row = first
        try:
            group = Group.found(first.entry, Body.decode(first.box))
            for row in rows:
                group.apply(row.number, row.entry, Body.decode(row.box))
        except (FormatError, RefusedError) as error:
            raise _altered(row.number, error) from None
        return group

    def last(self, source: str) -> Last | None:
        """Where a source stands; None when it never said anything."""
        return self.standing().get(source)

    def standing(self) -> dict[str, Last]:
        """Where every source stands, from the last state leaf."""
        size = self.size()
        row = next(self.stored(size - 1, size), None)
        if row is None or row.entry.kind != "state":
            raise LedgerError(f"{self.path}: the log does not end in a state leaf; it was cut or altered, restore it from backup")
        table = Body.decode(row.box).by_name()["sources"]
        standing = {source: Last(seq, hash_, wall) for source, (seq, hash_, wall) in table.items()}
        standing[LOG] = Last(row.entry.seq, row.entry.hash, row.entry.wall_ms)
        return standing

    def range_hash(self, low: int, high: int) -> bytes:
        """The root of leaves [low, high): one look-up for a complete subtree, else two halves."""
        count = high - low
        if count & (count - 1) == 0 and low % count == 0:
            if count == 1:
                row = self._db.execute("SELECT hash FROM entry WHERE number = ?", (low,)).fetchone()
            else:
                level = count.bit_length() - 1
                row = self._db.execute("SELECT hash FROM node WHERE level = ? AND position = ?", (level, low // count)).fetchone()
            if row is None:
                raise LedgerError(f"{self.path}: the tree lacks the node over {low} to {high}; restore the log from backup")
            return bytes(row[0])
        middle = low + largest_half(count)
        return node_hash(self.range_hash(low, middle), self.range_hash(middle, high))

    def inclusion(self, number: int, size: int) -> list[bytes]:
        return make_inclusion(number, size, self.range_hash)

    def consistency(self, old: int, new: int) -> list[bytes]:
        return make_consistency(old, new, self.range_hash)

    def close(self) -> None:
        self._db.close()

    def _with_cosignatures(self, size: int, note: str) -> Note:
        lines = self._db.execute("SELECT line FROM cosignature WHERE size = ? ORDER BY name", (size,)).fetchall()
        return parse_note(note.encode()).plus(*(NoteSignature.parse(line) for (line,) in lines))


def is_founded(path: Path) -> bool:
    """Whether there is a log with a founding entry; a founding that died on the way leaves none."""
    if not path.exists():
        return False
    db = connect(path)
    try:
        return bool(db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'entry'").fetchone()[0])
    finally:
        db.close()


def _decoded(number: int, leaf: bytes) -> Entry:
    try:
        return Entry.decode(leaf)
    except FormatError as error:
        raise _altered(number, error) from None


def _altered(number: int, error: LedgerError) -> FormatError:
    return FormatError(f"entry {number} was altered on this disk: {error}; restore the log from a backup")


def connect(path: Path) -> sqlite3.Connection:
    """The log's file, ready for one writer at a time."""
    try:
        db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        # NORMAL may lose the last commits in a power cut: a checkpoint that left the house would then have no log.
        db.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: the log cannot be opened ({error})") from None
    return db
