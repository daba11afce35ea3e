"""Making bundles from a log. The verifier reads the format in ledger/bundle.py and shares nothing with this module."""

from collections.abc import Iterator

from ledger.bundle import OPEN, Bundle, Piece
from ledger.entry import Entry
from ledger.envelope import DataKeys, open_with
from ledger.errors import LedgerError
from ledger.reader import Reader
from ledger.registry import REGISTRY_KINDS


def whole_bundle(log: Reader, keys: DataKeys | None) -> Bundle:
    """Every entry up to the newest cosigned checkpoint (or the newest, when none is). Without data keys bodies stay sealed."""
    note = log.final() or log.newest()
    size = note.checkpoint.size
    return Bundle(log.group(1).id, note, 0, size, tuple(_pieces(log, 0, size, keys)), (), 0, ())


def range_bundle(log: Reader, keys: DataKeys | None, first: int, end: int, seen_size: int = 0) -> Bundle:
    """The checkpoints that hold entries `first` to `end`, with all registry entries and proofs.

    `seen_size`: the size of the checkpoint the inspector saw last, to prove that the log only grew since.
    """
    note = log.final() or log.newest()
    size = note.checkpoint.size
    low, high = _whole_checkpoints(log, first, end, size)
    if not 0 <= seen_size <= size:
        raise LedgerError(f"the inspector saw {seen_size} entries, the newest checkpoint has {size}; is this the same log?")
    wanted = {row.number for row in log.stored(0, size, REGISTRY_KINDS)} | {low - 1, size - 1} - {-1}
    outside = [piece for number in sorted(wanted) if not low <= number < high for piece in _pieces(log, number, number + 1, keys)]
    pieces = sorted([*outside, *_pieces(log, low, high, keys)], key=lambda piece: piece.number)
    proofs = tuple(tuple(log.inclusion(piece.number, size)) for piece in pieces)
    seen_proof = tuple(log.consistency(seen_size, size))
    return Bundle(log.group(1).id, note, low, high, tuple(pieces), proofs, seen_size, seen_proof)


def _whole_checkpoints(log: Reader, first: int, end: int, size: int) -> tuple[int, int]:
    """Widen a range to whole checkpoints: only between two state leaves can a gap be seen."""
    if not 0 <= first < end <= size:
        raise LedgerError(f"entries {first} to {end} are not within the {size} that are cosigned")
    bounds = [0] + [at for at, _ in log.checkpoints()]
    return max(at for at in bounds if at <= first), min(at for at in bounds if at >= end)


def _pieces(log: Reader, low: int, high: int, keys: DataKeys | None) -> Iterator[Piece]:
    for number, leaf, epoch, box in log.leaf_bytes(low, high):
        yield Piece(number, leaf, *_opened(leaf, epoch, box, keys))


def _opened(leaf: bytes, epoch: int, box: bytes, keys: DataKeys | None) -> tuple[int, bytes]:
    """The body in the clear where we can; what cannot be opened goes along as it is, for the verifier to name."""
    if epoch == OPEN or keys is None:
        return epoch, box
    try:
        return OPEN, open_with(keys, Entry.decode(leaf), box, epoch)
    except LedgerError:
        return epoch, box
