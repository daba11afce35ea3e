"""What a founding says: the members of a group with their keys, its log, its witnesses, its authority and its first contracts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.cbor import Value
from ledger.entry import NO_GROUP, NO_HASH, Body, Entry, Signed, Signer
from ledger.errors import FormatError
from ledger.keys import PublicKey

FORMAT = 1
OWNER, GOVERNMENT, LOG = "owner", "government", "log"
ROLES = (OWNER, GOVERNMENT, "integrator", "auditor")
CERTIFICATE, FINGERPRINT = "certificate", "fingerprint"
ACTIVE, SUSPENDED, REVOKED = "active", "suspended", "revoked"
ALGORITHMS: Mapping[str, str] = {
    "entry": "ecdsa-p256-sha256",
    "note": "ed25519",
    "body": "aes-256-gcm",
    "wrap": "hpke-x25519-hkdf-sha256-aes-128-gcm",
    "tree": "rfc9162-sha256",
}
DEVICE_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}:[a-z0-9][a-z0-9_.-]{0,62}")
_TEXT_CHARS_MAX = 200


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who belongs to the group. `source` is the name its entries carry."""

    source: str
    name: str
    role: str
    key: PublicKey
    envelope: PublicKey

    def __post_init__(self) -> None:
        if self.role not in ROLES or (self.source in (OWNER, GOVERNMENT, LOG) and self.source != self.role):
            raise FormatError(f"member {self.source!r} cannot be {self.role!r}; roles are {', '.join(ROLES)}")

    def value(self) -> Value:
        return {
            "source": self.source,
            "name": self.name,
            "role": self.role,
            "key": self.key.value(),
            "envelope": self.envelope.value(),
        }

    @classmethod
    def from_value(cls, value: Value) -> "Member":
        facts = map_of(value, source=str, name=str, role=str, key=list, envelope=list)
        return cls(
            facts["source"], facts["name"], facts["role"], PublicKey.from_value(facts["key"]), PublicKey.from_value(facts["envelope"])
        )


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness by the name it cosigns under and its key."""

    name: str
    key: PublicKey


@dataclass(frozen=True)
class Founding:
    """What the founding entry says."""

    name: str
    simulated: bool
    members: tuple[Member, ...]
    log: PublicKey
    witnesses: tuple[WitnessKey, ...]
    witnesses_needed: int
    authority: bytes
    data_keys: Mapping[str, bytes]
    policies: tuple[Mapping[str, Value], ...] = ()

    def __post_init__(self) -> None:
        sources = [member.source for member in self.members]
        if sources[:2] != [OWNER, GOVERNMENT] or len(set(sources)) != len(sources):
            raise FormatError(f"a group has its owner first, the government second and nobody twice; got {', '.join(sources)}")
        if set(self.data_keys) != set(sources) or any(type(wrapped) is not bytes for wrapped in self.data_keys.values()):
            raise FormatError("the founding wraps the data key once for each member")
        keys = [member.key for member in self.members] + [self.log] + [witness.key for witness in self.witnesses]
        if len(set(keys)) != len(keys):
            raise FormatError("one key for two roles; each member, log and witness has its own")
        if not 1 <= self.witnesses_needed <= len(self.witnesses):
            raise FormatError(f"{self.witnesses_needed} of {len(self.witnesses)} witnesses cannot be; one at least, the government's first")

    def fields(self) -> dict[str, Value]:
        return {
            "format": FORMAT,
            "name": self.name,
            "simulated": self.simulated,
            "algorithms": dict(ALGORITHMS),
            "members": [member.value() for member in self.members],
            "log": self.log.value(),
            "witnesses": [[witness.name, witness.key.value()] for witness in self.witnesses],
            "witnesses_needed": self.witnesses_needed,
            "authority": self.authority,
            "data_keys": dict(self.data_keys),
            "policies": [dict(policy) for policy in self.policies],
        }

    @classmethod
    def parse(cls, body: Body) -> "Founding":
        facts = map_of(
            body.by_name(),
            format=int,
            name=str,
            simulated=bool,
            algorithms=dict,
            members=list,
            log=list,
            witnesses=list,
            witnesses_needed=int,
            authority=bytes,
            data_keys=dict,
            policies=list,
        )
        if facts["format"] != FORMAT or facts["algorithms"] != ALGORITHMS:
            raise FormatError(f"group format {facts['format']} or its algorithms are unknown; this is format {FORMAT}")
        if any(not isinstance(w, list) or len(w) != 2 or type(w[0]) is not str for w in facts["witnesses"]):
            raise FormatError("a witness is a pair of name and key")
        return cls(
            facts["name"],
            facts["simulated"],
            tuple(Member.from_value(member) for member in facts["members"]),
            PublicKey.from_value(facts["log"]),
            tuple(WitnessKey(name, PublicKey.from_value(key)) for name, key in facts["witnesses"]),
            facts["witnesses_needed"],
            facts["authority"],
            facts["data_keys"],
            tuple(policy_of(policy) for policy in facts["policies"]),
        )

    def draft(self, secret: bytes, time_ms: int) -> Signed:
        """The founding entry before anybody signed it."""
        body = Body.of(self.fields(), secret)
        keys = tuple(member.key.key_id for member in self.members[:2])
        return Signed(Entry(NO_GROUP, "group.found", OWNER, 1, NO_HASH, time_ms, time_ms, self.simulated, body.root, keys), body)


def sign_as_member(draft: Entry, signer: Signer) -> bytes:
    """One member's signature under a draft that needs several; FormatError when the draft does not name this key."""
    if signer.key_id not in draft.keys:
        raise FormatError("the draft does not name this member's key")
    return signer.sign(draft.message())


def origin_of(group: bytes) -> str:
    """The name of a group's log in its checkpoints."""
    return f"wattproof/{group.hex()}"


def policy_of(value: Value) -> Mapping[str, Value]:
    """A contract as it is installed; FormatError when something is missing."""
    return map_of(value, name=str, source=bytes, version=int, parameters=dict)


def map_of(value: Any, **types: type) -> dict[str, Any]:
    """A map with exactly these keys and types; FormatError names what differs."""
    if not isinstance(value, dict) or {key: type(item) for key, item in value.items()} != types:
        came = {key: type(item).__name__ for key, item in value.items()} if isinstance(value, dict) else type(value).__name__
        raise FormatError(f"expected {', '.join(f'{k} ({t.__name__})' for k, t in types.items())}; got {came}")
    if any(type(item) is str and len(item) > _TEXT_CHARS_MAX for item in value.values()):
        raise FormatError(f"texts in registry entries have at most {_TEXT_CHARS_MAX} characters")
    return value
