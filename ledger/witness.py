"""The government's process: it joins groups that owners found, and cosigns checkpoints that only added to what it saw.

HTTP on the loopback: C2SP tlog-witness `POST /add-checkpoint`, and `POST /found`, `POST /found/sign` where an owner asks it to join.
For each group it has keys of its own, kept here and nowhere else. It never sees a plain body it did not ask for.
"""

import json
import re
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ledger.changes import Changes, Draft, Seat, parsed
from ledger.checkpoint import Checkpoint, Note, cosign, parse_hash, parse_note, parse_size, verify_checkpoint
from ledger.entry import Body, Signed
from ledger.envelope import unwrap_data_key
from ledger.errors import ForkError, FormatError, KeyFileError, LedgerError, VerificationError
from ledger.founding import GOVERNMENT, Founding, WitnessKey, sign_as_member
from ledger.group import Group
from ledger.keys import Ed25519Signer, EnvelopeKey, P256Signer, PublicKey, read_envelope_key, read_note_signer, read_signer, write_key
from ledger.tables import EPOCH_FIRST
from ledger.tree import EMPTY_ROOT, PROOF_MOST, verify_consistency
from ledger.trust import Trust
from twin.clock import wall_now

GROUP_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
REQUEST_BYTES_MAX = 262_144  # a founding with a dozen members is some 10 kB, a checkpoint with its proof 5 kB
REQUEST_TIMEOUT_S = 10
GROUPS_MOST = 10_000
CONFLICTS_MOST = 100  # per log: two notes prove a fork, a hundred do not prove it better
JSON, TEXT, SIZE = "application/json", "text/plain; charset=utf-8", "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class GroupKeys:
    """The government's own keys in one group."""

    sign: P256Signer
    witness: Ed25519Signer
    envelope: EnvelopeKey


class Witness:
    """The government as member and witness of many groups; every group has its own keys."""

    def __init__(self, folder: Path, name: str = "government") -> None:
        self.folder = folder
        self.name = name
        keys, path = folder / "keys", folder / "witness.db"
        if not path.exists() and keys.exists() and any(keys.iterdir()):
            raise LedgerError(
                f"{path}: keys are there but the database is not; a witness that forgot what it signed could sign a fork, restore it"
            )
        keys.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript(_SCHEMA)
        self.changes = Changes(self._db)

    def close(self) -> None:
        self._db.close()

    def groups(self) -> list[str]:
        """The names of the groups this government belongs to."""
        return [name for (name,) in self._db.execute("SELECT name FROM founded ORDER BY name")]

    def trust(self, name: str) -> Trust:
        """What an inspector needs to check this group, from the government's own store."""
        return Trust.of(self._founded(name))

    def last_note(self, name: str) -> Note | None:
        """The last checkpoint this witness cosigned for a group."""
        row = self._db.execute("SELECT note FROM seen WHERE origin = ?", (self._group(name).origin,)).fetchone()
        return parse_note(row[0].encode()) if row else None

    def conflicts(self, name: str) -> list[tuple[str, str]]:
        """Pairs of signed notes of one log that do not fit together: what was cosigned, and what was offered after."""
        rows = self._db.execute("SELECT kept, offered FROM conflict WHERE origin = ? ORDER BY number", (self._group(name).origin,))
        return rows.fetchall()

    def keys_for(self, name: str, owner: str) -> Answer:
        """An owner asks the government to join: its public keys for that group."""
        if not GROUP_NAME.fullmatch(name) or not 0 < len(owner) <= 200:
            return _error(400, "a group's name is lower-case letters, digits, - and _; the owner's name has at most 200 characters")
        with self._lock:
            row = self._db.execute("SELECT owner FROM asked WHERE name = ?", (name,)).fetchone()
            if row is None and self._db.execute("SELECT count(*) FROM asked").fetchone()[0] >= GROUPS_MOST:
                return _error(429, f"more than {GROUPS_MOST} groups were asked for")
            if row is not None and row[0] != owner:
                return _error(409, f"group {name} was asked for by another owner; choose another name")
            if row is None:
                self._make_keys(name)
                self._db.execute("INSERT INTO asked VALUES (?,?)", (name, owner))
            keys = self._keys(name)
        facts = {
            "government": self.name,
            "key": keys.sign.public.text,
            "envelope": keys.envelope.public.text,
            "witness": self._cosigner(name),
            "witness_key": keys.witness.public.text,
        }
        return Answer(200, JSON, json.dumps(facts))

    def join(self, body: bytes, time_ms: int, owner_signature: bytes) -> Answer:
        """Check a founding the owner signed, sign it too, and trust its log from now on."""
        try:
            founding = Founding.parse(Body.decode(body))
            draft = founding.draft(Body.decode(body).secret, time_ms)
            if draft.body.encode() != body:
                raise FormatError("the founding does not write back to itself")
            founding.members[0].key.verify(draft.entry.message(), owner_signature)
            with self._lock:
                keys = self._own_keys(founding)
                entry = draft.entry
                signed = entry.signed_by(_Ready(entry.keys[0], owner_signature), _Ready(entry.keys[1], sign_as_member(entry, keys.sign)))
                self._keep(founding.name, Signed(signed, draft.body))
        except (FormatError, VerificationError, KeyFileError) as error:
            return _error(422, str(error))
        except LedgerError as error:
            return _error(409, str(error))
        return Answer(200, JSON, json.dumps({"founding": Signed(signed, draft.body).encode().hex()}))

    def change(self, request: bytes) -> Answer:
        """An owner proposes a change that both must sign, or asks whether it is approved by now."""
        try:
            facts = parsed(request)
            name, draft = facts["name"], Draft.from_json(facts)
            with self._lock:
                self.changes.forget_unsealed(name, draft.id)
                self._must_be_the_next_witness(name, draft)
                keys = self._keys(name)
                status, answer = self.changes.answer(Seat(name, self._group(name), keys.sign, keys.envelope), draft)
                if status == 200 and draft.kind == "witness.rotate":
                    self._take_next_witness(name)
        except (LedgerError, ValueError) as error:
            return _error(422, str(error))
        return Answer(status, JSON, json.dumps(answer))

    def keep_data_key(self, request: bytes) -> Answer:
        """An owner begins a new epoch: its data key, wrapped for the government, is kept before anything is sealed under it."""
        try:
            facts = parsed(request)
            name, epoch, wrapped = facts["name"], int(facts["epoch"]), bytes.fromhex(facts["wrapped"])
            with self._lock:
                keys = self._keys(name)
                self.changes.keep_data_key(Seat(name, self._group(name), keys.sign, keys.envelope), epoch, wrapped)
        except (LedgerError, KeyError, TypeError, ValueError) as error:
            return _error(422, f"the data key is not taken: {error}")
        return Answer(200, TEXT, "kept\n")

    def next_witness(self, name: str) -> WitnessKey:
        """Make the key that the government's witness will cosign with once owner and government have sealed it."""
        path = self._next_witness_file(name)
        self._founded(name)
        if not path.exists():
            write_key(path, Ed25519Signer.generate())
        return WitnessKey(self._cosigner(name), read_note_signer(path).public)

    def _next_witness_file(self, name: str) -> Path:
        return self.folder / "keys" / f"{name}.witness.next.key"

    def _must_be_the_next_witness(self, name: str, draft: Draft) -> None:
        if draft.kind != "witness.rotate":
            return
        named = draft.body.by_name()["witnesses"][0]
        keys = [self._keys(name).witness.public]
        if self._next_witness_file(name).exists():
            keys.append(read_note_signer(self._next_witness_file(name)).public)
        if PublicKey.from_value(named[1]) not in keys:
            raise FormatError(
                "the first witness is not one of this government's; ask for its next key with `wattproof member next-witness`"
            )

    def _take_next_witness(self, name: str) -> None:
        path, now = self._next_witness_file(name), self._key_files(name)[1]
        if path.exists():
            now.rename(now.with_suffix(f".{len(list(now.parent.glob(f'{name}.witness.*.retired')))}.retired"))
            path.rename(now)

    def add_checkpoint(self, request: bytes, now_s: int) -> Answer:
        """C2SP add-checkpoint: cosign when the checkpoint only added to the last one cosigned."""
        try:
            old, proof, note = _parse_request(request)
            offered = note.checkpoint
        except FormatError as error:
            return _error(400, str(error))
        row = self._db.execute("SELECT name FROM founded WHERE origin = ?", (offered.origin,)).fetchone()
        if row is None:
            return _error(404, f"log {offered.origin} is not one of this witness")
        group = self._group(row[0])
        try:
            verify_checkpoint(note, group.origin, group.log)
        except VerificationError as error:
            return _error(403, str(error))
        if old > offered.size:
            return _error(400, f"old size {old} is above the checkpoint's {offered.size}")
        with self._lock:
            return self._check_and_store(row[0], old, proof, note, now_s)

    def _check_and_store(self, name: str, old: int, proof: list[bytes], note: Note, now_s: int) -> Answer:
        """One atomic step, durable before the answer: the check, and what was seen."""
        offered = note.checkpoint
        self._db.execute("BEGIN IMMEDIATE")
        try:
            row = self._db.execute("SELECT note FROM seen WHERE origin = ?", (offered.origin,)).fetchone()
            kept = row[0] if row else ""
            before = parse_note(kept.encode()).checkpoint if row else Checkpoint(offered.origin, 0, EMPTY_ROOT)
            if offered.size == before.size and offered.root != before.root:
                self._keep_conflict(offered.origin, kept, note.signed)
                return Answer(409, SIZE, f"{before.size}\n")
            if old != before.size:
                return Answer(409, SIZE, f"{before.size}\n")
            try:
                verify_consistency(before.size, before.root, offered.size, offered.root, proof)
            except VerificationError as error:
                self._keep_conflict(offered.origin, kept, note.signed)
                return _error(422, str(error))
            self._db.execute(
                "INSERT INTO seen VALUES (?,?) ON CONFLICT (origin) DO UPDATE SET note = excluded.note", (offered.origin, note.signed)
            )
            line = cosign(note, self._cosigner(name), self._keys(name).witness, now_s).line
        finally:
            self._db.execute("COMMIT")
        return Answer(200, TEXT, line)

    def _keep_conflict(self, origin: str, kept: str, offered: str) -> None:
        known = self._db.execute(
            "SELECT count(*), coalesce(sum(offered = ?), 0) FROM conflict WHERE origin = ?", (offered, origin)
        ).fetchone()
        if known[0] < CONFLICTS_MOST and not known[1]:
            self._db.execute("INSERT INTO conflict (origin, kept, offered) VALUES (?,?,?)", (origin, kept, offered))

    def _group(self, name: str) -> Group:
        """The group as this government knows it: its founding, and the changes it signed since."""
        return self.changes.replayed(name, self._founded(name))

    def _founded(self, name: str) -> Group:
        row = self._db.execute("SELECT founding FROM founded WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise LedgerError(f"{name}: this government belongs to no group of that name; its groups: {', '.join(self.groups()) or 'none'}")
        signed = Signed.decode(row[0])
        return Group.found(signed.entry, signed.body)

    def _own_keys(self, founding: Founding) -> GroupKeys:
        """The keys this government promised, if the founding names them and the data key opens with them."""
        row = self._db.execute("SELECT owner FROM asked WHERE name = ?", (founding.name,)).fetchone()
        if row is None or row[0] != founding.members[0].name:
            raise FormatError(f"{founding.members[0].name} did not ask this government to join a group {founding.name}")
        keys, member = self._keys(founding.name), founding.members[1]
        if (member.key, member.envelope, member.name) != (keys.sign.public, keys.envelope.public, self.name):
            raise FormatError("the founding does not name the keys this government gave for the group")
        first = founding.witnesses[0]
        if (first.name, first.key) != (self._cosigner(founding.name), keys.witness.public):
            raise FormatError("the founding does not name this government as its first witness")
        try:
            unwrap_data_key(founding.data_keys[GOVERNMENT], keys.envelope, founding.log, EPOCH_FIRST)
        except LedgerError:
            raise FormatError("the founding's data key does not open with the government's key") from None
        return keys

    def _keep(self, name: str, signed: Signed) -> None:
        record = signed.encode()
        row = self._db.execute("SELECT founding FROM founded WHERE name = ?", (name,)).fetchone()
        if row is not None and row[0] != record:
            raise ForkError(f"group {name} was founded already with another founding; a group is founded once")
        if row is None:
            group = Group.found(signed.entry, signed.body)
            self._db.execute("INSERT INTO founded VALUES (?,?,?)", (name, group.origin, record))

    def _cosigner(self, name: str) -> str:
        return f"{re.sub('[^a-z0-9]+', '-', self.name.lower()).strip('-') or GOVERNMENT}/witness/{name}"

    def _make_keys(self, name: str) -> None:
        # Keys left by a start that died before it was noted down were never given to anybody.
        for path in self._key_files(name):
            path.unlink(missing_ok=True)
        sign, witness, envelope = self._key_files(name)
        write_key(sign, P256Signer.generate())
        write_key(witness, Ed25519Signer.generate())
        write_key(envelope, EnvelopeKey.generate())

    def _keys(self, name: str) -> GroupKeys:
        sign, witness, envelope = self._key_files(name)
        return GroupKeys(read_signer(sign), read_note_signer(witness), read_envelope_key(envelope))

    def _key_files(self, name: str) -> tuple[Path, Path, Path]:
        keys = self.folder / "keys"
        return keys / f"{name}.sign.key", keys / f"{name}.witness.key", keys / f"{name}.envelope.key"


@dataclass(frozen=True, slots=True)
class _Ready:
    """A signature that was made elsewhere."""

    key_id: bytes
    signature: bytes

    def sign(self, message: bytes) -> bytes:
        return self.signature


def _parse_request(request: bytes) -> tuple[int, list[bytes], Note]:
    head, blank, note = request.partition(b"\n\n")
    lines = head.decode("ascii", "replace").split("\n")
    if not blank or not lines[0].startswith("old ") or len(lines) - 1 > PROOF_MOST:
        raise FormatError(f"expected 'old N', at most {PROOF_MOST} proof lines, a blank line and a checkpoint")
    return parse_size(lines[0].removeprefix("old ")), [parse_hash(line) for line in lines[1:]], parse_note(note)


def _error(status: int, text: str) -> Answer:
    return Answer(status, TEXT, text + "\n")


class WitnessServer(ThreadingHTTPServer):
    """Serves one witness on the loopback; port 0 takes a free one."""

    daemon_threads = True

    def __init__(self, witness: Witness, port: int = 0) -> None:
        self.witness = witness
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: WitnessServer
    timeout = REQUEST_TIMEOUT_S
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > REQUEST_BYTES_MAX:
            self.close_connection = True
            self._answer(_error(413, f"a request has at most {REQUEST_BYTES_MAX} bytes and says how many"))
            return
        request = self.rfile.read(int(length))
        route = _ROUTES.get(self.path)
        self._answer(route(self.server.witness, request) if route else _error(404, f"{self.path}: no such path"))

    def _answer(self, answer: Answer) -> None:
        data = answer.text.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what happened stands in the witness's database."""


def _found(witness: Witness, request: bytes) -> Answer:
    try:
        facts = json.loads(request)
        return witness.keys_for(str(facts["name"]), str(facts["owner"]))
    except (ValueError, KeyError, TypeError):
        return _error(400, "expected JSON with name and owner")


def _found_sign(witness: Witness, request: bytes) -> Answer:
    try:
        facts = json.loads(request)
        parts = bytes.fromhex(facts["body"]), int(facts["time_ms"]), bytes.fromhex(facts["signature"])
    except (ValueError, KeyError, TypeError):
        return _error(400, "expected JSON with body, time_ms and signature")
    return witness.join(*parts)


def _add_checkpoint(witness: Witness, request: bytes) -> Answer:
    return witness.add_checkpoint(request, int(wall_now().timestamp()))


_ROUTES: dict[str, Callable[[Witness, bytes], Answer]] = {
    "/add-checkpoint": _add_checkpoint,
    "/found": _found,
    "/found/sign": _found_sign,
    "/change": lambda witness, request: witness.change(request),
    "/data-key": lambda witness, request: witness.keep_data_key(request),
}
_SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
CREATE TABLE IF NOT EXISTS asked (name TEXT PRIMARY KEY, owner TEXT);
CREATE TABLE IF NOT EXISTS founded (name TEXT PRIMARY KEY, origin TEXT UNIQUE, founding BLOB);
CREATE TABLE IF NOT EXISTS seen (origin TEXT PRIMARY KEY, note TEXT);
CREATE TABLE IF NOT EXISTS conflict (number INTEGER PRIMARY KEY, origin TEXT, kept TEXT, offered TEXT);
CREATE TRIGGER IF NOT EXISTS conflict_stays BEFORE UPDATE ON conflict BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS conflict_kept BEFORE DELETE ON conflict BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS founded_stays BEFORE UPDATE ON founded BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS founded_kept BEFORE DELETE ON founded BEGIN SELECT RAISE(ABORT, 'append only'); END;
"""
