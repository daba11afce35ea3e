"""The demo once, end to end: its figures, its evidence, and every lie about that evidence found."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_S = 300


def wattproof(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "twin", *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False, **options
    )


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "state"


@pytest.fixture(scope="module")
def demo(state):
    done = wattproof("demo", "--headless", "--days", "1", "--json", "--state", state)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def evidence(demo):
    """(bundle, trust) of the first group."""
    group = demo["ledger"]["groups"][0]
    return Path(group["bundle"]), Path(group["trust"])


def test_the_summary_has_the_keys_that_were_laid_down(demo):
    assert set(demo) >= {"site", "plant", "weather", "period", "seed", "twin", "wire", "energy", "comfort", "carbon", "ledger", "wall_s"}
    assert set(demo["twin"]) == {"rooms", "equipment", "points"}
    assert set(demo["wire"]["outcomes"]) == {"applied", "masked", "not_effective", "rejected", "unverified", "conflict"}
    for kind in ("whole", "hvac_light"):
        assert set(demo["energy"][kind]) == {"bau_kwh", "code_kwh", "controlled_kwh", "saved_vs_bau_percent", "saved_vs_code_percent"}
    for run in ("bau", "code", "controlled"):
        assert set(demo["comfort"][run]) >= {
            "ppd_mean",
            "pmv_over_07_percent",
            "kelvin_hours_per_zone",
            "co2_over_1000_percent",
            "rh_over_65_percent",
        }
    assert set(demo["carbon"]) >= {"factor_id", "region", "year", "energy_wh", "scope1_g", "scope2_location_g"}
    assert set(demo["ledger"]["groups"][0]) >= {"name", "owner", "entries", "size", "root", "cosigned_by", "bundle", "trust"}


def test_it_saves_at_comfort_no_worse_or_names_what_failed(demo):
    saved = demo["energy"]["whole"]["saved_vs_code_percent"]

    assert demo["failed"] or saved >= 15
    if demo["plant"] == "energyplus":
        assert demo["failed"] == []


def test_the_run_went_over_both_wires_and_every_command_was_answered(demo):
    wire = demo["wire"]

    assert (wire["bacnet_devices"], wire["modbus_devices"], wire["points"]) == (6, 5, 198)
    assert wire["reads"] >= 144 * 190
    assert wire["outcomes"]["applied"] > 500
    assert wire["outcomes"]["unverified"] == wire["outcomes"]["rejected"] == wire["outcomes"]["conflict"] == 0


def test_the_metered_claims_add_up_to_the_energy_of_the_run(demo):
    assert demo["carbon"]["energy_wh"] == pytest.approx(demo["energy"]["whole"]["controlled_kwh"] * 1000, rel=1e-3)
    assert demo["carbon"]["claims"] == 24


def test_both_owners_have_a_group_of_their_own_with_the_government_cosigning(demo):
    groups = demo["ledger"]["groups"]

    assert len({g["owner"] for g in groups}) == len({g["root"] for g in groups}) == 2
    assert all(len(g["cosigned_by"]) == 1 for g in groups)
    assert demo["ledger"]["verified"]


def test_the_evidence_verifies_offline_and_without_trust_it_does_not(evidence):
    bundle, trust = evidence

    trusted, alone = wattproof("verify", bundle, "--trust", trust, "--json"), wattproof("verify", bundle, "--json")

    assert (trusted.returncode, json.loads(trusted.stdout)["ok"]) == (0, True)
    assert (alone.returncode, json.loads(alone.stdout)["ok"]) == (1, False)
    assert {s["number"] for s in json.loads(trusted.stdout)["steps"]} == set(range(1, 13))


def test_one_altered_byte_of_a_sealed_entry_is_found_and_the_entry_named(demo, state, tmp_path):
    """Someone with the owner's disk changes one byte inside the log; the evidence made from it names the entry."""
    group = demo["ledger"]["groups"][0]
    copy = Path(shutil.copytree(state, tmp_path / "state"))
    log = copy / "groups" / group["name"] / "log.db"
    number = _alter_one_byte(log)

    done = wattproof("bundle", group["name"], "--out", tmp_path / "altered.bundle", "--state", copy)
    if done.returncode == 0:
        done = wattproof("verify", tmp_path / "altered.bundle", "--trust", group["trust"], "--json")

    assert done.returncode == 1
    assert str(number) in done.stdout + done.stderr


def _alter_one_byte(log):
    db = sqlite3.connect(log)
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    number, leaf = db.execute("SELECT number, leaf FROM entry WHERE number = (SELECT max(number) / 2 FROM entry)").fetchone()
    at = len(leaf) // 2
    db.execute("UPDATE entry SET leaf = ? WHERE number = ?", (leaf[:at] + bytes([leaf[at] ^ 1]) + leaf[at + 1 :], number))
    db.commit()
    db.close()
    return number


def test_the_other_owners_trust_file_opens_nothing_of_this_group(demo):
    first, second = demo["ledger"]["groups"]

    done = wattproof("verify", first["bundle"], "--trust", second["trust"], "--json")

    assert done.returncode == 1
    assert next(s for s in json.loads(done.stdout)["steps"] if s["number"] == 2)["ok"] is False


def test_the_journal_chain_holds_and_holds_no_gap(demo, state):
    from twin.journal import Journal

    journal = Journal(state / "sites" / "demo_office" / "journal.db")

    assert journal.check() == journal.size() > 1000


def test_private_keys_are_nobody_elses_to_read(demo, state):
    keys = list(state.rglob("*.key"))

    assert len(keys) > 6
    assert [k.name for k in keys if k.stat().st_mode & 0o077] == []
    assert state.stat().st_mode & 0o777 == 0o700, "journals and histories tell who was in the building"
    assert [b.name for b in state.rglob("*.bundle") if b.stat().st_mode & 0o077] == []


def test_ctrl_c_gives_the_building_back_before_anything_else_ends(tmp_path):
    """SIGINT in mid-run: release, then devices, then sealing; the exit is clean and the release is sealed."""
    state = tmp_path / "state"
    words = [sys.executable, "-m", "twin", "demo", "--headless", "--days", "30", "--plant", "rc", "--json", "--state", str(state)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait_for_commands(state / "sites" / "demo_office" / "journal.db", process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT_S)

    assert process.returncode == 0, err
    assert json.loads(out)["stopped"] is True
    assert "0 still held" in err
    journal = sqlite3.connect(state / "sites" / "demo_office" / "journal.db")
    release = json.loads(journal.execute("SELECT body FROM journal WHERE kind = 'release' ORDER BY number DESC").fetchone()[0])
    assert (release["held_after"], release["points"] > 20) == (0, True)
    assert not os.path.exists(f"/proc/{process.pid}")


def _wait_for_commands(path, process):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists():
            count = (
                sqlite3.connect(f"file:{path}?mode=ro", uri=True).execute("SELECT count(*) FROM journal WHERE kind = 'command'").fetchone()
            )
            if count[0] > 100:
                return
        time.sleep(0.2)
    process.kill()
    pytest.fail(f"no commands within two minutes: {process.communicate()[1]}")
