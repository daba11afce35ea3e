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


def encode(value: Value) -> bytes:
    """The one spelling of `value`; FormatError for what may not be sealed."""
    encoder = _ENCODERS.get(type(value))
    if encoder is None:
        raise FormatError(f"{type(value).__name__} may not be sealed; use whole numbers, text, bytes, lists and maps")
    return encoder(value)


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes((major << 5 | number,))
    for extra, width in _WIDTH.items():
        if number < 1 << (8 * width):
            return bytes((major << 5 | extra,)) + number.to_bytes(width, "big")
    raise FormatError(f"{number} does not fit 64 bits")


def _number(value: int) -> bytes:
    return _head(0, value) if value >= 0 else _head(1, -1 - value)


def _bytes(value: bytes) -> bytes:
    return _head(2, len(value)) + value


def _text(value: str) -> bytes:
    try:
        text = value.encode()
    except UnicodeEncodeError:
        raise FormatError(f"{value!r} is not valid Unicode text") from None
    return _head(3, len(text)) + text


def _list(value: Sequence[Value]) -> bytes:
    return _head(4, len(value)) + b"".join(map(encode, value))


def _map(value: dict[str, Value]) -> bytes:
    if not all(type(key) is str for key in value):
        raise FormatError("the keys of a sealed map are text")
    pairs = sorted((_text(key), encode(item)) for key, item in value.items())
    return _head(5, len(pairs)) + b"".join(key + item for key, item in pairs)


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
    reader = _Reader(data)
    value = reader.value(0)
    if reader.here != len(data):
        raise FormatError(f"{len(data) - reader.here} bytes after the end of the value at {reader.here}")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.here = 0

    def value(self, depth: int) -> Value:
        if self.here >= len(self.data):
            raise FormatError(f"a value expected at byte {self.here}, the end came")
        first = self.data[self.here]
        self.here += 1
        major, number = first >> 5, first & 31
        if major == 7:
            return self._simple(first)
        if number > 23:
            number = self._number(number)
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

    def _number(self, extra: int) -> int:
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
