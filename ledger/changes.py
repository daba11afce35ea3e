"""Changes that both members must sign: an owner proposes, an official of the government approves, and only then the government signs.

Destroying content, recovery keys, new keys of the owner, the log or the witness: none of them is signed by a process on its own account.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.cbor import encode
from ledger.entry import Body, Entry, Signed, digest
from ledger.envelope import unwrap_data_key, wrap_data_key
from ledger.errors import FormatError, LedgerError
from ledger.founding import GOVERNMENT, OWNER, Member
from ledger.group import Group
from ledger.keys import EnvelopeKey, P256Signer, PublicKey
from ledger.succession import quorum_keys
from ledger.tables import EPOCH_FIRST

PROPOSED = ("data.destroyed", "recovery.set", "member.recover", "log.rotate", "witness.rotate", "policy.install")
WAITING_MOST = 100  # proposals of one group that nobody looked at
SCHEMA = """
CREATE TABLE IF NOT EXISTS proposal (name TEXT, id TEXT, kind TEXT, body BLOB, approved INTEGER, PRIMARY KEY (name, id));
CREATE TABLE IF NOT EXISTS change (number INTEGER PRIMARY KEY, name TEXT, id TEXT, record BLOB);
CREATE TABLE IF NOT EXISTS data_key (name TEXT, epoch INTEGER, wrapped BLOB, PRIMARY KEY (name, epoch));
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """A change as an owner proposes it: the entry without the government's signature."""

    kind: str
    source: str
    body: Body
    seq: int
    prev: bytes
    time_ms: int
    keys: tuple[bytes, ...]
    signatures: tuple[bytes, ...]  # of all keys but the government's, in their order

    @property
    def id(self) -> str:
        """The name of the proposal: what is to change, whoever asks and whenever."""
        return digest(encode([self.kind, self.body.encode()]))[:8].hex()

    def entry(self, group: Group) -> Entry:
        """The entry before the government signed it."""
        at, simulated = self.time_ms, group.founding.simulated
        return Entry(group.id, self.kind, self.source, self.seq, self.prev, at, at, simulated, self.body.root, self.keys)

    def to_json(self, name: str) -> dict[str, Any]:
        hexed = {"keys": [key.hex() for key in self.keys], "signatures": [s.hex() for s in self.signatures]}
        plain = {"name": name, "kind": self.kind, "source": self.source, "seq": self.seq, "prev": self.prev.hex(), "time_ms": self.time_ms}
        return {**plain, **hexed, "body": self.body.encode().hex()}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> "Draft":
        """FormatError when something is missing or of another shape."""
        try:
            parts = {part: tuple(bytes.fromhex(item) for item in facts[part]) for part in ("keys", "signatures")}
            body, prev = Body.decode(bytes.fromhex(facts["body"])), bytes.fromhex(facts["prev"])
            return cls(str(facts["kind"]), str(facts["source"]), body, int(facts["seq"]), prev, int(facts["time_ms"]), **parts)
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"not a proposed change ({error!r})") from None


@dataclass(frozen=True, slots=True)
class Seat:
    """The government's place in one group: the group as it knows it, and its own keys."""

    name: str
    group: Group
    sign: P256Signer
    envelope: EnvelopeKey


class Changes:
    """The government's store of proposals, approvals and signed changes."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.executescript(SCHEMA)

    def replayed(self, name: str, group: Group) -> Group:
        """The group after the changes this government signed; what only the log knows (devices, grants) is not in it."""
        for (record,) in self._db.execute("SELECT record FROM change WHERE name = ? ORDER BY number", (name,)):
            signed = Signed.decode(record)
            if signed.entry.kind != "data.destroyed":
                group.apply(0, signed.entry, signed.body)
        return group

    def waiting(self, name: str) -> list[tuple[str, str, Body]]:
        """Proposals that nobody approved yet: id, kind and what they say."""
        rows = self._db.execute("SELECT id, kind, body FROM proposal WHERE name = ? AND NOT approved ORDER BY rowid", (name,))
        return [(id_, kind, Body.decode(body)) for id_, kind, body in rows]

    def approve(self, name: str, id_: str) -> None:
        """An official's yes; the government signs when the owner asks again."""
        if not self._db.execute("UPDATE proposal SET approved = 1 WHERE name = ? AND id = ?", (name, id_)).rowcount:
            raise LedgerError(f"{name}: no proposal {id_} waits; see `wattproof member waiting {name}`")

    def keep_data_key(self, seat: Seat, epoch: int, wrapped: bytes) -> None:
        """Take the data key of a new epoch, wrapped for the government; LedgerError when it does not open."""
        unwrap_data_key(wrapped, seat.envelope, seat.group.founding.log, epoch)
        self._db.execute("INSERT OR REPLACE INTO data_key VALUES (?,?,?)", (seat.name, epoch, wrapped))

    def answer(self, seat: Seat, draft: Draft) -> tuple[int, dict[str, Any]]:
        """Status and answer: 202 while nobody approved, 200 with the signed record and, for a recovered owner, the data keys."""
        entry = draft.entry(seat.group)
        self._check(seat, draft, entry)
        row = self._db.execute("SELECT approved FROM proposal WHERE name = ? AND id = ?", (seat.name, draft.id)).fetchone()
        if row is None:
            if len(self.waiting(seat.name)) >= WAITING_MOST:
                raise LedgerError(f"{seat.name}: {WAITING_MOST} proposals wait already")
            self._db.execute("INSERT INTO proposal VALUES (?,?,?,?,0)", (seat.name, draft.id, draft.kind, draft.body.encode()))
        if row is None or not row[0]:
            return 202, {"waiting": draft.id}
        signed = Signed(self._signed(seat, draft, entry), draft.body)
        wrapped = self._rewrapped(seat, draft) if draft.kind == "member.recover" else {}
        self._db.execute("INSERT INTO change (name, id, record) VALUES (?,?,?)", (seat.name, draft.id, signed.encode()))
        if draft.kind == "data.destroyed":
            self._db.execute("DELETE FROM data_key WHERE name = ? AND epoch = ?", (seat.name, draft.body.by_name()["epoch"]))
        return 200, {"record": signed.encode().hex(), "data_keys": wrapped}

    def forget_unsealed(self, name: str, id_: str) -> None:
        """The newest change asked for again: the owner could not seal it in the place it was signed for, and gets it for another."""
        newest = "SELECT max(number) FROM change WHERE name = ?"
        self._db.execute(f"DELETE FROM change WHERE id = ? AND number = ({newest})", (id_, name))  # noqa: S608 (its text stands here)

    def _check(self, seat: Seat, draft: Draft, entry: Entry) -> None:
        if draft.kind not in PROPOSED:
            raise FormatError(f"{draft.kind} is not a change that is proposed; these are: {', '.join(PROPOSED)}")
        group = seat.group.copy()
        if draft.kind == "member.recover":
            keys = quorum_keys(group, draft.source, draft.keys)
        else:
            keys = [group.members[OWNER].key, group.members[GOVERNMENT].key]
        if tuple(key.key_id for key in keys) != draft.keys or seat.sign.key_id not in draft.keys:
            raise FormatError("the proposal does not name the keys that must sign it")
        others = [key for key in keys if key.key_id != seat.sign.key_id]
        for key, signature in zip(others, draft.signatures, strict=True):
            key.verify(entry.message(), signature)
        if draft.kind != "data.destroyed":
            group.apply(0, entry, draft.body)

    def _signed(self, seat: Seat, draft: Draft, entry: Entry) -> Entry:
        theirs = dict(zip([key for key in draft.keys if key != seat.sign.key_id], draft.signatures, strict=True))
        ours = seat.sign.sign(entry.message())
        signatures = tuple(theirs.get(key, ours) for key in draft.keys)
        return Entry(**{name: getattr(entry, name) for name in _ENTRY_FIELDS}, signatures=signatures)

    def _rewrapped(self, seat: Seat, draft: Draft) -> dict[str, str]:
        """Every living data key, wrapped for the recovered owner's new key."""
        log = seat.group.founding.log
        new: PublicKey = Member.from_value(draft.body.by_name()["member"]).envelope
        rows = self._db.execute("SELECT epoch, wrapped FROM data_key WHERE name = ?", (seat.name,)).fetchall()
        held = {EPOCH_FIRST: seat.group.founding.data_keys[GOVERNMENT], **dict(rows)}
        opened = {epoch: unwrap_data_key(wrapped, seat.envelope, log, epoch) for epoch, wrapped in held.items()}
        return {str(epoch): wrap_data_key(key, new, log, epoch).hex() for epoch, key in opened.items()}


_ENTRY_FIELDS = ("group", "kind", "source", "seq", "prev", "time_ms", "wall_ms", "simulated", "body", "keys")


def parsed(request: bytes) -> Mapping[str, Any]:
    """A proposal's JSON; FormatError when it is none."""
    try:
        facts = json.loads(request)
    except ValueError:
        raise FormatError("expected JSON") from None
    if not isinstance(facts, dict) or type(facts.get("name")) is not str:
        raise FormatError("expected a JSON object with the group's name")
    return facts
