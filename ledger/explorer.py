"""What people see of a group: its state, its entries decoded with one line each, and the numbered verification made on the spot.

`keys` is a member's key folder: the owner's (`<group>/keys`) or the government's (`<state>/witness/keys`). Without it bodies stay sealed.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ledger.bundle import OPEN
from ledger.carbon.claims import HOUR_MS
from ledger.contracts.policies import POLICIES
from ledger.contracts.told import alarm_message
from ledger.entry import KINDS, Body, Entry, from_ms
from ledger.envelope import DataKeys, open_with
from ledger.epochs import member_data_keys
from ledger.errors import LedgerError, VerificationError
from ledger.evidence import whole_bundle
from ledger.founding import GOVERNMENT, LOG, OWNER
from ledger.group import Group
from ledger.keys import EnvelopeKey, read_envelope_key, read_signer
from ledger.looks import Look, Looker, write_look
from ledger.reader import Reader, Stored
from ledger.replay import CONTRACT_FIELD
from ledger.report import Step
from ledger.rules import RULES
from ledger.trust import Trust
from ledger.verify import verify_bundle
from ledger.witness import Witness
from twin import errors
from twin.clock import wall_now
from twin.state import read_json

PURPOSE = "inspection on the pages"
WINDOW = 4096  # entries looked through at a time, newest first
LINE_CHARS = 120
OWN_CERTIFICATE = "own certificate"


@dataclass(frozen=True, slots=True)
class Overview:
    """A group in a few figures; `final_size` entries are cosigned by the government."""

    name: str
    owner: str
    government: str
    size: int
    root: str
    sealed_at: datetime
    final_size: int
    cosigned_by: tuple[str, ...]
    cosigned_at: datetime | None
    seal_delay_p95_s: float | None
    by_kind: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class EntryView:
    """One entry for people. `at` is the site's time, `wall` the calendar's; `body` is None where this member has no key."""

    number: int
    kind: str
    source: str
    key_name: str
    vouched_by: str
    at: datetime
    wall: datetime
    simulated: bool
    summary: str
    body: Mapping[str, Any] | None
    hash: str


def overview(folder: Path) -> Overview:
    """The group's state, read without any key."""
    with _reading(folder) as reader:
        group, note, final = reader.group(), reader.newest(), reader.final()
        cosigned = reader.cosigned(final.checkpoint.size) if final else []
        by_kind, sealed_ms = _counts(folder)
        return Overview(
            group.founding.name,
            group.members[OWNER].name,
            group.members[GOVERNMENT].name,
            note.checkpoint.size,
            note.checkpoint.root.hex(),
            from_ms(sealed_ms),
            final.checkpoint.size if final else 0,
            tuple(name for name, _ in cosigned),
            datetime.fromtimestamp(max(time_s for _, time_s in cosigned), UTC) if cosigned else None,
            _delay_p95_s(folder),
            by_kind,
        )


def entries(folder: Path, keys: Path | None, kinds: Sequence[str] = (), newest: int = 200) -> list[EntryView]:
    """The newest entries of these kinds (a word before the dot stands for all of them), newest first."""
    wanted = [kind for kind in KINDS if not kinds or any(kind == k or kind.startswith(f"{k}.") for k in kinds)]
    with _reading(folder) as reader:
        group = reader.group()
        data_keys = _data_keys(reader, group, keys)
        _note_look(reader, group, keys, f"entries of {', '.join(kinds) or 'every kind'}")
        found: list[Stored] = []
        high = reader.size()
        while high > 0 and len(found) < newest:
            low = max(0, high - WINDOW)
            found += reversed(list(reader.stored(low, high, wanted)))
            high = low
        return [_view(stored, group, data_keys) for stored in found[:newest]]


def check(folder: Path, trust: Path) -> list[Step]:
    """The numbered verification of a bundle made now. `trust`: a trust file, or the government's key folder."""
    with _reading(folder) as reader:
        group = reader.group(1)
        member = _member(group, trust if trust.is_dir() else folder / "keys")
        _note_look(reader, group, trust, "verification of everything")
        data_keys = member_data_keys(reader, member[1], member[0]) if member else None
        data = whole_bundle(reader, data_keys).encode()
        held = _trust(trust, group.founding.name)
    # With the member's key the verifier itself opens what lies sealed, and names the body that does not open.
    return list(verify_bundle(data, held, now=wall_now(), rules=RULES, member=member).steps)


def _note_look(reader: Reader, group: Group, keys: Path | None, query: str) -> None:
    """The government's look, signed and written down before anything is opened with its key."""
    path = keys / f"{group.founding.name}.sign.key" if keys is not None and keys.is_dir() else None
    if path is not None and path.exists():
        write_look(reader, Looker(GOVERNMENT, read_signer(path)), Look(query, PURPOSE, 0, reader.size()), wall_now())


@contextmanager
def _reading(folder: Path) -> Iterator[Reader]:
    """The group's log; the ledger's errors come out as the product's."""
    try:
        with closing(Reader(folder / "log.db")) as reader:
            yield reader
    except VerificationError as error:
        raise errors.VerificationError(str(error)) from None
    except LedgerError as error:
        raise errors.StateError(str(error)) from None


def _counts(folder: Path) -> tuple[dict[str, int], int]:
    """How many entries of each kind, and when the newest checkpoint was made."""
    with closing(sqlite3.connect(f"file:{folder / 'log.db'}?mode=ro", uri=True)) as db:
        by_kind = dict(db.execute("SELECT kind, count(*) FROM entry GROUP BY kind ORDER BY kind").fetchall())
        sealed_ms = db.execute("SELECT wall_ms FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()[0]
    return by_kind, int(sealed_ms)


def _delay_p95_s(folder: Path) -> float | None:
    """The slowest of the group's recorders; None before the first has sealed anything."""
    kept = [read_json(path) for path in sorted(folder.glob("recorder-*.json"))]
    return max((float(status["seal_delay_p95_s"]) for status in kept if status.get("rows_timed")), default=None)


def _data_keys(reader: Reader, group: Group, keys: Path | None) -> DataKeys | None:
    member = _member(group, keys) if keys else None
    return member_data_keys(reader, member[1], member[0]) if member else None


def _member(group: Group, keys: Path) -> tuple[str, EnvelopeKey] | None:
    """Whose keys these are: the owner's, the government's for this group, or nobody's here."""
    for name, member in (("owner", OWNER), (group.founding.name, GOVERNMENT)):
        path = keys / f"{name}.envelope.key"
        if path.exists():
            return member, read_envelope_key(path)
    return None


def _trust(trust: Path, name: str) -> Trust:
    if trust.is_file():
        return Trust.from_json(trust.read_bytes())
    witness = Witness(trust.parent)
    try:
        return witness.trust(name)
    finally:
        witness.close()


def _view(stored: Stored, group: Group, data_keys: DataKeys | None) -> EntryView:
    entry = stored.entry
    body = _opened(stored, data_keys)
    fields = None if body is None else _for_people(entry, body)
    return EntryView(
        stored.number,
        entry.kind,
        entry.source,
        _key_name(entry, group),
        _vouched_by(entry, fields),
        from_ms(entry.time_ms),
        from_ms(entry.wall_ms),
        entry.simulated,
        _summary(entry, fields),
        fields,
        entry.hash.hex(),
    )


def _opened(stored: Stored, data_keys: DataKeys | None) -> Body | None:
    if stored.epoch == OPEN:
        return Body.decode(stored.box)
    if data_keys is None or stored.epoch not in data_keys:
        return None
    return Body.decode(open_with(data_keys, stored.entry, stored.box, stored.epoch))


def _key_name(entry: Entry, group: Group) -> str:
    names = {member.key.key_id: member.name for member in group.members.values()}
    names |= dict.fromkeys([group.founding.log.key_id, *(key.key_id for _, key in group.logs)], "log key")
    names |= {device.key.key_id: f"key of {source}" for source, device in group.devices.items() if device.key}
    return ", ".join(names.get(key, f"key {key.hex()[:16]}") for key in entry.keys)


def _vouched_by(entry: Entry, fields: Mapping[str, Any] | None) -> str:
    """Who stands for what the entry says: a device with its own certificate, or a gateway for devices that cannot sign."""
    if entry.kind.startswith("device.") and fields is not None and "vouched_by" in fields:
        return str(fields["vouched_by"]) or OWN_CERTIFICATE
    if entry.rule.signer != "device":
        return LOG if entry.rule.signer == "log" else "member"
    return f"gateway {entry.source}" if entry.source.endswith(":gateway") else OWN_CERTIFICATE


def _for_people(entry: Entry, body: Body) -> dict[str, Any]:
    fields = dict(body.fields)
    if entry.kind == "reading.batch":
        return {name: _reading_text(value) if not name.startswith("#") else value for name, value in fields.items()}
    return {name: _plain(value) for name, value in fields.items()}


def _reading_text(reading: Any) -> str:
    if not isinstance(reading, list) or len(reading) != 5:
        return str(_plain(reading))  # signed by a device that has another form
    _, amount, exponent, quality, reason = reading
    value = "no value" if amount is None else f"{amount}" if exponent >= 0 else f"{amount / 10**-exponent:g}"
    return value if quality == "good" else f"{value} ({quality}{f', {reason}' if reason else ''})"


def _plain(value: Any) -> Any:
    """Thousandths back as numbers, bytes as hex: for screens only."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return value["milli"] / 1000 if set(value) == {"milli"} and value["milli"] is not None else {k: _plain(v) for k, v in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _summary(entry: Entry, fields: Mapping[str, Any] | None) -> str:
    """One line about an entry; a sealed body says so."""
    if fields is None:
        return "sealed for members"
    try:
        if fields.get(CONTRACT_FIELD) in POLICIES:
            return f"{fields[CONTRACT_FIELD]}: {alarm_message(fields[CONTRACT_FIELD], fields)}"
        return _LINES.get(entry.kind, _plain_line)(fields)
    except (KeyError, TypeError, ValueError, AttributeError):
        # One odd statement of one device must not hide all the others from the inspector.
        return f"not in the form of {entry.kind}: {_plain_line(fields)}"


def _plain_line(f: Mapping[str, Any]) -> str:
    told = [f"{name} {value}" for name, value in f.items() if isinstance(value, str | int) and not name.startswith("#")]
    return ", ".join(told)[:LINE_CHARS]


def _action_line(f: Mapping[str, Any]) -> str:
    result = f["outcome"]["result"]
    if f.get("late"):
        return f"{f['point']}: late answer, {result}"
    asked = f["asked"]
    wish = "given back" if asked["gives_back"] else f"{_amount(asked['before_milli'])} → {_amount(asked['value_milli'])}"
    return f"{f['point']}: {wish} by {f['by']} ({f['why']}), {result}"


def _amount(milli: int | None) -> str:
    return "?" if milli is None else f"{milli / 1000:g}"


def _claim_line(f: Mapping[str, Any]) -> str:
    hours = (f["to_ms"] - f["from_ms"]) / HOUR_MS
    kwh, kg = (f["scope1_wh"] + f["scope2_wh"]) / 1000, (f["scope1_g"] + f["scope2_location_g"]) / 1000
    provisional = ", provisional" if f["provisional"] else ""
    return f"{f['site']}: {kwh:.1f} kWh in {hours:g} h, {kg:.1f} kg CO2 by {f['factor']}{provisional}"


def _batch_line(f: Mapping[str, Any]) -> str:
    told = [name for name in f if not name.startswith("#")]
    if len(told) == 1:
        return f"{told[0]} = {f[told[0]]}"
    return f"{len(told)} readings of {', '.join(f.get('#connections', ['?']))}"


_LINES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "group.found": lambda f: f"group {f['name']} founded" + (", simulated" if f["simulated"] else ""),
    "device.enrol": lambda f: f"{f['device']} enrolled: {f['vouched_by'] or OWN_CERTIFICATE}",
    "device.revoke": lambda f: f"{f['device']} revoked: {f['reason']}",
    "device.suspend": lambda f: f"{f['device']} suspended: {f['reason']}",
    "device.resume": lambda f: f"{f['device']} resumed: {f['reason']}",
    "device.seen": lambda f: f"{f.get('connection', '')} {f.get('event', '')}",
    "reading.batch": _batch_line,
    "control.action": _action_line,
    "control.mode": lambda f: f"mode {f.get('mode', '')} by {f.get('by', '')}: {f.get('why', '')}",
    "control.refusal": lambda f: f"{f.get('point', '')}: {f.get('by', '')} refused, {f.get('refused_because', '')}",
    "control.release": lambda f: f"building given back by {f.get('by', '')}: {f.get('points', '?')} points",
    "control.grant": lambda f: f"{f.get('by', '')} released {len(f.get('points', ()))} points for writing",
    "twin.review": lambda f: f"{f.get('by', '')} decided on {f.get('header', '')}: {f.get('why', '')}",
    "emission.period": _claim_line,
    "alarm.raised": lambda f: str(f.get("message", "alarm")),
    "alarm.acknowledged": lambda f: f"acknowledged: {f.get('message', '')}",
    "alarm.cleared": lambda f: f"cleared: {f.get('message', '')}",
    "refused": lambda f: f"{f['source'] or 'a record'} refused, {f['reason']}",
    "gap": lambda f: f"{f['source']}: numbers {f['first']} to {f['last']} never came",
    "access.read": lambda f: f"looked at {f['query']}, entries {f['first']} to {f['end'] - 1}: {f['purpose']}",
    "grant.given": lambda f: f"{f['who']} may move {len(f['points'])} points (grant {f['grant']})",
    "grant.ended": lambda f: f"grant {f['grant']} ended: {f['reason']}",
    "control.request": lambda f: f"{f['point']}: {_amount(f['value_milli'])} asked for ({f['why']})",
    "data.epoch": lambda f: f"data key of epoch {f['epoch']} begins",
    "data.destroyed": lambda f: f"content of entries {f['first']} to {f['last']} destroyed by order of {f['ordered_by']}: {f['reason']}",
    "recovery.set": lambda f: f"{f['needed']} of {len(f['keys'])} recovery keys stand in for a lost one",
    "member.recover": lambda f: f"new keys of {f['member']['source']}: {f['reason']}",
    "log.rotate": lambda f: f"new key of the log: {f['reason']}",
    "witness.rotate": lambda f: f"new witness policy, {f['needed']} of {len(f['witnesses'])}: {f['reason']}",
    "state": lambda f: f"checkpoint: {len(f['sources'])} sources, {len(f['contracts'])} contracts",
}
