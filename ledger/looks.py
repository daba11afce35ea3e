"""Every look of an inspector is itself an entry: he signs what he looks at before he sees it, and the log seals it.

Whoever looks has no right to write into the log. His signed record waits in the group's folder, and the recorder seals it with its next
checkpoint. A look at the same thing within ten minutes is the same look.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ledger.cbor import Value, decode, encode
from ledger.entry import NO_HASH, Signed, ms
from ledger.errors import FormatError, LedgerError
from ledger.keys import P256Signer
from ledger.reader import Last, Reader
from ledger.source import Source
from twin.state import write_whole

SAME_LOOK = timedelta(minutes=10)
WAITING_MOST = 10_000  # a month of looking at everything; more says that nobody seals


@dataclass(frozen=True, slots=True)
class Look:
    """What somebody looks at, and what for: kinds or words asked for, and the entries [first, end) that could be shown."""

    query: str
    purpose: str
    first: int
    end: int

    def facts(self) -> dict[str, Value]:
        return {"query": self.query, "purpose": self.purpose, "first": self.first, "end": self.end}


@dataclass(frozen=True, slots=True)
class Looker:
    """Who looks: a member by the name its entries carry, with its signing key."""

    member: str
    signer: P256Signer


def write_look(reader: Reader, looker: Looker, look: Look, now: datetime) -> Signed | None:
    """Put a signed look where the recorder finds it, durable before anything is shown; None for one that was signed minutes ago."""
    folder, asked = _inbox(reader.path.parent), f"{look.query}\n{look.purpose}"
    newest, recent = _kept(folder / f"{looker.member}.newest")
    if recent.get(asked, 0) > ms(now - SAME_LOOK):
        return None
    waiting = looks_waiting(reader.path.parent)
    if len(waiting) >= WAITING_MOST:
        raise LedgerError(f"{folder}: {len(waiting)} looks wait to be sealed; let the owner seal them first (wattproof seal)")
    group = reader.group(1)
    sealed = reader.last(looker.member) or Last(0, NO_HASH, 0)
    last = newest if newest.seq > sealed.seq else sealed
    source = Source(looker.signer, group.id, looker.member, last.seq, last.hash, simulated=group.founding.simulated)
    signed = source.entry("access.read", look.facts(), now, now)
    write_whole(folder / f"{looker.member}-{signed.entry.seq:09}.entry", signed.encode(), mode=0o600)
    still = {name: at for name, at in recent.items() if at > ms(now - SAME_LOOK)}
    standing = [signed.entry.seq, signed.entry.hash, signed.entry.wall_ms]
    write_whole(folder / f"{looker.member}.newest", encode({"standing": standing, "recent": {**still, asked: ms(now)}}), mode=0o600)
    return signed


def looks_waiting(folder: Path) -> list[tuple[Path, bytes]]:
    """The signed looks that no checkpoint holds yet, oldest first."""
    return [(path, path.read_bytes()) for path in sorted(_inbox(folder).glob("*.entry"))]


def clear_looks(looks: list[tuple[Path, bytes]]) -> None:
    """Take away the files of looks that are sealed, or whose refusal is."""
    for path, _ in looks:
        path.unlink(missing_ok=True)


def _inbox(folder: Path) -> Path:
    return folder / "looks"


def _kept(path: Path) -> tuple[Last, dict[str, int]]:
    """The member's newest look, sealed or not, and what it looked at within the last minutes."""
    if not path.exists():
        return Last(0, NO_HASH, 0), {}
    try:
        kept = decode(path.read_bytes())
        return Last(*kept["standing"]), dict(kept["recent"])
    except (FormatError, KeyError, TypeError):
        return Last(0, NO_HASH, 0), {}
