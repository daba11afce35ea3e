"""An inspector's looks: signed before anything is shown, sealed by the owner's recorder, and nobody can deny or drop one."""

from datetime import timedelta

import pytest

from ledger import explorer
from ledger.carbon.claims import Terms
from ledger.keys import P256Signer, read_signer
from ledger.looks import Look, Looker, looks_waiting, write_look
from ledger.recorder import Recorder
from ledger.verify import verify_bundle
from twin.journal import Journal


@pytest.fixture
def office(house):
    """The house with the government's key folder and a recorder of the owner's."""
    house.live(1)
    house.keys = house.server.witness.folder / "keys"
    house.journal = Journal(house.folder.parent / "journal.db")
    yield house
    house.journal.close()


def seal_looks(house):
    recorder = Recorder(house.folder, Terms("demo", "CN-GD", ()), house.journal, simulated=True)
    try:
        recorder.step()
    finally:
        recorder.close()


def looks(house):
    return [view for view in house.open().views(0, house.log.size()) if view.entry.kind == "access.read"]


def test_what_the_government_reads_is_sealed_with_its_signature(monkeypatch, office):
    shown = explorer.entries(office.folder, office.keys, kinds=("reading",))
    assert shown[0].body is not None

    seal_looks(office)

    (look,) = looks(office)
    assert look.entry.source == "government"
    assert look.body.by_name()["query"] == "entries of reading"
    assert look.body.by_name()["end"] == look.number
    assert looks_waiting(office.folder) == []
    office.cosign()
    assert verify_bundle(office.bundle().encode(), office.trust).ok
    lines = [entry.summary for entry in explorer.entries(office.folder, office.folder / "keys", kinds=("access",))]
    assert lines == [f"looked at entries of reading, entries 0 to {look.number - 1}: inspection on the pages"]


def test_the_same_look_again_within_minutes_is_one_look_and_the_owner_s_own_is_none(office):
    for _ in range(3):
        explorer.entries(office.folder, office.keys, kinds=("reading",))
        explorer.entries(office.folder, office.folder / "keys")
    seal_looks(office)
    explorer.entries(office.folder, office.keys, kinds=("reading",))
    explorer.entries(office.folder, office.keys, kinds=("control",))
    seal_looks(office)

    assert [look.body.by_name()["query"] for look in looks(office)] == ["entries of reading", "entries of control"]


def test_looks_that_wait_follow_each_other_and_a_forged_one_is_refused_and_that_is_sealed(office):
    signer = read_signer(office.keys / "riverside.sign.key")
    log, later = office.open(), office.now + timedelta(hours=1)
    for looker, query in ((signer, "one"), (signer, "two"), (P256Signer.generate(), "three")):
        write_look(log, Looker("government", looker), Look(query, "audit", 0, 5), later)
    items = [record for _, record in looks_waiting(office.folder)]

    sealed = log.seal(items, later)

    assert len(sealed.numbers) == 2
    assert "not signed under the key" in sealed.refused[0]


def test_nothing_is_shown_where_the_look_cannot_be_written_down(office, monkeypatch):
    (office.folder / "looks").write_text("a file stands where the folder should be", encoding="utf-8")

    with pytest.raises(Exception, match="looks"):
        explorer.entries(office.folder, office.keys)
