"""Pages over a real group: what the owner sees of it, and what the inspector reads and verifies with the government's own keys."""

import sqlite3

import pytest

from dashboards.access import MAY
from dashboards.archive import Archive
from dashboards.pages import inspector, owner
from dashboards.pages.frame import status_live
from dashboards.texts import texts
from dashboards.views.inspector import check_steps, entry_rows, group_row, overload_lines
from dashboards.views.owner import owner_view
from ledger import explorer


@pytest.fixture
def archive(sealing):
    return Archive(sealing.root, explorer)


def words_of(component) -> str:
    """All the text of a component."""
    if isinstance(component, (list, tuple)):
        return " ".join(map(words_of, component))
    children = getattr(component, "children", component)
    return words_of(children) if children is not component else "" if children is None else str(children)


def test_the_government_sees_only_groups_it_holds_keys_for(archive, sealing):
    (sealing.root / "groups" / "strangers").mkdir()
    (sealing.root / "groups" / "strangers" / "log.db").touch()
    assert archive.groups() == ["harbour_offices"]


def test_the_overview_says_size_final_and_who_cosigned(archive):
    row = group_row("harbour_offices", archive.overview("harbour_offices"))
    assert row.owner == "Harbour Offices Ltd"
    assert row.glance.state == "final"
    assert row.cosigned_by
    assert dict(row.by_kind)["reading.batch"] >= 60


def test_entries_are_decoded_for_the_government_and_can_be_chosen_by_kind(archive):
    releases = entry_rows(archive.entries("harbour_offices", ("control.action",)))
    assert {row.kind for row in releases} == {"control.action"}
    assert releases[0].number > releases[-1].number
    assert "sealed for members" not in {row.summary for row in releases}


def test_an_entrys_detail_shows_its_body_and_hash(archive):
    newest = entry_rows(archive.entries("harbour_offices", ("control.action",)))[0]
    text = words_of(inspector.entry_detail(archive, "harbour_offices", newest.number, "control.action", "en"))
    assert newest.hash in text
    assert "asked" in text


def test_every_numbered_step_of_the_verification_is_shown(archive):
    steps = check_steps(archive.check("harbour_offices"))
    assert {s.result for s in steps} <= {"ok", "na"}
    text = words_of(inspector.check_result(archive, "harbour_offices", "en"))
    assert "Everything holds" in text
    assert all(s.what in text for s in steps)


def test_overload_alarms_stand_in_a_list_of_their_own(archive):
    lines = overload_lines(archive.entries("harbour_offices", inspector.ALARM_KINDS))
    assert any("Demand 212 kW" in line.message for line in lines)


def test_the_owners_header_says_final_and_the_claims_add_up(desk, sealing):
    assert "final" in status_live(desk, "en")["props"]["head-ledger"]["children"]
    claims = desk.entries(("emission.period",), 2000)
    page = desk.look(lambda facts: owner_view(facts, desk.building, (), claims, desk.entries(("device.enrol",), 500)))
    assert len(page.claims) == 10
    assert sum(c.scope2_g for c in page.claims) > 0
    vouched = {d.name: d.vouched for d in page.devices}
    assert (vouched["main_meter"], vouched["ahu_1"]) == ("own_certificate", "gateway_fingerprint")
    assert "kg CO₂e" in owner.live(desk, "en")["props"]["own-emissions-value"]["children"]


def test_a_changed_byte_fails_a_numbered_step(archive, sealing):
    with sqlite3.connect(sealing.root / "groups" / "harbour_offices" / "log.db") as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        number, leaf = db.execute("SELECT number, leaf FROM entry WHERE kind = 'control.action' LIMIT 1").fetchone()
        db.execute("UPDATE entry SET leaf = ? WHERE number = ?", (leaf[:-1] + bytes([leaf[-1] ^ 1]), number))
    steps = check_steps(archive.check("harbour_offices"))
    assert "failed" in {s.result for s in steps}
    assert "failed" in words_of(inspector.steps_table(steps, texts("en")))


def test_the_inspector_may_read_and_verify_and_nothing_else():
    assert MAY["inspector"] == {"audit", "verify"}
