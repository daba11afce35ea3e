"""The Merkle tree of RFC 6962 and RFC 9162: leaves, nodes, and proofs made and checked.

The half that makes proofs and the half that checks them are written apart, after different sections of the RFC.
"""

import hashlib
from collections.abc import Callable, Sequence

from ledger.errors import VerificationError

HASH_BYTES = 32
PROOF_MOST = 63  # C2SP tlog-witness: no tree of 64-bit size has a longer proof
EMPTY_ROOT = hashlib.sha256(b"").digest()
RangeHash = Callable[[int, int], bytes]
"""The root of leaves [low, high)."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an interior node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes: pairs level by level, and whoever has no neighbour goes up as it is."""
    level = list(leaves)
    if not level:
        return EMPTY_ROOT
    sha256 = hashlib.sha256
    while len(level) > 1:
        alone = level[-1:] if len(level) & 1 else []
        level = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)] + alone
    return level[0]


def grow(peaks: list[bytes], number: int, leaf: bytes) -> list[tuple[int, int, bytes]]:
    """Add leaf `number` to the peaks in place; return the interior nodes it completes as (level, position, hash)."""
    nodes, level, current = [], 0, leaf
    while number & 1:
        current = node_hash(peaks.pop(), current)
        number >>= 1
        level += 1
        nodes.append((level, number, current))
    peaks.append(current)
    return nodes


def fold(peaks: Sequence[bytes]) -> bytes:
    """The root of the tree that has these peaks, largest first."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def range_hash_of(leaves: Sequence[bytes]) -> RangeHash:
    """A range hash over leaves held in memory."""
    return lambda low, high: root_of(leaves[low:high])


def make_inclusion(number: int, size: int, range_hash: RangeHash) -> list[bytes]:
    """Siblings from leaf to root for leaf `number` of the tree of `size` leaves."""
    assert 0 <= number < size, f"leaf {number} is not in a tree of {size}"
    path, low, high = [], 0, size
    while high - low > 1:
        middle = low + largest_half(high - low)
        if number < middle:
            path.append(range_hash(middle, high))
            high = middle
        else:
            path.append(range_hash(low, middle))
            low = middle
    return path[::-1]


def make_consistency(old: int, new: int, range_hash: RangeHash) -> list[bytes]:
    """Hashes which show that the tree of `new` leaves only added to the tree of `old` ones."""
    assert 0 <= old <= new, f"a tree of {new} cannot have grown from one of {old}"
    if old in (0, new):
        return []
    path, low, high, complete = [], 0, new, True
    while high != old:
        middle = low + largest_half(high - low)
        if old <= middle:
            path.append(range_hash(middle, high))
            high = middle
        else:
            path.append(range_hash(low, middle))
            low, complete = middle, False
    if not complete:
        path.append(range_hash(low, high))
    return path[::-1]


def largest_half(count: int) -> int:
    """The largest power of two below `count`: where RFC 6962 splits a tree."""
    return 1 << ((count - 1).bit_length() - 1)


def verify_inclusion(leaf: bytes, number: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """RFC 9162 section 2.1.3.2; raises when the path does not lead from the leaf to the root."""
    if not 0 <= number < size:
        raise VerificationError(f"leaf {number} cannot be in a tree of {size}")
    here, last, current = number, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise VerificationError(f"inclusion proof of leaf {number} is too long")
        if here & 1 or here == last:
            current = node_hash(sibling, current)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        here, last = here >> 1, last >> 1
    if last or current != root:
        raise VerificationError(f"inclusion proof of leaf {number} does not lead to the root")


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """RFC 9162 section 2.1.4.2; raises when the newer tree did not only add to the older one."""
    if not 0 <= old <= new:
        raise VerificationError(f"a tree of {new} cannot have grown from one of {old}")
    if old in (0, new):
        if path or (old == new and old_root != new_root) or (old == 0 and old_root != EMPTY_ROOT):
            raise VerificationError(f"two roots of one tree of {old} leaves, or a proof where none belongs")
        return
    hashes = list(path) if old & (old - 1) else [old_root, *path]
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    if not hashes:
        raise VerificationError(f"no consistency proof from {old} to {new}")
    older = newer = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise VerificationError(f"consistency proof from {old} to {new} is too long")
        if here & 1 or here == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            newer = node_hash(newer, sibling)
        here, last = here >> 1, last >> 1
    if last or older != old_root or newer != new_root:
        raise VerificationError(f"the tree of {new} leaves did not only add to the tree of {old}")
