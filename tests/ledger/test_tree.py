import pytest

from ledger.errors import VerificationError
from ledger.tree import (
    EMPTY_ROOT,
    leaf_hash,
    make_consistency,
    make_inclusion,
    range_hash_of,
    root_of,
    verify_consistency,
    verify_inclusion,
)

# The leaves and roots of the certificate-transparency reference tests for RFC 6962.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(bytes([n])) for n in range(33)]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference_tests(size: int) -> None:
    leaves = [leaf_hash(bytes.fromhex(data)) for data in INPUTS[:size]]

    assert root_of(leaves).hex() == ROOTS[size]


@pytest.mark.parametrize("size", range(1, 34))
def test_each_leaf_is_proven_and_no_other_in_its_place(size: int) -> None:
    root = root_of(LEAVES[:size])
    for number in range(size):
        path = make_inclusion(number, size, range_hash_of(LEAVES[:size]))
        verify_inclusion(LEAVES[number], number, size, path, root)
        for wrong in (LEAVES[(number + 1) % 33], root):
            if wrong != LEAVES[number]:
                with pytest.raises(VerificationError):
                    verify_inclusion(wrong, number, size, path, root)
        with pytest.raises(VerificationError):
            verify_inclusion(LEAVES[number], number, size, [*path, LEAVES[0]], root)


@pytest.mark.parametrize("new", range(1, 34))
def test_growth_is_proven_and_a_rewritten_past_is_not(new: int) -> None:
    root = root_of(LEAVES[:new])
    rewritten = [leaf_hash(b"other"), *LEAVES[1:]]
    for old in range(new + 1):
        path = make_consistency(old, new, range_hash_of(LEAVES[:new]))
        verify_consistency(old, root_of(LEAVES[:old]), new, root, path)
        if old:
            with pytest.raises(VerificationError):
                verify_consistency(old, root_of(rewritten[:old]), new, root, path)
        for place in range(len(path)):
            altered = [*path[:place], LEAVES[0][::-1], *path[place + 1 :]]
            with pytest.raises(VerificationError):
                verify_consistency(old, root_of(LEAVES[:old]), new, root, altered)
        with pytest.raises(VerificationError):
            verify_consistency(old, root_of(LEAVES[:old]), new, root, [*path, LEAVES[0]])


def test_a_log_cannot_shrink() -> None:
    with pytest.raises(VerificationError):
        verify_consistency(3, root_of(LEAVES[:3]), 2, root_of(LEAVES[:2]), [])


def test_every_log_grows_from_nothing_without_proof() -> None:
    verify_consistency(0, EMPTY_ROOT, 5, root_of(LEAVES[:5]), [])
