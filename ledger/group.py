"""A group: one owner, the government, their sites; who belongs, which keys count, which devices exist.

The founding entry is signed by owner and government, and its hash is the group's name everywhere.
What a group is at any index follows from replaying its registry entries, so log and verifier come to the same answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ledger.cbor import Value, encode
from ledger.entry import NO_GROUP, NO_HASH, Body, Entry, digest
from ledger.errors import FormatError, RefusedError
from ledger.founding import ACTIVE, GOVERNMENT, LOG, OWNER, Founding, origin_of
from ledger.keys import PublicKey
from ledger.registry import CHANGES
from ledger.succession import PERSON, quorum_keys
from ledger.tables import Tables


@dataclass
class Group(Tables):
    """What the group is after the registry entries replayed so far."""

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
        later = self.later()
        return digest(encode([self.id, members, devices, policies, *([later] if later else [])]))

    def copy(self) -> "Group":
        """A group whose tables can change without changing this one's."""
        changing = (dict(self.members), dict(self.devices), dict(self.policies), dict(self.grants), dict(self.epochs))
        return Group(self.id, self.founding, *changing, self.logs, self.rotated, self.recovery)

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
        change = CHANGES.get(entry.kind)
        if change is not None:
            change(self, number, body.by_name())
            self._root = b""


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
    return [group.log]


def _person(group: Group, entry: Entry) -> list[PublicKey]:
    granted = [grant.key for grant in group.grants.values() if grant.who == entry.source and grant.key is not None]
    if not PERSON.fullmatch(entry.source) or not granted:
        raise RefusedError(f"unknown: no grant that stands names the key of {entry.source}")
    return [next((key for key in granted if key.key_id == entry.keys[0]), granted[-1])]


def _quorum(group: Group, entry: Entry) -> list[PublicKey]:
    return quorum_keys(group, entry.source, entry.keys)


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
    "person": _person,
    "quorum": _quorum,
}
