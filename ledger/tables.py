"""What a group is at one index of its log: tables that only registry entries change."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ledger.cbor import Value
from ledger.errors import RefusedError
from ledger.founding import Founding, Member
from ledger.keys import PublicKey


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


@dataclass
class Tables:
    """Members, devices and contracts as the registry entries so far left them."""

    id: bytes
    founding: Founding
    members: dict[str, Member]
    devices: dict[str, Device] = field(default_factory=dict)
    policies: dict[str, Mapping[str, Value]] = field(default_factory=dict)

    def device(self, source: str) -> Device:
        """An enrolled device, whatever its status."""
        if source not in self.devices:
            raise RefusedError(f"unknown: {source} was never enrolled")
        return self.devices[source]
