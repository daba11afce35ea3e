"""A group's whole state as one encrypted file, and back: log, keys, and the journals of its sites.

A restored log goes on only where the witness's memory ends: one that is behind would make a second history, and is not put in place.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ledger.audit import audit_log
from ledger.cbor import Value, decode, encode
from ledger.custody import open_log
from ledger.epochs import own_data_keys
from ledger.errors import ForkError, FormatError, LedgerError
from ledger.log import Log
from ledger.witness_client import WitnessClient
from twin.state import write_whole

BACKUP_FORMAT = "wattproof backup 1"
_MAGIC = BACKUP_FORMAT.encode() + b"\n"
_SALT_BYTES, _NONCE_BYTES = 16, 12
PASSPHRASE_CHARS_MIN = 16  # the file holds every key of the group, and may lie in a stranger's house
FILE_BYTES_MAX = 1 << 31  # AES-GCM takes no more in one go


@dataclass(frozen=True, slots=True)
class Restored:
    """What stands again: the group, how far its log goes, and its sites whose journals came along."""

    group: str
    size: int
    sites: tuple[str, ...]


def back_up(root: Path, group: str, out: Path, passphrase: bytes) -> int:
    """Write the state of `group` below the state folder `root` as one file; returns its size in bytes.

    Processes may go on meanwhile: the log is copied first and the journals after, so that no sealed row is missing.
    """
    folder = root / "groups" / group
    if not (folder / "log.db").exists():
        raise LedgerError(f"{folder}: there is no group {group} to back up")
    files = {str(path.relative_to(root)): content for path, content in _contents(root, folder)}
    plain = encode({"group": group, "files": files})
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    data = _MAGIC + salt + nonce + AESGCM(_key(passphrase, salt)).encrypt(nonce, plain, _MAGIC)
    if len(data) > FILE_BYTES_MAX:
        raise LedgerError(f"{group}: its state is larger than the {FILE_BYTES_MAX} bytes that one backup holds")
    write_whole(out, data, mode=0o600)
    return len(data)


def restore(root: Path, backup: bytes, passphrase: bytes, client: WitnessClient | None) -> Restored:
    """Put a group's state back where nothing stands; ForkError when the witness has seen more than the backup holds."""
    group, files = _opened(backup, passphrase)
    folder, waiting = root / "groups" / group, root / f".restoring-{os.getpid()}"
    for name in files:
        if (root / name).exists():
            raise LedgerError(f"{root / name}: stands there already; restore into an empty state folder, or move it away first")
    try:
        for name, content in files.items():
            _write(waiting / name, content)
        size = _checked(waiting / "groups" / group, client)
        for name in files:
            (root / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            (waiting / name).rename(root / name)
    finally:
        shutil.rmtree(waiting, ignore_errors=True)
    assert folder.is_dir()
    return Restored(group, size, tuple(sorted(name.split("/")[1] for name in files if name.startswith("sites/"))))


def require_not_behind(log: Log, client: WitnessClient) -> None:
    """Ask the witness how far it has seen this log; ForkError when that is farther than the log goes."""
    note = log.newest()
    status, told = client.add_checkpoint(note.checkpoint.size, [], note)
    if status == 409 and int(told) > note.checkpoint.size:
        more, has = told.strip(), note.checkpoint.size
        raise ForkError(f"the witness has seen {more} entries, this log has {has}: to seal on would be a fork; restore to size {more}")


def _contents(root: Path, folder: Path) -> Iterator[tuple[Path, bytes]]:
    yield folder / "log.db", _database(folder / "log.db")
    for path in sorted([*folder.glob("*.json"), *folder.glob("keys/*"), *folder.glob("epochs/*")]):
        yield path, path.read_bytes()
    for status in sorted(folder.glob("recorder-*.json")):
        journal = root / "sites" / status.stem.removeprefix("recorder-") / "journal.db"
        if journal.exists():
            yield journal, _database(journal)


def _database(path: Path) -> bytes:
    """A database as it is at one moment, its write-ahead log taken in."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.serialize()


def _opened(backup: bytes, passphrase: bytes) -> tuple[str, dict[str, bytes]]:
    if not backup.startswith(_MAGIC):
        raise FormatError(f"expected a file of format {BACKUP_FORMAT!r}; `wattproof backup` makes one")
    salt, nonce, box = _cut(backup[len(_MAGIC) :])
    try:
        value: Value = decode(AESGCM(_key(passphrase, salt)).decrypt(nonce, box, _MAGIC))
    except InvalidTag:
        raise LedgerError("the backup does not open: another passphrase, or the file was damaged or altered") from None
    group, files = str(value["group"]), dict(value["files"])
    if any(name.startswith("/") or ".." in Path(name).parts for name in files):
        raise FormatError("a backup with files outside its folders")
    return group, files


def _cut(data: bytes) -> tuple[bytes, bytes, bytes]:
    begin, end = _SALT_BYTES, _SALT_BYTES + _NONCE_BYTES
    return data[:begin], data[begin:end], data[end:]


def _key(passphrase: bytes, salt: bytes) -> bytes:
    if len(passphrase) < PASSPHRASE_CHARS_MIN:
        raise LedgerError(f"a backup's passphrase has {PASSPHRASE_CHARS_MIN} characters at least: the file holds every key of the group")
    # RFC 7914's cost for files: 32 MB and a tenth of a second a guess.
    return Scrypt(salt=salt, length=32, n=1 << 15, r=8, p=1).derive(passphrase)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(path, content, mode=0o600)


def _checked(folder: Path, client: WitnessClient | None) -> int:
    """How far the log goes, once it was looked through and the witness was asked."""
    damages = audit_log(folder / "log.db", own_data_keys(folder))
    if damages:
        first = damages[0]
        raise LedgerError(f"the log in the backup was altered: {first.table} {first.row} {first.what}; take another backup")
    with closing(open_log(folder)) as log:
        if client is not None:
            require_not_behind(log, client)
        return log.size()
