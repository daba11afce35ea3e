"""Steps 6 to 9 of a verification: who belongs, who signed, in which order, and whether bodies are those that were signed."""

from collections.abc import Iterator, Mapping
from typing import Any

from ledger.bundle import OPEN
from ledger.certificates import verify_certificate
from ledger.entry import NO_HASH, Body, from_ms
from ledger.envelope import DataKeys, open_with, unwrap_data_key
from ledger.errors import FormatError, LedgerError, RefusedError, VerificationError
from ledger.founding import LOG
from ledger.group import Group
from ledger.inspection import CLOCK_SLACK_S, Inspection, Leaf, facts_of, fault
from ledger.labour import CHUNK, Check
from ledger.report import Finding
from ledger.tables import EPOCH_FIRST

# Step 6


def check_membership(this: Inspection) -> str:
    """Step 6: replaying members, devices and policies comes to what each state leaf sealed."""
    group = this.group.copy()
    faults = []
    for leaf in this.leaves:
        # Go on after a fault: the steps that follow still need to know who had to sign each entry.
        try:
            _replay_one(group, leaf)
        except VerificationError as error:
            faults.append(error)
    this.group = group
    if faults:
        raise faults[0]
    if this.leaves[-1].entry.kind != "state":
        raise fault(this.leaves[-1], "ends the checkpoint and is no state leaf")
    devices = [device.status for device in group.devices.values()]
    states = sum(leaf.entry.kind == "state" for leaf in this.leaves)
    return f"{len(group.members)} members, {len(devices)} devices ({devices.count('revoked')} revoked), the same at {states} state leaves"


def _replay_one(group: Group, leaf: Leaf) -> None:
    leaf.epoch = OPEN if leaf.entry.rule.open else group.epoch
    try:
        leaf.signers = group.signers(leaf.entry)
        leaf.certificate = group.certificate_of(leaf.entry)
    except RefusedError as error:
        leaf.signers = str(error)
    if leaf.number and leaf.entry.kind == "group.found":
        raise fault(leaf, "founds the group a second time")
    if leaf.number and leaf.entry.rule.open:
        if not leaf.is_open:
            raise fault(leaf, "is a registry entry without its body")
        try:
            group.apply(leaf.number, leaf.entry, leaf.body)
        except (RefusedError, FormatError) as error:
            raise fault(leaf, f"cannot be: {error}") from None
    if leaf.entry.kind == "state" and facts_of(leaf).get("members") != group.root:
        raise fault(leaf, "seals other members, devices or policies than the entries give: a revocation or other change was left out")


# Step 7


def check_signatures(this: Inspection) -> str:
    """Step 7: certificates were valid, nobody was revoked, and every signature is good."""
    authority = this.group.founding.authority
    for leaf in _suspects(this) if this.labour.worth_it(len(this.leaves)) else this.leaves:
        _check_signed(leaf, authority)
    return f"{sum(len(leaf.entry.signatures) for leaf in this.leaves)} signatures"


def _check_signed(leaf: Leaf, authority: bytes) -> None:
    if isinstance(leaf.signers, str):
        raise fault(leaf, leaf.signers or "was never looked at")
    _check_certificate(leaf, authority)
    message = leaf.entry.message()
    try:
        for key, signature in zip(leaf.signers, leaf.entry.signatures, strict=True):
            key.verify(message, signature)
    except VerificationError as error:
        raise fault(leaf, str(error)) from None


def _check_certificate(leaf: Leaf, authority: bytes) -> None:
    if not leaf.certificate:
        return
    try:
        verify_certificate(leaf.certificate, authority, leaf.entry.source, from_ms(leaf.entry.wall_ms))
    except VerificationError as error:
        raise fault(leaf, str(error)) from None


def _suspects(this: Inspection) -> Iterator[Leaf]:
    """The entries with several signers or none, and those of a chunk in which a worker found a false signature."""
    plain, checks = [], list[Check]()
    for leaf in this.leaves:
        if not isinstance(leaf.signers, str) and len(leaf.signers) == len(leaf.entry.signatures) == 1:
            plain.append(leaf)
            checks.append((leaf.signers[0].algorithm, leaf.signers[0].raw, leaf.entry.message(), leaf.entry.signatures[0]))
    again = {leaf.number for number in this.labour.suspects(checks) for leaf in plain[number * CHUNK : (number + 1) * CHUNK]}
    good = {leaf.number for leaf in plain} - again
    authority = this.group.founding.authority
    for leaf in this.leaves:
        if leaf.number not in good:
            yield leaf
        else:
            _check_certificate(leaf, authority)


# Step 8


def check_order(this: Inspection) -> str:
    """Step 8: no number of any source is missing, and each entry names the one before."""
    bundle = this.bundle
    standing: dict[str, tuple[int, bytes, int]] = {}
    gaps: dict[str, tuple[int, int]] = {}
    declared = refused = 0
    for leaf in this.leaves:
        if leaf.number == bundle.first - 1:
            standing = _sealed_standing(leaf)
        if not bundle.first <= leaf.number < bundle.end:
            continue
        if leaf.entry.kind == "state":
            _check_state(leaf, standing)
        _check_one(leaf, standing.get(leaf.entry.source, (0, NO_HASH, 0)), gaps)
        standing[leaf.entry.source] = (leaf.entry.seq, leaf.hash, leaf.entry.wall_ms)
        if leaf.entry.kind == "gap":
            source, first, last = _declared_gap(leaf)
            gaps[source] = (first, last)
            declared += 1
            this.findings.append(Finding(8, leaf.number, f"{source}: {first} to {last} never came", leaf.data))
        if leaf.entry.kind == "refused":
            refused += 1
            this.findings.append(Finding(8, leaf.number, f"refused: {facts_of(leaf).get('reason')}", leaf.data))
    if gaps:
        raise VerificationError(f"gaps were declared that no entry follows: {', '.join(gaps)}")
    if bundle.first and not standing:
        raise VerificationError(f"no state leaf stands before entry {bundle.first}")
    if this.leaves[-1].number >= bundle.end and this.leaves[-1].entry.kind != "state":
        raise fault(this.leaves[-1], "ends the checkpoint and is no state leaf")
    tail = "" if bundle.end == this.size else f"; the {this.size - bundle.end} newest entries are not in this bundle"
    return f"{len(standing)} sources without a hidden gap, {declared} declared gaps, {refused} refusals{tail}"


def _check_state(leaf: Leaf, standing: dict[str, tuple[int, bytes, int]]) -> None:
    sealed = _sealed_sources(leaf)
    if sealed != standing:
        raise fault(leaf, f"says its sources stand elsewhere than their entries: {_difference(sealed, standing)}")
    for source, (seq, _, wall_ms) in standing.items():
        if wall_ms > leaf.entry.wall_ms + CLOCK_SLACK_S * 1000:
            raise fault(leaf, f"was made before entry {seq} of {source} says it was")


def _check_one(leaf: Leaf, before: tuple[int, bytes, int], gaps: dict[str, tuple[int, int]]) -> None:
    entry = leaf.entry
    seq, prev, wall_ms = before
    gap = gaps.pop(entry.source, None)
    if gap is not None:
        if gap != (seq + 1, entry.seq - 1):
            raise fault(leaf, f"does not follow the declared gap {gap[0]} to {gap[1]}")
    elif entry.seq != seq + 1:
        raise fault(leaf, f"has number {entry.seq} of {entry.source}, expected {seq + 1}: entries are missing or came twice")
    elif entry.prev != prev:
        raise fault(leaf, f"does not name entry {seq} of {entry.source} as the one before")
    if entry.wall_ms < wall_ms - CLOCK_SLACK_S * 1000:
        raise fault(leaf, f"is dated before the entry of {entry.source} that it follows")
    if not entry.simulated and entry.time_ms > entry.wall_ms + CLOCK_SLACK_S * 1000:
        raise fault(leaf, "claims a site time that had not come")


def _declared_gap(leaf: Leaf) -> tuple[str, int, int]:
    facts = facts_of(leaf)
    if {key: type(value) for key, value in facts.items()} != {"source": str, "first": int, "last": int}:
        raise fault(leaf, "declares a gap without source, first and last")
    return facts["source"], facts["first"], facts["last"]


def _sealed_sources(leaf: Leaf) -> dict[str, tuple[int, bytes, int]]:
    sources = facts_of(leaf).get("sources")
    if not isinstance(sources, dict) or any(not isinstance(v, list) or len(v) != 3 for v in sources.values()):
        raise fault(leaf, "is a state leaf without its table of sources")
    return {source: (seq, hash_, wall) for source, (seq, hash_, wall) in sources.items()}


def _sealed_standing(leaf: Leaf) -> dict[str, tuple[int, bytes, int]]:
    """Where all sources stand after a state leaf, itself included."""
    if leaf.entry.kind != "state":
        raise fault(leaf, "stands before the bundle's period and is no state leaf")
    return {**_sealed_sources(leaf), LOG: (leaf.entry.seq, leaf.hash, leaf.entry.wall_ms)}


def _difference(sealed: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    return ", ".join(sorted(source for source in {*sealed, *found} if sealed.get(source) != found.get(source)))


# Step 9


def check_bodies(this: Inspection) -> str:
    """Step 9: every open body is the one that was signed."""
    closed, gone = [], 0
    data_keys = _data_keys(this)
    for leaf in this.leaves:
        if leaf.piece.epoch not in (OPEN, leaf.epoch):
            raise fault(leaf, f"has a body of epoch {leaf.piece.epoch}, epoch {leaf.epoch} was in force")
        if not leaf.is_open and leaf.piece.epoch in data_keys:
            _open_with(leaf, data_keys)
        if not leaf.is_open:
            _must_be_sealed(leaf)
            gone += bool(this.group.destroyed(leaf.epoch))
            closed += [] if this.group.destroyed(leaf.epoch) else [leaf]
        elif leaf.root != leaf.entry.body:
            raise fault(leaf, "has another body than the one that was signed")
    if closed and any(leaf.is_open for leaf in this.leaves if not leaf.entry.rule.open):
        # Whoever opened the others had the key: these do not open with it, or are kept back.
        raise fault(closed[0], f"has a body that lies sealed while others lie open: it was altered or is kept back ({len(closed)} such)")
    fields = sum(leaf.fields for leaf in this.leaves)
    told = f"{len(this.leaves) - len(closed) - gone} bodies with {fields} fields"
    told += f"; {len(closed)} are sealed for members and were not opened" if closed else ""
    return told + (f"; the content of {gone} was destroyed by order" if gone else "")


def _must_be_sealed(leaf: Leaf) -> None:
    """The epoch beside a body is nobody's signature: what it calls sealed must not be the open body."""
    try:
        root = Body.decode(leaf.piece.body).root
    except FormatError:
        return
    if root == leaf.entry.body:
        raise fault(leaf, f"has an open body that is called sealed in epoch {leaf.piece.epoch}")


def _data_keys(this: Inspection) -> DataKeys:
    if this.by.member is None:
        return {}
    source, key = this.by.member
    founding = this.group.founding
    try:
        return {EPOCH_FIRST: unwrap_data_key(founding.data_keys.get(source, b""), key, founding.log, EPOCH_FIRST)}
    except LedgerError as error:
        raise VerificationError(f"the key given for {source} opens nothing here: {error}") from None


def _open_with(leaf: Leaf, data_keys: DataKeys) -> None:
    try:
        leaf.open(open_with(data_keys, leaf.entry, leaf.piece.body, leaf.piece.epoch))
    except LedgerError as error:
        raise fault(leaf, str(error)) from None
