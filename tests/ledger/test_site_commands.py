"""An engineer's signature lets points be written; nothing else does, and a bad one changes nothing."""

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.keys import P256Signer
from ledger.signed_files import message
from ledger.site_commands import FIELDS, grant, sign
from twin import errors
from twin.grants import granted, interlocks_in_force, newest_grant
from twin.graph import Graph
from twin.interlocks import interlocks_of
from twin.journal import Journal
from twin.points import read_points
from twin.site import load_site

ROOT = Path(__file__).parents[2]


@pytest.fixture
def site(tmp_path):
    """The clinic as if it were real: fixed ports, and the protected surgery not writable."""
    folder = tmp_path / "clinic"
    shutil.copytree(ROOT / "sites" / "corner_clinic", folder)
    (folder / "plant.toml").unlink()
    toml = (folder / "site.toml").read_text()
    (folder / "site.toml").write_text(toml.replace('protected_zones = ["surgery_1"]', "protected_zones = []"))
    return folder


@pytest.fixture
def state(tmp_path):
    return str(tmp_path / "state")


@pytest.fixture
def key(tmp_path):
    return tmp_path / "engineer.pem"


@pytest.fixture
def signed(site, key):
    sign(str(site), key, "chen", new_key=True, days=30)
    return site


def journal_of(site, state):
    return Journal(Path(state) / "sites" / load_site(site).name / "journal.db")


def effective(site, state, now=None):
    """What may be written, and the words about what is not as signed."""
    config, journal = load_site(site), journal_of(site, state)
    book = read_points(config.points_file, Graph.read(config.twin_file).points())
    found = granted(config, book, newest_grant(journal), now or datetime.now(UTC))
    journal.close()
    return found


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def row(site, point):
    return next(line for line in (site / "points.csv").read_text().splitlines() if line.startswith(f"{point},"))


def test_what_an_engineer_signed_may_be_written_and_stands_in_the_journal(signed, state, capsys):
    grant(str(signed), state)

    book, notes = effective(signed, state)
    assert notes == []
    assert len(book.writable) > 10
    (grant_row,) = journal_of(signed, state).latest(("grant",))
    assert grant_row.body["by"] == "chen"
    assert set(grant_row.body["points"]) == {p.id for p in book.writable}
    assert "as chen signed them" in capsys.readouterr().out


def test_a_row_changed_after_signing_is_refused_and_the_signed_one_stays_in_force(signed, state):
    """F50: a site file with a bad signature; the last good one stays in force."""
    grant(str(signed), state)
    old = row(signed, "surgery_1.htg_sp")
    edit(signed / "points.csv", old, old.replace(",12,24,,20", ",5,40,,20"))

    with pytest.raises(errors.VerificationError, match=r"4\. points.csv.*changed since it was signed.*what chen signed .* stays in force"):
        grant(str(signed), state)
    book, notes = effective(signed, state)
    assert (book["surgery_1.htg_sp"].limits.low, book["surgery_1.htg_sp"].limits.high) == (12.0, 24.0)
    assert notes == ["surgery_1.htg_sp: its row is not as signed; the signed one stays in force"]
    journal = journal_of(signed, state)
    assert len(journal.after(0, ("grant",))) == 1
    assert [(r.body["kind"], r.body["state"]) for r in journal.after(0, ("alarm",))] == [("grant", "raised")]


def test_a_point_taken_back_in_the_file_is_not_written_although_it_was_granted(signed, state):
    grant(str(signed), state)
    old = row(signed, "surgery_1.htg_sp")
    edit(signed / "points.csv", old, old.replace(",yes,", ",no,"))

    book, notes = effective(signed, state)
    assert not book["surgery_1.htg_sp"].writable
    assert notes == ["1 granted points are not writable now (first: surgery_1.htg_sp)"]


def test_a_connection_that_leads_elsewhere_than_signed_is_not_written_to(signed, state):
    grant(str(signed), state)
    head, floor, rest = (signed / "site.toml").read_text().partition("[connections.floor_1]")
    (signed / "site.toml").write_text(head + floor + re.sub(r"(?m)^device = .*$", "device = 77", rest, count=1))

    book, notes = effective(signed, state)
    assert not [p.id for p in book.writable if "floor_1/" in p.binding.address]
    assert any("connection floor_1 is not as signed" in note for note in notes)


def test_a_site_signed_on_the_engineers_machine_holds_where_its_folder_stands_elsewhere(signed, state, tmp_path):
    head, gateway, rest = (signed / "site.toml").read_text().partition("[connections.lights_1]")
    more = '\nframing = "tls"\ntls_ca = "keys/ca.pem"\ntls_cert = "keys/own.pem"\ntls_key = "keys/own.key"'
    (signed / "site.toml").write_text(head + gateway + more + rest)
    sign(str(signed), tmp_path / "engineer.pem", "chen")
    elsewhere = tmp_path / "another" / "place"
    shutil.copytree(signed, elsewhere)
    grant(str(elsewhere), state)

    book, notes = effective(elsewhere, state)
    assert notes == []
    assert [p.id for p in book.writable if "lights_1/" in p.binding.address]


def test_a_grant_ends(signed, state):
    grant(str(signed), state)

    book, notes = effective(signed, state, datetime.now(UTC) + timedelta(days=31))
    assert book.writable == []
    assert "ended" in notes[0]


def test_a_key_that_is_not_in_the_folder_signs_nothing(signed, state, tmp_path):
    (signed / "keys" / "chen.pub").unlink()

    with pytest.raises(errors.VerificationError, match=r"2\. its key .* is none of keys.*nothing may be written"):
        grant(str(signed), state)


def test_a_key_put_into_the_folder_later_needs_the_word_of_an_older_one(signed, state, key, tmp_path):
    grant(str(signed), state)
    sign(str(signed), tmp_path / "stranger.pem", "stranger", new_key=True)
    with pytest.raises(errors.VerificationError, match=r"2\. its key came into keys/ after the grant in force"):
        grant(str(signed), state)

    sign(str(signed), key, "chen")
    grant(str(signed), state)
    sign(str(signed), tmp_path / "stranger.pem", "stranger")
    grant(str(signed), state)
    assert newest_grant(journal_of(signed, state)).by == "stranger"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.unlink(), r"1\. cannot be read"),
        (lambda f: f.write_text("{"), r"1\. cannot be read"),
        (lambda f: f.write_text("[]"), r"1\. expected"),
        (lambda f: f.write_text(f.read_text().replace("signature 1", "signature 9")), r"1\. expected"),
        (lambda f: altered(f, signature="00" * 64), r"3\. the signature"),
        (lambda f: altered(f, signature="nonsense"), r"3\. the signature"),
        (lambda f: altered(f, by="somebody"), r"3\. the signature"),
        (lambda f: altered(f, until="2099-01-01T00:00:00+00:00"), r"3\. the signature"),
        (lambda f: altered(f, until="tomorrow"), r"1\. until must be a time"),
        (lambda f: altered(f, digest="0" * 64), r"3\. the signature"),
    ],
)
def test_a_damaged_signature_file_is_refused_by_the_step_it_fails(signed, state, change, said):
    change(signed / "site.sig")

    with pytest.raises(errors.VerificationError, match=said):
        grant(str(signed), state)
    assert journal_of(signed, state).latest(("grant",)) == []


def test_interlocks_are_signed_and_an_unsigned_file_may_hold_more_back_but_never_less(signed, state, key, capsys):
    rule = "surgery_1.htg_sp > 21 forbids ahu_1.oa_f_sp > 3"
    (signed / "interlocks.csv").write_text(f"name,rule,why\nwarm,{rule},a test\n")
    sign(str(signed), key, "chen")
    assert "and 1 interlocks signed by chen" in capsys.readouterr().out
    grant(str(signed), state)

    assert in_force(signed, state) == ([("warm", rule)], [])
    more = "surgery_1.clg_sp > 30 forbids ahu_1.oa_f_sp > 5"
    (signed / "interlocks.csv").write_text(f"name,rule\nwarm,{rule.replace('21', '29')}\nmore,{more}\n")
    assert in_force(signed, state) == (
        [("warm", rule), ("more", more)],
        ["interlock 'warm' is not as signed; the signed one stays in force"],
    )
    with pytest.raises(errors.VerificationError, match=r"4\. points.csv, interlocks.csv"):
        grant(str(signed), state)
    (signed / "interlocks.csv").unlink()
    assert in_force(signed, state)[0] == [("warm", rule)]


def in_force(site, state):
    config, journal = load_site(site), journal_of(site, state)
    graph = Graph.read(config.twin_file)
    book = read_points(config.points_file, graph.points())
    locks, notes = interlocks_in_force(interlocks_of(config, graph, book), newest_grant(journal), book)
    journal.close()
    return [(lock.name, lock.rule) for lock in locks], notes


def test_a_bad_interlock_file_is_not_signed(signed, key):
    (signed / "interlocks.csv").write_text("name,rule\nx,surgery_1.htg_sp near 21\n")

    with pytest.raises(errors.SiteError, match=r"mend first.*interlocks.csv line 2: expected"):
        sign(str(signed), key, "chen")


def test_a_point_is_taken_back_by_a_signature_and_the_old_file_does_not_bring_it_again(signed, state, key, capsys):
    grant(str(signed), state)
    before = len(effective(signed, state)[0].writable)
    sign(str(signed), key, "chen", revoke="surgery_1.htg_sp")
    grant(str(signed), state, revoke="surgery_1.htg_sp")

    book, _ = effective(signed, state)
    assert not book["surgery_1.htg_sp"].writable
    assert len(book.writable) == before - 1
    assert f"surgery_1.htg_sp is taken back by chen; {before - 1} points may still be written" in capsys.readouterr().out
    with pytest.raises(errors.VerificationError, match=r"5\. it holds from"):
        grant(str(signed), state)
    sign(str(signed), key, "chen")
    grant(str(signed), state)
    assert effective(signed, state)[0]["surgery_1.htg_sp"].writable
    with pytest.raises(errors.VerificationError, match=r"5\. it was signed at .*, before the grant in force"):
        grant(str(signed), state, revoke="surgery_1.htg_sp")


@pytest.fixture
def two_engineers(signed, state, key, tmp_path):
    """chen signed first, then wu, whose grant is in force; wu's key."""
    grant(str(signed), state)
    other = tmp_path / "wu.pem"
    sign(str(signed), other, "wu", new_key=True)
    sign(str(signed), key, "chen")
    grant(str(signed), state)
    sign(str(signed), other, "wu")
    grant(str(signed), state)
    return other


def test_an_engineers_word_is_taken_back_with_all_its_points_and_its_key_never_signs_again(signed, state, key, two_engineers):
    sign(str(signed), key, "chen", revoke="wu")
    grant(str(signed), state, revoke="wu")

    assert effective(signed, state)[0].writable == []
    sign(str(signed), two_engineers, "wu")
    with pytest.raises(errors.VerificationError, match=r"2\. its key was taken back"):
        grant(str(signed), state)
    sign(str(signed), key, "chen")
    grant(str(signed), state)  # wu.pub still lies in keys/
    assert effective(signed, state)[0].writable != []
    sign(str(signed), two_engineers, "wu")
    with pytest.raises(errors.VerificationError, match=r"2\. its key was taken back"):
        grant(str(signed), state)


def test_an_engineer_who_did_not_sign_the_grant_in_force_loses_only_the_key(signed, state, key, two_engineers):
    sign(str(signed), two_engineers, "wu", revoke="chen")
    grant(str(signed), state, revoke="chen")

    assert effective(signed, state)[0].writable != []
    sign(str(signed), two_engineers, "wu", revoke="wu")
    with pytest.raises(errors.VerificationError, match=r"6\. wu's key is the only one that can sign"):
        grant(str(signed), state, revoke="wu")


@pytest.mark.parametrize(
    ("change", "what", "said"),
    [
        (lambda f, _: f.unlink(), "surgery_1.htg_sp", r"1\. cannot be read"),
        (lambda f, other: altered(f, key=other), "surgery_1.htg_sp", r"2\. its key .* is none of the grant's"),
        (lambda f, _: altered(f, revoke="ahu_1.fan_run"), "ahu_1.fan_run", r"3\. the signature"),
        (lambda f, _: None, "ahu_1.fan_run", r"4\. it takes back surgery_1.htg_sp at corner_clinic"),
        (lambda f, _: altered(f, signed="soon"), "surgery_1.htg_sp", r"1\. signed must be a time"),
    ],
)
def test_a_revocation_that_does_not_hold_changes_nothing(signed, state, key, change, what, said):
    grant(str(signed), state)
    sign(str(signed), key, "chen", revoke="surgery_1.htg_sp")
    change(signed / "revoke.sig", P256Signer.generate().public.text)

    with pytest.raises(errors.VerificationError, match=said):
        grant(str(signed), state, revoke=what)
    assert effective(signed, state)[0]["surgery_1.htg_sp"].writable
    assert [r.body["state"] for r in journal_of(signed, state).after(0, ("alarm",))] == ["raised"]


def test_nothing_and_nobody_unknown_is_taken_back(signed, state, key):
    sign(str(signed), key, "chen", revoke="surgery_1.htg_sp")
    with pytest.raises(errors.VerificationError, match=r"1\. nothing is granted here.*nothing may be written"):
        grant(str(signed), state, revoke="surgery_1.htg_sp")
    sign(str(signed), key, "chen")
    grant(str(signed), state)
    sign(str(signed), key, "chen", revoke="surgery_9.htg_sp")
    with pytest.raises(errors.VerificationError, match=r"6\. surgery_9.htg_sp is no granted point \(ahu_1.*\) and no engineer"):
        grant(str(signed), state, revoke="surgery_9.htg_sp")


def altered(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_an_old_signature_does_not_come_back(signed, state, key):
    old = (signed / "site.sig").read_text()
    sign(str(signed), key, "chen")
    grant(str(signed), state)
    (signed / "site.sig").write_text(old)

    with pytest.raises(errors.VerificationError, match=r"5\. it holds from .*no earlier than the grant in force"):
        grant(str(signed), state)


def test_what_is_protected_cannot_even_be_signed(site, key):
    edit(site / "site.toml", "protected_zones = []", 'protected_zones = ["surgery_1"]')

    with pytest.raises(errors.SiteError, match=r"surgery_1.htg_sp.*protected, never written"):
        sign(str(site), key, "chen", new_key=True)
    assert not key.exists()


def test_a_simulated_site_needs_no_signature_and_says_so(key):
    with pytest.raises(errors.SiteError, match=r"simulated site.*need no signature"):
        sign(str(ROOT / "sites" / "corner_clinic"), key, "chen", new_key=True)


def test_a_key_that_others_may_read_does_not_sign(signed, key):
    key.chmod(0o644)

    with pytest.raises(errors.AccessError, match="others may read"):
        sign(str(signed), key, "chen")


def test_the_signed_bytes_are_frozen():
    """The message that an engineer signs; RFC 6979 makes the signature repeatable. Made by this product's own signer."""
    said = {"format": "wattproof site signature 1", "by": "chen", "key": "p256:00", "signed": "a", "until": "b", "digest": "c"}

    assert message(said, FIELDS) == (
        b'wattproof site signature 1\n{"by": "chen", "digest": "c", "format": "wattproof site signature 1", '
        b'"key": "p256:00", "signed": "a", "until": "b"}'
    )
    signer = P256Signer.generate()
    assert signer.sign(message(said, FIELDS)) == signer.sign(message(said, FIELDS))
