"""Steps 1 to 5 of a verification: the file, the keys, the checkpoint, its witnesses, and each entry's place under it."""

from collections.abc import Sequence

from ledger.bundle import OPEN, Bundle, Piece
from ledger.checkpoint import Checkpoint, Note, NoteSignature, note_key_id, parse_note, verify_checkpoint, verify_cosignature
from ledger.entry import NO_HASH, Entry, digest, from_ms
from ledger.errors import FormatError, RefusedError, VerificationError
from ledger.group import Group
from ledger.inspection import CLOCK_SLACK_S, Inspection, Leaf, NotApplicableError, facts_of, fault
from ledger.keys import PublicKey
from ledger.labour import Commitment, gathered
from ledger.succession import KEY_KINDS
from ledger.tree import fold, grow, leaf_hash, root_of, verify_consistency, verify_inclusion
from ledger.trust import Trust

# Step 1


def check_container(this: Inspection) -> str:
    """Step 1: the file is whole and canonical, and holds the entries it says it holds."""
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


def _take_in(this: Inspection, bundle: Bundle) -> str:
    leaves = _leaves(this, bundle.pieces)
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


def _leaves(this: Inspection, pieces: Sequence[Piece]) -> list[Leaf]:
    if not this.labour.worth_it(len(pieces)):
        return [_opened(_leaf(piece)) for piece in pieces]
    work = this.labour.commitments([piece.body if piece.epoch == OPEN else b"" for piece in pieces])
    leaves = [_leaf(piece) for piece in pieces]  # meanwhile
    return [_opened(leaf, known) for leaf, known in zip(leaves, gathered(work, len(pieces)), strict=True)]


def _leaf(piece: Piece) -> Leaf:
    try:
        return Leaf(piece.number, piece.leaf, Entry.decode(piece.leaf), piece, leaf_hash(piece.leaf), b"")
    except FormatError as error:
        raise VerificationError(f"entry {piece.number}: {error}", entry=piece.number, evidence=piece.leaf) from None


def _opened(leaf: Leaf, known: Commitment = None) -> Leaf:
    try:
        if leaf.piece.epoch == OPEN:
            leaf.open(leaf.piece.body, known)
    except FormatError as error:
        raise VerificationError(f"entry {leaf.number}: {error}", entry=leaf.number, evidence=leaf.data) from None
    return leaf


def _span(numbers: list[int]) -> str:
    return f"{len(numbers)} entries from {numbers[0]} to {numbers[-1]}" if numbers else "none"


# Step 2


def check_trust(this: Inspection) -> str:
    """Step 2: group and keys are those in the inspector's trust file."""
    first = this.leaves[0]
    if not first.is_open:
        raise VerificationError("the founding entry has no open body", entry=0)
    try:
        group = Group.found(first.entry, first.body)
    except (RefusedError, FormatError) as error:
        raise fault(first, f"founds no group: {error}") from None
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


def check_checkpoint(this: Inspection) -> str:
    """Step 3: the log signed the checkpoint, and it adds to the one the inspector saw last."""
    this.keyed = _keyed(this)
    origin, log = this.group.origin, this.keyed.log_at(this.size)
    verify_checkpoint(this.bundle.note, origin, log)
    first = this.bundle.note.signatures[0]
    if (first.name, first.key_id) != (origin, note_key_id(origin, log)):
        raise VerificationError("the log's signature is not the first under the checkpoint", evidence=this.bundle.note.signed.encode())
    if this.by.seen is None:
        return f"{this.size} entries, signed by the log; no earlier checkpoint was given to compare"
    earlier = parse_note(this.by.seen)
    seen = verify_checkpoint(earlier, origin, this.keyed.log_at(earlier.checkpoint.size))
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


def _keyed(this: Inspection) -> Group:
    """The group whose log and witness keys follow, signature by signature, from the founding that the inspector trusts."""
    changes = [leaf for leaf in this.leaves if leaf.number and leaf.entry.kind in KEY_KINDS]
    group = this.group.copy()
    for leaf in changes:
        try:
            for key, signature in zip(group.signers(leaf.entry), leaf.entry.signatures, strict=True):
                key.verify(leaf.entry.message(), signature)
            if leaf.root != leaf.entry.body:
                raise fault(leaf, "has another body than the one that was signed")
            group.apply(leaf.number, leaf.entry, leaf.body)
        except (RefusedError, FormatError, VerificationError) as error:
            raise fault(leaf, f"changes keys and does not hold: {error}") from None
    return group


def _check_growth(this: Inspection, seen: Checkpoint) -> None:
    if this.whole:
        if root_of([leaf.hash for leaf in this.leaves[: seen.size]]) != seen.root:
            raise VerificationError(f"the first {seen.size} entries are not those that were seen")
    elif this.bundle.seen_size != seen.size:
        raise VerificationError(f"no proof from the {seen.size} entries seen; ask for a bundle with it, or for a whole one")
    else:
        verify_consistency(seen.size, seen.root, this.size, this.checkpoint.root, this.bundle.seen_proof)


# Step 4


def check_witnesses(this: Inspection) -> str:
    """Step 4: enough witnesses cosigned, the government's among them, at plausible times."""
    if not hasattr(this, "keyed"):
        raise NotApplicableError("which witnesses count is not known: step 3 did not hold")
    policy, note = this.keyed.witnesses_at(this.size), this.bundle.note
    known = {witness.name: witness for witness in policy.keys}
    names = [signature.name for signature in note.signatures[1:]]
    if names != sorted(set(names)) or not set(names) <= set(known):
        raise VerificationError(f"signature lines of strangers, twice or out of order: {', '.join(names)}", evidence=note.signed.encode())
    times = {s.name: _cosigned_at(this, note, s, known[s.name].key) for s in note.signatures[1:]}
    government = policy.keys[0].name
    if government not in times or len(times) < policy.needed:
        raise VerificationError(
            f"sealed, not final: {len(times)} of {policy.needed} cosignatures; {government} must be among them",
            evidence=note.signed.encode(),
        )
    return "cosigned by " + ", ".join(f"{name} at {from_ms(at * 1000).isoformat()}" for name, at in times.items())


def _cosigned_at(this: Inspection, note: Note, signature: NoteSignature, key: PublicKey) -> int:
    at = verify_cosignature(note.text, signature, signature.name, key)
    sealed_s = this.leaves[-1].entry.wall_ms // 1000
    if at < sealed_s - CLOCK_SLACK_S:
        raise VerificationError(f"{signature.name} cosigned {sealed_s - at} s before the checkpoint was made: a clock is wrong")
    if this.by.now is not None and at > this.by.now.timestamp() + CLOCK_SLACK_S:
        raise VerificationError(f"{signature.name} cosigned in the future: a clock is wrong")
    return at


# Step 5


def check_inclusion(this: Inspection) -> str:
    """Step 5: every entry lies under the checkpoint's root."""
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
            sealed = facts_of(leaf).get("checkpoint")
            if sealed != before:
                raise fault(leaf, "does not name the checkpoint before it")
            before = digest(Checkpoint(this.group.origin, leaf.number + 1, fold(peaks)).text.encode())
    if fold(peaks) != this.checkpoint.root:
        raise VerificationError("the entries do not make the signed root: one was altered, added or taken out")
    return f"all {len(this.leaves)} entries make the signed root, and every earlier checkpoint is named by the next"
