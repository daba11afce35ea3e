"""Data keys by epoch: who holds them, how a new one begins, and how an old one is destroyed so that its content is gone.

The key of the first epoch is wrapped in the founding, which stays for ever; those that follow lie beside the log as files and can go.
"""

from collections.abc import Mapping
from pathlib import Path

from ledger.cbor import decode, encode
from ledger.entry import digest
from ledger.envelope import new_data_key, unwrap_data_key, wrap_data_key
from ledger.errors import FormatError, LedgerError
from ledger.founding import OWNER
from ledger.group import Group
from ledger.keys import EnvelopeKey, PublicKey, read_envelope_key
from ledger.reader import Reader
from ledger.tables import EPOCH_FIRST
from twin.state import write_whole


def key_hash(data_key: bytes, epoch: int) -> bytes:
    """How a data key is named in the log: nobody can guess a random key from it."""
    return digest(f"wattproof data key of epoch {epoch}\n".encode() + data_key)


def epoch_file(folder: Path, epoch: int) -> Path:
    """Where a group keeps the wrapped keys of an epoch after the first."""
    return folder / "epochs" / f"{epoch}.keys"


def member_data_keys(reader: Reader, envelope: EnvelopeKey, member: str) -> dict[int, bytes]:
    """The group's data keys by epoch, opened with a member's own key; LedgerError for whoever is no member."""
    group = reader.group()
    founding, keys = group.founding, {}
    if member not in founding.data_keys:
        raise LedgerError(f"{member} is not a founding member of group {founding.name}")
    try:
        keys[EPOCH_FIRST] = unwrap_data_key(founding.data_keys[member], envelope, founding.log, EPOCH_FIRST)
    except LedgerError as error:
        if not (kept := wrapped_beside(reader.path.parent, EPOCH_FIRST)):  # a recovered member has new keys, and the founding the old ones
            raise LedgerError(f"entry 0, the founding: {error}") from None
        keys[EPOCH_FIRST] = unwrap_data_key(kept.get(member, b""), envelope, founding.log, EPOCH_FIRST)
    for epoch in group.epochs.values():
        if epoch.destroyed or not (kept := wrapped_beside(reader.path.parent, epoch.number)):
            continue
        keys[epoch.number] = unwrap_data_key(kept.get(member, b""), envelope, founding.log, epoch.number)
        if key_hash(keys[epoch.number], epoch.number) != epoch.key_hash:
            raise LedgerError(f"{epoch_file(reader.path.parent, epoch.number)}: another key than the one entry {epoch.since} names")
    return keys


def own_data_keys(folder: Path) -> dict[int, bytes] | None:
    """The group's data keys where the owner's own key lies here and opens them; None for whoever only looks."""
    try:
        reader = Reader(folder / "log.db")
    except LedgerError:
        return None
    try:
        return member_data_keys(reader, read_envelope_key(folder / "keys" / "owner.envelope.key"), OWNER)
    except LedgerError:
        return None
    finally:
        reader.close()


def prepare_epoch(folder: Path, group: Group) -> tuple[int, bytes]:
    """The next epoch's number and data key, kept wrapped for each member; made once, however often it is asked for."""
    epoch = group.epoch + 1
    if kept := wrapped_beside(folder, epoch):
        owner = read_envelope_key(folder / "keys" / "owner.envelope.key")
        return epoch, unwrap_data_key(kept[OWNER], owner, group.founding.log, epoch)
    data_key = new_data_key()
    keep_wrapped(folder, epoch, wrapped_for({m.source: m.envelope for m in group.members.values()}, data_key, group.founding.log, epoch))
    return epoch, data_key


def wrapped_for(members: Mapping[str, PublicKey], data_key: bytes, log: PublicKey, epoch: int) -> dict[str, bytes]:
    """A data key wrapped for each of these members."""
    return {source: wrap_data_key(data_key, envelope, log, epoch) for source, envelope in members.items()}


def keep_wrapped(folder: Path, epoch: int, wrapped: Mapping[str, bytes]) -> None:
    """Write an epoch's wrapped keys beside the log."""
    path = epoch_file(folder, epoch)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(path, encode(dict(wrapped)), mode=0o600)


def wrapped_beside(folder: Path, epoch: int) -> dict[str, bytes]:
    """An epoch's data key as it lies beside the log, wrapped for each member; empty when it does not."""
    path = epoch_file(folder, epoch)
    if not path.exists():
        return {}
    value = decode(path.read_bytes())
    if not isinstance(value, dict) or any(type(key) is not bytes for key in value.values()):
        raise FormatError(f"{path}: expected a data key wrapped for each member")
    return value
