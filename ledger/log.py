"""One group's log: one SQLite file, entries and complete tree nodes only ever added, one transaction per checkpoint.

The one who seals has the log's key and the group's data key; whoever only looks uses `ledger.reader`.
Several processes may seal by turns: each takes SQLite's write lock and first catches up with the others.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ledger.bundle import OPEN
from ledger.cbor import Value
from ledger.certificates import verify_certificate
from ledger.checkpoint import Checkpoint, Note, NoteSignature, sign_checkpoint, verify_checkpoint
from ledger.entry import NAME_CHARS_MAX, NO_HASH, Body, Entry, Signed, Signer, digest, from_ms, ms
from ledger.envelope import DataKeys, open_with, seal_body
from ledger.errors import FormatError, LedgerError, RefusedError, VerificationError
from ledger.founding import LOG
from ledger.group import Group
from ledger.keys import Ed25519Signer
from ledger.reader import Last, Reader, Stored, connect, is_founded
from ledger.registry import REGISTRY_KINDS
from ledger.replay import Follow, Followed, View
from ledger.source import Source
from ledger.tables import Witnesses
from ledger.tree import fold, grow

CLOCK_SLACK_MS = 300_000  # clocks of gateway, log and witness may differ by five minutes
REASON_CHARS_MAX = 300


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one checkpoint brought."""

    checkpoint: Checkpoint
    note: Note
    numbers: tuple[int, ...]
    refused: tuple[str, ...]


@dataclass
class _Tip:
    """The end of the log while a checkpoint is being made; kept only when it commits."""

    size: int
    peaks: list[bytes]
    standing: dict[str, Last]
    group: Group
    note: Note | None
    contracts: dict[str, bytes]
    rows: list[tuple[int, str, str, int, int, bytes, bytes]] = field(default_factory=list)
    bodies: list[tuple[int, int, bytes]] = field(default_factory=list)
    nodes: list[tuple[int, int, bytes]] = field(default_factory=list)
    accepted: list[View] = field(default_factory=list)

    def draft(self) -> "_Tip":
        return _Tip(self.size, list(self.peaks), dict(self.standing), self.group.copy(), self.note, dict(self.contracts))


class Log(Reader):
    """The one who seals a group's entries."""

    def __init__(self, path: Path, signer: Ed25519Signer, data_keys: DataKeys) -> None:
        super().__init__(path)
        self.signer = signer
        self._data_keys = dict(data_keys)
        self._tip = self._load()

    @classmethod
    def found(cls, path: Path, founding: Signed, signer: Ed25519Signer, data_keys: DataKeys) -> "Log":
        """Begin a log with a founding entry that owner and government signed."""
        if is_founded(path):
            raise LedgerError(f"{path}: there is a log already; a group is founded once")
        group = Group.found(founding.entry, founding.body)
        _check_signatures(group, founding)
        if group.founding.log != signer.public:
            raise LedgerError("the founding entry names another log key than this one")
        path.parent.mkdir(parents=True, exist_ok=True)
        db = connect(path)
        db.executescript("BEGIN IMMEDIATE;\n" + _SCHEMA)
        tip = _Tip(0, [], {}, group, None, {})
        _append(tip, founding, OPEN, founding.body.encode())
        _finish(db, tip, signer, founding.entry.wall_ms)
        db.execute("COMMIT")
        db.close()
        return cls(path, signer, data_keys)

    @property
    def current(self) -> Group:
        """The group as it is now, for this process."""
        return self._tip.group

    def witnesses(self) -> Witnesses:
        """Who cosigns now, for this process."""
        return self._tip.group.witnesses

    def seal(self, items: Sequence[Signed | bytes], wall: datetime, follow: Follow | None = None) -> Sealed:
        """Append what may enter, seal the refusal of what may not, and sign a checkpoint: one durable transaction."""
        self._begin()
        try:
            tip = self._tip.draft()
            refused = [reason for reason in (self._take(tip, item, ms(wall)) for item in items) if reason]
            if follow is not None:
                self._follow(tip, follow(tuple(tip.accepted)), ms(wall))
            note = _finish(self._db, tip, self.signer, ms(wall))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise LedgerError(f"{self.path}: the log cannot be written ({error}); nothing of this checkpoint was kept") from None
        except BaseException:
            self._roll_back()
            raise
        self._tip = tip
        numbers = tuple(view.number for view in tip.accepted)
        tip.accepted = []
        return Sealed(note.checkpoint, note, numbers, tuple(refused))

    def cosign(self, size: int, signature: NoteSignature) -> None:
        """Keep a cosignature that was checked beside the checkpoint of `size`; a second one of the same witness is dropped."""
        time_s = int.from_bytes(signature.payload[:8], "big")
        self._db.execute("INSERT OR IGNORE INTO cosignature VALUES (?,?,?,?)", (size, signature.name, time_s, signature.line))

    def body(self, stored: Stored) -> Body:
        """A stored body, opened."""
        if stored.epoch == OPEN:
            return Body.decode(stored.box)
        return Body.decode(open_with(self._data_keys, stored.entry, stored.box, stored.epoch))

    def views(self, low: int, high: int) -> Iterator[View]:
        """Entries low <= number < high with their bodies opened: what a contract's state is built again from."""
        for stored in self.stored(low, high):
            yield View(stored.number, stored.entry, self.body(stored))

    def source(self, signer: Signer, name: str) -> Source:
        """A source that goes on where the log last heard of `name`."""
        self._catch_up()
        last = self._tip.standing.get(name, Last(0, NO_HASH, 0))
        return Source(signer, self._tip.group.id, name, last.seq, last.hash, simulated=self._tip.group.founding.simulated)

    def _begin(self) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path}: the log cannot be written ({error}); is another process stuck?") from None
        self._catch_up()

    def _catch_up(self) -> None:
        if self.size() != self._tip.size:
            self._tip = self._load()

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _load(self) -> _Tip:
        size = self.size()
        note = self.newest()
        verify_checkpoint(note, self.group(1).origin, self.group().log_at(size))
        if note.checkpoint.size != size:
            raise LedgerError(f"{self.path}: {size} entries under a checkpoint of {note.checkpoint.size}; restore the log from backup")
        peaks = [self.range_hash(low, high) for low, high in _complete_ranges(size)]
        if fold(peaks) != note.checkpoint.root:
            raise LedgerError(f"{self.path}: the tree does not lead to the signed root; the log was altered, restore it from backup")
        state = next(self.stored(size - 1, size))
        contracts = Body.decode(state.box).by_name()["contracts"]
        return _Tip(size, peaks, self.standing(), self.group(), note, dict(contracts))

    def _take(self, tip: _Tip, item: Signed | bytes, wall_ms: int) -> str:
        """Append an item, or the log's refusal of it; return the reason then."""
        signed: Signed | None = None
        try:
            signed = Signed.decode(item) if isinstance(item, bytes) else item
            self._admit(tip, signed, wall_ms)
        except (RefusedError, FormatError, VerificationError) as error:
            reason = f"malformed: {error}" if signed is None else str(error)
            self._refuse(tip, signed, item if isinstance(item, bytes) else signed.encode() if signed else b"", reason, wall_ms)
            return reason
        return ""

    def _admit(self, tip: _Tip, signed: Signed, wall_ms: int) -> None:
        entry = signed.entry
        if entry.rule.signer == "log" or entry.kind == "group.found":
            raise RefusedError(f"unknown: {entry.kind} is not for others to say")
        if signed.body.root != entry.body:
            raise RefusedError(f"malformed: the body of {entry.source} {entry.seq} is not the one that was signed")
        _check_signatures(tip.group, signed)
        if entry.wall_ms > wall_ms + CLOCK_SLACK_MS:
            raise RefusedError(f"clock: {entry.source} {entry.seq} claims a calendar time that has not come")
        if not entry.simulated and entry.time_ms > entry.wall_ms + CLOCK_SLACK_MS:
            raise RefusedError(f"clock: {entry.source} {entry.seq} claims a site time that has not come")
        missing = _check_order(tip.standing.get(entry.source), entry)
        changed = tip.group
        if entry.kind in REGISTRY_KINDS:
            changed = tip.group.copy()
            changed.apply(tip.size + missing, entry, signed.body)
        if missing:
            self._note_gap(tip, entry, wall_ms)
        tip.group = changed
        self._keep(tip, signed)

    def _keep(self, tip: _Tip, signed: Signed) -> None:
        body = signed.body.encode()
        tip.accepted.append(View(tip.size, signed.entry, signed.body))
        if signed.entry.rule.open:
            _append(tip, signed, OPEN, body)
        else:
            epoch = tip.group.epoch
            if epoch not in self._data_keys:
                raise LedgerError(f"{self.path}: the data key of epoch {epoch} is not here; open the log again with it")
            _append(tip, signed, epoch, seal_body(self._data_keys[epoch], signed.entry, body, epoch))

    def _note_gap(self, tip: _Tip, entry: Entry, wall_ms: int) -> None:
        last = tip.standing.get(entry.source, Last(0, NO_HASH, 0))
        _say(tip, self.signer, "gap", {"source": entry.source, "first": last.seq + 1, "last": entry.seq - 1}, wall_ms)

    def _refuse(self, tip: _Tip, signed: Signed | None, data: bytes, reason: str, wall_ms: int) -> None:
        fields: dict[str, Value] = {"reason": reason[:REASON_CHARS_MAX], "hash": digest(data), "source": "", "kind": "", "seq": 0}
        if signed is not None:
            entry = signed.entry
            fields |= {"source": entry.source[:NAME_CHARS_MAX], "kind": entry.kind, "seq": entry.seq}
        _say(tip, self.signer, "refused", fields, wall_ms)

    def _follow(self, tip: _Tip, followed: Followed, wall_ms: int) -> None:
        for item in followed.items:
            self._admit(tip, item, wall_ms)
        tip.contracts |= followed.roots


def _check_signatures(group: Group, signed: Signed) -> None:
    entry = signed.entry
    keys = group.signers(entry)
    try:
        certificate = group.certificate_of(entry)
        if certificate:
            verify_certificate(certificate, group.founding.authority, entry.source, from_ms(entry.wall_ms))
        for key, signature in zip(keys, entry.signatures, strict=True):
            key.verify(entry.message(), signature)
    except VerificationError as error:
        raise RefusedError(f"unproven: {entry.source} {entry.seq}: {error}") from None


def _check_order(last: Last | None, entry: Entry) -> bool:
    """Whether numbers are missing before this entry; RefusedError when it repeats or contradicts what is sealed."""
    seq, prev, wall_ms = (last.seq, last.hash, last.wall_ms) if last else (0, NO_HASH, 0)
    if entry.seq <= seq:
        raise RefusedError(f"replayed: {entry.source} {entry.seq} came again or late, it stands at {seq}")
    if entry.wall_ms < wall_ms - CLOCK_SLACK_MS:
        raise RefusedError(f"clock: {entry.source} {entry.seq} is dated before its entry {seq}")
    if entry.seq == seq + 1 and entry.prev != prev:
        raise RefusedError(f"forked: {entry.source} {entry.seq} does not name entry {seq} as the one before")
    if entry.seq > seq + 1 and entry.rule.signer != "device":
        raise RefusedError(f"gap: {entry.source} {entry.seq} came, {seq + 1} was expected")
    return entry.seq > seq + 1


def _say(tip: _Tip, signer: Ed25519Signer, kind: str, fields: Mapping[str, Value], wall_ms: int) -> None:
    """An entry of the log itself: its bodies lie open."""
    last = tip.standing.get(LOG, Last(0, NO_HASH, 0))
    wall = from_ms(max(wall_ms, last.wall_ms))
    # A log entry hides nothing, so its salts need not be secret: they follow from the entry's place.
    source = Source(signer, tip.group.id, LOG, last.seq, last.hash, simulated=tip.group.founding.simulated, secret=tip.group.id)
    signed = source.entry(kind, fields, wall, wall)
    _append(tip, signed, OPEN, signed.body.encode())


def _append(tip: _Tip, signed: Signed, epoch: int, box: bytes) -> None:
    entry, number = signed.entry, tip.size
    leaf, leaf_hash = entry.encode(), entry.hash
    tip.rows.append((number, entry.kind, entry.source, entry.seq, entry.wall_ms, leaf, leaf_hash))
    tip.bodies.append((number, epoch, box))
    tip.nodes += grow(tip.peaks, number, leaf_hash)
    tip.standing[entry.source] = Last(entry.seq, leaf_hash, entry.wall_ms)
    tip.size += 1


def _finish(db: sqlite3.Connection, tip: _Tip, signer: Ed25519Signer, wall_ms: int) -> Note:
    """The state leaf, the checkpoint and all rows; the caller commits."""
    if tip.group.log != signer.public:
        raise LedgerError("the log signs with another key than this one by now; open it with the key that was rotated in")
    fields: dict[str, Value] = {
        "members": tip.group.root,
        "contracts": dict(tip.contracts),
        "checkpoint": digest(tip.note.text.encode()) if tip.note else NO_HASH,
        "sources": {source: [last.seq, last.hash, last.wall_ms] for source, last in tip.standing.items()},
    }
    _say(tip, signer, "state", fields, wall_ms)
    tip.note = sign_checkpoint(Checkpoint(tip.group.origin, tip.size, fold(tip.peaks)), signer)
    db.executemany("INSERT INTO entry VALUES (?,?,?,?,?,?,?)", tip.rows)
    db.executemany("INSERT INTO body VALUES (?,?,?)", tip.bodies)
    db.executemany("INSERT INTO node VALUES (?,?,?)", tip.nodes)
    db.execute("INSERT INTO checkpoint VALUES (?,?,?)", (tip.size, tip.note.signed, tip.standing[LOG].wall_ms))
    tip.rows, tip.bodies, tip.nodes = [], [], []
    return tip.note


def _complete_ranges(size: int) -> list[tuple[int, int]]:
    """The complete subtrees that make up a tree of `size` leaves, largest first."""
    ranges, low = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            ranges.append((low, low + (1 << level)))
            low += 1 << level
    return ranges


_TABLES = {
    "entry": "number INTEGER PRIMARY KEY, kind TEXT, source TEXT, seq INTEGER, wall_ms INTEGER, leaf BLOB, hash BLOB, UNIQUE (source, seq)",
    "body": "number INTEGER PRIMARY KEY, epoch INTEGER, box BLOB",
    "node": "level INTEGER, position INTEGER, hash BLOB, PRIMARY KEY (level, position)",
    "checkpoint": "size INTEGER PRIMARY KEY, note TEXT, wall_ms INTEGER",
    "cosignature": "size INTEGER, name TEXT, time_s INTEGER, line TEXT, PRIMARY KEY (size, name)",
}
_SCHEMA = "".join(
    f"CREATE TABLE {table} ({columns});\n"
    f"CREATE TRIGGER {table}_stays BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, 'append only'); END;\n"
    f"CREATE TRIGGER {table}_kept BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, 'append only'); END;\n"
    for table, columns in _TABLES.items()
)
