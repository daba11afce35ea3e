"""Journal rows as the cycle writes them; their bodies are listed in ARCHITECTURE.md, "Journal"."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from controls.drivers import Held
from controls.guard import Refusal
from twin.journal import Record
from twin.words import Alarm, AlarmState, Command, Outcome, Reading, Result


def readings_row(connection: str, readings: Iterable[Reading], at: datetime) -> Record:
    """All readings of one device in one cycle."""
    values = {r.point: [r.value, r.quality.value, r.reason.value] for r in readings}
    return Record("readings", at, {"connection": connection, "at": _iso(at), "values": values})


def record_row(connection: str, point: str, record: str, at: datetime) -> Record:
    """A record that the meter signed itself, as it came."""
    return Record("record", at, {"connection": connection, "point": point, "record": record})


def device_row(
    connection: str, event: str, fingerprint: Mapping[str, object], at: datetime, differences: Iterable[str] | None = None
) -> Record:
    """A device found, lost, returned, changed (with what differs in its objects) or accepted by a person as it is."""
    body = {"connection": connection, "event": event, "fingerprint": dict(fingerprint)}
    return Record("device", at, body if differences is None else {**body, "differences": list(differences)})


def alarm_row(kind: str, source: str, message: str, *, raised: bool, priority: int, at: datetime) -> Record:
    """An alarm raised or cleared; its id stays the same from one to the other."""
    state = AlarmState.RAISED if raised else AlarmState.CLEARED
    return Record("alarm", at, Alarm(f"{kind}.{source}", kind, source, message, at, state, priority).body())


def command_row(command: Command, cycle: str, inputs: Mapping[str, float]) -> Record:
    """A ruling, before it goes on the wire."""
    body = {
        "id": command.id, "cycle": cycle, "point": command.point, "value": command.value, "priority": command.priority, "by": command.by,
        "why": command.why, "until": _iso(command.until), "authority": int(command.authority), "before": command.before,
        "inputs": dict(inputs),
    }  # fmt: skip
    return Record("command", command.at, body)


def outcome_row(command: str, point: str, result: Result, held: Held | None, detail: str, at: datetime) -> Record:
    """What the device holds after a command."""
    found = (held.value, held.slot, held.ruling_priority) if held else (None, None, None)
    return Record("outcome", at, Outcome(command, point, result, at, *found, detail).body())


def refusal_row(refusal: Refusal, at: datetime) -> Record:
    """A wish that was not passed."""
    r = refusal
    return Record("refusal", at, {"point": r.point, "by": r.by, "why": r.why, "refused_because": r.refused_because})


def _iso(at: datetime) -> str:
    return at.isoformat()
