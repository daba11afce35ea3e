"""The subset of CBOR that is sealed (RFC 8949, core deterministic): one value has one spelling, for ever.

Whole numbers of 64 bits, bytes, text, lists, maps with text keys, true, false, null. No floats, no tags.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ledger.errors import FormatError

Value = Any
"""int | bytes | str | bool | None | list[Value] | dict[str, Value]; tuples are written as lists."""

DEPTH_MAX = 16  # entries nest four deep; a bundle five
_FALSE, _TRUE, _NULL = b"\xf4", b"\xf5", b"\xf6"
_SIMPLE = {0xF4: False, 0xF5: True, 0xF6: None}
_WIDTH = {24: 1, 25: 2, 26: 4, 27: 8}
_LEAST = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}
_SHORT = [bytes((first,)) for first in range(256)]


def encode(value: Value) -> bytes:
    """The one spelling of `value`; FormatError for what may not be sealed."""
    encoder = _ENCODERS.get(type(value))
    if encoder is None:
        raise FormatError(f"{type(value).__name__} may not be sealed; use whole numbers, text, bytes, lists and maps")
    return encoder(value)


def head(major: int, number: int) -> bytes:
    """The first bytes of an item: its major type and its number or length, in the shortest way."""
    if number < 24:
        return _SHORT[major << 5 | number]
    for extra, width in _WIDTH.items():
        if number < 1 << (8 * width):
            return bytes((major << 5 | extra,)) + number.to_bytes(width, "big")
    raise FormatError(f"{number} does not fit 64 bits")


def _number(value: int) -> bytes:
    return head(0, value) if value >= 0 else head(1, -1 - value)


def _bytes(value: bytes) -> bytes:
    return head(2, len(value)) + value


def _text(value: str) -> bytes:
    try:
        text = value.encode()
    except UnicodeEncodeError:
        raise FormatError(f"{value!r} is not valid Unicode text") from None
    return head(3, len(text)) + text


def _list(value: Sequence[Value]) -> bytes:
    return head(4, len(value)) + b"".join(map(encode, value))


def _map(value: dict[str, Value]) -> bytes:
    if not all(type(key) is str for key in value):
        raise FormatError("the keys of a sealed map are text")
    pairs = sorted((_text(key), encode(item)) for key, item in value.items())
    return head(5, len(pairs)) + b"".join(key + item for key, item in pairs)


_ENCODERS: Mapping[type, Callable[[Any], bytes]] = {
    int: _number,
    bytes: _bytes,
    str: _text,
    list: _list,
    tuple: _list,
    dict: _map,
    bool: lambda value: _TRUE if value else _FALSE,
    type(None): lambda value: _NULL,
}


def decode(data: bytes) -> Value:
    """The value that `data` spells; FormatError unless these are exactly the bytes that `encode` would write."""
    value, end = read(data, 0)
    if end != len(data):
        raise FormatError(f"{len(data) - end} bytes after the end of the value at {end}")
    return value


def read(data: bytes, here: int, depth: int = 0) -> tuple[Value, int]:
    """The value that begins at byte `here`, `depth` containers deep, and where it ends; FormatError as for `decode`."""
    try:
        return _quick(data, here, len(data), depth)
    except (_OddError, IndexError, UnicodeDecodeError):
        # The slow reader is the judge: it says what is wrong, or takes what the quick one has no path for.
        reader = _Reader(data, here)
        return reader.value(depth), reader.here


def read_list_head(data: bytes, here: int) -> tuple[int, int]:
    """How many items the list has that begins at byte `here`, and where the first one stands."""
    if here >= len(data) or data[here] >> 5 != 4:
        raise FormatError(f"a list expected at byte {here}")
    number, reader = data[here] & 31, _Reader(data, here + 1)
    return (number if number < 24 else reader.number(number)), reader.here


def whole_number(spelled: bytes) -> int:
    """The number from 0 up that exactly these bytes spell; ValueError for any others."""
    if len(spelled) == 1 and spelled[0] < 24:
        return spelled[0]
    number, extra = int.from_bytes(spelled[1:], "big"), spelled[0]
    if extra not in _WIDTH or len(spelled) != 1 + _WIDTH[extra] or number < _LEAST[extra]:
        raise ValueError("not a whole number in its shortest spelling")
    return number


def short_text(spelled: bytes) -> str:
    """The text of up to 255 bytes that exactly these bytes spell; ValueError for any others."""
    length = len(spelled) - 1
    if length < 24 and spelled[0] == 0x60 | length:
        return spelled[1:].decode()
    if spelled[0] == 0x78 and length > 24 and spelled[1] == length - 1:
        return spelled[2:].decode()
    raise ValueError("not a short text in its shortest spelling")


class _OddError(Exception):
    """The quick reader met what it has no path for."""


def _quick(data: bytes, here: int, end: int, depth: int) -> tuple[Value, int]:
    """What `_Reader.value` does, in one function: sealing and verifying spend a third of their time here."""
    first = data[here]
    here += 1
    major, number = first >> 5, first & 31
    if number > 23:
        if number > 27 or major == 7:
            raise _OddError
        stop = here + (1 << (number - 24))
        least, number, here = _LEAST[number], int.from_bytes(data[here:stop], "big"), stop
        if stop > end or number < least:
            raise _OddError
    if major == 0:
        return number, here
    if major == 3 or major == 2:
        stop = here + number
        if stop > end:
            raise _OddError
        return (data[here:stop].decode() if major == 3 else data[here:stop]), stop
    if major == 4 and depth < DEPTH_MAX and number <= end - here:
        items = []
        for _ in range(number):
            item, here = _quick(data, here, end, depth + 1)
            items.append(item)
        return items, here
    if major == 1:
        return -1 - number, here
    if major == 5 and depth < DEPTH_MAX:
        return _quick_map(data, here, end, depth, number)
    if first in _SIMPLE:
        return _SIMPLE[first], here
    raise _OddError


def _quick_map(data: bytes, here: int, end: int, depth: int, count: int) -> tuple[Value, int]:
    if count > end - here:
        raise _OddError
    result: dict[str, Value] = {}
    before = b""
    for _ in range(count):
        begun = here
        key, here = _quick(data, here, end, depth + 1)
        spelled = data[begun:here]
        if type(key) is not str or spelled <= before:
            raise _OddError
        before = spelled
        result[key], here = _quick(data, here, end, depth + 1)
    return result, here


class _Reader:
    def __init__(self, data: bytes, here: int) -> None:
        self.data = data
        self.here = here

    def value(self, depth: int) -> Value:
        if self.here >= len(self.data):
            raise FormatError(f"a value expected at byte {self.here}, the end came")
        first = self.data[self.here]
        self.here += 1
        major, number = first >> 5, first & 31
        if major == 7:
            return self._simple(first)
        if number > 23:
            number = self.number(number)
        if major < 2:
            return -1 - number if major else number
        if major == 2:
            return self._take(number)
        if major == 3:
            return self._text(number)
        if depth >= DEPTH_MAX:
            raise FormatError(f"nested more than {DEPTH_MAX} deep at byte {self.here}")
        if major == 4:
            return [self.value(depth + 1) for _ in range(self._room(number))]
        if major == 5:
            return self._map(self._room(number), depth)
        raise FormatError(f"type {major} at byte {self.here - 1} may not be sealed")

    def _take(self, count: int) -> bytes:
        if count > len(self.data) - self.here:
            raise FormatError(f"{count} bytes expected at byte {self.here}, {len(self.data) - self.here} left")
        piece = self.data[self.here : self.here + count]
        self.here += count
        return piece

    def number(self, extra: int) -> int:
        if extra not in _WIDTH:
            raise FormatError(f"indefinite or reserved length at byte {self.here - 1}")
        width = _WIDTH[extra]
        number = int.from_bytes(self._take(width), "big")
        least = 24 if width == 1 else 1 << (4 * width)
        if number < least:
            raise FormatError(f"{number} at byte {self.here - width} is not spelled in the shortest way")
        return number

    def _room(self, count: int) -> int:
        # Each item takes a byte at least: a huge count in a short file is a lie, not a reason to allocate.
        if count > len(self.data) - self.here:
            raise FormatError(f"{count} items announced at byte {self.here}, {len(self.data) - self.here} bytes left")
        return count

    def _text(self, count: int) -> str:
        try:
            return self._take(count).decode()
        except UnicodeDecodeError:
            raise FormatError(f"text at byte {self.here - count} is not UTF-8") from None

    def _map(self, count: int, depth: int) -> dict[str, Value]:
        result: dict[str, Value] = {}
        before = b""
        for _ in range(count):
            begun = self.here
            key = self.value(depth + 1)
            spelled = self.data[begun : self.here]
            if type(key) is not str or spelled <= before:
                raise FormatError(f"map key at byte {begun} is not text or not in order")
            before = spelled
            result[key] = self.value(depth + 1)
        return result

    def _simple(self, first: int) -> bool | None:
        if first not in _SIMPLE:
            raise FormatError(f"floats and other simple values may not be sealed (byte {self.here - 1})")
        return _SIMPLE[first]
