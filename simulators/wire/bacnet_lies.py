"""BACnet answers that no honest device gives: frames of a real device, edited on their way to the client.

Real stacks refuse to misbehave, so the bytes are changed here (ASHRAE 135: clause 20.1 for the message heads, 20.2 for the tags). Only
unsegmented messages are touched; whatever is not understood passes as it is.
"""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from simulators.wire.faults import Honest, Passed
from twin.addresses import BacnetAddress, parse_address

READ, READ_MULTIPLE, WRITE = 12, 14, 15  # confirmed services
PRESENT_VALUE, PRIORITY_ARRAY, STATUS_FLAGS, OBJECT_NAME, DATABASE_REVISION = 85, 87, 111, 77, 155  # properties
SUBSCRIBE = 5  # confirmed service
REQUEST, SIMPLE_ACK, COMPLEX_ACK, ERROR, REJECT, ABORT = 0, 2, 3, 5, 6, 7  # message types
BUFFER_OVERFLOW, NO_SEGMENTATION = 1, 4  # abort reasons
UNRECOGNIZED_SERVICE = 9  # reject reason
KINDS = {
    "analog-input": 0, "analog-output": 1, "analog-value": 2, "binary-input": 3, "binary-output": 4, "binary-value": 5,
    "multi-state-input": 13, "multi-state-output": 14, "multi-state-value": 19,
}  # fmt: skip
NULL = b"\x00"
NO_SPACE = b"\x91\x03\x91\x51"  # error class resources, code no-space-to-add-list-element
UNKNOWN_OBJECT = b"\x91\x01\x91\x1f"  # error class object, code unknown-object
UNKNOWN_PROPERTY = b"\x91\x02\x91\x20"
WRITE_DENIED = b"\x91\x02\x91\x28"
OUT_OF_RANGE = b"\x91\x02\x91\x25"
_SEGMENTED = 0x08
_REAL = 0x44  # application tag 4, four bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A frame in its parts: everything before the APDU, the APDU's head as numbers, and what follows."""

    before: bytes
    kind: int
    invoke: int
    service: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """One property of a ReadPropertyMultiple answer; `value` is tagged as it goes over the wire, `failed` says that it is an error."""

    thing: int  # object identifier: type << 22 | instance
    prop: int
    index: int | None
    value: bytes
    failed: bool = False


def real(value: float) -> bytes:
    """A tagged Real; NaN and infinity can be said too."""
    return bytes([_REAL]) + struct.pack(">f", value)


def unsigned(value: int) -> bytes:
    """A tagged whole number of up to four bytes."""
    data = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return bytes([0x20 | len(data)]) + data


def text(value: str) -> bytes:
    """A tagged character string (UTF-8)."""
    data = b"\0" + value.encode()
    return (bytes([0x70 | len(data)]) if len(data) < 5 else bytes([0x75, len(data)])) + data


def object_id(kind: int, instance: int) -> int:
    """The number of an object as rows name it."""
    return kind << 22 | instance


def number_of(address: str) -> int:
    """The number of the object at an address as points.csv writes it (bacnet:CONNECTION/OBJECT-TYPE,INSTANCE)."""
    parsed = parse_address(address)
    assert isinstance(parsed, BacnetAddress), f"{address} is no BACnet address"
    return object_id(KINDS[parsed.object_type], parsed.instance)


def message(frame: bytes) -> Message | None:
    """A unicast or broadcast BACnet/IP frame, unsegmented; None for all else."""
    if len(frame) < 8 or frame[0] != 0x81 or frame[1] not in (0x0A, 0x0B):
        return None
    at, control = 6, frame[5]
    if control & 0x80:
        return None  # a network message
    try:
        if control & 0x20:
            at += 3 + frame[at + 2]
        if control & 0x08:
            at += 3 + frame[at + 2]
        at += 1 if control & 0x20 else 0
        kind = frame[at] >> 4
        if frame[at] & _SEGMENTED and kind in (REQUEST, COMPLEX_ACK):
            return None
        head = 4 if kind == REQUEST else 3
        if kind == 1 or len(frame) < at + head:
            return None
        return Message(frame[:at], kind, frame[at + head - 2], frame[at + head - 1], frame[at + head :])
    except IndexError:
        return None


def answer_to(asked: Message, apdu: bytes) -> bytes:
    """A frame of our own making that answers a request."""
    return struct.pack(">BBHBB", 0x81, 0x0A, 6 + len(apdu), 1, 0) + apdu


def error(asked: Message, what: bytes) -> bytes:
    """The device refuses, with class and code."""
    return answer_to(asked, bytes([ERROR << 4, asked.invoke, asked.service]) + what)


def reject(asked: Message, reason: int) -> bytes:
    """The device does not understand the request."""
    return answer_to(asked, bytes([REJECT << 4, asked.invoke, reason]))


def abort(asked: Message, reason: int) -> bytes:
    """The device gives the exchange up."""
    return answer_to(asked, bytes([ABORT << 4 | 1, asked.invoke, reason]))


def rows_of(content: bytes) -> list[Row]:
    """The rows of a ReadPropertyMultiple answer. ValueError when it is none."""
    rows: list[Row] = []
    thing, prop, index = 0, 0, None
    tags = list(_tags(content))
    at = 0
    while at < len(tags):
        tag = tags[at]
        if tag.kind == "context" and tag.number == 0:
            thing = int.from_bytes(content[tag.start : tag.end], "big")
        elif tag.kind == "context" and tag.number == 2:
            prop, index = int.from_bytes(content[tag.start : tag.end], "big"), None
        elif tag.kind == "context" and tag.number == 3:
            index = int.from_bytes(content[tag.start : tag.end], "big")
        elif tag.kind == "open" and tag.number in (4, 5):
            last = _closing(tags, at)
            rows.append(Row(thing, prop, index, content[tag.end : tags[last].first], failed=tag.number == 5))
            at = last
        at += 1
    return rows


def content_of(rows: Sequence[Row]) -> bytes:
    """A ReadPropertyMultiple answer of these rows, neighbours of one object together."""
    out, thing = bytearray(), None
    for row in rows:
        if row.thing != thing:
            out += b"\x1f" if thing is not None else b""
            out += b"\x0c" + row.thing.to_bytes(4, "big") + b"\x1e"
            thing = row.thing
        out += bytes([0x29, row.prop]) if row.prop < 256 else bytes([0x2A]) + row.prop.to_bytes(2, "big")
        out += b"" if row.index is None else bytes([0x39, row.index])
        out += (b"\x5e" + row.value + b"\x5f") if row.failed else (b"\x4e" + row.value + b"\x4f")
    return bytes(out) + (b"\x1f" if rows else b"")


class Rows(Honest):
    """Changes the rows of every answer to a read of many properties."""

    def __init__(self, edit: Callable[[list[Row]], list[Row]]) -> None:
        self._edit = edit

    def answered(self, frame: bytes) -> Sequence[bytes]:
        said = message(frame)
        if said is None or (said.kind, said.service) != (COMPLEX_ACK, READ_MULTIPLE):
            return (frame,)
        return (_with_content(said, content_of(self._edit(rows_of(said.content)))),)


def _with_content(said: Message, content: bytes) -> bytes:
    """The same answer with something else in it."""
    apdu = bytes([COMPLEX_ACK << 4, said.invoke, said.service]) + content
    return said.before[:2] + struct.pack(">H", len(said.before) + len(apdu)) + said.before[4:] + apdu


def rows_missing() -> Honest:
    """The last row does not come."""
    return Rows(lambda rows: rows[:-1])


def rows_extra() -> Honest:
    """A row comes that nobody asked for."""
    return Rows(lambda rows: [*rows, rows[-1]])


def rows_out_of_order() -> Honest:
    """Two objects change places."""
    return Rows(lambda rows: [*(r for r in rows if r.thing != rows[0].thing), *(r for r in rows if r.thing == rows[0].thing)])


def shows(thing: int, value: bytes, *, prop: int = PRESENT_VALUE, failed: bool = False) -> Honest:
    """One property of one object shows this instead of what it holds."""
    return Rows(lambda rows: [replace(r, value=value, failed=failed) if (r.thing, r.prop) == (thing, prop) else r for r in rows])


def clamps(thing: int, low: float, high: float) -> Honest:
    """The device keeps our value in its slot and acknowledges, but its output stays within its own ends."""

    def edit(row: Row) -> Row:
        if (row.thing, row.prop) != (thing, PRESENT_VALUE) or row.value[:1] != bytes([_REAL]):
            return row
        return replace(row, value=real(min(high, max(low, struct.unpack(">f", row.value[1:5])[0]))))

    return Rows(lambda rows: [edit(r) for r in rows])


class SlotClamps(Honest):
    """The device acknowledges a write and puts a value within its own ends into the slot."""

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high

    def asked(self, frame: bytes) -> Passed:
        said = message(frame)
        at = frame.find(b"\x3e" + bytes([_REAL])) + 2
        if said is None or (said.kind, said.service) != (REQUEST, WRITE) or at < 2:
            return Passed(on=(frame,))
        value = struct.unpack(">f", frame[at : at + 4])[0]
        return Passed(on=(frame[:at] + struct.pack(">f", min(self._high, max(self._low, value))) + frame[at + 4 :],))


class Refuses(Honest):
    """Answers requests of one service itself: `how` makes the refusal, `when` says which are refused."""

    def __init__(self, service: int, how: Callable[[Message], bytes], when: Callable[[Message], bool] = lambda asked: True) -> None:
        self.refused = 0
        self._service, self._how, self._when = service, how, when

    def asked(self, frame: bytes) -> Passed:
        said = message(frame)
        if said is None or (said.kind, said.service) != (REQUEST, self._service) or not self._when(said):
            return Passed(on=(frame,))
        self.refused += 1
        return Passed(back=(self._how(said),))


def write_fails(what: bytes) -> Refuses:
    """Every write is answered with this error."""
    return Refuses(WRITE, lambda asked: error(asked, what))


def too_big(objects_max: int, reason: int = BUFFER_OVERFLOW) -> Refuses:
    """A read of more objects than this is aborted."""
    return Refuses(READ_MULTIPLE, lambda asked: abort(asked, reason), lambda asked: _objects(asked.content) > objects_max)


def no_multiple() -> Refuses:
    """The device knows no ReadPropertyMultiple."""
    return Refuses(READ_MULTIPLE, lambda asked: reject(asked, UNRECOGNIZED_SERVICE))


def no_room() -> Refuses:
    """The device takes no subscriptions: its table is full."""
    return Refuses(SUBSCRIBE, lambda asked: error(asked, NO_SPACE))


class Reprogrammed(Honest):
    """The device was given another program: it counts its database-revision so far, and calls some objects otherwise."""

    def __init__(self, revision: int = 1, names: Mapping[int, str] | None = None) -> None:
        self._revision, self._names = revision, dict(names or {})

    def answered(self, frame: bytes) -> Sequence[bytes]:
        said = message(frame)
        if said is None or said.kind != COMPLEX_ACK or said.service not in (READ, READ_MULTIPLE):
            return (frame,)
        if said.service == READ_MULTIPLE:
            return (_with_content(said, content_of([self._edited(row) for row in rows_of(said.content)])),)
        if said.content[5:7] != bytes([0x19, DATABASE_REVISION]):
            return (frame,)
        return (_with_content(said, said.content[:7] + b"\x3e" + unsigned(self._revision) + b"\x3f"),)

    def _edited(self, row: Row) -> Row:
        if row.prop != OBJECT_NAME or row.thing not in self._names:
            return row
        return replace(row, value=text(self._names[row.thing]))


class NoAck(Honest):
    """Writes take effect, but their acknowledgement is lost; `times` of them (None: all)."""

    def __init__(self, times: int | None = None) -> None:
        self._left = times

    def answered(self, frame: bytes) -> Sequence[bytes]:
        said = message(frame)
        if said is None or (said.kind, said.service) != (SIMPLE_ACK, WRITE) or self._left == 0:
            return (frame,)
        self._left = None if self._left is None else self._left - 1
        return ()


class LastAnswerAgain(Honest):
    """Each question gets the answer to the question before, under its own invoke id: the worst that late answers can do."""

    def __init__(self) -> None:
        self._before: bytes | None = None

    def answered(self, frame: bytes) -> Sequence[bytes]:
        said = message(frame)
        if said is None or said.kind != COMPLEX_ACK:
            return (frame,)
        last, self._before = self._before, frame
        at = len(said.before) + 1
        return (frame,) if last is None else (last[:at] + bytes([said.invoke]) + last[at + 1 :],)


class Answers(Honest):
    """Every confirmed request gets this APDU as its answer, with the right invoke id put at its second byte."""

    def __init__(self, apdu: bytes) -> None:
        self._apdu = apdu

    def asked(self, frame: bytes) -> Passed:
        said = message(frame)
        if said is None or said.kind != REQUEST:
            return Passed(on=(frame,))
        return Passed(back=(answer_to(said, self._apdu[:1] + bytes([said.invoke]) + self._apdu[2:]),))


@dataclass(frozen=True, slots=True)
class _Tag:
    kind: str  # open, close, context or application
    number: int
    first: int  # where the tag itself begins
    start: int  # its content
    end: int


def _tags(content: bytes) -> Iterator[_Tag]:
    at = 0
    while at < len(content):
        first, head = at, content[at]
        number, length, at = head >> 4, head & 7, at + 1
        if number == 15:
            number, at = content[at], at + 1
        context = bool(head & 8)
        if context and length in (6, 7):
            yield _Tag("open" if length == 6 else "close", number, first, at, at)
            continue
        if length == 5:
            length, at = content[at], at + 1
            if length >= 254:
                size = 2 if length == 254 else 4
                length, at = int.from_bytes(content[at : at + size], "big"), at + size
        if not context and number == 1:
            length = 0  # a boolean's value stands in its tag
        if at + length > len(content):
            raise ValueError(f"a tag claims {length} bytes, {len(content) - at} are left")
        yield _Tag("context" if context else "application", number, first, at, at + length)
        at += length


def _closing(tags: Sequence[_Tag], opening: int) -> int:
    depth = 0
    for at in range(opening, len(tags)):
        depth += (tags[at].kind == "open") - (tags[at].kind == "close")
        if depth == 0:
            return at
    raise ValueError("an opening tag is never closed")


def _objects(content: bytes) -> int:
    """How many objects a ReadPropertyMultiple request names."""
    depth = count = 0
    for tag in _tags(content):
        depth += (tag.kind == "open") - (tag.kind == "close")
        count += depth == 0 and tag.kind == "context" and tag.number == 0
    return count
