"""The owner's side of the witness: ask the government to join, and have checkpoints cosigned.

A witness that is away stops nothing: sealing goes on, and the next checkpoint asks again.
"""

import base64
import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ledger.changes import Draft
from ledger.checkpoint import Note, NoteSignature, parse_size, verify_cosignature
from ledger.entry import Signed
from ledger.errors import ForkError, FormatError, LedgerError, WitnessAwayError
from ledger.founding import WitnessKey
from ledger.group import Group
from ledger.keys import PublicKey
from ledger.log import Log

TIMEOUT_S = 5  # on the loopback a cosignature takes milliseconds; over a city's network less than a second
ANSWER_BYTES_MAX = 262_144


@dataclass(frozen=True, slots=True)
class GovernmentKeys:
    """What the government will use in a new group."""

    government: str
    key: PublicKey
    envelope: PublicKey
    witness: WitnessKey


class WitnessClient:
    """Talks to one witness by its url."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or not parts.port:
            raise LedgerError(f"{url!r}: expected a witness as http://host:port")
        self.url = url
        self._host, self._port, self._timeout_s = parts.hostname, parts.port, timeout_s

    def ask_to_join(self, name: str, owner: str) -> GovernmentKeys:
        """The government's public keys for a group that is to be founded."""
        facts = self._post_json("/found", {"name": name, "owner": owner})
        try:
            return GovernmentKeys(
                str(facts["government"]),
                PublicKey.from_text(facts["key"]),
                PublicKey.from_text(facts["envelope"]),
                WitnessKey(str(facts["witness"]), PublicKey.from_text(facts["witness_key"])),
            )
        except (KeyError, FormatError) as error:
            raise LedgerError(f"{self.url}: the government's answer is not understood ({error})") from None

    def join(self, draft: Signed, owner_signature: bytes) -> Signed:
        """The founding entry with the government's signature too."""
        facts = {"body": draft.body.encode().hex(), "time_ms": draft.entry.time_ms, "signature": owner_signature.hex()}
        answer = self._post_json("/found/sign", facts)
        try:
            return Signed.decode(bytes.fromhex(answer["founding"]))
        except (KeyError, ValueError, TypeError, FormatError) as error:
            raise LedgerError(f"{self.url}: the government's answer is not understood ({error})") from None

    def ask_to_sign(self, name: str, draft: Draft) -> tuple[str, Signed | None, dict[int, bytes]]:
        """Propose a change: the proposal's id, the record once it is approved, and the data keys that a recovered owner gets."""
        status, text = self._post("/change", json.dumps(draft.to_json(name)).encode())
        if status not in (200, 202):
            raise LedgerError(f"{self.url}/change: the government refused ({status}): {text.strip()}")
        try:
            facts = json.loads(text)
            if status == 202:
                return str(facts["waiting"]), None, {}
            keys = {int(epoch): bytes.fromhex(wrapped) for epoch, wrapped in facts["data_keys"].items()}
            return draft.id, Signed.decode(bytes.fromhex(facts["record"])), keys
        except (KeyError, ValueError, TypeError, AttributeError, FormatError) as error:
            raise LedgerError(f"{self.url}: the government's answer is not understood ({error})") from None

    def give_data_key(self, name: str, epoch: int, wrapped: bytes) -> None:
        """Let the government keep its copy of a new epoch's data key."""
        facts = {"name": name, "epoch": epoch, "wrapped": wrapped.hex()}
        status, text = self._post("/data-key", json.dumps(facts).encode())
        if status != 200:
            raise LedgerError(f"{self.url}/data-key: the government refused ({status}): {text.strip()}")

    def add_checkpoint(self, old: int, proof: Sequence[bytes], note: Note) -> tuple[int, str]:
        """C2SP add-checkpoint: status and text."""
        lines = [f"old {old}", *(base64.b64encode(hash_).decode() for hash_ in proof)]
        return self._post("/add-checkpoint", ("\n".join(lines) + "\n\n" + note.signed).encode())

    def _post_json(self, path: str, facts: Any) -> Any:
        status, text = self._post(path, json.dumps(facts).encode())
        if status != 200:
            raise LedgerError(f"{self.url}{path}: the government refused ({status}): {text.strip()}")
        try:
            return json.loads(text)
        except ValueError:
            raise LedgerError(f"{self.url}{path}: the government's answer is not JSON") from None

    def _post(self, path: str, data: bytes) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.request("POST", path, data)
            response = connection.getresponse()
            return response.status, response.read(ANSWER_BYTES_MAX).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise WitnessAwayError(
                f"{self.url}: the witness does not answer ({error}); sealing goes on, nothing is final meanwhile"
            ) from None
        finally:
            connection.close()


def cosign_newest(log: Log, client: WitnessClient) -> int:
    """Have the newest checkpoint cosigned and keep the cosignature; return the size that is final then.

    WitnessAwayError: try again later. ForkError: this log is not the one the witness knows; stop sealing.
    Call it once before the first sealing after a start: that finds a log restored from an old backup.
    """
    note = log.newest()
    size = note.checkpoint.size
    if log.cosigned(size):
        return size
    final = log.final()
    old = final.checkpoint.size if final else 0
    status, text = client.add_checkpoint(old, log.consistency(old, size), note)
    if status == 409:
        old = _witness_size(text)
        if old > size:
            raise ForkError(f"{log.path}: the witness has seen {old} entries, this log has {size}; restore the log to size {old}")
        status, text = client.add_checkpoint(old, log.consistency(old, size), note)
    if status in (409, 422):
        raise ForkError(
            f"{log.path}: the witness knows another history up to {old} ({status}: {text.strip()}); stop, and compare with the witness"
        )
    if status != 200:
        raise LedgerError(f"{client.url}: the witness refused the checkpoint ({status}): {text.strip()}")
    for signature in _cosignatures(text, note, log.current):
        log.cosign(size, signature)
    return size


def _witness_size(text: str) -> int:
    try:
        return parse_size(text.strip())
    except FormatError:
        raise LedgerError(f"the witness's answer to a conflict is not a size: {text[:80]!r}") from None


def _cosignatures(text: str, note: Note, group: Group) -> list[NoteSignature]:
    """The cosignatures of the group's own witnesses; those of unknown keys are not kept."""
    witnesses = {witness.name: witness for witness in group.witnesses.keys}
    kept = []
    for line in text.splitlines(keepends=True):
        signature = NoteSignature.parse(line)
        if signature.name in witnesses:
            verify_cosignature(note.text, signature, signature.name, witnesses[signature.name].key)
            kept.append(signature)
    if not kept:
        raise LedgerError("the witness answered without a cosignature of the group's witness")
    return kept
