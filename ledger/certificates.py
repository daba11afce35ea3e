"""X.509 for devices: the group's own authority, and certificates that name a device by urn:wattproof:<site>:<device>.

A certificate says who a key belongs to. Whether it was revoked, the log says, by its index.
"""

from datetime import datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store
from cryptography.x509.verification import VerificationError as ChainError

from ledger.errors import FormatError, VerificationError
from ledger.keys import P256Signer, PublicKey, p256_public

CA_DAYS = 3650  # a building's group outlives several gateways
DEVICE_DAYS = 1095  # a gateway or meter is visited within three years
DEVICE_DAYS_MAX = 1100
CHAINS_KEPT = 1024  # a building has some tens of signing devices; one check costs as much as a signature
CLOCK_SLACK = timedelta(minutes=5)  # a device whose clock is a little behind must not find its certificate too young


def device_urn(source: str) -> str:
    """The name a certificate gives to the source `<site>:<device>`."""
    return f"urn:wattproof:{source}"


def make_authority(signer: P256Signer, name: str, at: datetime) -> bytes:
    """The group's certificate authority, as DER; the founding entry names it."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} devices")])
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    certificate = (
        _builder(subject, subject, signer.private.public_key(), at, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(signer.private.public_key()), critical=False)
        .sign(signer.private, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.DER)


def issue_certificate(
    authority: P256Signer, authority_der: bytes, public: PublicKey, source: str, at: datetime, days: int = DEVICE_DAYS
) -> bytes:
    """A device's certificate, as DER."""
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public.raw)
    issuer = x509.load_der_x509_certificate(authority_der).subject
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, source[:64])])
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    certificate = (
        _builder(subject, issuer, key, at, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(device_urn(source))]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.private.public_key()), critical=False)
        .sign(authority.private, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.DER)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, at: datetime, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - CLOCK_SLACK)
        .not_valid_after(at + timedelta(days=days))
    )


def certified_key(der: bytes, source: str) -> PublicKey:
    """The key a certificate gives to `source`; FormatError when it names another device or is of another shape."""
    certificate = _load(der)
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FormatError(f"{source}: the certificate's key cannot be read ({error})") from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise FormatError(f"{source}: the certificate holds a {type(key).__name__}, devices sign with P-256")
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        raise FormatError(f"{source}: the certificate lacks its name or its usage") from None
    if [getattr(name, "value", None) for name in names] != [device_urn(source)]:
        raise FormatError(f"{source}: the certificate is made out to {[str(getattr(n, 'value', n)) for n in names]}")
    if list(usage) != [ExtendedKeyUsageOID.CLIENT_AUTH]:
        raise FormatError(f"{source}: the certificate is for another usage than clientAuth")
    if certificate.not_valid_after_utc - certificate.not_valid_before_utc > timedelta(days=DEVICE_DAYS_MAX):
        raise FormatError(f"{source}: the certificate is valid for more than {DEVICE_DAYS_MAX} days")
    return p256_public(key)


def verify_certificate(der: bytes, authority_der: bytes, source: str, at: datetime) -> PublicKey:
    """The key of `source` at the time `at`; raises when the authority did not issue the certificate or it was not valid then."""
    key, begin, end = _chain(der, authority_der, source)
    if not begin <= at <= end:
        raise VerificationError(
            f"{source}: certificate not valid on {at:%Y-%m-%d %H:%M} UTC, but from {begin:%Y-%m-%d} to {end:%Y-%m-%d}", evidence=der
        )
    return key


@lru_cache(CHAINS_KEPT)
def _chain(der: bytes, authority_der: bytes, source: str) -> tuple[PublicKey, datetime, datetime]:
    """Key and validity of a certificate that `authority_der` issued. Of the whole check only the time changes from entry to entry."""
    try:
        key, device, authority = certified_key(der, source), _load(der), _load(authority_der)
        begin = max(device.not_valid_before_utc, authority.not_valid_before_utc)
        end = min(device.not_valid_after_utc, authority.not_valid_after_utc)
        PolicyBuilder().store(Store([authority])).time(begin).build_client_verifier().verify(device, [])
    except FormatError as error:
        raise VerificationError(str(error), evidence=der) from None
    except (ChainError, ValueError) as error:
        raise VerificationError(f"{source}: certificate not valid under this group's authority ({error})", evidence=der) from None
    return key, begin, end


def _load(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion) as error:
        raise FormatError(f"not a certificate ({error})") from None
