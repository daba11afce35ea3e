"""Who is who on BACnet Secure Connect: durable identities made from names, and the roll of certificates that a site has issued."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from twin.errors import StateError
from twin.state import StateFolder, read_json, write_json

_NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "urn:wattproof:secure-connect")
GATEWAY, HUB = "gateway", "hub"
TLS = "tls"  # the folder of certificates in a site's state


@dataclass(frozen=True, slots=True)
class Member:
    """A node that the site's authority has let in: its certificate's digest, its identity on the hub, and until when."""

    name: str
    sha256: str
    until: str
    uuid: str
    vmac: str
    revoked: str = ""  # when; empty while it is in force

    def __post_init__(self) -> None:
        vmac_bytes(self.vmac)
        uuid.UUID(self.uuid)
        datetime.fromisoformat(self.until)
        if len(bytes.fromhex(self.sha256)) != 32:
            raise ValueError(f"{self.name}: a certificate's digest has 32 bytes")


def node_uuid(site: str, name: str) -> uuid.UUID:
    """A device UUID must be the same for a device's whole life (ASHRAE 135, AB.1.5.3): made from names, it cannot be lost."""
    return uuid.uuid5(_NAMES, f"{site}/{name}")


def node_vmac(identity: uuid.UUID) -> str:
    """A VMAC of an identity: six bytes, locally administered, so that no maker's address is taken."""
    raw = bytes([identity.bytes[0] & 0xFC | 0x02, *identity.bytes[1:6]])
    return raw.hex(":")


def vmac_bytes(text: str) -> bytes:
    """Six bytes of `02:00:00:00:00:10`; ValueError for anything else, all zeros and the broadcast."""
    try:
        raw = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        raw = b""
    if len(raw) != 6 or text.count(":") != 5 or raw in (bytes(6), b"\xff" * 6):
        raise ValueError(f"vmac must be six bytes such as 02:00:00:00:00:10, got {text!r}")
    return raw


def tls_folder(state: StateFolder, site: str) -> Path:
    """Where a site's authority keeps its certificates and the roll of them."""
    return state.site(site) / TLS


def read_members(folder: Path) -> list[Member]:
    """The roll, in the order of issue; StateError when it is damaged. No roll is an empty one."""
    path = folder / "members.json"
    if not path.exists():
        return []
    try:
        return [Member(**row) for row in read_json(path)]
    except (TypeError, ValueError) as error:
        raise StateError(f"{path}: not a roll of certificates ({error}); restore it from a backup") from None


def write_members(folder: Path, members: list[Member]) -> None:
    """Keep the roll, whole or not at all."""
    write_json(folder / "members.json", [asdict(member) for member in members])


def in_force(members: list[Member], now: datetime) -> Mapping[str, list[Member]]:
    """By name, the certificates that count now: neither revoked nor over."""
    valid: dict[str, list[Member]] = {}
    for member in members:
        if not member.revoked and now < datetime.fromisoformat(member.until):
            valid.setdefault(member.name, []).append(member)
    return valid
