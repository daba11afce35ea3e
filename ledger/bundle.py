"""Evidence as one file: entries, bodies, proofs, checkpoint and cosignatures, and a closing digest.

Deterministic CBOR, then the SHA-256 of all before it. Every byte is sealed, signed or recomputed: certificates stand
in the enrolments they were sealed with, and nothing rides along that a forger could change unseen.
"""

from dataclasses import dataclass
from typing import Any

from ledger.cbor import Value, decode, encode
from ledger.checkpoint import Note, parse_note
from ledger.entry import digest
from ledger.errors import FormatError
from ledger.tree import HASH_BYTES, PROOF_MOST

BUNDLE_FORMAT = "wattproof bundle 1"
OPEN = 0  # the epoch of a body that lies open
BUNDLE_BYTES_MAX = 512 << 20  # a year of one building in minute batches is some 300 MB


@dataclass(frozen=True, slots=True)
class Piece:
    """One entry in a bundle: its number, bytes, and the body, plain (epoch 0) or still sealed for members."""

    number: int
    leaf: bytes
    epoch: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle's parts. Entries from `first` to `end` are all there; others only as far as the registry needs them."""

    group: bytes
    note: Note
    first: int
    end: int
    pieces: tuple[Piece, ...]
    proofs: tuple[tuple[bytes, ...], ...]  # one for each piece; none when every entry of the log is there
    seen_size: int
    seen_proof: tuple[bytes, ...]

    def encode(self) -> bytes:
        data = encode(
            {
                "format": BUNDLE_FORMAT,
                "group": self.group,
                "note": self.note.signed,
                "first": self.first,
                "end": self.end,
                "entries": [[piece.number, piece.leaf, piece.epoch, piece.body] for piece in self.pieces],
                "proofs": [list(proof) for proof in self.proofs],
                "seen": [self.seen_size, list(self.seen_proof)],
            }
        )
        return data + digest(data)

    @classmethod
    def decode(cls, data: bytes) -> "Bundle":
        """Read a bundle; FormatError unless it is canonical and its digest fits. Nothing in it is proven by that."""
        if len(data) > BUNDLE_BYTES_MAX:
            raise FormatError(f"a bundle has at most {BUNDLE_BYTES_MAX} bytes, got {len(data)}")
        if digest(data[:-HASH_BYTES]) != data[-HASH_BYTES:]:
            raise FormatError("the closing digest does not fit: the file was damaged or altered; copy it again")
        return cls.decode_damaged(data)

    @classmethod
    def decode_damaged(cls, data: bytes) -> "Bundle":
        """Read what can be read, whatever the closing digest says: only to name the entry that was altered."""
        value = decode(data[:-HASH_BYTES])
        if not isinstance(value, dict) or {key: type(item) for key, item in value.items()} != _TYPES or value["format"] != BUNDLE_FORMAT:
            raise FormatError(f"expected a file of format {BUNDLE_FORMAT!r}")
        return cls(
            value["group"],
            parse_note(value["note"].encode()),
            value["first"],
            value["end"],
            tuple(_piece(item) for item in value["entries"]),
            tuple(_proof(item) for item in value["proofs"]),
            *_seen(value["seen"]),
        )


_TYPES: dict[str, type] = {
    "format": str,
    "group": bytes,
    "note": str,
    "first": int,
    "end": int,
    "entries": list,
    "proofs": list,
    "seen": list,
}


def _piece(value: Value) -> Piece:
    if type(value) is list and len(value) == 4:
        number, leaf, epoch, body = value
        if type(number) is int and type(leaf) is bytes and type(epoch) is int and type(body) is bytes:
            return Piece(number, leaf, epoch, body)
    raise FormatError("an entry of a bundle is a list of number, entry, epoch and body")


def _proof(value: Value) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > PROOF_MOST or any(type(h) is not bytes or len(h) != HASH_BYTES for h in value):
        raise FormatError(f"a proof is a list of at most {PROOF_MOST} hashes")
    return tuple(value)


def _seen(value: Any) -> tuple[int, tuple[bytes, ...]]:
    if len(value) != 2 or type(value[0]) is not int:
        raise FormatError("the proof from an older checkpoint is a size and a list of hashes")
    return value[0], _proof(value[1])
