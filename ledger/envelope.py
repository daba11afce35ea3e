"""Bodies sealed for the group's members: AES-256-GCM under the group's data key, the key wrapped per member with HPKE."""

import os
from collections.abc import Mapping
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from ledger.cbor import encode, head
from ledger.entry import BODY_BYTES_MAX, Entry
from ledger.errors import FormatError, LedgerError
from ledger.keys import EnvelopeKey, PublicKey

DATA_KEY_BYTES = 32
DataKeys = Mapping[int, bytes]
"""The data keys of one group that somebody holds, by epoch."""
PAD_STEP_BYTES = 1024  # so that a body's size does not tell what went on
_NONCE_BYTES = 12
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM)


def new_data_key() -> bytes:
    """The key of one group and epoch."""
    return os.urandom(DATA_KEY_BYTES)


def wrap_data_key(data_key: bytes, member: PublicKey, log: PublicKey, epoch: int) -> bytes:
    """The data key for one member. The log's key binds it to the group, whose id does not exist before it is founded."""
    return _SUITE.encrypt(data_key, x25519.X25519PublicKey.from_public_bytes(member.raw), info=_info(log, epoch))


def unwrap_data_key(wrapped: bytes, member: EnvelopeKey, log: PublicKey, epoch: int) -> bytes:
    """The data key; LedgerError when it was wrapped for somebody else or for another group."""
    try:
        data_key = _SUITE.decrypt(wrapped, member.private, info=_info(log, epoch))
    except (InvalidTag, ValueError):
        raise LedgerError("this data key was wrapped for another member or another group; use the key of a member") from None
    if len(data_key) != DATA_KEY_BYTES:
        raise FormatError(f"a data key has {DATA_KEY_BYTES} bytes, got {len(data_key)}")
    return data_key


def _info(log: PublicKey, epoch: int) -> bytes:
    # This HPKE takes no associated data: group and epoch are bound by `info`.
    return encode(["wattproof data key v1", log.raw, epoch])


def seal_body(data_key: bytes, entry: Entry, body: bytes, epoch: int) -> bytes:
    """A body as it lies beside the log; it opens only for this group, epoch, source and number."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(data_key).encrypt(nonce, _pad(body), _context(entry, epoch))


def open_body(data_key: bytes, entry: Entry, box: bytes, epoch: int) -> bytes:
    """The body of `entry`; LedgerError when key, entry or box do not belong together."""
    try:
        padded = _cipher(data_key).decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], _context(entry, epoch))
    except (InvalidTag, ValueError):
        raise LedgerError(f"the body of {entry.source} {entry.seq} does not open with this key; is it another group's?") from None
    return _unpad(padded)


@lru_cache(8)
def _cipher(data_key: bytes) -> AESGCM:
    """One process works on one group: the ciphers of its epochs are set up once, not for each body."""
    return AESGCM(data_key)


def open_with(keys: DataKeys, entry: Entry, box: bytes, epoch: int) -> bytes:
    """The body of `entry` with the key of its epoch; LedgerError when that key is not among `keys`."""
    if epoch not in keys:
        raise LedgerError(f"the body of {entry.source} {entry.seq} lies under the data key of epoch {epoch}, which is not here")
    return open_body(keys[epoch], entry, box, epoch)


def _context(entry: Entry, epoch: int) -> bytes:
    # The list of group, epoch, source and number as `encode` spells it, without its detours: one for each body.
    return b"\x84\x58\x20" + entry.group + head(0, epoch) + encode(entry.source) + head(0, entry.seq)


def _pad(body: bytes) -> bytes:
    framed = len(body).to_bytes(4, "big") + body
    return framed + b"\x00" * (-len(framed) % PAD_STEP_BYTES)


def _unpad(padded: bytes) -> bytes:
    length = int.from_bytes(padded[:4], "big")
    if length > BODY_BYTES_MAX or _pad(padded[4 : 4 + length]) != padded:
        raise FormatError("a sealed body with false padding")
    return padded[4 : 4 + length]
