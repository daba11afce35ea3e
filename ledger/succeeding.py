"""The owner's side of changes that both members sign: new keys after a loss, recovery keys, new data keys, content destroyed.

Each is asked for twice: the first time it waits for an official's approval, the second time it comes back signed and is sealed.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

from ledger.cbor import Value
from ledger.changes import Draft
from ledger.custody import Registrar, open_log
from ledger.entry import NO_HASH, SECRET_BYTES, Body, Signed, ms
from ledger.epochs import epoch_file, keep_wrapped, key_hash, prepare_epoch, wrapped_beside
from ledger.errors import LedgerError
from ledger.founding import GOVERNMENT, OWNER, Member, WitnessKey
from ledger.group import Group
from ledger.keys import Ed25519Signer, EnvelopeKey, P256Signer, PublicKey, read_envelope_key, read_note_signer, read_signer, write_key
from ledger.log import Log, Sealed
from ledger.reader import Last, Reader
from ledger.standing import contracts_now, keep_contracts
from ledger.succession import span_of
from ledger.witness_client import WitnessClient
from twin.clock import wall_now
from twin.state import write_whole

Answer = Sealed | str
"""What was sealed, or the id of the proposal that waits for approval."""


def begin_epoch(folder: Path, client: WitnessClient, at: datetime | None = None) -> Sealed:
    """From here on bodies lie under a new data key, which the government holds too."""
    with closing(Reader(folder / "log.db")) as reader:
        group = reader.group()
    epoch, data_key = prepare_epoch(folder, group)
    client.give_data_key(group.founding.name, epoch, wrapped_beside(folder, epoch)[GOVERNMENT])
    with Registrar(folder, at or wall_now()) as registrar:
        return registrar.seal([("data.epoch", {"epoch": epoch, "key_hash": key_hash(data_key, epoch)})])


def destroy_epoch(folder: Path, client: WitnessClient, epoch: int, ordered_by: str, reason: str, at: datetime | None = None) -> Answer:
    """Destroy the content of an epoch that is over: its data key goes, on both sides; entries and proofs stay."""
    with closing(open_log(folder)) as log:
        group = log.current
        if epoch not in group.epochs or epoch == group.epoch:
            raise LedgerError(
                f"the content of epoch {epoch} cannot go: it is the first (its key stands in the founding), in use, or unknown"
            )
        first, last = span_of(group, epoch)
        keep_contracts(log, contracts_now(log), log.size())  # whoever seals on needs the contracts' state, and loses what it came from
    facts = {
        "epoch": epoch,
        "key_hash": group.epochs[epoch].key_hash,
        "first": first,
        "last": last,
        "ordered_by": ordered_by,
        "reason": reason,
    }
    answer = _both_sign(folder, client, "data.destroyed", facts, at or wall_now())
    if isinstance(answer, Sealed):
        epoch_file(folder, epoch).unlink(missing_ok=True)
    return answer


def set_recovery(folder: Path, client: WitnessClient, keys: Mapping[str, PublicKey], needed: int, at: datetime | None = None) -> Answer:
    """Name the keys that stand in for a lost one; they lie in other houses than owner and government."""
    facts: dict[str, Value] = {"keys": [[name, key.value()] for name, key in sorted(keys.items())], "needed": needed}
    return _both_sign(folder, client, "recovery.set", facts, at or wall_now())


def rotate_log(folder: Path, client: WitnessClient, reason: str, at: datetime | None = None) -> Answer:
    """Give the log a new key: the old one was lost, or somebody else may hold it."""
    keys = folder / "keys"
    new = _made_once(keys / "log.next.key", Ed25519Signer)
    facts = {"log": read_note_signer(new).public.value(), "reason": reason}
    signed = _ask(folder, client, _draft(folder, "log.rotate", facts, at or wall_now()))
    if isinstance(signed, str):
        return signed
    with closing(open_log(folder, read_note_signer(new))) as log:
        sealed = _seal(log, signed[0], at or wall_now())
    _put_in_place(new, keys / "log.key")
    return sealed


def rotate_witness(folder: Path, client: WitnessClient, key: PublicKey, reason: str, at: datetime | None = None) -> Answer:
    """Let the government's witness cosign with another key, the other witnesses staying as they are."""
    with closing(Reader(folder / "log.db")) as reader:
        now = reader.group().witnesses
    witnesses = [WitnessKey(now.keys[0].name, key), *now.keys[1:]]
    facts: dict[str, Value] = {"witnesses": [[w.name, w.key.value()] for w in witnesses], "needed": now.needed, "reason": reason}
    return _both_sign(folder, client, "witness.rotate", facts, at or wall_now())


def recover_owner(folder: Path, client: WitnessClient, spare: Sequence[P256Signer], reason: str, at: datetime | None = None) -> Answer:
    """New keys for an owner who lost his: signed by recovery keys and the government, whose copy opens the bodies again."""
    keys, now = folder / "keys", at or wall_now()
    sign, envelope = _made_once(keys / "owner.next.key", P256Signer), _made_once(keys / "owner.envelope.next.key", EnvelopeKey)
    with closing(Reader(folder / "log.db")) as reader:
        group, last = reader.group(), reader.last(GOVERNMENT) or Last(0, NO_HASH, 0)
    member = Member(OWNER, group.members[OWNER].name, OWNER, read_signer(sign).public, read_envelope_key(envelope).public)
    body = _body(folder, "member.recover", {"member": member.value(), "reason": reason})
    ids = (group.members[GOVERNMENT].key.key_id, *(signer.key_id for signer in spare))
    unsigned = Draft("member.recover", GOVERNMENT, body, last.seq + 1, last.hash, max(ms(now), last.wall_ms), ids, ())
    answer = _ask(folder, client, _signed_by(unsigned, group, spare))
    if isinstance(answer, str):
        return answer
    signed, wrapped = answer
    for epoch, key in wrapped.items():
        keep_wrapped(folder, epoch, {**wrapped_beside(folder, epoch), OWNER: key})
    _put_in_place(envelope, keys / "owner.envelope.key")
    _put_in_place(sign, keys / "owner.key")
    with closing(open_log(folder)) as log:
        return _seal(log, signed, now)


def _both_sign(folder: Path, client: WitnessClient, kind: str, facts: Mapping[str, Value], at: datetime) -> Answer:
    signed = _ask(folder, client, _draft(folder, kind, facts, at))
    if isinstance(signed, str):
        return signed
    with closing(open_log(folder)) as log:
        return _seal(log, signed[0], at)


def _draft(folder: Path, kind: str, facts: Mapping[str, Value], at: datetime) -> Draft:
    owner = read_signer(folder / "keys" / "owner.key")
    with closing(Reader(folder / "log.db")) as reader:
        group, last = reader.group(), reader.last(OWNER) or Last(0, NO_HASH, 0)
    ids = (owner.key_id, group.members[GOVERNMENT].key.key_id)
    body = _body(folder, kind, facts)
    return _signed_by(Draft(kind, OWNER, body, last.seq + 1, last.hash, max(ms(at), last.wall_ms), ids, ()), group, [owner])


def _signed_by(draft: Draft, group: Group, signers: Sequence[P256Signer]) -> Draft:
    message = draft.entry(group).message()
    signatures = tuple(signer.sign(message) for signer in signers)
    return Draft(draft.kind, draft.source, draft.body, draft.seq, draft.prev, draft.time_ms, draft.keys, signatures)


def _body(folder: Path, kind: str, facts: Mapping[str, Value]) -> Body:
    """The body as it was proposed before, if it says the same: the approval is for these very bytes."""
    path = _pending(folder, kind)
    if path.exists() and (kept := Body.decode(path.read_bytes())).by_name() == dict(facts):
        return kept
    body = Body.of(facts, os.urandom(SECRET_BYTES))
    write_whole(path, body.encode(), mode=0o600)
    return body


def _pending(folder: Path, kind: str) -> Path:
    return folder / "keys" / f"{kind}.pending"


def _ask(folder: Path, client: WitnessClient, draft: Draft) -> tuple[Signed, dict[int, bytes]] | str:
    with closing(Reader(folder / "log.db")) as reader:
        name = reader.group(1).founding.name
    id_, signed, keys = client.ask_to_sign(name, draft)
    return id_ if signed is None else (signed, keys)


def _seal(log: Log, signed: Signed, at: datetime) -> Sealed:
    sealed = log.seal([signed], at)
    if sealed.refused:
        raise LedgerError("; ".join(sealed.refused))
    _pending(log.path.parent, signed.entry.kind).unlink(missing_ok=True)
    return sealed


def _made_once(path: Path, kind: type[P256Signer] | type[Ed25519Signer] | type[EnvelopeKey]) -> Path:
    if not path.exists():
        write_key(path, kind.generate())
    return path


def _put_in_place(new: Path, old: Path) -> None:
    """The new key takes the old one's name; the old file, where there still is one, is kept beside it."""
    if old.exists():
        number = len(list(old.parent.glob(f"{old.stem}.*.retired"))) + 1
        old.rename(old.with_name(f"{old.stem}.{number}.retired"))
    new.rename(old)
