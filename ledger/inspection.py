"""A bundle under inspection: what the steps of a verification know and share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ledger.bundle import Bundle, Piece
from ledger.checkpoint import Checkpoint
from ledger.entry import Body, Entry
from ledger.errors import FormatError, VerificationError
from ledger.group import Group
from ledger.keys import EnvelopeKey, PublicKey
from ledger.labour import Commitment, Labour
from ledger.replay import Rules, View
from ledger.report import Finding
from ledger.trust import Trust

CLOCK_SLACK_S = 300  # clocks of gateway, log and witness may differ by five minutes


@dataclass(frozen=True, slots=True)
class Inspector:
    """What the inspector brings: trust, the checkpoint seen last, the time, rules to redo, and perhaps a member's key."""

    trust: Trust | None = None
    seen: bytes | None = None
    now: datetime | None = None
    rules: Rules = field(default_factory=Rules)
    member: tuple[str, EnvelopeKey] | None = None


class NotApplicableError(Exception):
    """A step that this bundle gives no occasion for; the message says why."""


@dataclass(slots=True)
class Leaf:
    """One entry under inspection. Bodies of members are read when they are needed: a year of them would fill the memory."""

    number: int
    data: bytes
    entry: Entry
    piece: Piece
    hash: bytes
    root: bytes  # of its body; empty while the body lies sealed
    fields: int = 0
    plain: bytes = b""  # the body's bytes once they are open
    kept: Body | None = None  # registry entries and state leaves are looked at in every step
    signers: list[PublicKey] | str = ""  # keys that must have signed, or why there are none
    certificate: bytes = b""
    epoch: int = 0  # of the data key that its body had to lie under, if it lay sealed

    @property
    def is_open(self) -> bool:
        return bool(self.root)

    @property
    def body(self) -> Body:
        """The body; only where `is_open`."""
        return self.kept or Body.decode(self.plain)

    def open(self, plain: bytes, known: Commitment = None) -> None:
        """Take in the body's bytes and, where a worker found it out already, what they commit to; FormatError when they are no body."""
        self.plain = plain
        if self.entry.rule.open:
            self.kept = Body.decode(plain)
            self.root, self.fields = self.kept.root, len(self.kept.fields)
        else:
            self.root, self.fields = known or Body.commitment(plain)


class Inspection:
    """One bundle with what the steps so far found out about it."""

    bundle: Bundle
    leaves: list[Leaf]
    group: Group
    checkpoint: Checkpoint
    keyed: Group  # the group as far as log and witness keys follow from it, every signature checked

    def __init__(self, data: bytes, inspector: Inspector, labour: Labour | None = None) -> None:
        self.data = data
        self.by = inspector
        self.labour = labour or Labour()
        self.findings: list[Finding] = []

    @property
    def whole(self) -> bool:
        """Whether every entry of the log is in the bundle."""
        return not self.bundle.proofs

    @property
    def size(self) -> int:
        return self.checkpoint.size


class OpenedLater(View):
    """A view whose body is read whenever somebody looks at it."""

    __slots__ = ("_open",)
    _open: Callable[[], Body]

    def __init__(self, leaf: Leaf) -> None:
        for name, value in (("number", leaf.number), ("entry", leaf.entry), ("_open", lambda: leaf.body)):
            object.__setattr__(self, name, value)

    @property
    def body(self) -> Body:
        return self._open()


def views_of(this: Inspection, what: str) -> list[View]:
    """Every entry as contracts and claims see it."""
    gone = [leaf for leaf in this.leaves if not leaf.is_open and this.group.destroyed(leaf.epoch)]
    if gone:
        order = this.group.destroyed(gone[0].epoch)
        raise NotApplicableError(f"{what} need the bodies of {len(gone)} entries whose data key was destroyed by entry {order}")
    closed = [leaf.number for leaf in this.leaves if not leaf.is_open]
    if closed:
        raise NotApplicableError(f"{what} need open bodies, {len(closed)} are sealed for members; give a member's key")
    return [OpenedLater(leaf) for leaf in this.leaves]


def facts_of(leaf: Leaf) -> dict[str, Any]:
    """The fields of a body that must lie open."""
    if not leaf.is_open:
        raise fault(leaf, "has no open body")
    try:
        return leaf.body.by_name()
    except FormatError as error:
        raise fault(leaf, str(error)) from None


def fault(leaf: Leaf, what: str) -> VerificationError:
    """What is wrong with an entry, with its bytes as evidence."""
    return VerificationError(
        f"entry {leaf.number} ({leaf.entry.kind} of {leaf.entry.source}) {what}", entry=leaf.number, evidence=leaf.data
    )
