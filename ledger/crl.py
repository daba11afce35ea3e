"""The group's revocations as an X.509 list (RFC 5280), for tools that know no log; the log's index stays what rules."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from ledger.entry import Body, from_ms
from ledger.founding import ACTIVE, SUSPENDED
from ledger.keys import P256Signer
from ledger.reader import Reader
from ledger.registry import REGISTRY_KINDS

NEXT_UPDATE = timedelta(days=7)  # a tool that trusts a list older than a week should ask again


@dataclass(frozen=True, slots=True)
class Ended:
    """A certificate that counts no more (or not for now): whose, since which entry and time, and why."""

    source: str
    certificate: bytes
    entry: int
    at: datetime
    reason: x509.ReasonFlags

    @property
    def serial(self) -> int:
        return x509.load_der_x509_certificate(self.certificate).serial_number


def ended_certificates(reader: Reader) -> list[Ended]:
    """Every certificate that was revoked, replaced, rotated out or is suspended, oldest first."""
    return sorted(_ended(reader), key=lambda ended: (ended.entry, ended.source))


def revocation_list(reader: Reader, authority: P256Signer, now: datetime) -> bytes:
    """The list in DER, signed by the group's authority; its number is the log's size."""
    subject = x509.load_der_x509_certificate(reader.group(1).founding.authority).subject
    builder = x509.CertificateRevocationListBuilder().issuer_name(subject).last_update(now).next_update(now + NEXT_UPDATE)
    for ended in ended_certificates(reader):
        revoked = x509.RevokedCertificateBuilder().serial_number(ended.serial).revocation_date(ended.at)
        builder = builder.add_revoked_certificate(revoked.add_extension(x509.CRLReason(ended.reason), critical=False).build())
    builder = builder.add_extension(x509.CRLNumber(reader.size()), critical=False)
    key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.private.public_key())
    return builder.add_extension(key_id, critical=False).sign(authority.private, hashes.SHA256()).public_bytes(Encoding.DER)


def _ended(reader: Reader) -> Iterator[Ended]:
    group = reader.group(1)
    rows = [row for row in reader.stored(1, reader.size(), REGISTRY_KINDS) if row.entry.kind.startswith("device.")]
    since: dict[str, tuple[int, datetime]] = {}
    for row in rows:
        body = Body.decode(row.box)
        source, at = str(body.by_name().get("device")), from_ms(row.entry.wall_ms)
        before = group.devices.get(source)
        group.apply(row.number, row.entry, body)
        after = group.devices[source]
        if before is not None and before.certificate and before.certificate != after.certificate:
            number, then = (row.number, at) if before.status == ACTIVE else since[source]
            yield Ended(source, before.certificate, number, then, x509.ReasonFlags.superseded)
        since[source] = (row.number, at)
    for device in group.devices.values():
        if device.certificate and device.status != ACTIVE:
            number, at = since[device.source]
            hold = device.status == SUSPENDED
            reason = x509.ReasonFlags.certificate_hold if hold else x509.ReasonFlags.privilege_withdrawn
            yield Ended(device.source, device.certificate, number, at, reason)
