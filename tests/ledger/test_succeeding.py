"""Keys that follow others, and content that is destroyed: both members sign, an official approves, and every proof still holds."""

import json

import pytest

from ledger.authority import Grant, give_grants
from ledger.backup import back_up, restore
from ledger.carbon.claims import Terms
from ledger.contracts.policies import policy
from ledger.custody import make_bundle, open_log
from ledger.envelope import open_with
from ledger.epochs import epoch_file, member_data_keys
from ledger.errors import LedgerError
from ledger.keys import EnvelopeKey, P256Signer, read_envelope_key, read_note_signer, read_signer
from ledger.log import Log, Sealed
from ledger.recorder import Recorder
from ledger.rules import RULES
from ledger.second.verify_alone import verify as verify_second
from ledger.succeeding import begin_epoch, destroy_epoch, recover_owner, rotate_log, rotate_witness, set_recovery
from ledger.verify import verify_bundle
from ledger.witness import Witness
from twin import cli
from twin.journal import Journal

PASSPHRASE = b"a passphrase of some length"


def approved(house, ask):
    """Propose, let an official approve, ask again."""
    waiting = ask()
    assert isinstance(waiting, str)
    assert [id_ for id_, _, _ in house.server.witness.changes.waiting("riverside")] == [waiting]
    assert ask() == waiting
    house.server.witness.changes.approve("riverside", waiting)
    sealed = ask()
    assert isinstance(sealed, Sealed)
    house.logs.clear()
    return sealed


def both_verify(house, seen=""):
    """Both verifiers accept; the first one's steps are returned."""
    house.cosign()
    data = make_bundle(house.folder).encode()
    report = verify_bundle(data, house.trust, seen.encode() if seen else None, rules=RULES)
    assert report.ok, [step for step in report.steps if step.ok is False]
    assert "hold" in verify_second(data, json.loads(house.trust.to_json()), seen)
    return {step.number: step.detail for step in report.steps}


@pytest.fixture
def owned(house):
    """A house with one recovery key in a safe elsewhere."""
    house.live(1)
    house.safe = P256Signer.generate()
    approved(house, lambda: set_recovery(house.folder, house.client, {"safe": house.safe.public}, 1, house.now))
    return house


def test_a_new_epoch_s_bodies_lie_under_another_key_that_both_members_hold(house):
    house.live(1)
    before = house.log.size()
    begin_epoch(house.folder, house.client, house.now)
    house.logs.clear()
    house.live(1)

    sealed = list(house.log.stored(before, house.log.size(), ["reading.batch"]))
    assert {stored.epoch for stored in sealed} == {2}
    assert open_with(member_data_keys(house.log, _government(house), "government"), sealed[0].entry, sealed[0].box, 2)
    with pytest.raises(LedgerError, match="epoch 2"):
        open_with({1: house.log._data_keys[1]}, sealed[0].entry, sealed[0].box, 2)
    both_verify(house)


def _government(house):
    return read_envelope_key(house.server.witness.folder / "keys" / "riverside.envelope.key")


def destroyed(house):
    """Two hours under epoch 2, one under epoch 3; then the content of epoch 2 is destroyed."""
    for hours in (1, 2, 1):
        house.logs.clear()
        house.live(hours)
        if hours != 1 or house.log.current.epoch == 1:
            begin_epoch(house.folder, house.client, house.now)
    return approved(house, lambda: destroy_epoch(house.folder, house.client, 2, "Ann", "the tenant asked for it", house.now))


def test_destroyed_content_is_gone_for_everybody_and_all_proofs_still_hold(house):
    destroyed(house)
    log = house.open()
    gone = [stored for stored in log.stored(0, log.size()) if stored.epoch == 2]

    assert not epoch_file(house.folder, 2).exists()
    assert not house.server.witness._db.execute("SELECT 1 FROM data_key WHERE epoch = 2").fetchall()
    for member, key in (("owner", read_envelope_key(house.folder / "keys" / "owner.envelope.key")), ("government", _government(house))):
        assert sorted(member_data_keys(log, key, member)) == [1, 3]
    with pytest.raises(LedgerError, match="epoch 2, which is not here"):
        log.body(gone[0])
    detail = both_verify(house)
    assert f"the content of {len(gone)} was destroyed by order" in detail[9]


def test_a_body_kept_back_is_not_excused_by_a_destruction_of_another_epoch(house, forge):
    destroyed(house)
    house.cosign()
    bundle = make_bundle(house.folder)
    kept = next(stored for stored in house.log.stored(0, house.log.size()) if stored.epoch == 3)

    for epoch in (2, 3):
        report = verify_bundle(forge(bundle, kept.number, epoch=epoch, body=kept.box).encode(), house.trust)
        assert [step.number for step in report.steps if step.ok is False] == [9]


def test_nothing_is_destroyed_without_an_official_and_never_what_is_in_use(house):
    house.live(1)
    begin_epoch(house.folder, house.client, house.now)
    for epoch in (1, 2, 3):
        with pytest.raises(LedgerError, match="cannot go"):
            destroy_epoch(house.folder, house.client, epoch, "Ann", "x", house.now)
    begin_epoch(house.folder, house.client, house.now)
    assert isinstance(destroy_epoch(house.folder, house.client, 2, "Ann", "x", house.now), str)
    assert epoch_file(house.folder, 2).exists()


def test_contracts_go_on_after_what_they_came_from_was_destroyed(street, tmp_path):
    house = street.build("riverside", "Ann", [policy("authority", {})])
    grant = Grant("g", "rule/x", {"p": (0.0, 1.0)}, house.now, house.now.replace(year=2030))
    begin_epoch(house.folder, house.client, house.now)
    give_grants(house.folder, [grant], house.now)
    begin_epoch(house.folder, house.client, house.now)
    approved(house, lambda: destroy_epoch(house.folder, house.client, 2, "Ann", "x", house.now))
    journal = Journal(tmp_path / "journal.db")

    recorder = Recorder(house.folder, Terms("demo", "CN-GD", ()), journal, simulated=True)
    assert "g" in recorder._contracts.states["authority"]["grants"]
    recorder.close()

    (house.folder / "contracts.standing").unlink()
    with pytest.raises(LedgerError, match="was destroyed; restore it"):
        Recorder(house.folder, Terms("demo", "CN-GD", ()), journal, simulated=True)
    journal.close()


def test_the_log_goes_on_under_a_new_key_and_the_old_one_seals_nothing_more(house):
    house.live(1)
    seen, old = house.log.newest().signed, house.log.signer
    keys = house.log._data_keys
    approved(house, lambda: rotate_log(house.folder, house.client, "the disk was stolen", house.now))
    house.live(1)

    assert read_note_signer(house.folder / "keys" / "log.key").public == house.log.current.log != old.public
    both_verify(house, seen)
    thief = Log(house.folder / "log.db", old, keys)
    with pytest.raises(LedgerError, match="another key"):
        thief.seal([], house.now)
    thief.close()


def test_the_witness_cosigns_under_a_new_key(house):
    house.live(1)
    new = house.server.witness.next_witness("riverside")
    with pytest.raises(LedgerError, match="not one of this government's"):
        rotate_witness(house.folder, house.client, read_note_signer(house.folder / "keys" / "log.key").public, "x", house.now)

    approved(house, lambda: rotate_witness(house.folder, house.client, new.key, "old disk", house.now))
    house.live(1)

    both_verify(house)
    note = house.log.final()
    assert note.signatures[1].key_id != make_bundle(house.folder).note.signatures[0].key_id
    again = Witness(house.server.witness.folder)
    assert again.trust("riverside") == house.trust
    again.close()


def test_an_owner_who_lost_his_keys_is_recovered_by_his_safe_and_the_government(owned):
    old = read_signer(owned.folder / "keys" / "owner.key")
    for name in ("owner.key", "owner.envelope.key"):
        (owned.folder / "keys" / name).unlink()
    with pytest.raises(LedgerError):
        open_log(owned.folder)

    approved(owned, lambda: recover_owner(owned.folder, owned.client, [owned.safe], "fire", owned.now))

    assert read_signer(owned.folder / "keys" / "owner.key").public != old.public
    give_grants(owned.folder, [Grant("g", "rule/x", {"p": (0.0, 1.0)}, owned.now, owned.now.replace(year=2030))], owned.now)
    assert [view.body.fields for view in owned.log.views(0, owned.log.size()) if view.entry.kind == "reading.batch"]
    owned.live(1)
    both_verify(owned)


@pytest.mark.parametrize("spare", [[], [P256Signer.generate()]])
def test_nobody_is_recovered_without_the_keys_in_the_safe(owned, spare):
    with pytest.raises(LedgerError, match="recovery keys must sign"):
        recover_owner(owned.folder, owned.client, spare, "I am Ann, believe me", owned.now)


def test_a_group_without_recovery_keys_recovers_nobody(house):
    house.live(1)
    with pytest.raises(LedgerError, match="no recovery keys"):
        recover_owner(house.folder, house.client, [P256Signer.generate()], "x", house.now)


def test_a_forged_succession_is_found_by_both_verifiers(owned, forge):
    approved(owned, lambda: rotate_log(owned.folder, owned.client, "x", owned.now))
    owned.cosign()
    bundle = make_bundle(owned.folder)
    number = next(p.number for p in bundle.pieces if b"log.rotate" in p.leaf)
    piece = bundle.pieces[number]
    leaf = piece.leaf[:70] + bytes([piece.leaf[70] ^ 1]) + piece.leaf[71:]
    data = forge(bundle, number, leaf=leaf).encode()

    report = verify_bundle(data, owned.trust)

    first = next(step.number for step in report.steps if step.ok is False)
    assert first in (1, 3)
    with pytest.raises(Exception, match=f"step {first}"):
        verify_second(data, json.loads(owned.trust.to_json()))


def test_the_machine_burns_the_backup_may_be_in_strange_hands_and_the_group_goes_on_without_a_fork(owned, tmp_path):
    root, out = owned.folder.parents[1], tmp_path / "backup"
    seen = owned.log.newest().signed
    back_up(root, "riverside", out, PASSPHRASE)
    for log in owned.logs:
        log.close()
    owned.logs.clear()
    owned.folder = tmp_path / "new" / "groups" / "riverside"
    restored = restore(tmp_path / "new", out.read_bytes(), PASSPHRASE, owned.client)
    assert restored.size == int(seen.split("\n")[1])

    approved(owned, lambda: recover_owner(owned.folder, owned.client, [owned.safe], "the machine burnt", owned.now))
    approved(owned, lambda: rotate_log(owned.folder, owned.client, "the backup's key may be known", owned.now))
    owned.live(2)

    both_verify(owned, seen)
    assert owned.server.witness.conflicts("riverside") == []


def test_a_data_key_that_the_government_cannot_open_is_not_taken(house):
    house.live(1)
    stranger = EnvelopeKey.generate()
    with pytest.raises(LedgerError, match="not taken"):
        house.client.give_data_key("riverside", 2, stranger.public.raw * 3)


def test_the_commands_propose_wait_for_an_official_and_seal(house, tmp_path, capsys):
    def run(*words):
        with pytest.raises(SystemExit) as ended:
            cli.main([*words, "--state", str(tmp_path), "--json"])
        told = capsys.readouterr()
        return json.loads(told.out) if ended.value.code == 0 else told.err

    house.live(1)
    url = ("--witness", house.server.url)
    assert "epochs" in run("data", "list", "riverside")
    assert run("data", "epoch", "riverside", *url)["size"] > 0
    assert "cannot go" in run("data", "destroy", "riverside", "2", *url, "--by", "Ann", "--reason", "x")
    assert run("data", "epoch", "riverside", *url)["entries"]
    order = ("data", "destroy", "riverside", "2", *url, "--by", "Ann", "--reason", "tenant")
    waiting = run(*order)["waiting"]
    (shown,) = run("member", "waiting", "riverside")["waiting"]
    assert (shown["id"], shown["kind"]) == (waiting, "data.destroyed")
    assert "ordered_by Ann" in shown["says"]
    assert "no proposal" in run("member", "approve", "riverside", "nothing")
    assert run("member", "approve", "riverside", waiting)["approved"] == waiting
    assert run(*order)["entries"]
    assert run("data", "list", "riverside")["epochs"][0]["destroyed"]
    protect = ("member", "protect", "riverside", *url, "--key", str(tmp_path / "safe.key"))
    run("member", "approve", "riverside", run(*protect)["waiting"])
    assert run(*protect)["entries"]
    assert run("member", "list", "riverside")["recovery"][0]["name"] == "safe"
    assert run("member", "next-witness", "riverside")["key"].startswith("ed25519:")
    for words in (("rotate-log",), ("recover", "--key", str(tmp_path / "safe.key"))):
        ask = ("member", words[0], "riverside", *url, "--reason", "fire", *words[1:])
        run("member", "approve", "riverside", run(*ask)["waiting"])
        assert run(*ask)["entries"]
    house.logs.clear()
    house.live(1)
    both_verify(house)
