"""Verification of a bundle, offline, in numbered steps. Report, code and documents share the numbers.

It reads the formats (entry, tree, checkpoint, bundle, group) and shares nothing with whoever wrote the log.
Inside, verification raises; only here, at the edge, it becomes a report. Keys come from the inspector's trust file,
never from the bundle: without one the answer is "consistent with itself only", which is not ok.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ledger.bundle import Bundle, Piece
from ledger.certificates import verify_certificate
from ledger.checkpoint import Checkpoint, Note, NoteSignature, note_key_id, parse_note, verify_checkpoint, verify_cosignature
from ledger.entry import NO_HASH, Body, Entry, digest, from_ms
from ledger.envelope import EPOCH_FIRST, open_body, unwrap_data_key
from ledger.errors import FormatError, LedgerError, RefusedError, VerificationError
from ledger.group import LOG, Group
from ledger.keys import EnvelopeKey, PublicKey
from ledger.replay import Contracts, Rules, View
from ledger.report import STEPS, Finding, Report, Step
from ledger.tree import fold, grow, leaf_hash, root_of, verify_consistency, verify_inclusion
from ledger.trust import Trust

CLOCK_SLACK_S = 300  # clocks of gateway, log and witness may differ by five minutes
CLAIM_KINDS = ("emission.period", "saving.period")
EVIDENCE_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True)
class Inspector:
    """What the inspector brings: trust, the checkpoint seen last, the time, rules to redo, and perhaps a member's key."""

    trust: Trust | None = None
    seen: bytes | None = None
    now: datetime | None = None
    rules: Rules = field(default_factory=Rules)
    member: tuple[str, EnvelopeKey] | None = None


def verify_bundle(
    data: bytes,
    trust: Trust | None,
    seen: bytes | None = None,
    *,
    now: datetime | None = None,
    rules: Rules | None = None,
    member: tuple[str, EnvelopeKey] | None = None,
) -> Report:
    """Check a bundle in the steps of STEPS; the report is ok only when no step failed."""
    inspection = _Inspection(data, Inspector(trust, seen, now, rules or Rules(), member))
    return inspection.report()


class _NotApplicableError(Exception):
    """A step that this bundle gives no occasion for; the message says why."""


@dataclass(slots=True)
class _Leaf:
    number: int
    data: bytes
    entry: Entry
    piece: Piece
    body: Body | None
    hash: bytes
    signers: list[PublicKey] | str = ""  # keys that must have signed, or why there are none
    certificate: bytes = b""


class _Inspection:
    """One bundle under inspection: the steps in order, each relying on those before."""

    bundle: Bundle
    leaves: list[_Leaf]
    group: Group
    checkpoint: Checkpoint

    def __init__(self, data: bytes, inspector: Inspector) -> None:
        self.data = data
        self.by = inspector
        self.findings: list[Finding] = []

    def report(self) -> Report:
        steps: list[Step] = []
        stopped = ""
        for number, what in STEPS.items():
            step = self._run(number, what, stopped)
            steps.append(step)
            if step.ok is False and not stopped:
                stopped = self._stops(number)
        ok = all(step.ok is not False for step in steps)
        known = hasattr(self, "checkpoint")
        return Report(
            ok,
            tuple(steps),
            self.group.id.hex() if hasattr(self, "group") else "",
            self.checkpoint.size if known else 0,
            self.checkpoint.root.hex() if known else "",
            tuple(self.findings),
        )

    def _run(self, number: int, what: str, stopped: str) -> Step:
        if stopped:
            return Step(number, what, None, stopped)
        try:
            return Step(number, what, True, _CHECKS[number](self))
        except _NotApplicableError as reason:
            return Step(number, what, None, f"not applicable: {reason}")
        except (VerificationError, FormatError, RefusedError) as error:
            entry = getattr(error, "entry", None)
            evidence: bytes = getattr(error, "evidence", b"")
            self.findings.append(Finding(number, entry, str(error), evidence[:EVIDENCE_BYTES_MAX]))
            return Step(number, what, False, str(error))

    def _stops(self, number: int) -> str:
        """Why nothing after a failed step can be checked; empty when the rest still tells something."""
        if number == 1 and not hasattr(self, "leaves"):
            return "not checked: the container cannot be read"
        if number == 2 and (self.by.trust is not None or not hasattr(self, "group")):
            return "not checked: the keys in this bundle are not those the inspector holds"
        return ""

    @property
    def whole(self) -> bool:
        return not self.bundle.proofs

    @property
    def size(self) -> int:
        return self.checkpoint.size


# Step 1


def _check_container(this: _Inspection) -> str:
    try:
        return _take_in(this, Bundle.decode(this.data))
    except FormatError as damage:
        # The file is refused; where its parts can still be read, the steps that follow name the entry that was altered.
        try:
            _take_in(this, Bundle.decode_damaged(this.data))
        except VerificationError as error:
            raise VerificationError(f"{damage}; {error}", entry=error.entry, evidence=error.evidence) from None
        except FormatError:
            pass
        raise damage from None


def _take_in(this: _Inspection, bundle: Bundle) -> str:
    leaves = [_leaf(piece) for piece in bundle.pieces]
    numbers = [leaf.number for leaf in leaves]
    this.bundle, this.checkpoint = bundle, bundle.note.checkpoint
    size = this.checkpoint.size
    if not numbers or numbers != sorted(set(numbers)) or numbers[0] != 0 or numbers[-1] != size - 1:
        raise VerificationError(f"expected entries in order from 0 to {size - 1}, the checkpoint's last; got {_span(numbers)}")
    if not 0 <= bundle.first < bundle.end <= size or not set(range(bundle.first, bundle.end)) <= set(numbers):
        raise VerificationError(f"the bundle says it holds all of {bundle.first} to {bundle.end - 1}, and does not")
    if this.whole and ((bundle.first, bundle.end) != (0, size) or bundle.seen_size or bundle.seen_proof):
        raise VerificationError("a bundle without proofs holds every entry from the first to the checkpoint's last, and no other proof")
    if not this.whole and len(bundle.proofs) != len(leaves):
        raise VerificationError(f"expected a proof for each of {len(leaves)} entries, got {len(bundle.proofs)}")
    this.leaves = leaves  # from here on the steps that follow have what they need
    return f"{len(this.data)} bytes, {len(this.leaves)} entries" + ("" if this.whole else f", all of {bundle.first} to {bundle.end - 1}")


def _leaf(piece: Piece) -> _Leaf:
    try:
        entry = Entry.decode(piece.leaf)
        body = Body.decode(piece.body) if piece.epoch == 0 else None
    except FormatError as error:
        raise VerificationError(f"entry {piece.number}: {error}", entry=piece.number, evidence=piece.leaf) from None
    return _Leaf(piece.number, piece.leaf, entry, piece, body, leaf_hash(piece.leaf))


def _span(numbers: list[int]) -> str:
    return f"{len(numbers)} entries from {numbers[0]} to {numbers[-1]}" if numbers else "none"


# Step 2


def _check_trust(this: _Inspection) -> str:
    first = this.leaves[0]
    if first.body is None:
        raise VerificationError("the founding entry has no open body", entry=0)
    try:
        group = Group.found(first.entry, first.body)
    except (RefusedError, FormatError) as error:
        raise _fault(first, f"founds no group: {error}") from None
    if this.bundle.group != group.id:
        raise VerificationError("the bundle's group is not the one its founding entry makes", entry=0, evidence=first.data)
    trust = this.by.trust
    if trust is None:
        this.group = group
        raise VerificationError("consistent with itself only: no trust file was given, so nobody vouches for these keys; use --trust FILE")
    found = Trust.of(group)
    for what in ("group", "owner_key", "government_key", "log_key", "witnesses", "witnesses_needed"):
        if getattr(found, what) != getattr(trust, what):
            raise VerificationError(
                f"the bundle's {what.replace('_', ' ')} is not the one in the trust file of {trust.name}", entry=0, evidence=first.data
            )
    this.group = group
    return f"group {trust.name} of {trust.owner} with {trust.government}"


# Step 3


def _check_checkpoint(this: _Inspection) -> str:
    origin, log = this.group.origin, this.group.founding.log
    verify_checkpoint(this.bundle.note, origin, log)
    first = this.bundle.note.signatures[0]
    if (first.name, first.key_id) != (origin, note_key_id(origin, log)):
        raise VerificationError("the log's signature is not the first under the checkpoint", evidence=this.bundle.note.signed.encode())
    if this.by.seen is None:
        return f"{this.size} entries, signed by the log; no earlier checkpoint was given to compare"
    seen = verify_checkpoint(parse_note(this.by.seen), origin, log)
    evidence = this.by.seen + b"\n" + this.bundle.note.signed.encode()
    if seen.size > this.size:
        raise VerificationError(
            f"the inspector has seen {seen.size} entries, the bundle ends at {this.size}: the newest were left out", evidence=evidence
        )
    try:
        _check_growth(this, seen)
    except VerificationError as error:
        raise VerificationError(f"two histories of one log: {error}", evidence=evidence) from None
    return f"{this.size} entries, signed by the log; adds to the {seen.size} seen before"


def _check_growth(this: _Inspection, seen: Checkpoint) -> None:
    if this.whole:
        if root_of([leaf.hash for leaf in this.leaves[: seen.size]]) != seen.root:
            raise VerificationError(f"the first {seen.size} entries are not those that were seen")
    elif this.bundle.seen_size != seen.size:
        raise VerificationError(f"no proof from the {seen.size} entries seen; ask for a bundle with it, or for a whole one")
    else:
        verify_consistency(seen.size, seen.root, this.size, this.checkpoint.root, this.bundle.seen_proof)


# Step 4


def _check_witnesses(this: _Inspection) -> str:
    founding, note = this.group.founding, this.bundle.note
    known = {witness.name: witness for witness in founding.witnesses}
    names = [signature.name for signature in note.signatures[1:]]
    if names != sorted(set(names)) or not set(names) <= set(known):
        raise VerificationError(f"signature lines of strangers, twice or out of order: {', '.join(names)}", evidence=note.signed.encode())
    times = {s.name: _cosigned_at(this, note, s, known[s.name].key) for s in note.signatures[1:]}
    government = founding.witnesses[0].name
    if government not in times or len(times) < founding.witnesses_needed:
        raise VerificationError(
            f"sealed, not final: {len(times)} of {founding.witnesses_needed} cosignatures; {government} must be among them",
            evidence=note.signed.encode(),
        )
    return "cosigned by " + ", ".join(f"{name} at {from_ms(at * 1000).isoformat()}" for name, at in times.items())


def _cosigned_at(this: _Inspection, note: Note, signature: NoteSignature, key: PublicKey) -> int:
    at = verify_cosignature(note.text, signature, signature.name, key)
    sealed_s = this.leaves[-1].entry.wall_ms // 1000
    if at < sealed_s - CLOCK_SLACK_S:
        raise VerificationError(f"{signature.name} cosigned {sealed_s - at} s before the checkpoint was made: a clock is wrong")
    if this.by.now is not None and at > this.by.now.timestamp() + CLOCK_SLACK_S:
        raise VerificationError(f"{signature.name} cosigned in the future: a clock is wrong")
    return at


# Step 5


def _check_inclusion(this: _Inspection) -> str:
    if not this.whole:
        for leaf, proof in zip(this.leaves, this.bundle.proofs, strict=True):
            try:
                verify_inclusion(leaf.hash, leaf.number, this.size, proof, this.checkpoint.root)
            except VerificationError as error:
                raise VerificationError(f"entry {leaf.number}: {error}", entry=leaf.number, evidence=leaf.data) from None
        return f"{len(this.leaves)} entries, each by its proof"
    peaks: list[bytes] = []
    before = NO_HASH
    for leaf in this.leaves:
        grow(peaks, leaf.number, leaf.hash)
        if leaf.entry.kind == "state":
            sealed = _facts(leaf).get("checkpoint")
            if sealed != before:
                raise _fault(leaf, "does not name the checkpoint before it")
            before = digest(Checkpoint(this.group.origin, leaf.number + 1, fold(peaks)).text.encode())
    if fold(peaks) != this.checkpoint.root:
        raise VerificationError("the entries do not make the signed root: one was altered, added or taken out")
    return f"all {len(this.leaves)} entries make the signed root, and every earlier checkpoint is named by the next"


# Step 6


def _check_membership(this: _Inspection) -> str:
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
        raise _fault(this.leaves[-1], "ends the checkpoint and is no state leaf")
    devices = [device.status for device in group.devices.values()]
    states = sum(leaf.entry.kind == "state" for leaf in this.leaves)
    return f"{len(group.members)} members, {len(devices)} devices ({devices.count('revoked')} revoked), the same at {states} state leaves"


def _replay_one(group: Group, leaf: _Leaf) -> None:
    try:
        leaf.signers = group.signers(leaf.entry)
        leaf.certificate = group.certificate_of(leaf.entry)
    except RefusedError as error:
        leaf.signers = str(error)
    if leaf.number and leaf.entry.kind == "group.found":
        raise _fault(leaf, "founds the group a second time")
    if leaf.number and leaf.entry.rule.open:
        if leaf.body is None:
            raise _fault(leaf, "is a registry entry without its body")
        try:
            group.apply(leaf.number, leaf.entry, leaf.body)
        except (RefusedError, FormatError) as error:
            raise _fault(leaf, f"cannot be: {error}") from None
    if leaf.entry.kind == "state" and _facts(leaf).get("members") != group.root:
        raise _fault(leaf, "seals other members, devices or policies than the entries give: a revocation or other change was left out")


# Step 7


def _check_signatures(this: _Inspection) -> str:
    for leaf in this.leaves:
        if isinstance(leaf.signers, str):
            raise _fault(leaf, leaf.signers or "was never looked at")
        try:
            if leaf.certificate:
                authority = this.group.founding.authority
                verify_certificate(leaf.certificate, authority, leaf.entry.source, from_ms(leaf.entry.wall_ms))
            message = leaf.entry.message()
            for key, signature in zip(leaf.signers, leaf.entry.signatures, strict=True):
                key.verify(message, signature)
        except VerificationError as error:
            raise _fault(leaf, str(error)) from None
    return f"{sum(len(leaf.entry.signatures) for leaf in this.leaves)} signatures"


# Step 8


def _check_order(this: _Inspection) -> str:
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
            this.findings.append(Finding(8, leaf.number, f"refused: {_facts(leaf).get('reason')}", leaf.data))
    if gaps:
        raise VerificationError(f"gaps were declared that no entry follows: {', '.join(gaps)}")
    if bundle.first and not standing:
        raise VerificationError(f"no state leaf stands before entry {bundle.first}")
    if this.leaves[-1].number >= bundle.end and this.leaves[-1].entry.kind != "state":
        raise _fault(this.leaves[-1], "ends the checkpoint and is no state leaf")
    tail = "" if bundle.end == this.size else f"; the {this.size - bundle.end} newest entries are not in this bundle"
    return f"{len(standing)} sources without a hidden gap, {declared} declared gaps, {refused} refusals{tail}"


def _check_state(leaf: _Leaf, standing: dict[str, tuple[int, bytes, int]]) -> None:
    sealed = _sealed_sources(leaf)
    if sealed != standing:
        raise _fault(leaf, f"says its sources stand elsewhere than their entries: {_difference(sealed, standing)}")
    for source, (seq, _, wall_ms) in standing.items():
        if wall_ms > leaf.entry.wall_ms + CLOCK_SLACK_S * 1000:
            raise _fault(leaf, f"was made before entry {seq} of {source} says it was")


def _check_one(leaf: _Leaf, before: tuple[int, bytes, int], gaps: dict[str, tuple[int, int]]) -> None:
    entry = leaf.entry
    seq, prev, wall_ms = before
    gap = gaps.pop(entry.source, None)
    if gap is not None:
        if gap != (seq + 1, entry.seq - 1):
            raise _fault(leaf, f"does not follow the declared gap {gap[0]} to {gap[1]}")
    elif entry.seq != seq + 1:
        raise _fault(leaf, f"has number {entry.seq} of {entry.source}, expected {seq + 1}: entries are missing or came twice")
    elif entry.prev != prev:
        raise _fault(leaf, f"does not name entry {seq} of {entry.source} as the one before")
    if entry.wall_ms < wall_ms - CLOCK_SLACK_S * 1000:
        raise _fault(leaf, f"is dated before the entry of {entry.source} that it follows")
    if not entry.simulated and entry.time_ms > entry.wall_ms + CLOCK_SLACK_S * 1000:
        raise _fault(leaf, "claims a site time that had not come")


def _declared_gap(leaf: _Leaf) -> tuple[str, int, int]:
    facts = _facts(leaf)
    if {key: type(value) for key, value in facts.items()} != {"source": str, "first": int, "last": int}:
        raise _fault(leaf, "declares a gap without source, first and last")
    return facts["source"], facts["first"], facts["last"]


def _sealed_sources(leaf: _Leaf) -> dict[str, tuple[int, bytes, int]]:
    sources = _facts(leaf).get("sources")
    if not isinstance(sources, dict) or any(not isinstance(v, list) or len(v) != 3 for v in sources.values()):
        raise _fault(leaf, "is a state leaf without its table of sources")
    return {source: (seq, hash_, wall) for source, (seq, hash_, wall) in sources.items()}


def _sealed_standing(leaf: _Leaf) -> dict[str, tuple[int, bytes, int]]:
    """Where all sources stand after a state leaf, itself included."""
    if leaf.entry.kind != "state":
        raise _fault(leaf, "stands before the bundle's period and is no state leaf")
    return {**_sealed_sources(leaf), LOG: (leaf.entry.seq, leaf.hash, leaf.entry.wall_ms)}


def _difference(sealed: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    return ", ".join(sorted(source for source in {*sealed, *found} if sealed.get(source) != found.get(source)))


# Step 9


def _check_bodies(this: _Inspection) -> str:
    closed: list[_Leaf] = []
    data_key = _data_key(this)
    for leaf in this.leaves:
        if leaf.body is None and data_key is not None:
            leaf.body = _opened(leaf, data_key)
        if leaf.body is None:
            _must_be_sealed(leaf)
            closed.append(leaf)
        elif leaf.body.root != leaf.entry.body:
            raise _fault(leaf, "has another body than the one that was signed")
        if leaf.piece.epoch not in (0, EPOCH_FIRST):
            raise _fault(leaf, f"has a body of an unknown epoch {leaf.piece.epoch}")
    if closed and any(leaf.body is not None for leaf in this.leaves if not leaf.entry.rule.open):
        # Whoever opened the others had the key: these do not open with it, or are kept back.
        raise _fault(closed[0], f"has a body that lies sealed while others lie open: it was altered or is kept back ({len(closed)} such)")
    fields = sum(len(leaf.body.fields) for leaf in this.leaves if leaf.body)
    return f"{len(this.leaves) - len(closed)} bodies with {fields} fields" + (
        f"; {len(closed)} are sealed for members and were not opened" if closed else ""
    )


def _must_be_sealed(leaf: _Leaf) -> None:
    """The epoch beside a body is nobody's signature: what it calls sealed must not be the open body."""
    try:
        root = Body.decode(leaf.piece.body).root
    except FormatError:
        return
    if root == leaf.entry.body:
        raise _fault(leaf, f"has an open body that is called sealed in epoch {leaf.piece.epoch}")


def _data_key(this: _Inspection) -> bytes | None:
    if this.by.member is None:
        return None
    source, key = this.by.member
    founding = this.group.founding
    try:
        return unwrap_data_key(founding.data_keys.get(source, b""), key, founding.log, EPOCH_FIRST)
    except LedgerError as error:
        raise VerificationError(f"the key given for {source} opens nothing here: {error}") from None


def _opened(leaf: _Leaf, data_key: bytes) -> Body:
    try:
        return Body.decode(open_body(data_key, leaf.entry, leaf.piece.body, leaf.piece.epoch))
    except LedgerError as error:
        raise _fault(leaf, str(error)) from None


# Step 10


def _check_contracts(this: _Inspection) -> str:
    policies = this.group.policies
    if not policies:
        raise _NotApplicableError("no contract is installed in this group")
    views = _views(this, "contracts")
    if not this.whole:
        raise _NotApplicableError("contracts are replayed from the first entry; ask for a whole bundle")
    known = this.by.rules.contracts
    for name, policy in policies.items():
        if name not in known or known[name].source_hash != policy["source"]:
            raise _NotApplicableError(f"this verifier has not the code of contract {name} with source {policy['source'].hex()[:16]}")
    contracts = Contracts([known[name] for name in policies], policies)
    events, begun = 0, [0]
    for leaf in this.leaves:
        if leaf.entry.kind == "state":
            events += _check_said(leaf, contracts, policies, views[begun[-1] : leaf.number])
            begun.append(leaf.number + 1)
    return f"{len(policies)} contracts, the same state at {len(begun) - 1} state leaves, {events} events as sealed"


def _check_said(leaf: _Leaf, contracts: Contracts, policies: Mapping[str, Any], views: list[View]) -> int:
    """One checkpoint: what the contracts say must be what was sealed, and their roots those in the state leaf."""
    said = [(event.kind, {**event.fields, "contract": name}) for name, event in contracts.feed(views)]
    # What an older version of a contract said stands under its own installation, which the newest replaced.
    sealed = [view for view in views if view.contract and view.number >= policies.get(view.contract, {"from": 0})["from"]]
    for number, view in enumerate(sealed):
        if number >= len(said) or (view.entry.kind, view.body.by_name()) != said[number]:
            expected = said[number][0] if number < len(said) else "nothing"
            message = f"entry {view.number}: {view.entry.kind} is not what the contract {view.contract} says ({expected})"
            raise VerificationError(message, entry=view.number, evidence=view.entry.encode())
    if len(said) > len(sealed):
        kind, facts = said[len(sealed)]
        raise _fault(leaf, f"closes a checkpoint in which {kind} of contract {facts['contract']} was not sealed")
    roots = _facts(leaf).get("contracts", {})
    for name, root in contracts.roots().items():
        if policies[name]["from"] <= leaf.number and roots.get(name) != root and (name in roots or any(view.is_input for view in views)):
            raise _fault(leaf, f"seals another state of contract {name} than the entries give")
    return len(said)


# Step 11


def _check_claims(this: _Inspection) -> str:
    claims = [leaf for leaf in this.leaves if leaf.entry.kind in CLAIM_KINDS]
    if not claims:
        raise _NotApplicableError("no claim is in this bundle")
    views = _views(this, "claims")
    lines = []
    for view in views:
        if view.entry.kind not in CLAIM_KINDS:
            continue
        engine = this.by.rules.claims.get(view.entry.kind)
        if engine is None:
            raise _NotApplicableError(f"this verifier has no engine for {view.entry.kind}")
        try:
            lines.append(engine(view, views))
        except VerificationError as error:
            raise VerificationError(f"entry {view.number}: {error}", entry=view.number, evidence=view.entry.encode()) from None
    return f"{len(lines)} claims: " + "; ".join(lines)


# Step 12


def _check_anchors(this: _Inspection) -> str:
    raise _NotApplicableError("no outside anchor configured")


def _views(this: _Inspection, what: str) -> list[View]:
    closed = [leaf.number for leaf in this.leaves if leaf.body is None]
    if closed:
        raise _NotApplicableError(f"{what} need open bodies, {len(closed)} are sealed for members; give a member's key")
    return [View(leaf.number, leaf.entry, leaf.body) for leaf in this.leaves if leaf.body is not None]


def _facts(leaf: _Leaf) -> dict[str, Any]:
    if leaf.body is None:
        raise _fault(leaf, "has no open body")
    try:
        return leaf.body.by_name()
    except FormatError as error:
        raise _fault(leaf, str(error)) from None


def _fault(leaf: _Leaf, what: str) -> VerificationError:
    return VerificationError(
        f"entry {leaf.number} ({leaf.entry.kind} of {leaf.entry.source}) {what}", entry=leaf.number, evidence=leaf.data
    )


_CHECKS: Mapping[int, Callable[[_Inspection], str]] = {
    1: _check_container,
    2: _check_trust,
    3: _check_checkpoint,
    4: _check_witnesses,
    5: _check_inclusion,
    6: _check_membership,
    7: _check_signatures,
    8: _check_order,
    9: _check_bodies,
    10: _check_contracts,
    11: _check_claims,
    12: _check_anchors,
}
