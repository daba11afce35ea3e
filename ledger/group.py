"""A group: one owner, the government, their sites; who belongs, which keys count, which devices exist.

The founding entry is signed by owner and government, and its hash is the group's name everywhere.
What a group is at any index follows from replaying its registry entries, so log and verifier come to the same answer.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ledger.cbor import Value, encode
from ledger.certificates import certified_key
from ledger.entry import NO_GROUP, NO_HASH, Body, Entry, Signed, Signer, digest
from ledger.errors import FormatError, RefusedError
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
        facts = _map_of(value, source=str, name=str, role=str, key=list, envelope=list)
        return cls(
            facts["source"], facts["name"], facts["role"], PublicKey.from_value(facts["key"]), PublicKey.from_value(facts["envelope"])
        )


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness by the name it cosigns under and its key."""

    name: str
    key: PublicKey


@dataclass(frozen=True, slots=True)
class Device:
    """A gateway, meter or bus device. Only one with a certificate signs; the others are vouched for by a gateway."""

    source: str
    kind: str
    key: PublicKey | None
    certificate: bytes
    fingerprint: Mapping[str, Value]
    vouched_by: str
    brick: str
    address: str
    status: str
    since: int

    def value(self) -> Value:
        return [self.source, self.kind, self.certificate, dict(self.fingerprint), self.vouched_by, self.status, self.since]


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
        facts = _map_of(
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
            tuple(_policy(policy) for policy in facts["policies"]),
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


@dataclass
class Group:
    """What the group is after the registry entries replayed so far."""

    id: bytes
    founding: Founding
    members: dict[str, Member]
    devices: dict[str, Device] = field(default_factory=dict)
    policies: dict[str, Mapping[str, Value]] = field(default_factory=dict)
    _root: bytes = field(default=b"", init=False, compare=False, repr=False)  # until something changes

    @classmethod
    def found(cls, entry: Entry, body: Body) -> "Group":
        """Begin with the founding entry; FormatError when it is none."""
        if entry.kind != "group.found" or entry.group != NO_GROUP or (entry.source, entry.seq, entry.prev) != (OWNER, 1, NO_HASH):
            raise FormatError("the first entry of a group is its founding")
        founding = Founding.parse(body)
        if entry.simulated != founding.simulated:
            raise FormatError("the founding entry and its body disagree on whether the group is simulated")
        policies: dict[str, Mapping[str, Value]] = {str(policy["name"]): {**policy, "from": 0} for policy in founding.policies}
        return cls(entry.hash, founding, {m.source: m for m in founding.members}, {}, policies)

    @property
    def origin(self) -> str:
        return origin_of(self.id)

    @property
    def root(self) -> bytes:
        """One hash for all of membership, devices and policies: sealed in each `state` leaf."""
        if not self._root:
            self._root = self._root_now()
        return self._root

    def _root_now(self) -> bytes:
        members = [self.members[source].value() for source in sorted(self.members)]
        devices = [self.devices[source].value() for source in sorted(self.devices)]
        policies = [dict(self.policies[name]) for name in sorted(self.policies)]
        return digest(encode([self.id, members, devices, policies]))

    def copy(self) -> "Group":
        """A group whose tables can change without changing this one's."""
        return Group(self.id, self.founding, dict(self.members), dict(self.devices), dict(self.policies))

    def signers(self, entry: Entry) -> list[PublicKey]:
        """The keys that must have signed `entry` at this index; RefusedError says why there are none."""
        if entry.group != (NO_GROUP if entry.kind == "group.found" else self.id):
            raise RefusedError(f"unknown: {entry.source} {entry.seq} belongs to another group")
        if entry.simulated != self.founding.simulated:
            raise RefusedError(f"unknown: {entry.source} mixes simulated and real entries in one group")
        keys = _SIGNERS[entry.rule.signer](self, entry)
        if tuple(key.key_id for key in keys) != entry.keys:
            raise RefusedError(f"unknown: {entry.source} {entry.seq} is not signed under the key that is valid now")
        return keys

    def certificate_of(self, entry: Entry) -> bytes:
        """The certificate that must be valid when `entry` is made; empty for members and the log."""
        return self.devices[entry.source].certificate if entry.rule.signer == "device" else b""

    def apply(self, number: int, entry: Entry, body: Body) -> None:
        """Change by one registry entry; RefusedError or FormatError when it cannot be, and nothing changed then."""
        change = _CHANGES.get(entry.kind)
        if change is not None:
            change(self, number, body.by_name())
            self._root = b""

    def device(self, source: str) -> Device:
        """An enrolled device, whatever its status."""
        if source not in self.devices:
            raise RefusedError(f"unknown: {source} was never enrolled")
        return self.devices[source]


def _both(group: Group, entry: Entry) -> list[PublicKey]:
    _expect_source(entry, OWNER)
    return [group.members[OWNER].key, group.members[GOVERNMENT].key]


def _owner(group: Group, entry: Entry) -> list[PublicKey]:
    _expect_source(entry, OWNER)
    return [group.members[OWNER].key]


def _member(group: Group, entry: Entry) -> list[PublicKey]:
    if entry.source not in group.members:
        raise RefusedError(f"unknown: {entry.source} is not a member of this group")
    return [group.members[entry.source].key]


def _log(group: Group, entry: Entry) -> list[PublicKey]:
    _expect_source(entry, LOG)
    return [group.founding.log]


def _device(group: Group, entry: Entry) -> list[PublicKey]:
    device = group.device(entry.source)
    if device.status != ACTIVE:
        raise RefusedError(f"{device.status}: {entry.source} was {device.status} at entry {device.since}")
    if device.key is None:
        raise RefusedError(f"unknown: {entry.source} is known by a fingerprint and cannot sign; {device.vouched_by} vouches for it")
    return [device.key]


def _expect_source(entry: Entry, source: str) -> None:
    if entry.source != source:
        raise RefusedError(f"unknown: {entry.kind} is said by the {source}, not by {entry.source}")


_SIGNERS: Mapping[str, Callable[[Group, Entry], list[PublicKey]]] = {
    "members": _both,
    "owner": _owner,
    "member": _member,
    "device": _device,
    "log": _log,
}


def _enrol(group: Group, number: int, facts: Mapping[str, Value]) -> None:
    if facts.get("device") in group.devices:
        raise RefusedError(f"{facts['device']} is enrolled already; use rotate or replace")
    _set_device(group, number, facts)


def _replace(group: Group, number: int, facts: Mapping[str, Value]) -> None:
    group.device(str(facts.get("device")))
    _set_device(group, number, facts)


def _set_device(group: Group, number: int, facts: Mapping[str, Value]) -> None:
    known = _map_of(facts, device=str, kind=str, certificate=bytes, fingerprint=dict, vouched_by=str, brick=str, address=str)
    source, certificate = known["device"], known["certificate"]
    if not DEVICE_NAME.fullmatch(source):
        raise FormatError(f"a device is named <site>:<device> in small letters, digits, _ . and -; got {source!r}")
    if known["kind"] == CERTIFICATE and certificate and not known["vouched_by"]:
        key = certified_key(certificate, source)
        _expect_new_key(group, key)
    elif known["kind"] == FINGERPRINT and known["fingerprint"] and not certificate:
        voucher = group.device(known["vouched_by"])
        if voucher.key is None or voucher.status != ACTIVE:
            raise RefusedError(f"{voucher.source} cannot vouch for {source}: it does not sign, or is {voucher.status}")
        key = None
    else:
        raise FormatError(f"{source}: a device has a certificate of its own, or a fingerprint and a gateway that vouches for it")
    group.devices[source] = Device(
        source,
        known["kind"],
        key,
        certificate,
        known["fingerprint"],
        known["vouched_by"],
        known["brick"],
        known["address"],
        ACTIVE,
        number,
    )


def _rotate(group: Group, number: int, facts: Mapping[str, Value]) -> None:
    known = _map_of(facts, device=str, certificate=bytes)
    device = group.device(known["device"])
    if device.key is None or device.status == REVOKED:
        raise RefusedError(f"{device.source} has no valid certificate to rotate; use replace")
    key = certified_key(known["certificate"], device.source)
    _expect_new_key(group, key)
    group.devices[device.source] = replace(device, key=key, certificate=known["certificate"], since=number)


def _expect_new_key(group: Group, key: PublicKey) -> None:
    used = [member.key for member in group.members.values()] + [device.key for device in group.devices.values()]
    if key in used:
        raise RefusedError(f"key {key.key_id.hex()[:16]} belongs to another device or member already; each has its own")


def _status(new: str, allowed: tuple[str, ...]) -> Callable[[Group, int, Mapping[str, Value]], None]:
    def change(group: Group, number: int, facts: Mapping[str, Value]) -> None:
        known = _map_of(facts, device=str, reason=str)
        device = group.device(known["device"])
        if device.status not in allowed:
            raise RefusedError(f"{device.source} is {device.status} since entry {device.since} and cannot become {new}")
        group.devices[device.source] = replace(device, status=new, since=number)

    return change


def _join(group: Group, number: int, facts: Mapping[str, Value]) -> None:
    known = _map_of(facts, member=dict, data_key=bytes)
    member = Member.from_value(known["member"])
    if member.source in group.members or member.role in (OWNER, GOVERNMENT):
        raise RefusedError(f"{member.source} belongs already, or would be a second {member.role}")
    _expect_new_key(group, member.key)
    group.members[member.source] = member


def _leave(group: Group, number: int, facts: Mapping[str, Value]) -> None:
    known = _map_of(facts, member=str, reason=str)
    if known["member"] not in group.members or known["member"] in (OWNER, GOVERNMENT):
        raise RefusedError(f"{known['member']} is not a member that can leave")
    del group.members[known["member"]]


def _rotate_member(group: Group, number: int, facts: Mapping[str, Value]) -> None:
    member = Member.from_value(_map_of(facts, member=dict, data_key=bytes)["member"])
    if member.source not in group.members or group.members[member.source].role != member.role:
        raise RefusedError(f"{member.source} is not a member whose keys could change")
    _expect_new_key(group, member.key)
    group.members[member.source] = member


def _install(group: Group, number: int, facts: Mapping[str, Value]) -> None:
    policy = _policy(dict(facts))
    group.policies[str(policy["name"])] = {**policy, "from": number}


_CHANGES: Mapping[str, Callable[[Group, int, Mapping[str, Value]], None]] = {
    "member.join": _join,
    "member.leave": _leave,
    "key.rotate": _rotate_member,
    "policy.install": _install,
    "device.enrol": _enrol,
    "device.rotate": _rotate,
    "device.replace": _replace,
    "device.suspend": _status(SUSPENDED, (ACTIVE,)),
    "device.resume": _status(ACTIVE, (SUSPENDED,)),
    "device.revoke": _status(REVOKED, (ACTIVE, SUSPENDED)),
}
REGISTRY_KINDS = ("group.found", *_CHANGES)
"""The kinds that change what the group is."""


def _policy(value: Value) -> Mapping[str, Value]:
    return _map_of(value, name=str, source=bytes, version=int, parameters=dict)


def _map_of(value: Any, **types: type) -> dict[str, Any]:
    """A map with exactly these keys and types; FormatError names what differs."""
    if not isinstance(value, dict) or {key: type(item) for key, item in value.items()} != types:
        came = {key: type(item).__name__ for key, item in value.items()} if isinstance(value, dict) else type(value).__name__
        raise FormatError(f"expected {', '.join(f'{k} ({t.__name__})' for k, t in types.items())}; got {came}")
    if any(type(item) is str and len(item) > _TEXT_CHARS_MAX for item in value.values()):
        raise FormatError(f"texts in registry entries have at most {_TEXT_CHARS_MAX} characters")
    return value
