"""The site's own authority for encrypted field buses: certificates for BACnet Secure Connect and Modbus over TLS, in PEM files.

Not the group's authority: that one says who may sign entries. This one says who may join the site's own network.
"""

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ledger.errors import KeyFileError
from ledger.keys import P256Signer, read_signer, write_key
from twin.secure_connect import Member, node_uuid, node_vmac, read_members, write_members
from twin.site import require_name
from twin.state import write_whole

AUTHORITY_DAYS = 3650
NODE_DAYS = 365  # renewed every year, at the yearly inspection
OVERLAP = timedelta(days=30)  # how long the old certificate of a renewed node still counts: devices change over one by one
CLOCK_SLACK = timedelta(minutes=5)
MODBUS_ROLE = x509.ObjectIdentifier("1.3.6.1.4.1.50316.802.1")  # MODBUS/TCP Security v36, R-21 and R-22: a UTF8String
ROLE_MAX = 64  # letters: its length stands in one byte
_UTF8_STRING = 0x0C


class SiteAuthority:
    """The authority of one site, in its folder: `authority.pem`, its key, a certificate and key for each node, and the roll."""

    def __init__(self, folder: Path, site: str) -> None:
        self.folder, self.site = folder, site

    @property
    def certificate(self) -> Path:
        return self.folder / "authority.pem"

    def found(self, at: datetime) -> None:
        """Make the authority if there is none yet."""
        if self.certificate.exists():
            return
        signer = P256Signer.generate()
        write_key(self.folder / "authority.key", signer)
        name = _name(f"{self.site} field bus")
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        made = (
            _builder(name, name, signer, at, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(signer.private.public_key()), critical=False)
            .sign(signer.private, hashes.SHA256())
        )
        write_whole(self.certificate, made.public_bytes(Encoding.PEM))

    def issue(self, name: str, hosts: Sequence[str], at: datetime, days: int = NODE_DAYS, role: str = "") -> Member:
        """A node's first certificate, with a key of its own. `hosts` are the names and addresses it may be dialled under.

        `role` is what Modbus devices go by when they decide what the node may do; each maker has its own names.
        """
        try:
            require_name(name)
        except ValueError as error:
            raise KeyFileError(f"a node's {error}") from None
        if len(role.encode()) > ROLE_MAX:
            raise KeyFileError(f"a role must be at most {ROLE_MAX} letters, got {len(role)}")
        if (self.folder / f"{name}.pem").exists():
            raise KeyFileError(f"{name} has a certificate already; renew it, or revoke it first")
        self.found(at)
        write_key(self.folder / f"{name}.key", P256Signer.generate())
        return self._certify(name, hosts, at, days, role)

    def renew(self, name: str, at: datetime, days: int = NODE_DAYS) -> Member:
        """A new certificate for the same key and identity; the old one counts for a month more, so that nobody is cut off."""
        held = self._held(name)
        late = (at + OVERLAP).isoformat(timespec="seconds")
        member = self._certify(name, _hosts(held), at, days, _role(held))
        rows = [_shortened(m, late) if m.name == name and m != member and not m.revoked else m for m in read_members(self.folder)]
        write_members(self.folder, rows)
        return member

    def revoke(self, name: str, at: datetime) -> list[Member]:
        """Take a node's certificates back: the hub lets it in no more. Its files are put aside, so that the name is free again."""
        self._held(name)
        when = at.isoformat(timespec="seconds")
        rows = read_members(self.folder)
        gone = [m for m in rows if m.name == name and not m.revoked]
        write_members(self.folder, [_revoked(m, when) if m in gone else m for m in rows])
        for suffix in ("pem", "key"):
            path = self.folder / f"{name}.{suffix}"
            path.rename(path.with_name(f"{name}.revoked-{at:%Y%m%dT%H%M%S}.{suffix}"))
        return gone

    def _held(self, name: str) -> x509.Certificate:
        try:
            return x509.load_pem_x509_certificate((self.folder / f"{name}.pem").read_bytes())
        except FileNotFoundError:
            known = sorted({m.name for m in read_members(self.folder) if not m.revoked})
            raise KeyFileError(f"{name} has no certificate of this site; there are {', '.join(known) or 'none'}") from None
        except ValueError as error:
            raise KeyFileError(f"{self.folder / name}.pem: not a certificate ({error}); restore it from a backup") from None

    def _certify(self, name: str, hosts: Sequence[str], at: datetime, days: int, role: str) -> Member:
        authority = read_signer(self.folder / "authority.key")
        issuer = x509.load_pem_x509_certificate(self.certificate.read_bytes()).subject
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        roles = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]  # a node of Secure Connect may be both
        asked = (
            _builder(_name(f"{self.site} {name}"), issuer, read_signer(self.folder / f"{name}.key"), at, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage(roles), critical=False)
            .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts or [name]]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.private.public_key()), critical=False)
        )
        if role:
            asked = asked.add_extension(_role_extension(role), critical=False)
        made = asked.sign(authority.private, hashes.SHA256())
        identity = node_uuid(self.site, name)
        until = made.not_valid_after_utc.isoformat(timespec="seconds")
        member = Member(name, made.fingerprint(hashes.SHA256()).hex(), until, str(identity), node_vmac(identity))
        write_members(self.folder, [*read_members(self.folder), member])  # first the roll: a certificate outside it opens nothing
        write_whole(self.folder / f"{name}.pem", made.public_bytes(Encoding.PEM))
        return member


def role_of(certificate: bytes) -> str:
    """The Modbus role that a certificate (DER) states; empty where it states none. ValueError for what is no certificate."""
    return _role(x509.load_der_x509_certificate(certificate))


def _role(certificate: x509.Certificate) -> str:
    try:
        stated = certificate.extensions.get_extension_for_oid(MODBUS_ROLE).value
    except x509.ExtensionNotFound:
        return ""
    value = stated.value if isinstance(stated, x509.UnrecognizedExtension) else b""
    if value[:1] != bytes([_UTF8_STRING]) or len(value) < 2 or value[1] != len(value) - 2:
        return ""  # not as the specification writes it
    return value[2:].decode(errors="replace")


def _role_extension(role: str) -> x509.UnrecognizedExtension:
    text = role.encode()
    return x509.UnrecognizedExtension(MODBUS_ROLE, bytes([_UTF8_STRING, len(text)]) + text)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _builder(subject: x509.Name, issuer: x509.Name, signer: P256Signer, at: datetime, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(signer.private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - CLOCK_SLACK)
        .not_valid_after(at + timedelta(days=days))
    )


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _hosts(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


def _shortened(member: Member, until: str) -> Member:
    return Member(member.name, member.sha256, min(member.until, until), member.uuid, member.vmac, member.revoked)


def _revoked(member: Member, when: str) -> Member:
    return Member(member.name, member.sha256, member.until, member.uuid, member.vmac, when)
