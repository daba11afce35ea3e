"""What the registry entries of version 2 change: grants of authority, data-key epochs, and keys that follow others."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ledger.cbor import Value
from ledger.errors import FormatError, RefusedError
from ledger.founding import GOVERNMENT, OWNER, Member, WitnessKey, map_of
from ledger.keys import ED25519, P256, PublicKey
from ledger.tables import EPOCH_FIRST, Epoch, Granted, Recovery, Tables, Witnesses
from ledger.tree import HASH_BYTES

PERSON = re.compile(r"person/[a-z0-9][a-z0-9_.-]{0,62}")
RULE = re.compile(r"rule/[a-z0-9][a-z0-9_.-]{0,62}")
POINTS_MOST = 5000  # a large office has some 2,000 points that can be written
RECOVERY_MOST = 3  # an entry has four signatures: the other member's, and these


def _give(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
    known = map_of(facts, grant=str, who=str, key=list, version=str, points=dict, from_ms=int, until_ms=int)
    who, is_person = known["who"], bool(PERSON.fullmatch(known["who"]))
    if not is_person and not RULE.fullmatch(who):
        raise FormatError(f"a grant names person/NAME or rule/NAME in small letters, got {who!r}")
    if is_person != bool(known["key"]) or known["from_ms"] >= known["until_ms"] or not known["grant"]:
        raise FormatError(f"{who}: a person's grant names his key, a rule's none; it begins before it ends, and has an id")
    if not 0 < len(known["points"]) <= POINTS_MOST or not all(_is_range(span) for span in known["points"].values()):
        raise FormatError(f"{who}: a grant has 1 to {POINTS_MOST} points, each with its lowest and highest value in thousandths, or null")
    if known["grant"] in group.grants:
        raise RefusedError(f"grant {known['grant']} was given already; end it first, or choose another id")
    key = PublicKey.from_value(known["key"]) if is_person else None
    if key is not None and key.algorithm != P256:
        raise FormatError(f"{who}: people sign with {P256}, got {key.algorithm}")
    if key is not None:
        _expect_of_nobody_else(group, who, key)
    group.grants[known["grant"]] = Granted(known["grant"], who, key, known, number)


def _expect_of_nobody_else(group: Tables, who: str, key: PublicKey) -> None:
    used = [member.key for member in group.members.values()] + [device.key for device in group.devices.values()]
    if key in used or any(grant.key == key and grant.who != who for grant in group.grants.values()):
        raise RefusedError(f"{who}: the key {key.key_id.hex()[:16]} belongs to somebody else; each person has his own")


def _is_range(span: Any) -> bool:
    if not isinstance(span, list) or len(span) != 2 or any(type(end) not in (int, type(None)) for end in span):
        return False
    return span[0] is None or span[1] is None or span[0] <= span[1]


def _end(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
    known = map_of(facts, grant=str, reason=str)
    if known["grant"] not in group.grants:
        raise RefusedError(f"grant {known['grant']} does not stand: it was never given, or has ended")
    del group.grants[known["grant"]]


def _begin_epoch(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
    known = map_of(facts, epoch=int, key_hash=bytes)
    if known["epoch"] != group.epoch + 1 or len(known["key_hash"]) != HASH_BYTES:
        raise RefusedError(f"the next data key is of epoch {group.epoch + 1} and named by its hash, got {known['epoch']}")
    group.epochs[known["epoch"]] = Epoch(known["epoch"], known["key_hash"], number)


def _destroy(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
    known = map_of(facts, epoch=int, key_hash=bytes, first=int, last=int, ordered_by=str, reason=str)
    epoch = group.epochs.get(known["epoch"])
    if epoch is None or epoch.destroyed or epoch.number == group.epoch:
        raise RefusedError(f"the data key of epoch {known['epoch']} is not one that can be destroyed: unknown, gone already, or in use")
    if known["key_hash"] != epoch.key_hash or (known["first"], known["last"]) != span_of(group, epoch.number):
        raise RefusedError(f"epoch {epoch.number} has another key or covers other entries than the order says")
    if not known["ordered_by"] or not known["reason"]:
        raise FormatError("a destruction says who ordered it, and why")
    group.epochs[epoch.number] = replace(epoch, destroyed=number)


def span_of(group: Tables, epoch: int) -> tuple[int, int]:
    """First and last entry whose bodies lie under the data key of an epoch that is over."""
    begun = group.epochs[epoch].since if epoch > EPOCH_FIRST else -1
    return begun + 1, group.epochs[epoch + 1].since


def _set_recovery(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
    known = map_of(facts, keys=list, needed=int)
    if not all(isinstance(pair, list) and len(pair) == 2 and type(pair[0]) is str for pair in known["keys"]):
        raise FormatError("a recovery key is a pair of name and key")
    keys = tuple((name, PublicKey.from_value(key)) for name, key in known["keys"])
    distinct = {key for _, key in keys} | {member.key for member in group.members.values()}
    if len(distinct) != len(keys) + len(group.members) or any(key.algorithm != P256 for _, key in keys):
        raise RefusedError(f"recovery keys are {P256} keys, each once and none of a member's")
    if not 1 <= known["needed"] <= min(len(keys), RECOVERY_MOST):
        raise FormatError(f"{known['needed']} of {len(keys)} recovery keys cannot be; 1 to {RECOVERY_MOST} are needed")
    group.recovery = Recovery(keys, known["needed"])


def _recover(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
    member = Member.from_value(map_of(facts, member=dict, reason=str)["member"])
    before = group.members.get(member.source)
    if before is None or (before.name, before.role) != (member.name, member.role) or member.source not in (OWNER, GOVERNMENT):
        raise RefusedError(f"{member.source} is not the owner or the government of this group under that name")
    used = [m.key for m in group.members.values()] + [m.envelope for m in group.members.values()]
    if member.key in used or member.envelope in used:
        raise RefusedError(f"{member.source}: recovered keys are new ones")
    group.members[member.source] = member


def _rotate_log(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
    known = map_of(facts, log=list, reason=str)
    key = PublicKey.from_value(known["log"])
    if key.algorithm != ED25519 or key == group.founding.log or any(key == old for _, old in group.logs):
        raise RefusedError(f"the log's next key is a new {ED25519} key")
    group.logs = (*group.logs, (number, key))


def _rotate_witnesses(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
    known = map_of(facts, witnesses=list, needed=int, reason=str)
    if not all(isinstance(pair, list) and len(pair) == 2 and type(pair[0]) is str for pair in known["witnesses"]):
        raise FormatError("a witness is a pair of name and key")
    keys = tuple(WitnessKey(name, PublicKey.from_value(key)) for name, key in known["witnesses"])
    if len({w.key for w in keys}) != len(keys) or len({w.name for w in keys}) != len(keys):
        raise FormatError("each witness has a name and a key of its own")
    if not keys or keys[0].name != group.founding.witnesses[0].name or not 1 <= known["needed"] <= len(keys):
        raise RefusedError("the government's witness stays the first, and the policy can be met")
    group.rotated = (*group.rotated, Witnesses(keys, known["needed"], number))


LATER_CHANGES: Mapping[str, Callable[[Tables, int, Mapping[str, Value]], None]] = {
    "grant.given": _give,
    "grant.ended": _end,
    "data.epoch": _begin_epoch,
    "data.destroyed": _destroy,
    "recovery.set": _set_recovery,
    "member.recover": _recover,
    "log.rotate": _rotate_log,
    "witness.rotate": _rotate_witnesses,
}
KEY_KINDS = ("key.rotate", "recovery.set", "member.recover", "log.rotate", "witness.rotate", "member.join", "member.leave")
"""The kinds that a checkpoint's keys follow from: members sign them, and nobody else can."""


def quorum_keys(group: Tables, other: str, key_ids: tuple[bytes, ...]) -> list[PublicKey]:
    """The keys that recover a member: the other member's, and as many recovery keys as the group asks for."""
    if group.recovery is None:
        raise RefusedError("unknown: this group has no recovery keys, so nobody can stand in for a lost one")
    if other not in (OWNER, GOVERNMENT):
        raise RefusedError(f"unknown: {other} is neither owner nor government")
    by_id = {key.key_id: key for _, key in group.recovery.keys}
    named = [by_id[key_id] for key_id in key_ids[1:] if key_id in by_id]
    if len(named) < group.recovery.needed or len(set(named)) != len(named):
        raise RefusedError(f"unknown: {group.recovery.needed} recovery keys must sign beside the {other}, {len(set(named))} do")
    return [group.members[other].key, *named]
