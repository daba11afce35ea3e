"""Modbus answers that no honest device gives: frames of a real server, edited on their way to the client (Modbus TCP, MBAP head)."""

import struct
from collections.abc import Callable, Sequence

from simulators.wire.faults import Honest, Passed

READS, WRITES = (1, 2, 3, 4), (5, 6, 15, 16)
READ_HOLDING, READ_INPUT = 3, 4
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS = 1, 2
UNIT, FUNCTION, START = 6, 7, 8  # places in a frame; an answer has its byte count where a request has its start


def place(request: bytes) -> tuple[int, int, int, int]:
    """Unit, function, first register and count of a request that reads."""
    start, count = struct.unpack(">HH", request[START : START + 4])
    return request[UNIT], request[FUNCTION], start, count


def exception(request: bytes, code: int) -> bytes:
    """The server's refusal of a request."""
    return request[:4] + struct.pack(">HBBB", 3, request[UNIT], request[FUNCTION] | 0x80, code)


class Edits(Honest):
    """Changes each answer to a question of these functions; the edit sees the question too."""

    def __init__(self, functions: Sequence[int], edit: Callable[[bytes, bytes], bytes | None]) -> None:
        self._functions, self._edit = functions, edit
        self._question = b""

    def asked(self, frame: bytes) -> Passed:
        self._question = frame
        return Passed(on=(frame,))

    def answered(self, frame: bytes) -> Sequence[bytes]:
        if len(frame) <= FUNCTION or frame[FUNCTION] not in self._functions:
            return (frame,)
        changed = self._edit(self._question, frame)
        return () if changed is None else (changed,)


class Refuses(Honest):
    """Answers questions of these functions with an exception; `when` says which."""

    def __init__(self, functions: Sequence[int], code: int, when: Callable[[bytes], bool] = lambda question: True) -> None:
        self.refused = 0
        self._functions, self._code, self._when = functions, code, when

    def asked(self, frame: bytes) -> Passed:
        if frame[FUNCTION] not in self._functions or not self._when(frame):
            return Passed(on=(frame,))
        self.refused += 1
        return Passed(back=(exception(frame, self._code),))


def hole(unit: int, register: int, function: int = READ_HOLDING) -> Refuses:
    """A register that does not exist: every read that covers it is refused."""

    def covers(question: bytes) -> bool:
        asked_unit, _, start, count = place(question)
        return asked_unit == unit and start <= register < start + count

    return Refuses((function,), ILLEGAL_ADDRESS, covers)


def transaction_zero() -> Honest:
    """Answers name no transaction."""
    return Edits((*READS, *WRITES), lambda _, answer: b"\0\0" + answer[2:])


def other_function() -> Honest:
    """Input registers answer for holding registers, and the other way round."""
    swapped = {READ_HOLDING: READ_INPUT, READ_INPUT: READ_HOLDING}
    return Edits(tuple(swapped), lambda _, answer: answer[:FUNCTION] + bytes([swapped[answer[FUNCTION]]]) + answer[START:])


def no_function() -> Honest:
    """The answer names a function that no device has."""
    return Edits((*READS, *WRITES), lambda _, answer: answer[:FUNCTION] + b"\x63" + answer[START:])


def coils_for_registers() -> Honest:
    """Bits come where registers were asked for."""
    return Edits((READ_HOLDING, READ_INPUT), lambda _, answer: answer[:FUNCTION] + b"\x01" + answer[START:])


def fewer_registers() -> Honest:
    """The last register does not come."""
    return Edits((READ_HOLDING, READ_INPUT), lambda _, answer: _with_registers(answer, answer[START + 1 : -2]))


def more_registers() -> Honest:
    """A register comes that nobody asked for."""
    return Edits((READ_HOLDING, READ_INPUT), lambda _, answer: _with_registers(answer, answer[START + 1 :] + b"\x03\xe7"))


def swapped_words() -> Honest:
    """Each pair of registers comes with the low word first."""

    def swap(_: bytes, answer: bytes) -> bytes:
        data = answer[START + 1 :]
        pairs = b"".join(data[n + 2 : n + 4] + data[n : n + 2] for n in range(0, len(data) - 3, 4))
        return _with_registers(answer, pairs + data[len(pairs) :])

    return Edits((READ_HOLDING, READ_INPUT), swap)


def other_unit(offset: int = 1) -> Honest:
    """The gateway names another unit than the one that was asked."""
    return Edits((*READS, *WRITES), lambda _, answer: answer[:UNIT] + bytes([(answer[UNIT] + offset) % 256]) + answer[FUNCTION:])


def false_echo(value: int = 999) -> Honest:
    """A write is acknowledged with another value than the one written."""
    return Edits((6,), lambda _, answer: answer[:-2] + struct.pack(">H", value))


def no_write_answer() -> Honest:
    """Writes take effect, their acknowledgement never comes."""
    return Edits(WRITES, lambda _question, _answer: None)


class ClampedWrites(Honest):
    """The server takes, and echoes as asked, another value than it keeps: it stops at `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._question = b""

    def asked(self, frame: bytes) -> Passed:
        self._question = frame
        if frame[FUNCTION] != 6:
            return Passed(on=(frame,))
        value = struct.unpack(">h", frame[-2:])[0]
        return Passed(on=(frame[:-2] + struct.pack(">h", min(self._most, value)),))

    def answered(self, frame: bytes) -> Sequence[bytes]:
        return (frame[:-2] + self._question[-2:],) if frame[FUNCTION] == 6 else (frame,)


class LastAnswerAgain(Honest):
    """Each question gets the answer to the question before, under its own transaction: the worst that late answers can do."""

    def __init__(self) -> None:
        self._before: bytes | None = None

    def answered(self, frame: bytes) -> Sequence[bytes]:
        last, self._before = self._before, frame
        return (frame,) if last is None else (frame[:2] + last[2:],)


def _with_registers(answer: bytes, data: bytes) -> bytes:
    return answer[:4] + struct.pack(">HBBB", 3 + len(data), answer[UNIT], answer[FUNCTION], len(data)) + data
