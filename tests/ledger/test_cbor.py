import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.cbor import DEPTH_MAX, _Reader, decode, encode, short_text, whole_number
from ledger.errors import FormatError

# RFC 8949, appendix A.
KNOWN = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (1000000, "1a000f4240"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-1, "20"),
    (-1000, "3903e7"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("\u6c34", "63e6b0b4"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
]
NOT_CANONICAL = {
    "a longer head than needed": "1817",
    "a length of two bytes where one does": "590001ff",
    "map keys out of order": "a2616201616101",
    "a map key twice": "a2616101616102",
    "a map key that is no text": "a10101",
    "a float": "f90000",
    "a tag": "c001",
    "an indefinite list": "9f01ff",
    "undefined": "f7",
    "bytes after the end": "0000",
    "an end too early": "4401",
    "a list longer than the file": "9bffffffffffffffff",
    "text that is no UTF-8": "61ff",
    "nothing": "",
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=30), inner, max_size=5),
    max_leaves=20,
)


@pytest.mark.parametrize(("value", "spelled"), KNOWN)
def test_values_are_spelled_as_the_standard_shows(value: object, spelled: str) -> None:
    assert encode(value).hex() == spelled
    assert decode(bytes.fromhex(spelled)) == value


@pytest.mark.parametrize("what", NOT_CANONICAL)
def test_bytes_that_are_not_the_one_spelling_are_refused(what: str) -> None:
    with pytest.raises(FormatError):
        decode(bytes.fromhex(NOT_CANONICAL[what]))


@pytest.mark.parametrize("value", [1.5, {1: 2}, 2**64, {"a", "b"}, "\ud800"])
def test_what_has_no_one_spelling_may_not_be_sealed(value: object) -> None:
    with pytest.raises(FormatError):
        encode(value)


def test_deep_nesting_is_refused_before_it_exhausts_anything() -> None:
    assert decode(b"\x81" * DEPTH_MAX + b"\x00")
    with pytest.raises(FormatError, match="deep"):
        decode(b"\x81" * 10_000 + b"\x00")


@given(VALUES)
def test_every_value_comes_back_from_its_bytes(value: object) -> None:
    assert decode(encode(value)) == value


@given(st.binary(max_size=60))
def test_whatever_decodes_encodes_back_to_the_same_bytes(data: bytes) -> None:
    try:
        value = decode(data)
    except FormatError:
        return

    assert encode(value) == data


def _told(read, data: bytes) -> object:
    try:
        return repr(read(data))  # True is not 1 here
    except (FormatError, ValueError):
        return "refused"


def _slowly(data: bytes) -> object:
    reader = _Reader(data, 0)
    value = reader.value(0)
    if reader.here != len(data):
        raise FormatError("bytes after the end")
    return value


@given(VALUES, st.integers(0, 400), st.integers(0, 255))
def test_the_quick_reader_says_what_the_slow_one_says_of_whole_and_of_damaged_bytes(value: object, place: int, byte: int) -> None:
    data = encode(value)
    place %= len(data)

    for spelled in (data, data[:place] + bytes([byte]) + data[place + 1 :], data[:place], data + bytes([byte])):
        assert _told(decode, spelled) == _told(_slowly, spelled)


@given(st.binary(max_size=12))
def test_noise_is_read_the_same_way_quickly_and_slowly(data: bytes) -> None:
    slow = _told(_slowly, data)

    assert _told(decode, data) == slow
    assert _told(whole_number, data or b"\xff") == (slow if slow.isdecimal() else "refused")
    assert _told(short_text, data or b"\xff") == (slow if slow[0] in "'\"" else "refused")
