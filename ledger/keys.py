"""Keys: P-256 for members and devices, Ed25519 for logs and witnesses, X25519 for reading sealed bodies.

A public key is named by algorithm and raw bytes, so that a new algorithm needs a new word and nothing else.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from ledger.cbor import Value
from ledger.entry import digest
from ledger.errors import FormatError, KeyFileError, VerificationError

P256, ED25519, X25519 = "p256", "ed25519", "x25519"
KEYS_KEPT = 1024  # a building has some tens of signing devices
RAW_BYTES = {P256: 33, ED25519: 32, X25519: 32}
# RFC 6979: the same message gives the same signature, so a weak random source cannot leak the key.
_ECDSA = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_ECDSA_ANY = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key by algorithm and raw bytes (P-256: compressed point)."""

    algorithm: str
    raw: bytes

    def __post_init__(self) -> None:
        if RAW_BYTES.get(self.algorithm) != len(self.raw):
            raise FormatError(f"no public key of algorithm {self.algorithm!r} has {len(self.raw)} bytes; known: {', '.join(RAW_BYTES)}")

    @property
    def key_id(self) -> bytes:
        """The name of this key in entries."""
        return _key_id(self.algorithm, self.raw)

    @property
    def text(self) -> str:
        return f"{self.algorithm}:{self.raw.hex()}"

    def value(self) -> Value:
        """The form that is sealed."""
        return [self.algorithm, self.raw]

    @classmethod
    def from_text(cls, text: str) -> "PublicKey":
        algorithm, _, raw = text.partition(":")
        try:
            key = cls(algorithm, bytes.fromhex(raw))
        except ValueError:
            raise FormatError(f"a public key is written algorithm:hex, got {text!r}") from None
        if key.text != text:
            raise FormatError(f"a public key is written algorithm:hex in lower case, got {text!r}")
        return key

    @classmethod
    def from_value(cls, value: Value) -> "PublicKey":
        if not isinstance(value, list) or [type(part) for part in value] != [str, bytes]:
            raise FormatError("a sealed public key is a list of algorithm and raw bytes")
        return cls(value[0], value[1])

    def verify(self, message: bytes, signature: bytes) -> None:
        """Raise unless `signature` is this key's over `message`."""
        try:
            self._verify(message, signature)
        except (InvalidSignature, ValueError):
            raise VerificationError(f"the signature is not that of key {self.key_id.hex()[:16]}", evidence=signature) from None

    def _verify(self, message: bytes, signature: bytes) -> None:
        if self.algorithm == ED25519:
            _edwards_point(self.raw).verify(signature, message)
        elif self.algorithm == P256:
            if len(signature) != 64:
                raise ValueError("a P-256 signature is r and s of 32 bytes each")
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            _point(self.raw).verify(encode_dss_signature(r, s), message, _ECDSA_ANY)
        else:
            raise ValueError(f"{self.algorithm} keys do not sign")


@lru_cache(KEYS_KEPT)
def _key_id(algorithm: str, raw: bytes) -> bytes:
    return digest(f"wattproof key {algorithm}\n".encode() + raw)


# Unpacking a point costs a third of a verification, and a log sees the same few keys again and again.
@lru_cache(KEYS_KEPT)
def _point(raw: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)


@lru_cache(KEYS_KEPT)
def _edwards_point(raw: bytes) -> ed25519.Ed25519PublicKey:
    return ed25519.Ed25519PublicKey.from_public_bytes(raw)


class P256Signer:
    """A member's or a device's signing key."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self.private = private
        self.public = p256_public(private.public_key())
        self.key_id = self.public.key_id

    @classmethod
    def generate(cls) -> "P256Signer":
        return cls(ec.generate_private_key(ec.SECP256R1()))

    def sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self.private.sign(message, _ECDSA))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class Ed25519Signer:
    """A log's or a witness's key."""

    def __init__(self, private: ed25519.Ed25519PrivateKey) -> None:
        self.private = private
        self.public = PublicKey(ED25519, private.public_key().public_bytes_raw())
        self.key_id = self.public.key_id

    @classmethod
    def generate(cls) -> "Ed25519Signer":
        return cls(ed25519.Ed25519PrivateKey.generate())

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)


class EnvelopeKey:
    """A member's key for opening data keys; it never signs."""

    def __init__(self, private: x25519.X25519PrivateKey) -> None:
        self.private = private
        self.public = PublicKey(X25519, private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> "EnvelopeKey":
        return cls(x25519.X25519PrivateKey.generate())


def p256_public(public: ec.EllipticCurvePublicKey) -> PublicKey:
    """A P-256 key of the library as one of ours; FormatError on another curve."""
    if not isinstance(public.curve, ec.SECP256R1):
        raise FormatError(f"devices and members sign with P-256, got {public.curve.name}")
    return PublicKey(P256, public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))


AnyKey = P256Signer | Ed25519Signer | EnvelopeKey
_WRAPPERS: dict[type, type[AnyKey]] = {
    ec.EllipticCurvePrivateKey: P256Signer,
    ed25519.Ed25519PrivateKey: Ed25519Signer,
    x25519.X25519PrivateKey: EnvelopeKey,
}


def write_key(path: Path, key: AnyKey) -> None:
    """Keep a private key, readable by its owner alone; an existing key is never overwritten."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(f"{path}: there is a key already; move it away if it is really to be replaced") from None
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())


def read_signer(path: Path) -> P256Signer:
    """A member's or device's key file."""
    key = _read(path)
    if not isinstance(key, P256Signer):
        raise KeyFileError(f"{path}: expected a P-256 signing key, got a {type(key).__name__}")
    return key


def read_note_signer(path: Path) -> Ed25519Signer:
    """A log's or witness's key file."""
    key = _read(path)
    if not isinstance(key, Ed25519Signer):
        raise KeyFileError(f"{path}: expected an Ed25519 key, got a {type(key).__name__}")
    return key


def read_envelope_key(path: Path) -> EnvelopeKey:
    """A member's key file for opening bodies."""
    key = _read(path)
    if not isinstance(key, EnvelopeKey):
        raise KeyFileError(f"{path}: expected an X25519 key, got a {type(key).__name__}")
    return key


def _read(path: Path) -> AnyKey:
    try:
        mode = path.stat().st_mode
        pem = path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path}: the key cannot be read ({error.strerror}); is this its owner's account?") from None
    if mode & 0o077:
        raise KeyFileError(f"{path}: others may read this private key (mode {mode & 0o777:o}); set mode 600 and think of replacing it")
    try:
        private = load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise KeyFileError(f"{path}: not a private key in PEM form ({error})") from None
    for kind, wrapper in _WRAPPERS.items():
        if isinstance(private, kind):
            return wrapper(private)  # type: ignore[arg-type]  # the table pairs each library type with its wrapper
    raise KeyFileError(f"{path}: expected P-256, Ed25519 or X25519, got {type(private).__name__}")
