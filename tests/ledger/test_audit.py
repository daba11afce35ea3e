import json
import sqlite3

from typer.testing import CliRunner

from ledger.audit import FOUND_MOST, audit_log
from ledger.commands import group_app


def test_without_a_key_sealed_bodies_are_looked_at_from_outside_only(house) -> None:
    house.live(1)

    assert audit_log(house.folder / "log.db") == []


def test_a_file_full_of_faults_is_not_told_to_the_end(house) -> None:
    house.live(40)
    db = sqlite3.connect(house.folder / "log.db")
    db.executescript("DROP TRIGGER entry_stays; UPDATE entry SET hash = zeroblob(32);")
    db.close()

    assert len(audit_log(house.folder / "log.db")) == FOUND_MOST


def test_the_command_says_what_was_altered_and_where(house, street) -> None:
    house.live(1)
    told = CliRunner().invoke(group_app, ["check", "riverside", "--state", str(street.root)])
    db = sqlite3.connect(house.folder / "log.db")
    db.executescript("DROP TRIGGER body_stays; UPDATE body SET box = zeroblob(1052) WHERE number = 6;")
    db.close()
    after = CliRunner().invoke(group_app, ["check", "riverside", "--state", str(street.root), "--json"])

    assert (told.exit_code, after.exit_code) == (0, 1), told.output
    assert "every row is as it was sealed" in told.output
    assert [(d["table"], d["row"]) for d in json.loads(after.output)["damages"]] == [("body", "6")]
