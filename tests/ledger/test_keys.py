from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from ledger.certificates import certified_key, issue_certificate, make_authority, verify_certificate
from ledger.entry import NO_GROUP, NO_HASH, Body, Entry
from ledger.envelope import new_data_key, open_body, seal_body, unwrap_data_key, wrap_data_key
from ledger.errors import FormatError, KeyFileError, LedgerError, VerificationError
from ledger.keys import Ed25519Signer, EnvelopeKey, P256Signer, PublicKey, read_envelope_key, read_signer, write_key

NOW = datetime(2026, 6, 1, tzinfo=UTC)
AUTHORITY = P256Signer.generate()
AUTHORITY_DER = make_authority(AUTHORITY, "riverside", NOW)
METER = P256Signer.generate()
ENTRY = Entry(NO_GROUP, "reading.batch", "demo:meter", 7, NO_HASH, 0, 0, True, NO_HASH, (NO_HASH,), (b"\x00" * 64,))


@pytest.mark.parametrize("signer", [P256Signer.generate(), Ed25519Signer.generate()])
def test_a_signature_holds_for_its_message_and_key_alone(signer: P256Signer | Ed25519Signer) -> None:
    signature = signer.sign(b"a message")

    signer.public.verify(b"a message", signature)
    for message, altered in [
        (b"another", signature),
        (b"a message", signature[:-1]),
        (b"a message", signature[::-1]),
        (b"a message", b"\x00" * 64),
    ]:
        with pytest.raises(VerificationError):
            signer.public.verify(message, altered)


def test_signing_needs_no_luck_so_the_same_message_gives_the_same_signature() -> None:
    assert METER.sign(b"x") == METER.sign(b"x")


def test_a_public_key_has_one_written_form() -> None:
    text = METER.public.text

    assert PublicKey.from_text(text) == METER.public
    for wrong in [text.upper(), text[:-2], "p384:" + text[5:], text + " ", "ed25519:" + text[5:]]:
        with pytest.raises(FormatError):
            PublicKey.from_text(wrong)


def test_a_point_off_the_curve_verifies_nothing() -> None:
    with pytest.raises(VerificationError):
        PublicKey("p256", b"\x02" + b"\xff" * 32).verify(b"x", METER.sign(b"x"))


def test_a_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "owner.key"
    write_key(path, METER)

    assert path.stat().st_mode & 0o777 == 0o600
    assert read_signer(path).public == METER.public
    with pytest.raises(KeyFileError, match="already"):
        write_key(path, P256Signer.generate())
    with pytest.raises(KeyFileError, match="X25519"):
        read_envelope_key(path)
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="others may read"):
        read_signer(path)


def test_a_key_file_that_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be read"):
        read_signer(tmp_path / "absent.key")
    path = tmp_path / "text.key"
    path.write_text("hello")
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="PEM"):
        read_signer(path)


def test_a_certificate_names_its_device_for_its_time() -> None:
    der = issue_certificate(AUTHORITY, AUTHORITY_DER, METER.public, "demo:meter", NOW, days=30)

    assert verify_certificate(der, AUTHORITY_DER, "demo:meter", NOW + timedelta(days=29)) == METER.public
    with pytest.raises(VerificationError, match="not valid on 2026-07-02"):
        verify_certificate(der, AUTHORITY_DER, "demo:meter", NOW + timedelta(days=31))
    with pytest.raises(VerificationError, match="not valid on 2026-05-31"):
        verify_certificate(der, AUTHORITY_DER, "demo:meter", NOW - timedelta(days=1))
    with pytest.raises(VerificationError, match="made out to"):
        verify_certificate(der, AUTHORITY_DER, "demo:other", NOW)


def test_a_certificate_of_another_authority_is_worth_nothing() -> None:
    other = P256Signer.generate()
    same_name = make_authority(other, "riverside", NOW)
    der = issue_certificate(other, same_name, METER.public, "demo:meter", NOW)

    with pytest.raises(VerificationError, match="not valid"):
        verify_certificate(der, AUTHORITY_DER, "demo:meter", NOW)


def _odd_certificate(**odd: object) -> bytes:
    key = odd.get("key", METER.private.public_key())
    names = odd.get("names", [x509.UniformResourceIdentifier("urn:wattproof:demo:meter")])
    usage = odd.get("usage", [x509.ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.load_der_x509_certificate(AUTHORITY_DER).subject)
        .public_key(key)
        .serial_number(5)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=odd.get("days", 10)))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(AUTHORITY.private.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    return builder.sign(AUTHORITY.private, hashes.SHA256()).public_bytes(Encoding.DER)


ODD = {
    "an Ed25519 key": {"key": ed25519.Ed25519PrivateKey.generate().public_key()},
    "another curve": {"key": ec.generate_private_key(ec.SECP384R1()).public_key()},
    "a second name": {"names": [x509.UniformResourceIdentifier("urn:wattproof:demo:meter"), x509.DNSName("x.example")]},
    "no name of ours": {"names": [x509.DNSName("demo.example")]},
    "another usage": {"usage": [x509.ExtendedKeyUsageOID.SERVER_AUTH]},
    "no usage": {"usage": []},
    "ten years": {"days": 3650},
}


@pytest.mark.parametrize("what", ODD)
def test_a_certificate_of_another_shape_is_refused_though_the_authority_signed_it(what: str) -> None:
    assert verify_certificate(_odd_certificate(), AUTHORITY_DER, "demo:meter", NOW) == METER.public

    with pytest.raises(FormatError):
        certified_key(_odd_certificate(**ODD[what]), "demo:meter")


def test_a_data_key_opens_for_the_member_and_group_it_was_wrapped_for() -> None:
    member, other, log = EnvelopeKey.generate(), EnvelopeKey.generate(), Ed25519Signer.generate().public
    data_key = new_data_key()
    wrapped = wrap_data_key(data_key, member.public, log, 1)

    assert unwrap_data_key(wrapped, member, log, 1) == data_key
    for key, group_log, epoch in [(other, log, 1), (member, Ed25519Signer.generate().public, 1), (member, log, 2)]:
        with pytest.raises(LedgerError, match="another member or another group"):
            unwrap_data_key(wrapped, key, group_log, epoch)


def test_a_body_opens_in_its_own_place_only() -> None:
    data_key = new_data_key()
    body = Body.of({"power_w": 1500}, b"\x01" * 16).encode()
    box = seal_body(data_key, ENTRY, body, 1)

    assert open_body(data_key, ENTRY, box, 1) == body
    elsewhere = Entry(NO_GROUP, "reading.batch", "demo:meter", 8, NO_HASH, 0, 0, True, NO_HASH, (NO_HASH,), (b"\x00" * 64,))
    for key, entry, altered, epoch in [
        (new_data_key(), ENTRY, box, 1),
        (data_key, elsewhere, box, 1),
        (data_key, ENTRY, box, 2),
        (data_key, ENTRY, box[:-1] + bytes([box[-1] ^ 1]), 1),
        (data_key, ENTRY, b"", 1),
    ]:
        with pytest.raises(LedgerError, match="does not open"):
            open_body(key, entry, altered, epoch)


def test_sizes_of_sealed_bodies_tell_nothing_about_a_kilobyte() -> None:
    data_key = new_data_key()

    sizes = {len(seal_body(data_key, ENTRY, b"x" * n, 1)) for n in (1, 500, 1000)}

    assert sizes == {1024 + 28}
