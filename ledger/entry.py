"""The leaf: one sealed statement of one source, and the body it commits to.

An entry is a small signed map; its body lies beside the log, encrypted, and may go while the entry stays.
Every field of a body has its own salt, so that one field can be shown without the others.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from ledger.cbor import Value, decode, encode, head, read, read_list_head, short_text, whole_number
from ledger.errors import FormatError
from ledger.tree import HASH_BYTES, leaf_hash, make_inclusion, range_hash_of, root_of, verify_inclusion

VERSION = 2  # the newest; an entry carries the version that knew its kind first
NO_HASH = b"\x00" * HASH_BYTES  # `prev` of a source's first entry
NO_GROUP = b"\x00" * HASH_BYTES  # `group` of the founding entry: its own hash becomes the group's id
ENTRY_BYTES_MAX = 2048  # C2SP entry bundles hold 65,535; ours are some 330, two signatures 430
BODY_BYTES_MAX = 1 << 20  # 5,000 points of a batch are some 200 kB
NAME_CHARS_MAX = 128
TIME_MS_MAX = 253_402_300_799_999  # the end of year 9999, the last that calendars here can show
SIGNATURE_BYTES = 64
SECRET_BYTES = 16
SALT_BYTES = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class KindRule:
    """Who signs a kind, and whether its body is open to every reader of the log (registry) or sealed for members."""

    signer: str  # members: owner and government both; owner; member: one of them; quorum; person; device; log
    open: bool = False
    version: int = 1  # of the format that knows this kind first; its entries carry it
    fed: bool = False  # open, and told to contracts all the same


KINDS: Mapping[str, KindRule] = {
    "group.found": KindRule("members", open=True),
    "member.join": KindRule("members", open=True),
    "member.leave": KindRule("members", open=True),
    "key.rotate": KindRule("members", open=True),  # a member's new keys
    "policy.install": KindRule("members", open=True),
    "device.enrol": KindRule("owner", open=True),
    "device.rotate": KindRule("owner", open=True),
    "device.suspend": KindRule("owner", open=True),
    "device.resume": KindRule("owner", open=True),
    "device.revoke": KindRule("owner", open=True),
    "device.calibrate": KindRule("owner", open=True),
    "device.replace": KindRule("owner", open=True),
    "device.seen": KindRule("device"),  # a fingerprint read again
    "reading.batch": KindRule("device"),
    "control.action": KindRule("device"),
    "control.mode": KindRule("device"),
    "control.refusal": KindRule("device"),
    "control.release": KindRule("device"),
    "control.grant": KindRule("device", version=2),  # what an engineer's verified signature lets be written
    "twin.import": KindRule("device"),
    "twin.review": KindRule("device", version=2),  # a person's decision on what an import was unsure of
    "baseline.reference": KindRule("device"),
    "comfort.period": KindRule("device"),
    "emission.period": KindRule("device"),
    "saving.period": KindRule("device"),
    "alarm.raised": KindRule("device"),
    "alarm.acknowledged": KindRule("device"),
    "alarm.escalated": KindRule("device"),
    "alarm.cleared": KindRule("device"),
    "declaration.made": KindRule("member"),
    "dispute.opened": KindRule("member"),
    "ruling": KindRule("member"),
    "access.read": KindRule("member"),
    "state": KindRule("log", open=True),  # the last leaf of each checkpoint
    "refused": KindRule("log", open=True),  # what the log turned away, and why
    "gap": KindRule("log", open=True),  # numbers of a device that never came
    "grant.given": KindRule("owner", open=True, version=2, fed=True),  # who or which rule may move which points, how far and how long
    "grant.ended": KindRule("owner", open=True, version=2, fed=True),
    "control.request": KindRule("person", version=2),  # a person's own signed wish for a point
    "data.epoch": KindRule("owner", open=True, version=2),  # bodies from here on lie under a new data key
    "data.destroyed": KindRule("members", open=True, version=2),  # by whose order the key of an epoch was destroyed
    "recovery.set": KindRule("members", open=True, version=2),  # keys kept elsewhere, for when a member loses its own
    "member.recover": KindRule("quorum", open=True, version=2),  # new keys of a member that lost its own
    "log.rotate": KindRule("members", open=True, version=2),
    "witness.rotate": KindRule("members", open=True, version=2),
}


class Signer(Protocol):
    """Whoever can sign: a key file now, a secure element later."""

    @property
    def key_id(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Body:
    """The named fields of a statement in their order, and the secret their salts come from."""

    fields: tuple[tuple[str, Value], ...]
    secret: bytes
    # What was computed once: the spelled fields and the root over them, and the bytes this body was read from.
    _spelled: tuple[bytes, ...] = field(default=(), init=False, compare=False, repr=False)
    _root: bytes = field(default=b"", init=False, compare=False, repr=False)
    _data: bytes = field(default=b"", init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES:
            raise FormatError(f"a body's secret has {SECRET_BYTES} bytes, got {len(self.secret)}")
        if not self.fields:
            raise FormatError("a body has one field at least")

    @classmethod
    def of(cls, fields: Mapping[str, Value] | Iterable[tuple[str, Value]], secret: bytes) -> "Body":
        """A body from a mapping, or from pairs where a name may come again (readings of one point)."""
        pairs = fields.items() if isinstance(fields, Mapping) else fields
        return cls(tuple((name, value) for name, value in pairs), secret)

    @property
    def root(self) -> bytes:
        """What the entry commits to."""
        if not self._root:
            object.__setattr__(self, "_root", root_of(self._leaves()))
        return self._root

    def encode(self) -> bytes:
        if self._data:
            return self._data
        pieces = self._pieces()
        data = b"".join((_FIELDS, head(4, len(pieces)), *(b"\x82" + piece for piece in pieces), _SECRET, self.secret))
        if len(data) > BODY_BYTES_MAX:
            raise FormatError(f"a body has at most {BODY_BYTES_MAX} bytes, got {len(data)}; make smaller batches")
        return data

    @classmethod
    def decode(cls, data: bytes) -> "Body":
        if len(data) > BODY_BYTES_MAX:
            raise FormatError(f"a body has at most {BODY_BYTES_MAX} bytes, got {len(data)}")
        body = cls._read(data)
        if body is not None:
            return body
        value = decode(data)
        if not isinstance(value, dict) or set(value) != {"fields", "secret"}:
            raise FormatError("a body is a map of fields and secret")
        fields, secret = value["fields"], value["secret"]
        pairs = isinstance(fields, list) and all(isinstance(f, list) and len(f) == 2 and type(f[0]) is str for f in fields)
        if not pairs or type(secret) is not bytes:
            raise FormatError("a body's fields are pairs of name and value, its secret bytes")
        return cls(tuple((name, item) for name, item in fields), secret)

    @classmethod
    def commitment(cls, data: bytes) -> tuple[bytes, int]:
        """The root over a body's bytes and how many fields it has; FormatError as for `decode`, without making values of plain readings."""
        pieces = _plain_pieces(data)
        if pieces is None:
            body = cls.decode(data)
            return body.root, len(body.fields)
        return root_of(_leaves_of(pieces, data[-SECRET_BYTES:])), len(pieces)

    @classmethod
    def _read(cls, data: bytes) -> "Body | None":
        """Read in one go, keeping the spelling of each field for its leaf; None where the words of a refusal are needed."""
        end = len(data) - SECRET_BYTES
        begin = end - len(_SECRET)
        if not data.startswith(_FIELDS) or data[begin:end] != _SECRET:
            return None
        fields, spelled = [], []
        count, here = read_list_head(data, len(_FIELDS))
        for _ in range(count):
            if here >= begin or data[here] != 0x82:
                return None
            name, middle = read(data, here + 1, _FIELD_DEPTH)
            value, stop = read(data, middle, _FIELD_DEPTH)
            if type(name) is not str:
                return None
            fields.append((name, value))
            spelled.append(data[here + 1 : stop])
            here = stop
        if here != begin or not fields:
            return None
        body = cls(tuple(fields), data[end:])
        object.__setattr__(body, "_spelled", tuple(spelled))
        object.__setattr__(body, "_data", data)
        return body

    def by_name(self) -> dict[str, Any]:
        """The fields as a mapping; FormatError when a name comes twice, because then one would hide the other."""
        result = dict(self.fields)
        if len(result) != len(self.fields):
            raise FormatError("a field name comes twice where each must be alone")
        return result

    def disclose(self, number: int) -> "Disclosed":
        """One field with all that is needed to check it, and nothing of the others."""
        leaves = self._leaves()
        name, value = self.fields[number]
        path = make_inclusion(number, len(leaves), range_hash_of(leaves))
        return Disclosed(name, value, salt(self.secret, number), number, len(leaves), tuple(path))

    def _leaves(self) -> list[bytes]:
        return _leaves_of(self._pieces(), self.secret)

    def _pieces(self) -> tuple[bytes, ...]:
        if not self._spelled:
            object.__setattr__(self, "_spelled", tuple(encode(name) + encode(value) for name, value in self.fields))
        return self._spelled


def _leaves_of(pieces: Sequence[bytes], secret: bytes) -> list[bytes]:
    """The leaf of each spelled field, salted."""
    # HMAC-SHA256 of each number, with the padded keys made once: `salt` says the same in one line.
    sha256, key = hashlib.sha256, secret.ljust(64, b"\x00")
    inner, outer = key.translate(_INNER_PAD), key.translate(_OUTER_PAD)
    leaves = []
    for number, piece in enumerate(pieces):
        salt_ = sha256(outer + sha256(inner + number.to_bytes(4, "big")).digest()).digest()[:SALT_BYTES]
        leaves.append(sha256(_LEAF + salt_ + piece).digest())
    return leaves


def _plain_pieces(data: bytes) -> list[bytes] | None:
    """The spelled fields of a body of readings; None where one is not plain, and the reader of values must judge."""
    end = len(data) - SECRET_BYTES - len(_SECRET)
    if len(data) > BODY_BYTES_MAX or not data.startswith(_FIELDS) or data[end:-SECRET_BYTES] != _SECRET:
        return None
    count, here = read_list_head(data, len(_FIELDS))
    match, pieces = _PLAIN_FIELD.match, []
    while here < end:
        found = match(data, here, end)
        if found is None:
            return None
        pieces.append(data[here + 1 : (here := found.end())])
    return pieces if len(pieces) == count and pieces else None


_INNER_PAD, _OUTER_PAD = bytes(byte ^ 0x36 for byte in range(256)), bytes(byte ^ 0x5C for byte in range(256))  # RFC 2104
_FIELD_DEPTH = 3  # a field stands in its pair, in the list, in the map
_FIELDS = b"\xa2\x66fields"  # a map of two, and its first key
_SECRET = b"\x66secret\x50"  # its second key, and the head of 16 bytes
_LEAF = b"\x00\x83\x50"  # RFC 9162's mark of a leaf, a list of three, and the head of the 16-byte salt


# One field as `encode` spells it: a pair of a short plain name and a flat value, or a reading (a list of five flat values).
_WHOLE = rb"(?:[\x00-\x17\x20-\x37]|[\x18\x38][\x18-\xff]|[\x19\x39](?!\x00)..|[\x1a\x3a](?!\x00\x00).{4}|[\x1b\x3b](?!\x00{4}).{8})"
_SHORT = b"(?:" + b"|".join(re.escape(bytes([0x60 + n])) + b"[\x00-\x7f]{%d}" % n for n in range(24)) + b")"
_LONGER = b"\x78(?:" + b"|".join(re.escape(bytes([n])) + b"[\x00-\x7f]{%d}" % n for n in range(24, 65)) + b")"
_FLAT = b"(?:" + _WHOLE + b"|" + _SHORT + b"|[\xf4-\xf6])"
_PLAIN_FIELD = re.compile(b"\x82(?:" + _SHORT + b"|" + _LONGER + b")(?:\x85" + _FLAT + b"{5}|" + _FLAT + b")", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Disclosed:
    """One field of a body, provable against the entry's commitment without the rest."""

    name: str
    value: Value
    salt: bytes
    number: int
    of: int
    path: tuple[bytes, ...]

    def verify(self, body_root: bytes) -> None:
        """Raise unless this field stands in the body that `body_root` commits to."""
        verify_inclusion(_field_leaf(self.salt, self.name, self.value), self.number, self.of, self.path, body_root)


def salt(secret: bytes, number: int) -> bytes:
    """The salt of field `number`: whoever lacks the secret cannot guess a value and try it."""
    return hmac.digest(secret, number.to_bytes(4, "big"), "sha256")[:SALT_BYTES]


def _field_leaf(salt_: bytes, name: str, value: Value) -> bytes:
    return leaf_hash(encode([salt_, name, value]))


@dataclass(frozen=True, slots=True)
class Entry:
    """One leaf. `time` is the site's time, `wall` the calendar's, both in ms since 1970 UTC."""

    group: bytes
    kind: str
    source: str
    seq: int
    prev: bytes
    time_ms: int
    wall_ms: int
    simulated: bool
    body: bytes
    keys: tuple[bytes, ...]
    signatures: tuple[bytes, ...] = ()
    # The bytes this entry was read from, and the part of them that no signature covers: [begin, end).
    _data: bytes = field(default=b"", init=False, compare=False, repr=False)
    _unsigned_part: tuple[int, int] = field(default=(0, 0), init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise FormatError(f"kind {self.kind!r} is unknown; a new kind needs a new version of the format")
        if not 0 < len(self.source) <= NAME_CHARS_MAX or not self.source.isprintable() or not self.source.isascii():
            raise FormatError(f"source {self.source!r} must be 1 to {NAME_CHARS_MAX} printable ASCII characters")
        if self.seq < 1 or not 0 <= self.time_ms <= TIME_MS_MAX or not 0 <= self.wall_ms <= TIME_MS_MAX:
            raise FormatError(
                f"{self.source}: seq begins at 1, times lie between 1970 and 9999, got {self.seq}, {self.time_ms} and {self.wall_ms}"
            )
        if not len(self.group) == len(self.prev) == len(self.body) == HASH_BYTES or any(len(key) != HASH_BYTES for key in self.keys):
            raise FormatError(f"{self.source}: group, prev, body and key ids have {HASH_BYTES} bytes each")
        if not 1 <= len(self.keys) <= 4 or any(len(s) != SIGNATURE_BYTES for s in self.signatures):
            raise FormatError(f"{self.source}: one to four keys, signatures of {SIGNATURE_BYTES} bytes each")

    @property
    def hash(self) -> bytes:
        """The leaf hash: it covers the signatures too, as ECDSA has a second valid spelling of each."""
        return leaf_hash(self.encode())

    @property
    def rule(self) -> KindRule:
        return KINDS[self.kind]

    def message(self) -> bytes:
        """What the signers sign: led by version and kind, so that it can never pass for something else."""
        label = f"wattproof entry v{self.rule.version} {self.kind}\n".encode()
        if self._data:
            begin, end = self._unsigned_part
            return label + _HEAD_UNSIGNED + self._data[1:begin] + self._data[end:]
        return label + encode(self._unsigned())

    def encode(self) -> bytes:
        if self._data:
            return self._data
        if len(self.signatures) != len(self.keys):
            raise FormatError(f"{self.kind} needs {len(self.keys)} signatures, has {len(self.signatures)}")
        return encode({**self._unsigned(), "sig": b"".join(self.signatures)})

    def _unsigned(self) -> dict[str, Value]:
        return {
            "v": self.rule.version,
            "group": self.group,
            "kind": self.kind,
            "source": self.source,
            "seq": self.seq,
            "prev": self.prev,
            "time": self.time_ms,
            "wall": self.wall_ms,
            "simulated": self.simulated,
            "body": self.body,
            "key": b"".join(self.keys),
        }

    def signed_by(self, *signers: Signer) -> "Entry":
        """This entry with the signatures of all its signers, in the order of its keys."""
        assert tuple(s.key_id for s in signers) == self.keys, "the signers are those whose keys the entry names"
        message = self.message()
        return replace(self, signatures=tuple(signer.sign(message) for signer in signers))

    @classmethod
    def decode(cls, data: bytes) -> "Entry":
        """Read a leaf; FormatError unless it is exactly what `encode` writes."""
        if len(data) > ENTRY_BYTES_MAX:
            raise FormatError(f"an entry has at most {ENTRY_BYTES_MAX} bytes, got {len(data)}")
        quick = _read_one_signer(data)
        if quick is not None:
            return quick
        value = decode(data)
        if not isinstance(value, dict) or {k: type(v) for k, v in value.items()} != _TYPES:
            raise FormatError(f"an entry is a map of {', '.join(_TYPES)} with their types")
        _require_version(value["v"], value["kind"])
        entry = cls(
            value["group"],
            value["kind"],
            value["source"],
            value["seq"],
            value["prev"],
            value["time"],
            value["wall"],
            value["simulated"],
            value["body"],
            _pieces(value["key"], HASH_BYTES),
            _pieces(value["sig"], SIGNATURE_BYTES),
        )
        if len(entry.signatures) != len(entry.keys):
            raise FormatError(f"{entry.kind} names {len(entry.keys)} keys and has {len(entry.signatures)} signatures")
        return entry


def _require_version(version: int, kind: str) -> None:
    if not 1 <= version <= VERSION:
        raise FormatError(f"entry version {version} is unknown, this is version {VERSION}")
    if kind in KINDS and KINDS[kind].version != version:
        raise FormatError(f"{kind} is of version {KINDS[kind].version}, the entry says {version}")


_TYPES: dict[str, type] = {
    "v": int,
    "group": bytes,
    "kind": str,
    "source": str,
    "seq": int,
    "prev": bytes,
    "time": int,
    "wall": int,
    "simulated": bool,
    "body": bytes,
    "key": bytes,
    "sig": bytes,
}


_HEAD_UNSIGNED = head(5, len(_TYPES) - 1)
_NUMBER = rb"([\x00-\x17]|\x18.|\x19..|\x1a.{4}|\x1b.{8})"
_HASH = rb"\x58\x20(.{32})"
# An entry of one signer as deterministic CBOR spells it: its keys stand in this order and no other.
_ONE_SIGNER = re.compile(
    rb"\xac\x61v([\x01\x02])\x63key" + _HASH + rb"\x63seq" + _NUMBER + rb"(\x63sig\x58\x40(.{64}))\x64body" + _HASH
    + rb"\x64kind(.[a-z.]+)\x64prev" + _HASH + rb"\x64time" + _NUMBER + rb"\x64wall" + _NUMBER
    + rb"\x65group" + _HASH + rb"\x66source(.+)\x69simulated([\xf4\xf5])",
    re.DOTALL,
)  # fmt: skip


def _read_one_signer(data: bytes) -> Entry | None:
    """An entry of one signer in one go; None for another shape, and where the words of a refusal are needed."""
    match = _ONE_SIGNER.fullmatch(data)
    if match is None:
        return None
    version, key, seq, _, signature, body, kind, prev, time, wall, group, source, simulated = match.groups()
    try:
        (seq_, time_, wall_), (kind_, source_) = map(whole_number, (seq, time, wall)), map(short_text, (kind, source))
    except ValueError:
        return None
    _require_version(version[0], kind_)
    entry = Entry(group, kind_, source_, seq_, prev, time_, wall_, simulated == b"\xf5", body, (key,), (signature,))
    object.__setattr__(entry, "_data", data)
    object.__setattr__(entry, "_unsigned_part", match.span(4))
    return entry


def _pieces(data: bytes, size: int) -> tuple[bytes, ...]:
    return tuple(data[i : i + size] for i in range(0, len(data), size))


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed entry with its body, as it travels from a source to the log."""

    entry: Entry
    body: Body

    def encode(self) -> bytes:
        """One record: the entry's bytes and the body's, complete."""
        return encode([self.entry.encode(), self.body.encode()])

    @classmethod
    def decode(cls, data: bytes) -> "Signed":
        """Read a record as it came from a device; FormatError when entry and body do not belong together."""
        value = decode(data)
        if not isinstance(value, list) or [type(part) for part in value] != [bytes, bytes]:
            raise FormatError("a record is a list of an entry's bytes and a body's")
        signed = cls(Entry.decode(value[0]), Body.decode(value[1]))
        if signed.body.root != signed.entry.body:
            raise FormatError(f"{signed.entry.source} {signed.entry.seq}: the body is not the one that was signed")
        return signed


def digest(data: bytes) -> bytes:
    """SHA-256, for whatever is not a tree."""
    return hashlib.sha256(data).digest()


def ms(at: datetime) -> int:
    """Milliseconds since 1970 UTC; the time must be aware."""
    if at.tzinfo is None:
        raise FormatError(f"an entry needs an aware time, got {at.isoformat()}")
    # Whole numbers all the way: a float second would round differently on another machine.
    since = at - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def from_ms(value: int) -> datetime:
    """The aware UTC time of so many milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=value)
