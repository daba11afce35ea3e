"""Our tree against pymerkle's (GPL): an oracle for tests, never installed for users. `pip install pymerkle` where these are to run."""

import hashlib
import random

import pytest

from ledger.tree import grow, leaf_hash, make_consistency, make_inclusion, range_hash_of, root_of, verify_consistency, verify_inclusion

pymerkle = pytest.importorskip("pymerkle", reason="pymerkle is not installed here: our tree is not held against another's")

TREES, LEAVES_MOST, PROOFS = 2000, 90, 3


@pytest.fixture(scope="module")
def pairs():
    """Random trees, each as ours (leaf hashes) and as pymerkle's."""
    chance, made = random.Random(9162), []
    for _ in range(TREES):
        entries = [chance.randbytes(chance.randrange(40)) for _ in range(chance.randrange(1, LEAVES_MOST))]
        theirs = pymerkle.InmemoryTree(algorithm="sha256")
        for entry in entries:
            theirs.append_entry(entry)
        made.append(([leaf_hash(entry) for entry in entries], theirs))
    return made


def test_roots_agree_at_every_size_asked_for(pairs):
    for leaves, theirs in pairs:
        sizes = {len(leaves), len(leaves) // 2, 1}
        assert all(root_of(leaves[:size]) == theirs.get_root(size) for size in sizes if size)


def test_a_growing_tree_s_nodes_make_the_same_root(pairs):
    for leaves, theirs in pairs[:300]:
        peaks = []
        for number, leaf in enumerate(leaves):
            grow(peaks, number, leaf)
        root = peaks.pop()
        while peaks:
            root = hashlib.sha256(b"\x01" + peaks.pop() + root).digest()
        assert root == theirs.get_root(len(leaves))


def test_inclusion_proofs_name_the_same_hashes_and_lead_to_their_root(pairs):
    chance = random.Random(1)
    for leaves, theirs in pairs:
        size, root = len(leaves), theirs.get_root(len(leaves))
        for number in {chance.randrange(size) for _ in range(PROOFS)}:
            ours = make_inclusion(number, size, range_hash_of(leaves))
            path = theirs.prove_inclusion(number + 1, size).serialize()["path"]
            assert sorted(path) == sorted(hash_.hex() for hash_ in [leaves[number], *ours])
            verify_inclusion(leaves[number], number, size, ours, root)


def test_consistency_proofs_hold_between_their_roots(pairs):
    chance = random.Random(2)
    for leaves, theirs in pairs:
        new = len(leaves)
        old = chance.randrange(1, new + 1)
        path = make_consistency(old, new, range_hash_of(leaves))
        verify_consistency(old, theirs.get_root(old), new, theirs.get_root(new), path)
