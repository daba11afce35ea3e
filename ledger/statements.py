"""What the gateway says about journal rows: entry kinds and fields, in whole numbers and text.

Amounts are thousandths of the point's unit (`_milli`); a reading is [time in ms, amount, exponent, quality, reason],
worth amount x 10^exponent. The field `#journal` tells what an entry was made from: [row, last row of its checkpoint, wall time of the row].
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ledger.cbor import Value
from ledger.entry import ms
from twin.grants import digest
from twin.journal import Row

Fields = Sequence[tuple[str, Value]]
JOURNAL_FIELD = "#journal"  # '#' stands in no point's name
BATCH_FIELD = "#connections"
MILLI = 1000
AMOUNT_MAX = 1 << 53  # what every reader of JSON can show exactly; no meter of a building comes near
TEXT_CHARS_MAX = 400
HOUR_MS = 3_600_000
SOFTWARE_FIELD = "software"  # which version of the product's rules decided
UNANSWERED = "unanswered"  # no outcome came in time: the command is sealed all the same


def batch(rows: Sequence[Row]) -> Fields:
    """All readings of one cycle as one statement, sorted by point, then time."""
    readings = []
    for row in rows:
        time_ms = ms(datetime.fromisoformat(row.body["at"]))
        for point, (value, quality, reason) in row.body["values"].items():
            amount, exponent = scaled(value)
            readings.append((point, [time_ms, amount, exponent, str(quality), str(reason)]))
    readings.sort(key=lambda pair: (pair[0], pair[1][0]))
    return [(BATCH_FIELD, sorted({str(row.body["connection"]) for row in rows})), *readings]


def made_from(row: Row, last: int) -> tuple[str, Value]:
    """The field that ties an entry to the journal, so that a restarted recorder finds where it stood."""
    return JOURNAL_FIELD, [row.number, last, ms(row.wall)]


def register(point: str, at: datetime, wh: int) -> dict[str, Value]:
    """The one field of a record that a meter signs itself: its cumulative register."""
    return {point: [ms(at), wh, 0, "good", ""]}


def scaled(value: float | None) -> tuple[int | None, int]:
    """A float as a whole number and an exponent: registers stay whole, all else goes to thousandths."""
    if value is None or not math.isfinite(value) or abs(value) * MILLI > AMOUNT_MAX:
        return None, 0
    whole = int(value)
    return (whole, 0) if whole == value else (round(value * MILLI), -3)


def milli(value: float | None) -> int | None:
    """Thousandths of a unit; None when nothing usable came."""
    return None if value is None or not math.isfinite(value) or abs(value) * MILLI > AMOUNT_MAX else round(value * MILLI)


def action(command: Row, outcome: Row | None) -> tuple[str, Fields]:
    """A command with what became of it: who and why, what was asked, what the device holds."""
    body = command.body
    asked: dict[str, Value] = {
        "before_milli": milli(body.get("before")),
        "value_milli": milli(body["value"]),
        "gives_back": body["value"] is None,
        "priority": int(body["priority"]),
        "authority": int(body["authority"]),
        "until_ms": ms(datetime.fromisoformat(body["until"])),
        "cycle": text(body.get("cycle")),
        "inputs_milli": {text(name): milli(value) for name, value in body.get("inputs", {}).items()},
    }
    who = [("id", text(body["id"])), ("point", text(body["point"])), ("by", text(body["by"])), ("why", text(body["why"]))]
    return "control.action", [*who, (SOFTWARE_FIELD, software()), ("asked", asked), ("outcome", _held(outcome))]


@cache
def software() -> str:
    """The version of the rules that run here, as grants may name it."""
    try:
        return version("wattproof")
    except PackageNotFoundError:
        return "unknown"


def late_outcome(outcome: Row) -> tuple[str, Fields]:
    """An answer that came after its command had been sealed without one."""
    said = outcome.body
    return "control.action", [("id", text(said["command"])), ("point", text(said["point"])), ("late", True), ("outcome", _held(outcome))]


def _held(outcome: Row | None) -> dict[str, Value]:
    if outcome is None:
        return {"result": UNANSWERED}
    said = outcome.body
    return {
        "result": text(said["result"]),
        "read_back_milli": milli(said.get("read_back")),
        "slot_milli": milli(said.get("slot")),
        "ruling_priority": said.get("ruling_priority"),
        "detail": text(said.get("detail")),
        "answered_ms": ms(outcome.at),
    }


def plain(row: Row) -> tuple[str, Fields] | None:
    """The statement about a row that stands for itself; None for rows that are not sealed."""
    if row.kind == "alarm":
        return _alarm(row.body)
    if row.kind == "grant":
        return _grant(row.body)
    if row.kind == "score" and ms(row.at) % HOUR_MS:
        return None  # comfort so far is sealed at the hour marks
    kind = _PLAIN.get(row.kind)
    return (kind, [(key, whole(value)) for key, value in sorted(row.body.items())]) if kind else None


_PLAIN: Mapping[str, str] = {
    "mode": "control.mode",
    "refusal": "control.refusal",
    "release": "control.release",
    "import": "twin.import",
    "review": "twin.review",
    "reference": "baseline.reference",
    "score": "comfort.period",
    "device": "device.seen",
}


def _grant(body: Mapping[str, Any]) -> tuple[str, Fields]:
    """Who released which points until when; envelopes and addresses by the hash of the journal's row, since thousands would not fit."""
    said = [(name, text(body[name])) for name in ("by", "key", "signed", "until")]
    return "control.grant", [*said, ("points", sorted(map(text, body["points"]))), ("sha256", bytes.fromhex(digest(body)))]


_ALARM_KINDS = {"raised": "alarm.raised", "acknowledged": "alarm.acknowledged", "cleared": "alarm.cleared"}


def _alarm(body: Mapping[str, Any]) -> tuple[str, Fields] | None:
    if body.get("contract") or body.get("state") not in _ALARM_KINDS:
        return None  # a contract's alarm came out of the log; it does not go in again
    return _ALARM_KINDS[body["state"]], [(key, whole(value)) for key, value in sorted(body.items())]


def whole(value: Any) -> Value:
    """Any JSON value for sealing: numbers that are not whole become {"milli": n}."""
    if isinstance(value, float):
        return {"milli": milli(value)}
    if isinstance(value, Mapping):
        return {str(key): whole(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [whole(item) for item in value]
    return value


def text(value: Any) -> str:
    """A text of bounded length."""
    return str(value or "")[:TEXT_CHARS_MAX]
