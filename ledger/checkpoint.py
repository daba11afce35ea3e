"""Checkpoints and cosignatures: C2SP signed notes (signed-note, tlog-checkpoint, tlog-cosignature).

Parsing is strict: what does not write back to the same bytes is refused, extension lines too, as cosigners do not vouch for them.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from ledger.errors import FormatError, VerificationError
from ledger.keys import Ed25519Signer, PublicKey
from ledger.tree import HASH_BYTES

NOTE_BYTES_MAX = 16_384  # a checkpoint with a dozen post-quantum cosignatures would fit
SIGNATURES_MOST = 16
TIME_S_MAX = 253_402_300_799
_ED25519_ID = b"\x01"
_COSIGNATURE_ID = b"\x04"
_SIZE_MAX = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: its name, how many leaves it has and their root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:
            raise FormatError(f"a checkpoint has three lines (origin, size, root), got {len(lines) - 1}")
        size = parse_size(lines[1])
        checkpoint = cls(_name(lines[0]), size, _base64(lines[2]))
        if len(checkpoint.root) != HASH_BYTES:
            raise FormatError(f"a root has {HASH_BYTES} bytes, got {len(checkpoint.root)}")
        return checkpoint


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: whose, under which key id, and the payload."""

    name: str
    key_id: bytes
    payload: bytes

    @property
    def line(self) -> str:
        return f"\u2014 {self.name} {base64.b64encode(self.key_id + self.payload).decode()}\n"

    @classmethod
    def parse(cls, line: str) -> "NoteSignature":
        """Read one line, with its newline."""
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014" or not line.endswith("\n"):
            raise FormatError(f"a signature line is '\u2014 name base64', got {line[:80]!r}")
        data = _base64(parts[2].removesuffix("\n"))
        if len(data) < 5:
            raise FormatError(f"the signature of {parts[1]} is too short")
        return cls(_name(parts[1]), data[:4], data[4:])


@dataclass(frozen=True, slots=True)
class Note:
    """A signed text."""

    text: str
    signatures: tuple[NoteSignature, ...]

    @property
    def signed(self) -> str:
        return self.text + "\n" + "".join(signature.line for signature in self.signatures)

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint.parse(self.text)

    def plus(self, *signatures: NoteSignature) -> "Note":
        return Note(self.text, self.signatures + signatures)


def parse_note(data: bytes) -> Note:
    """Read a signed note; FormatError unless it writes back to exactly these bytes."""
    if len(data) > NOTE_BYTES_MAX:
        raise FormatError(f"a note has at most {NOTE_BYTES_MAX} bytes, got {len(data)}")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise FormatError("a note is UTF-8 text") from None
    if any(ord(c) < 32 and c != "\n" for c in text):
        raise FormatError("a note holds no control characters but newlines")
    body, blank, lines = text.rpartition("\n\n")
    if not blank or not body or not lines.endswith("\n"):
        raise FormatError("a note is a text, a blank line and signature lines")
    signatures = [NoteSignature.parse(line) for line in lines.splitlines(keepends=True)]
    if len(signatures) > SIGNATURES_MOST:
        raise FormatError(f"a note has at most {SIGNATURES_MOST} signatures, got {len(signatures)}")
    note = Note(body + "\n", tuple(signatures))
    if note.signed.encode() != data:
        raise FormatError("a note that does not write back to itself")
    return note


def sign_checkpoint(checkpoint: Checkpoint, log: Ed25519Signer) -> Note:
    """The log's own signature; its name is the origin."""
    signature = log.sign(checkpoint.text.encode())
    return Note(checkpoint.text, (NoteSignature(checkpoint.origin, note_key_id(checkpoint.origin, log.public), signature),))


def verify_checkpoint(note: Note, origin: str, log: PublicKey) -> Checkpoint:
    """The checkpoint that `log` signed under `origin`; raises when it did not."""
    checkpoint = note.checkpoint
    evidence = note.signed.encode()
    if checkpoint.origin != origin:
        raise VerificationError(f"expected a checkpoint of {origin}, got one of {checkpoint.origin}", evidence=evidence)
    wanted = note_key_id(origin, log)
    for signature in note.signatures:
        if signature.name == origin and signature.key_id == wanted:
            log.verify(note.text.encode(), signature.payload)
            return checkpoint
    raise VerificationError(f"the log's key {wanted.hex()} did not sign this checkpoint", evidence=evidence)


def cosign(note: Note, name: str, witness: Ed25519Signer, time_s: int) -> NoteSignature:
    """A witness's cosignature/v1 over the checkpoint at `time_s` seconds since 1970."""
    signature = witness.sign(_cosigned(note.text, time_s))
    return NoteSignature(name, cosignature_key_id(name, witness.public), time_s.to_bytes(8, "big") + signature)


def verify_cosignature(text: str, signature: NoteSignature, name: str, witness: PublicKey) -> int:
    """When `witness` cosigned `text`, in seconds since 1970; raises when it did not."""
    if signature.name != name or signature.key_id != cosignature_key_id(name, witness) or len(signature.payload) != 72:
        raise VerificationError(f"not a cosignature of {name}: {signature.line.strip()}", evidence=signature.line.encode())
    time_s = int.from_bytes(signature.payload[:8], "big")
    witness.verify(_cosigned(text, time_s), signature.payload[8:])
    if time_s > TIME_S_MAX:
        raise VerificationError(f"{name} cosigned at {time_s} s since 1970, beyond year 9999", evidence=signature.line.encode())
    return time_s


def _cosigned(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def note_key_id(name: str, key: PublicKey) -> bytes:
    """The four bytes that name an Ed25519 note key."""
    return _key_id(name, _ED25519_ID, key)


def cosignature_key_id(name: str, key: PublicKey) -> bytes:
    """The four bytes that name a cosigner's key."""
    return _key_id(name, _COSIGNATURE_ID, key)


def _key_id(name: str, kind: bytes, key: PublicKey) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + kind + key.raw).digest()[:4]


def parse_size(text: str) -> int:
    """A tree size as C2SP spells it: ASCII decimal without leading zeros."""
    if not (text.isascii() and text.isdecimal()) or (text[0] == "0" and text != "0") or len(text) > 19 or int(text) > _SIZE_MAX:
        raise FormatError(f"a size is a decimal without leading zeros, got {text[:40]!r}")
    return int(text)


def parse_hash(text: str) -> bytes:
    """A hash in base64, 32 bytes."""
    data = _base64(text)
    if len(data) != HASH_BYTES:
        raise FormatError(f"a hash has {HASH_BYTES} bytes, got {len(data)}")
    return data


def _base64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError(f"not base64: {text[:60]!r}") from None
    # The decoder takes several spellings of the same bytes (unused bits of the last letter): only one is ours.
    if base64.b64encode(data).decode() != text:
        raise FormatError(f"base64 that does not encode back to itself: {text[:60]!r}")
    return data


def _name(text: str) -> str:
    if not text or any(c.isspace() for c in text) or "+" in text:
        raise FormatError(f"a key name has no spaces and no plus sign, got {text[:60]!r}")
    return text
