"""A log as a folder of static files (C2SP tlog-tiles): any file server can carry it, and anybody can recompute it.

`checkpoint`, `tile/<level>/<index>` with 256 hashes each, `tile/entries/<index>` with 256 entries; the newest of a row may be partial
(`.p/<width>`). Bodies are not in it: the leaves commit to them.
"""

from collections.abc import Iterator
from pathlib import Path

from ledger.checkpoint import Checkpoint, Note, parse_note, verify_checkpoint, verify_cosignature
from ledger.errors import LedgerError, VerificationError
from ledger.founding import origin_of
from ledger.reader import Reader
from ledger.tree import leaf_hash, root_of
from ledger.trust import Trust

WIDTH = 256  # hashes or entries in a full tile; fixed by the specification


def export_tiles(log: Reader, out: Path) -> int:
    """Write the log up to its newest cosigned checkpoint (or the newest, when none is); returns its size.

    Files that stand are not written again: a full tile never changes. The checkpoint comes last, when all it covers is there.
    """
    note = log.final() or log.newest()
    size = note.checkpoint.size
    try:
        for name, content in _files(log, size):
            path = out / name
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, content)
        _write(out / "checkpoint", note.signed.encode())
    except OSError as error:
        raise LedgerError(f"{out}: the tiles cannot be written ({error.strerror}); check the disk and the folder's owner") from None
    return size


def check_tiles(folder: Path, trust: Trust) -> int:
    """Recompute a folder of tiles from its entries up to the signed root; returns the size. VerificationError names the file at fault."""
    try:
        checkpoint = _checkpoint(parse_note(_read(folder, "checkpoint")), trust)
    except LedgerError as error:
        raise VerificationError(f"checkpoint: {error}") from None
    size = checkpoint.size
    hashes: list[bytes] = []
    for name, width in _row("entries", size):
        hashes += _leaves(_read(folder, name), width, name)
    level, row = 0, hashes
    while row:
        for number, (name, width) in enumerate(_row(str(level), len(row))):
            found = _read(folder, name)
            if found != b"".join(row[number * WIDTH : number * WIDTH + width]):
                raise VerificationError(f"{name}: is not what the entries give; it was altered, fetch it again", evidence=found)
        full = len(row) // WIDTH
        row = [root_of(row[n * WIDTH : (n + 1) * WIDTH]) for n in range(full)]
        level += 1
    if root_of(hashes) != checkpoint.root:
        raise VerificationError("tile/entries: the entries do not make the root that the log signed")
    return size


def _checkpoint(note: Note, trust: Trust) -> Checkpoint:
    """The checkpoint, with every signature under it checked: no line may mean nothing."""
    origin = origin_of(trust.group)
    checkpoint = verify_checkpoint(note, origin, trust.log_key)
    keys = {witness.name: witness.key for witness in trust.witnesses}
    for signature in note.signatures:
        if signature.name != origin and signature.name not in keys:
            raise VerificationError(f"a signature of {signature.name}, who is no witness of this group")
        if signature.name != origin:
            verify_cosignature(note.text, signature, signature.name, keys[signature.name])
    return checkpoint


def _files(log: Reader, size: int) -> Iterator[tuple[str, bytes]]:
    for number, (name, width) in enumerate(_row("entries", size)):
        leaves = [leaf for _, leaf, _, _ in log.leaf_bytes(number * WIDTH, number * WIDTH + width)]
        yield name, b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)
    level, count = 0, size
    while count:
        span = WIDTH**level
        for number, (name, width) in enumerate(_row(str(level), count)):
            first = number * WIDTH
            yield name, b"".join(log.range_hash(n * span, (n + 1) * span) for n in range(first, first + width))
        level, count = level + 1, count // WIDTH


def _row(level: str, count: int) -> Iterator[tuple[str, int]]:
    """The files of one level that `count` hashes or entries fill, and how many stand in each."""
    for number in range((count + WIDTH - 1) // WIDTH):
        width = min(WIDTH, count - number * WIDTH)
        yield f"tile/{level}/{_index(number)}" + ("" if width == WIDTH else f".p/{width}"), width


def _index(number: int) -> str:
    """1234067 is written x001/x234/067."""
    digits = f"{number:03d}"
    digits = digits.zfill((len(digits) + 2) // 3 * 3)
    parts = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    return "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])


def _leaves(data: bytes, width: int, name: str) -> list[bytes]:
    hashes, here = [], 0
    while here < len(data):
        end = here + 2 + int.from_bytes(data[here : here + 2], "big")
        if end > len(data):
            raise VerificationError(f"{name}: an entry that is longer than its file", evidence=data[here:])
        hashes.append(leaf_hash(data[here + 2 : end]))
        here = end
    if len(hashes) != width:
        raise VerificationError(f"{name}: {width} entries were expected, {len(hashes)} came", evidence=data)
    return hashes


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise VerificationError(f"{name}: cannot be read ({error.strerror}); fetch it again") from None


def _write(path: Path, content: bytes) -> None:
    waiting = path.with_name(f".{path.name}.new")
    waiting.write_bytes(content)
    waiting.replace(path)
