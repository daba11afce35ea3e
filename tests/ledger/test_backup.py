"""The owner's machine burns; what comes back goes on as one history or not at all."""

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ledger.audit import audit_log
from ledger.backup import back_up, require_not_behind, restore
from ledger.errors import ForkError, FormatError, LedgerError
from ledger.verify import verify_bundle
from twin import cli

PASSPHRASE = b"correct horse battery staple"


@pytest.fixture
def kept(house, tmp_path: Path) -> Path:
    """A backup of a house that has lived, with the journal of its one site."""
    house.live(2)
    (house.folder / "recorder-demo.json").write_text('{"cursor": 0}')
    journal = tmp_path / "sites" / "demo"
    journal.mkdir(parents=True)
    shutil.copy(house.folder / "log.db", journal / "journal.db")  # any database will do
    back_up(tmp_path, "riverside", tmp_path / "riverside.backup", PASSPHRASE)
    return tmp_path / "riverside.backup"


def _burn(house, root: Path) -> None:
    house.close()
    house.logs.clear()
    shutil.rmtree(root / "groups")
    shutil.rmtree(root / "sites")


def test_a_burnt_machine_is_restored_and_seals_on_without_a_fork(house, kept: Path, tmp_path: Path) -> None:
    size, root = house.log.size(), house.log.newest().checkpoint.root
    _burn(house, tmp_path)

    restored = restore(tmp_path, kept.read_bytes(), PASSPHRASE, house.client)

    assert (restored.group, restored.size, restored.sites) == ("riverside", size, ("demo",))
    assert house.log.newest().checkpoint.root == root
    house.live(1)
    assert house.cosign() == house.log.size() > size
    assert verify_bundle(house.bundle().encode(), house.trust).ok
    assert house.server.witness.conflicts("riverside") == []
    assert (tmp_path / "sites" / "demo" / "journal.db").stat().st_mode & 0o077 == 0
    assert audit_log(house.folder / "log.db") == []


def test_a_backup_that_is_older_than_what_the_witness_saw_is_not_put_in_place(house, kept: Path, tmp_path: Path) -> None:
    house.live(1)
    newest = house.log.size()
    _burn(house, tmp_path)

    with pytest.raises(ForkError, match=f"restore to size {newest}"):
        restore(tmp_path, kept.read_bytes(), PASSPHRASE, house.client)

    assert not (tmp_path / "groups" / "riverside").exists()
    assert list(tmp_path.glob(".restoring*")) == []
    assert house.server.witness.conflicts("riverside") == []


def test_restored_without_asking_the_witness_the_log_still_refuses_to_fork(house, kept: Path, tmp_path: Path) -> None:
    house.live(1)
    _burn(house, tmp_path)

    restore(tmp_path, kept.read_bytes(), PASSPHRASE, None)

    with pytest.raises(ForkError):
        require_not_behind(house.log, house.client)
    house.seal(house.batch(house.gateway()))
    with pytest.raises(ForkError):
        house.cosign()


def test_what_was_sealed_and_not_yet_cosigned_comes_back_too(house, tmp_path: Path) -> None:
    house.live(1)
    house.seal(house.batch(house.gateway()))
    size = house.log.size()
    back_up(tmp_path, "riverside", tmp_path / "riverside.backup", PASSPHRASE)
    house.close()
    house.logs.clear()
    shutil.rmtree(tmp_path / "groups")

    restore(tmp_path, (tmp_path / "riverside.backup").read_bytes(), PASSPHRASE, house.client)

    assert house.cosign() == size


def test_a_backup_opens_with_its_passphrase_alone_and_only_whole(house, kept: Path, tmp_path: Path) -> None:
    data = kept.read_bytes()
    _burn(house, tmp_path)

    assert kept.stat().st_mode & 0o077 == 0
    assert b"PRIVATE KEY" not in data
    for altered, passphrase in ((data, b"another passphrase"), (data[:-1], PASSPHRASE), (data[:-9] + b"\x00" + data[-8:], PASSPHRASE)):
        with pytest.raises(LedgerError, match="does not open"):
            restore(tmp_path, altered, passphrase, None)
    with pytest.raises(LedgerError, match="16 characters"):
        restore(tmp_path, data, b"short", None)
    with pytest.raises(FormatError, match="wattproof backup"):
        restore(tmp_path, b"noise", PASSPHRASE, None)
    assert not (tmp_path / "groups").exists()


def test_nothing_that_stands_is_overwritten(house, kept: Path, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="stands there already"):
        restore(tmp_path, kept.read_bytes(), PASSPHRASE, None)
    with pytest.raises(LedgerError, match="no group nowhere"):
        back_up(tmp_path, "nowhere", tmp_path / "x", PASSPHRASE)


def test_the_commands_do_the_same(house, tmp_path: Path) -> None:
    house.live(1)
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse battery staple\n")
    out = tmp_path / "kept.backup"
    common = ["--passphrase-file", str(secret), "--json"]

    app = typer.Typer()
    for name in ("backup", "restore"):
        app.command(name)(cli.load(name))

    made = CliRunner().invoke(app, ["backup", "riverside", "--out", str(out), "--state", str(tmp_path), *common])
    there = tmp_path / "elsewhere"
    back = CliRunner().invoke(app, ["restore", str(out), "--state", str(there), "--witness", house.server.url, *common])

    assert json.loads(made.output)["bytes"] == out.stat().st_size
    assert json.loads(back.output) == {"group": "riverside", "size": house.log.size(), "sites": []}
