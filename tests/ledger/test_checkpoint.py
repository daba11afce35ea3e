import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from ledger.checkpoint import (
    Checkpoint,
    NoteSignature,
    cosign,
    note_key_id,
    parse_note,
    parse_size,
    sign_checkpoint,
    verify_checkpoint,
    verify_cosignature,
)
from ledger.errors import FormatError, VerificationError
from ledger.keys import Ed25519Signer, PublicKey

# The example of C2SP tlog-checkpoint and tlog-witness.
TEXT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
LINE = "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
EXAMPLE = (TEXT + "\n" + LINE).encode()
LOG = Ed25519Signer(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
WITNESS = Ed25519Signer(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x02" * 32))
NOTE = sign_checkpoint(Checkpoint("wattproof/a", 5, b"\x07" * 32), LOG)


def test_the_example_of_the_specification_writes_back_to_itself() -> None:
    note = parse_note(EXAMPLE)

    assert note.signed.encode() == EXAMPLE
    assert note.checkpoint.size == 20852163
    assert note.checkpoint.text == TEXT
    assert len(note.signatures[0].payload) == 64


def test_key_ids_are_those_of_the_specification() -> None:
    # C2SP signed-note, section "Verifier keys".
    key = PublicKey("ed25519", bytes.fromhex("e932791ae6e7a840a46164c904786426d5e7821dd8b29a00d61cae72afdd4da4"))

    assert note_key_id("example.com/foo", key).hex() == "530d903a"


MUTATIONS = {
    "a byte too many": lambda data: data + b"\n",
    "no final newline": lambda data: data[:-1],
    "carriage returns": lambda data: data.replace(b"\n", b"\r\n"),
    "a hyphen for the dash": lambda data: data.replace("\u2014".encode(), b"-"),
    "two spaces": lambda data: data.replace(b" Az3", b"  Az3"),
    "another spelling of the root": lambda data: data.replace(b"q2I=", b"q2J="),
    "another spelling of the signature": lambda data: data.replace(b"YQ8=", b"YQ9="),
    "no padding": lambda data: data.replace(b"YQ8=", b"YQ8"),
    "a size with a leading zero": lambda data: data.replace(b"\n20852163", b"\n020852163"),
    "a size with a plus": lambda data: data.replace(b"\n20852163", b"\n+20852163"),
    "a size in other digits": lambda data: data.replace(b"20852163", "\uff12".encode()),
    "an extension line": lambda data: data.replace(b"q2I=\n", b"q2I=\nextra\n"),
    "a root of 31 bytes": lambda data: data.replace(
        b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=", b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxqw=="
    ),
    "bytes that are no UTF-8": lambda data: b"\xff" + data,
    "a control character": lambda data: data.replace(b"sofa\n2", b"sofa\x00\n2"),
    "no signature": lambda data: TEXT.encode() + b"\n",
    "no blank line": lambda data: TEXT.encode() + LINE.encode(),
    "a vertical line break in a name": lambda data: data.replace(b"the-sofa Az3", "the\u2028sofa Az3".encode()),
}


@pytest.mark.parametrize("what", MUTATIONS)
def test_a_note_has_one_spelling_only(what: str) -> None:
    altered = MUTATIONS[what](EXAMPLE)
    assert altered != EXAMPLE

    with pytest.raises(FormatError):
        assert parse_note(altered).checkpoint


@pytest.mark.parametrize("text", ["", "-1", "00", "1 ", "9" * 20, "\u0664"])
def test_a_size_is_a_plain_decimal(text: str) -> None:
    with pytest.raises(FormatError):
        parse_size(text)


def test_a_checkpoint_counts_only_under_the_log_s_key_and_name() -> None:
    assert verify_checkpoint(NOTE, "wattproof/a", LOG.public).size == 5
    with pytest.raises(VerificationError, match="did not sign"):
        verify_checkpoint(NOTE, "wattproof/a", WITNESS.public)
    with pytest.raises(VerificationError, match="expected a checkpoint of wattproof/b"):
        verify_checkpoint(NOTE, "wattproof/b", LOG.public)


def test_a_cosignature_vouches_for_text_time_and_name() -> None:
    line = cosign(NOTE, "gov/witness/a", WITNESS, 1_780_000_000)
    again = NoteSignature.parse(line.line)

    assert verify_cosignature(NOTE.text, again, "gov/witness/a", WITNESS.public) == 1_780_000_000
    later = NoteSignature(line.name, line.key_id, (1_780_000_001).to_bytes(8, "big") + line.payload[8:])
    for text, signature, name in [
        (NOTE.text, later, line.name),
        (NOTE.text.replace("5", "6"), line, line.name),
        (NOTE.text, line, "gov/witness/b"),
        (NOTE.text, NoteSignature(line.name, b"\x00" * 4, line.payload), line.name),
    ]:
        with pytest.raises(VerificationError):
            verify_cosignature(text, signature, name, WITNESS.public)


def test_a_log_s_signature_does_not_pass_as_a_cosignature() -> None:
    with pytest.raises(VerificationError):
        verify_cosignature(NOTE.text, NOTE.signatures[0], "wattproof/a", LOG.public)
