import http.client
import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.checkpoint import Checkpoint, NoteSignature, parse_note, sign_checkpoint, verify_checkpoint, verify_cosignature
from ledger.custody import found_group, open_log
from ledger.errors import ForkError, LedgerError, VerificationError, WitnessAwayError
from ledger.keys import Ed25519Signer, read_note_signer
from ledger.witness import Witness, WitnessServer
from ledger.witness_client import WitnessClient, cosign_newest


def _ask(house, old: int, note, proof=()) -> tuple[int, str]:
    return house.client.add_checkpoint(old, proof, note)


def test_a_checkpoint_is_cosigned_and_the_cosignature_kept(house) -> None:
    house.seal(house.batch(house.gateway()))

    assert house.cosign() == house.log.size()
    note, (witness,) = house.log.final(), house.group.founding.witnesses
    assert note == house.log.newest()
    verify_cosignature(note.text, note.signatures[1], witness.name, witness.key)
    assert house.server.witness.last_note("riverside").text == note.text


def test_asking_again_changes_nothing(house) -> None:
    house.live(1)
    before = house.log.final()

    assert house.cosign() == house.log.size()
    status, _ = _ask(house, house.log.size(), house.log.note_at(house.log.size()))

    assert status == 200
    assert house.log.final() == before


def test_each_refusal_has_its_status(house) -> None:
    house.live(1)
    size, newest = house.log.size(), house.log.newest()
    house.wait(60)
    house.seal(house.batch(house.gateway()))
    later, proof = house.log.newest(), house.log.consistency(size, house.log.size())
    stranger = Ed25519Signer.generate()
    unknown = sign_checkpoint(Checkpoint("wattproof/unknown", 1, b"\x00" * 32), stranger)
    forged = sign_checkpoint(later.checkpoint, stranger)
    answers = [
        ("no proof", _ask(house, size, later, [])),
        ("a wrong proof", _ask(house, size, later, [b"\x01" * 32] * len(proof))),
        ("an old size it has left behind", _ask(house, 0, newest)),
        ("a size ahead of the checkpoint", _ask(house, size + 100, later)),
        ("an unknown log", _ask(house, 0, unknown)),
        ("a stranger's signature", _ask(house, size, forged, proof)),
        ("64 proof lines", _ask(house, size, later, [b"\x00" * 32] * 64)),
        ("all as it should be", _ask(house, size, later, proof)),
    ]

    assert [(what, status) for what, (status, _) in answers] == [
        ("no proof", 422),
        ("a wrong proof", 422),
        ("an old size it has left behind", 409),
        ("a size ahead of the checkpoint", 400),
        ("an unknown log", 404),
        ("a stranger's signature", 403),
        ("64 proof lines", 400),
        ("all as it should be", 200),
    ]
    assert answers[2][1][1] == f"{size}\n"


@pytest.mark.parametrize(
    "request_", [b"", b"old 1", b"old 01\n\nx\n", b"new 1\n\nx", b"old 1\nAAAA\n\nx\n\n\xe2\x80\x94 a b\n", b"\xff" * 100]
)
def test_noise_is_answered_with_400(house, request_: bytes) -> None:
    assert house.client._post("/add-checkpoint", request_)[0] == 400


def test_requests_that_are_too_long_or_of_unknown_length_are_not_read(house) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", house.server.server_address[1], timeout=5)
    connection.putrequest("POST", "/add-checkpoint")
    connection.putheader("Content-Length", str(10**9))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    assert house.client._post("/elsewhere", b"{}")[0] == 404


def test_a_fork_is_refused_and_both_notes_are_kept(house) -> None:
    """The owner puts a backup back and seals another hour into it."""
    house.live(1)
    backup = house.folder.parent / "backup"
    shutil.copytree(house.folder, backup)
    house.live(1)
    fork = open_log(backup)
    source = fork.source(house.gateway().signer, "demo:gateway")
    while fork.size() < house.log.size():
        fork.seal([house.batch(source, 999)], house.now)
    told, offered = house.log.newest(), fork.newest()
    assert told.checkpoint.size <= offered.checkpoint.size

    status, _ = _ask(house, told.checkpoint.size, offered, fork.consistency(told.checkpoint.size, offered.checkpoint.size))
    with pytest.raises(ForkError):
        cosign_newest(fork, house.client)
    fork.close()

    assert status == (409 if told.checkpoint.size == offered.checkpoint.size else 422)
    kept, other = (parse_note(note.encode()) for note in house.server.witness.conflicts("riverside")[0])
    log = house.group.founding.log
    one, two = (verify_checkpoint(note, house.group.origin, log) for note in (kept, other))
    assert (one.size, one.root) != (two.size, two.root)
    assert kept.text == told.text


def test_two_roots_of_one_size_are_a_conflict_with_both_notes(house) -> None:
    house.live(1)
    newest = house.log.newest()
    log = read_note_signer(house.folder / "keys" / "log.key")
    other = sign_checkpoint(replace(newest.checkpoint, root=b"\x07" * 32), log)

    answers = [_ask(house, old, other) for old in (newest.checkpoint.size, newest.checkpoint.size, 0)]

    assert answers == [(409, f"{newest.checkpoint.size}\n")] * 3
    ((kept, offered),) = house.server.witness.conflicts("riverside")
    assert parse_note(kept.encode()).text == newest.text
    assert offered == other.signed


def test_a_log_restored_from_an_old_backup_is_told_how_far_to_go(house) -> None:
    house.live(1)
    backup = house.folder.parent / "backup"
    shutil.copytree(house.folder, backup)
    house.live(2)
    restored = open_log(backup)
    restored.seal([], house.now)

    with pytest.raises(ForkError, match=f"restore the log to size {house.log.size()}"):
        cosign_newest(restored, house.client)
    restored.close()


def test_a_witness_that_is_away_stops_nothing(house, street) -> None:
    away = WitnessClient("http://127.0.0.1:9", timeout_s=1)
    for _ in range(3):
        house.seal(house.batch(house.gateway()))
        with pytest.raises(WitnessAwayError, match="sealing goes on"):
            cosign_newest(house.log, away)

    assert house.log.final() is None
    assert house.cosign() == house.log.size(), "when it is back, one cosignature covers all"


def test_the_newest_checkpoint_wins_a_race(house) -> None:
    """Two requests at once from the same old size: one is cosigned, the other learns the new size, nothing rolls back."""
    house.live(1)
    size = house.log.size()
    notes = []
    for _ in range(2):
        house.wait(60)
        house.seal(house.batch(house.gateway()))
        notes.append(house.log.newest())
    answers: list[int] = []

    def ask(note) -> None:
        answers.append(_ask(house, size, note, house.log.consistency(size, note.checkpoint.size))[0])

    threads = [threading.Thread(target=ask, args=(note,)) for note in notes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [200, 409]
    assert house.cosign() == house.log.size()


def test_a_witness_remembers_over_a_restart(house, street) -> None:
    house.live(1)
    size = house.log.size()
    second = Witness(street.root / "witness")

    assert second.last_note("riverside").checkpoint.size == size
    assert second.groups() == ["riverside"]
    second.close()


def test_a_witness_that_lost_its_database_does_not_start(house, street, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(street.root / "witness", copy)
    for file in copy.glob("witness.db*"):
        file.unlink()

    with pytest.raises(LedgerError, match="restore it"):
        Witness(copy)


def test_the_government_keeps_its_private_keys_to_itself(house, street) -> None:
    names = sorted(path.name for path in (street.root / "witness" / "keys").iterdir())
    assert names == ["riverside.envelope.key", "riverside.sign.key", "riverside.witness.key"]
    for path in (street.root / "witness" / "keys").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert not any(path.read_bytes() in other.read_bytes() for other in house.folder.rglob("*") if other.is_file())


def test_a_group_s_name_belongs_to_the_owner_who_asked_first(house) -> None:
    with pytest.raises(LedgerError, match="another owner"):
        house.client.ask_to_join("riverside", "Mallory")
    for name in ("", "../x", "A", "a" * 64, "a b"):
        with pytest.raises(LedgerError, match="lower-case"):
            house.client.ask_to_join(name, "Ann")


def test_a_second_founding_of_the_same_name_is_refused(house, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="founded already"):
        found_group(tmp_path / "again", "riverside", "Ann", house.client)


class MeddlingClient(WitnessClient):
    """An owner's software that changes the founding before the government sees it."""

    def __init__(self, url: str, change) -> None:
        super().__init__(url)
        self.change = change

    def ask_to_join(self, name: str, owner: str):
        return self.change(super().ask_to_join(name, owner))


MEDDLING = {
    "another government key": lambda keys: replace(keys, key=replace(keys.key, raw=b"\x02" + keys.key.raw[1:][::-1])),
    "another envelope key": lambda keys: replace(keys, envelope=replace(keys.envelope, raw=b"\x09" * 32)),
    "another witness": lambda keys: replace(keys, witness=replace(keys.witness, key=Ed25519Signer.generate().public)),
    "another witness's name": lambda keys: replace(keys, witness=replace(keys.witness, name="me/witness/x")),
    "another government": lambda keys: replace(keys, government="Utopia"),
}


@pytest.mark.parametrize("what", MEDDLING)
def test_the_government_signs_only_a_founding_with_its_own_keys(street, what: str) -> None:
    client = MeddlingClient(street.server.url, MEDDLING[what])

    with pytest.raises(LedgerError, match="does not name"):
        found_group(street.root / "groups" / "x", "hillside", "Bob", client)

    assert street.server.witness.groups() == []
    assert found_group(street.root / "groups" / "y", "hillside", "Bob", WitnessClient(street.server.url)).founding.name == "hillside"


def test_a_founding_the_owner_did_not_sign_is_refused(street) -> None:
    class Forger(WitnessClient):
        def join(self, draft, owner_signature):
            return super().join(draft, owner_signature[::-1])

    with pytest.raises(LedgerError, match="the signature is not"):
        found_group(street.root / "groups" / "x", "hillside", "Bob", Forger(street.server.url))


@pytest.mark.parametrize("path", ["/found", "/found/sign"])
@pytest.mark.parametrize("request_", [b"", b"[]", b"{}", json.dumps({"body": "zz", "time_ms": 0, "signature": ""}).encode()])
def test_noise_to_the_founding_is_answered_with_400(street, path: str, request_: bytes) -> None:
    assert WitnessClient(street.server.url)._post(path, request_)[0] == 400


def test_cosignatures_of_strangers_are_not_kept(house) -> None:
    house.seal(house.batch(house.gateway()))

    class Stranger(WitnessClient):
        def add_checkpoint(self, old, proof, note):
            return 200, NoteSignature("stranger", b"\x00" * 4, b"\x00" * 72).line

    class Liar(WitnessClient):
        def add_checkpoint(self, old, proof, note):
            status, text = super().add_checkpoint(old, proof, note)
            line = NoteSignature.parse(text)
            return status, replace(line, payload=line.payload[:-1] + bytes([line.payload[-1] ^ 1])).line

    with pytest.raises(LedgerError, match="without a cosignature"):
        cosign_newest(house.log, Stranger(house.client.url))
    with pytest.raises(VerificationError):
        cosign_newest(house.log, Liar(house.client.url))
    assert house.log.final() is None


def test_a_port_in_use_is_not_shared(street) -> None:
    with pytest.raises(OSError, match="in use"):
        WitnessServer(street.server.witness, street.server.server_address[1])
