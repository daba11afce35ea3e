"""Grants of authority given and ended by the owner, and requests that people sign with keys of their own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ledger.cbor import Value
from ledger.custody import Registrar
from ledger.entry import NO_HASH, Signed, from_ms, ms
from ledger.errors import FormatError, LedgerError
from ledger.keys import P256Signer, PublicKey
from ledger.log import Sealed
from ledger.reader import Last, Reader
from ledger.source import Source
from ledger.statements import MILLI, milli
from ledger.succession import PERSON
from ledger.tables import Granted
from twin.clock import wall_now

Range = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Grant:
    """What is to be granted to a person (with his public key) or a rule (perhaps of one version): by point its lowest and highest value."""

    id: str
    who: str
    points: Mapping[str, Range]
    begin: datetime
    end: datetime
    key: PublicKey | None = None
    version: str = ""

    def facts(self) -> dict[str, Value]:
        points = {point: [milli(low), milli(high)] for point, (low, high) in sorted(self.points.items())}
        spans = {"points": points, "from_ms": ms(self.begin), "until_ms": ms(self.end)}
        return {"grant": self.id, "who": self.who, "key": self.key.value() if self.key else [], "version": self.version, **spans}


def give_grants(folder: Path, grants: Iterable[Grant], at: datetime | None = None) -> Sealed:
    """Seal grants, signed by the owner, in one checkpoint."""
    with Registrar(folder, at or wall_now()) as registrar:
        return registrar.seal([("grant.given", grant.facts()) for grant in grants])


def end_grant(folder: Path, grant: str, reason: str, at: datetime | None = None) -> Sealed:
    """End a grant from this entry of the log on."""
    with Registrar(folder, at or wall_now()) as registrar:
        return registrar.seal([("grant.ended", {"grant": grant, "reason": reason})])


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for; a value of None takes an earlier request back."""

    point: str
    value: float | None
    why: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Clock:
    """The site's time, and the calendar's."""

    site: datetime
    wall: datetime


def signed_request(folder: Path, person: str, signer: P256Signer, wish: Wish, pending: Iterable[bytes], clock: Clock) -> Signed:
    """A person's request as an entry of his own. `pending`: his requests that wait in the journal and are not sealed yet."""
    reader = Reader(folder / "log.db")
    try:
        group = reader.group()
        last = reader.last(person) or Last(0, NO_HASH, 0)
    finally:
        reader.close()
    grants = [grant for grant in group.grants.values() if grant.who == person]
    if not PERSON.fullmatch(person) or not any(grant.key == signer.public for grant in grants):
        raise LedgerError(f"{person}: no grant of group {group.founding.name} names this key; let the owner give one first")
    _require_covered(grants, wish, clock.site)
    for record in pending:
        last = _later(last, record, person)
    source = Source(signer, group.id, person, last.seq, last.hash, simulated=group.founding.simulated)
    fields = {"point": wish.point, "value_milli": milli(wish.value), "until_ms": ms(wish.until), "why": wish.why}
    return source.entry("control.request", fields, clock.site, max(clock.wall, from_ms(last.wall_ms)))


def _require_covered(grants: Iterable[Granted], wish: Wish, at: datetime) -> None:
    """What no grant covers would be flagged: refuse it here, where the person can still ask for another value."""
    value, nearest = milli(wish.value), "no grant of his names the point"
    for grant in grants:
        span = grant.facts["points"].get(wish.point)
        if span is None:
            continue
        low, high = span
        if not grant.facts["from_ms"] <= ms(at) <= ms(wish.until) <= grant.facts["until_ms"]:
            nearest = f"grant {grant.id} holds until {from_ms(grant.facts['until_ms']):%Y-%m-%d %H:%M} UTC"
        elif value is not None and ((low is not None and value < low) or (high is not None and value > high)):
            nearest = f"grant {grant.id} allows {_words(low)} to {_words(high)}"
        else:
            return
    raise LedgerError(f"{wish.point}: {nearest}; ask the owner for a grant that covers it")


def _words(milli_: int | None) -> str:
    return "any" if milli_ is None else f"{milli_ / MILLI:g}"


def _later(last: Last, record: bytes, person: str) -> Last:
    try:
        entry = Signed.decode(record).entry
    except FormatError:
        return last
    return Last(entry.seq, entry.hash, entry.wall_ms) if entry.source == person and entry.seq > last.seq else last
