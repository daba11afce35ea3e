"""What a group is at one index of its log: tables that only registry entries change."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ledger.cbor import Value
from ledger.errors import RefusedError
from ledger.founding import Founding, Member, WitnessKey
from ledger.keys import PublicKey

EPOCH_FIRST = 1  # of the data key that the founding wraps


@dataclass(frozen=True, slots=True)
class Device:
    """A gateway, meter or bus device. Only one with a certificate signs; the others are vouched for by a gateway."""

    source: str
    kind: str
    key: PublicKey | None
    certificate: bytes
    fingerprint: Mapping[str, Value]
    vouched_by: str
    brick: str
    address: str
    status: str
    since: int

    def value(self) -> Value:
        return [self.source, self.kind, self.certificate, dict(self.fingerprint), self.vouched_by, self.status, self.since]


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant of authority: a person (who signs with `key`) or a rule may move these points within limits, for a while."""

    id: str
    who: str
    key: PublicKey | None
    facts: Mapping[str, Value]
    since: int

    def value(self) -> Value:
        return [dict(self.facts), self.since]


@dataclass(frozen=True, slots=True)
class Epoch:
    """A data key's time: bodies of entries after `since` lie under it. `destroyed` is the entry that ended it, 0 while it lives."""

    number: int
    key_hash: bytes
    since: int
    destroyed: int = 0

    def value(self) -> Value:
        return [self.number, self.key_hash, self.since, self.destroyed]


@dataclass(frozen=True, slots=True)
class Recovery:
    """Keys kept outside both houses; `needed` of them stand in for a member that lost its own."""

    keys: tuple[tuple[str, PublicKey], ...]
    needed: int

    def value(self) -> Value:
        return [[[name, key.value()] for name, key in self.keys], self.needed]


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Who cosigns from an entry on, the government's witness first, and how many must."""

    keys: tuple[WitnessKey, ...]
    needed: int
    since: int = 0


@dataclass
class Tables:
    """Members, devices, contracts, grants and keys as the registry entries so far left them."""

    id: bytes
    founding: Founding
    members: dict[str, Member]
    devices: dict[str, Device] = field(default_factory=dict)
    policies: dict[str, Mapping[str, Value]] = field(default_factory=dict)
    grants: dict[str, Granted] = field(default_factory=dict)
    epochs: dict[int, Epoch] = field(default_factory=dict)  # from the second on; the first is the founding's
    logs: tuple[tuple[int, PublicKey], ...] = ()  # (entry, key) of each log key after the founding's
    rotated: tuple[Witnesses, ...] = ()  # each witness policy after the founding's
    recovery: Recovery | None = None

    def device(self, source: str) -> Device:
        """An enrolled device, whatever its status."""
        if source not in self.devices:
            raise RefusedError(f"unknown: {source} was never enrolled")
        return self.devices[source]

    @property
    def epoch(self) -> int:
        """The epoch under whose data key bodies lie now."""
        return max(self.epochs, default=EPOCH_FIRST)

    def destroyed(self, epoch: int) -> int:
        """The entry by which the key of this epoch was destroyed; 0 while it lives."""
        return self.epochs[epoch].destroyed if epoch in self.epochs else 0

    @property
    def log(self) -> PublicKey:
        """The key that the log signs with now."""
        return self.logs[-1][1] if self.logs else self.founding.log

    def log_at(self, size: int) -> PublicKey:
        """The key that signs the checkpoint of this size."""
        return next((key for since, key in reversed(self.logs) if since < size), self.founding.log)

    @property
    def witnesses(self) -> Witnesses:
        """Who cosigns now."""
        return self.witnesses_at(1 << 62)

    def witnesses_at(self, size: int) -> Witnesses:
        """Who cosigns the checkpoint of this size."""
        first = Witnesses(self.founding.witnesses, self.founding.witnesses_needed)
        return next((witnesses for witnesses in reversed(self.rotated) if witnesses.since < size), first)

    def later(self) -> dict[str, Value]:
        """What version 2 of the format added, as far as this group uses it; empty for a group that never did."""
        named: dict[str, Value] = {
            "grants": [self.grants[name].value() for name in sorted(self.grants)],
            "epochs": [self.epochs[number].value() for number in sorted(self.epochs)],
            "logs": [[since, key.value()] for since, key in self.logs],
            "witnesses": [[w.since, [[k.name, k.key.value()] for k in w.keys], w.needed] for w in self.rotated],
            "recovery": self.recovery.value() if self.recovery else [],
        }
        return {name: value for name, value in named.items() if value}
