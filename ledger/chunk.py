"""From journal rows to statements: what one checkpoint of the recorder is made from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ledger import statements
from ledger.entry import Signed
from ledger.errors import FormatError
from ledger.source import Source
from twin.journal import Row

ROWS_MOST = 4000  # one checkpoint's rows: some 20 cycles of 200 commands; keeps a transaction below a second
ANSWER_WAIT = timedelta(seconds=30)  # a write is tried and read back within 10 s; after 30 the command is sealed unanswered
NOT_SEALED = frozenset({"forecast", "request", "prior", "sign_in"})

Said = tuple[str, statements.Fields, Row]
"""An entry kind, its fields, and the journal row it speaks about."""


@dataclass
class Chunk:
    """What one checkpoint is made from."""

    rows: list[Row]
    last: int
    said: list[Said | bytes] = field(default_factory=list)
    batch: list[Row] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)

    def flush(self) -> None:
        """Close the batch of a cycle; what meters signed in that cycle follows it."""
        if self.batch:
            self.said.append(_told(self.batch[-1], lambda: ("reading.batch", statements.batch(self.batch))))
        self.said += self.records
        self.batch, self.records = [], []


def make_chunk(rows: list[Row], unanswered: set[str], now: datetime) -> Chunk | None:
    """What the rows say, up to the first command whose answer may still come; None when nothing can be said yet.

    `unanswered` holds the commands that were sealed without an outcome, and is kept up to date here.
    """
    outcomes = {row.body.get("command"): row for row in rows if row.kind == "outcome"}
    rows = _answered(rows, outcomes, now, full=len(rows) == ROWS_MOST)
    if not rows:
        return None
    chunk = Chunk(rows, rows[-1].number)
    for row in rows:
        if chunk.batch and (row.kind == "command" or (row.kind == "readings" and _minute(row) != _minute(chunk.batch[0]))):
            chunk.flush()
        if row.kind == "readings":
            chunk.batch.append(row)
        elif row.kind == "record":
            chunk.records.append(_bytes(row.body["record"]))
        elif row.kind == "request" and "record" in row.body:
            chunk.flush()
            chunk.said.append(_bytes(str(row.body["record"])))  # what a person signed goes in before the command that follows from it
        elif row.kind not in NOT_SEALED:
            _state(chunk, row, outcomes, unanswered)
    chunk.flush()
    return chunk


def _state(chunk: Chunk, row: Row, outcomes: Mapping[str, Row], unanswered: set[str]) -> None:
    if row.kind == "command":
        outcome = outcomes.get(row.body.get("id"))
        if outcome is None:
            unanswered.add(str(row.body.get("id")))
        chunk.said.append(_told(row, lambda: statements.action(row, outcome)))
    elif row.kind == "outcome":
        if row.body.get("command") in unanswered:  # else it was sealed with its command
            unanswered.discard(row.body["command"])
            chunk.said.append(_told(row, lambda: statements.late_outcome(row)))
    else:
        item = _told(row, lambda: statements.plain(row) or ("", ()))
        if item[0]:
            chunk.said.append(item)


def _told(row: Row, say: Callable[[], tuple[str, statements.Fields]]) -> Said:
    """The statement about a row; a row that cannot be understood is sealed as such, so that it stops nothing behind it."""
    try:
        kind, fields = say()
    except (KeyError, TypeError, ValueError) as error:
        return "control.refusal", [("row_kind", row.kind), ("refused_because", f"the journal row is malformed: {error!r}")], row
    return kind, fields, row


def sign_said(source: Source, said: Said, last: int, wall: datetime) -> Signed:
    """The statement as an entry of the gateway; one that cannot be sealed is sealed as such."""
    kind, fields, row = said
    journal = statements.made_from(row, last)
    try:
        return source.entry(kind, [journal, *fields], row.at, wall)
    except FormatError as error:
        return source.entry(
            "control.refusal", [journal, ("row_kind", row.kind), ("refused_because", f"cannot be sealed: {error}")], row.at, wall
        )


def _answered(rows: list[Row], outcomes: Mapping[str, Row], now: datetime, *, full: bool) -> list[Row]:
    """The rows up to the first command whose answer may still come."""
    for index, row in enumerate(rows):
        if row.kind == "command" and row.body.get("id") not in outcomes and (now - row.wall < ANSWER_WAIT or (full and index)):
            return rows[:index]
    return rows


def _minute(row: Row) -> int:
    return int(row.at.timestamp()) // 60


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return text.encode()  # the log refuses it as malformed, and that refusal is sealed
