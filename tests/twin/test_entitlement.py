"""`check` tells who may write what, by whose grant, and under which interlocks."""

import json
import shutil
from pathlib import Path

import pytest

from ledger.site_commands import grant, sign
from twin import cli

CLINIC = Path(__file__).parents[2] / "sites" / "corner_clinic"


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "corner_clinic"
    shutil.copytree(CLINIC, folder)
    (folder / "plant.toml").unlink()
    toml = (folder / "site.toml").read_text()
    (folder / "site.toml").write_text(toml.replace('protected_zones = ["surgery_1"]', "protected_zones = []"))
    (folder / "interlocks.csv").write_text("name,rule,why\nwarm,surgery_1.htg_sp > 21 forbids ahu_1.oa_f_sp > 2,a test\n")
    return folder


@pytest.fixture
def check(site, tmp_path, capsys):
    def checked(*words: str) -> str:
        with pytest.raises(SystemExit):
            cli.main(["check", str(site), "--state", str(tmp_path / "state"), *words])
        return capsys.readouterr().out

    return checked


def test_before_and_after_a_grant(site, check, tmp_path, capsys):
    said = check()
    assert "never commissioned: nothing may be written" in said
    assert "interlock warm: surgery_1.htg_sp > 21 forbids ahu_1.oa_f_sp > 2 (a test)" in said
    assert not (tmp_path / "state").exists()

    sign(str(site), tmp_path / "engineer.pem", "chen", new_key=True, days=9)
    grant(str(site), str(tmp_path / "state"))
    capsys.readouterr()
    assert "24 points may be written: granted by chen until 2" in check()
    assert "  surgery_1.htg_sp: may be written 12 to 24, granted by chen until 2" in check("--rights")
    facts = json.loads(check("--json"))
    assert facts["rights"]["surgery_1.htg_sp"].startswith("may be written 12 to 24, granted by chen")
    assert facts["interlocks"] == [
        {"name": "warm", "rule": "surgery_1.htg_sp > 21 forbids ahu_1.oa_f_sp > 2", "why": "a test", "from": "people"}
    ]


def test_what_is_protected_is_in_nobodys_right(capsys, tmp_path):
    with pytest.raises(SystemExit):
        cli.main(["check", str(CLINIC), "--state", str(tmp_path), "--rights"])
    said = capsys.readouterr().out

    assert "waiting.htg_sp: may be written 12 to 24, a simulated site needs no grant" in said
    assert "surgery_1" not in said


def test_a_bad_interlock_is_a_finding_with_its_line(site, check):
    (site / "interlocks.csv").write_text("name,rule\nx,surgery_1.htg_sp near 21\n")

    said = check()
    assert "interlocks.csv line 2: expected 'A > 5 forbids B > 5'" in said
    assert "1 finding" in said
