"""A log's file looked through row by row: every table against the entries, every checkpoint against the tree.

The verifier looks at what leaves the house; this looks at what lies on the owner's disk, and names the row that was altered.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ledger.bundle import OPEN
from ledger.checkpoint import NoteSignature, parse_note, verify_checkpoint, verify_cosignature
from ledger.entry import Body, Entry
from ledger.envelope import DataKeys, open_with
from ledger.errors import LedgerError
from ledger.group import Group
from ledger.registry import REGISTRY_KINDS
from ledger.tree import fold, grow, leaf_hash

FOUND_MOST = 100  # a file that was overwritten has more faults than anybody reads
_BROKEN = (LedgerError, sqlite3.Error, UnicodeDecodeError, ValueError, TypeError, AttributeError, KeyError)


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with one row of one table."""

    table: str
    row: str
    what: str


@dataclass
class _Looked:
    """What the entries say, for the tables that follow from them."""

    group: Group | None = None
    size: int = 0
    entries: dict[int, Entry] = field(default_factory=dict)
    roots: dict[int, bytes] = field(default_factory=dict)
    nodes: dict[tuple[int, int], bytes] = field(default_factory=dict)


def audit_log(path: Path, keys: DataKeys | None = None) -> list[Damage]:
    """Every row that is not as it was sealed; without data keys sealed bodies are looked at from outside only."""
    if not path.exists():
        raise LedgerError(f"{path}: there is no log; found the group first")
    found: list[Damage] = []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        looked = _Looked()
        try:
            state = db.execute("PRAGMA integrity_check").fetchone()[0]
            if state != "ok":
                found.append(Damage("file", "", str(state)[:200]))
            for look in (_entries, _bodies, _nodes, _checkpoints, _cosignatures):
                for damage in look(db, looked, keys):
                    found.append(damage)
                    if len(found) >= FOUND_MOST:
                        return found
        except _BROKEN as error:
            found.append(Damage("file", "", f"cannot be read on: {error}"))
    return found


def _entries(db: sqlite3.Connection, looked: _Looked, _: DataKeys | None) -> Iterator[Damage]:
    peaks: list[bytes] = []
    for number, kind, source, seq, wall_ms, leaf, hash_ in db.execute("SELECT * FROM entry ORDER BY number"):
        if number != looked.size:
            yield Damage("entry", str(number), f"row {looked.size} was expected here")
        try:
            entry = Entry.decode(leaf)
            looked.entries[number] = entry
            if (kind, source, seq, wall_ms) != (entry.kind, entry.source, entry.seq, entry.wall_ms):
                yield Damage("entry", str(number), "its columns differ from the entry itself")
            if hash_ != entry.hash:
                yield Damage("entry", str(number), "its hash is not that of its bytes")
        except _BROKEN as error:
            yield Damage("entry", str(number), f"cannot be read: {error}")
        nodes = grow(peaks, looked.size, leaf_hash(leaf if isinstance(leaf, bytes) else b""))
        looked.nodes |= {(level, position): hash_ for level, position, hash_ in nodes}
        looked.size += 1
        if looked.entries.get(number) is None or looked.entries[number].kind == "state":
            looked.roots[looked.size] = fold(peaks)


def _bodies(db: sqlite3.Connection, looked: _Looked, keys: DataKeys | None) -> Iterator[Damage]:
    expected = 0
    for number, epoch, box in db.execute("SELECT * FROM body ORDER BY number"):
        entry = looked.entries.get(number)
        if number != expected or entry is None:
            yield Damage("body", str(number), f"body {expected} was expected here, beside an entry that can be read")
        else:
            yield from _body(number, entry, epoch, box, keys, looked)
        expected = number + 1
    if expected != looked.size:
        yield Damage("body", str(expected), f"is missing: {looked.size} entries have a body each")


def _body(number: int, entry: Entry, epoch: int, box: bytes, keys: DataKeys | None, looked: _Looked) -> Iterator[Damage]:
    try:
        if (epoch == OPEN) != entry.rule.open:
            yield Damage("body", str(number), f"a body of {entry.kind} does not lie in epoch {epoch}")
        elif epoch != OPEN and looked.group is not None and epoch != looked.group.epoch:
            yield Damage("body", str(number), f"lies in epoch {epoch}, while epoch {looked.group.epoch} was in force")
        elif epoch == OPEN or (keys is not None and epoch in keys):
            body = Body.decode(box if epoch == OPEN else open_with(keys or {}, entry, box, epoch))
            if body.root != entry.body:
                yield Damage("body", str(number), "is not the one that was signed")
            if number == 0:
                looked.group = Group.found(entry, body)
            elif entry.kind in REGISTRY_KINDS and looked.group is not None:
                looked.group.apply(number, entry, body)
    except _BROKEN as error:
        yield Damage("body", str(number), f"cannot be read: {error}")


def _nodes(db: sqlite3.Connection, looked: _Looked, _: DataKeys | None) -> Iterator[Damage]:
    missing = dict(looked.nodes)
    for level, position, hash_ in db.execute("SELECT * FROM node"):
        if missing.pop((level, position), None) != hash_:
            yield Damage("node", f"level {level}, position {position}", "is not what the entries below it give")
    for level, position in list(missing)[:FOUND_MOST]:
        yield Damage("node", f"level {level}, position {position}", "is missing")


def _checkpoints(db: sqlite3.Connection, looked: _Looked, _: DataKeys | None) -> Iterator[Damage]:
    sizes = set()
    for size, note, wall_ms in db.execute("SELECT * FROM checkpoint ORDER BY size"):
        sizes.add(size)
        state = looked.entries.get(size - 1)
        try:
            checkpoint = parse_note(note.encode()).checkpoint
            if looked.group is not None:
                verify_checkpoint(parse_note(note.encode()), looked.group.origin, looked.group.log_at(size))
            if (checkpoint.size, checkpoint.root) != (size, looked.roots.get(size)):
                yield Damage("checkpoint", str(size), "is not what the entries below it give")
            if state is None or wall_ms != state.wall_ms:
                yield Damage("checkpoint", str(size), "has another time than the state leaf that closes it")
        except _BROKEN as error:
            yield Damage("checkpoint", str(size), str(error))
    for size in sorted(set(looked.roots) - sizes):
        yield Damage("checkpoint", str(size), "is missing, though a state leaf closes it")


def _cosignatures(db: sqlite3.Connection, looked: _Looked, _: DataKeys | None) -> Iterator[Damage]:
    if looked.group is None:
        return
    notes: Mapping[int, str] = dict(db.execute("SELECT size, note FROM checkpoint").fetchall())
    for size, name, time_s, line in db.execute("SELECT * FROM cosignature"):
        try:
            keys = {witness.name: witness.key for witness in looked.group.witnesses_at(size).keys}
            text = parse_note(notes[size].encode()).text
            if verify_cosignature(text, NoteSignature.parse(line), name, keys[name]) != time_s:
                yield Damage("cosignature", f"{size} by {name}", "has another time than the one that was signed")
        except _BROKEN as error:
            yield Damage("cosignature", f"{size} by {name}", f"does not hold: {error!r}")
