import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ledger import commands
from twin.errors import AccessError, StateError, VerificationError, WireError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(house, street):
    """Run one of the ledger's commands on the street's state, as the command line would."""
    app = typer.Typer()
    app.add_typer(commands.group_app, name="group")
    app.add_typer(commands.device_app, name="device")
    app.command("bundle")(commands.bundle)
    app.command("verify")(commands.verify)

    def run(*arguments: str, exit_code: int = 0, state: bool = True) -> dict:
        options = ["--state", str(street.root)] if state else []
        result = CliRunner().invoke(app, [*arguments, *options, "--json"])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout)

    return run


def test_evidence_goes_from_the_owner_to_the_inspector(house, run, tmp_path: Path) -> None:
    house.live(1)
    bundle, trust = tmp_path / "a.bundle", tmp_path / "a.trust"

    made = run("bundle", "riverside", "--out", str(bundle))
    run("group", "trust", "riverside", "--out", str(trust))
    verdict = run("verify", str(bundle), "--trust", str(trust), state=False)

    assert verdict["ok"] is True
    assert set(verdict) == {"ok", "steps", "group", "size", "root", "findings"}
    assert [set(step) for step in verdict["steps"]] == [{"number", "what", "ok", "detail"}] * 12
    assert (verdict["size"], verdict["root"]) == (made["size"], made["root"])


def test_without_trust_the_answer_is_not_ok(house, run, tmp_path: Path) -> None:
    house.live(1)
    run("bundle", "riverside", "--out", str(tmp_path / "a.bundle"))

    assert run("verify", str(tmp_path / "a.bundle"), exit_code=1, state=False)["ok"] is False


def test_a_checkpoint_seen_before_is_compared(house, run, tmp_path: Path) -> None:
    house.live(1)
    run("bundle", "riverside", "--out", str(tmp_path / "old.bundle"))
    run("group", "trust", "riverside", "--out", str(tmp_path / "a.trust"))
    house.live(1)
    (tmp_path / "seen").write_text(house.log.newest().signed, encoding="utf-8")
    arguments = ["verify", str(tmp_path / "old.bundle"), "--trust", str(tmp_path / "a.trust"), "--seen", str(tmp_path / "seen")]

    verdict = run(*arguments, exit_code=1, state=False)

    assert [step["number"] for step in verdict["steps"] if step["ok"] is False] == [3]


def test_devices_are_enrolled_listed_and_revoked(house, run) -> None:
    enrol = ["device", "enrol", "riverside", "demo:vav_1", "--fingerprint", "serial=9", "--vouched-by", "demo:gateway"]
    run(*enrol)
    run("device", "enrol", "riverside", "demo:em_light")
    run("device", "revoke", "riverside", "demo:em_light", "--reason", "never installed")

    devices = run("device", "list", "riverside")["devices"]

    assert [(d["device"], d["kind"], d["status"], d["vouched_by"]) for d in devices] == [
        ("demo:gateway", "certificate", "active", ""),
        ("demo:em_main", "certificate", "active", ""),
        ("demo:ahu_1", "fingerprint", "active", "demo:gateway"),
        ("demo:vav_1", "fingerprint", "active", "demo:gateway"),
        ("demo:em_light", "certificate", "revoked", ""),
    ]
    with pytest.raises(StateError, match="enrolled already"):
        run(*enrol)


def test_a_device_goes_through_its_life(house, run) -> None:
    def standing() -> dict[str, str]:
        return {d["device"]: d["status"] for d in run("device", "list", "riverside")["devices"]}

    keys = [d["key"] for d in run("device", "list", "riverside")["devices"] if d["device"] == "demo:em_main"]
    run("device", "suspend", "riverside", "demo:em_main", "--reason", "cover was open")
    assert standing()["demo:em_main"] == "suspended"
    run("device", "resume", "riverside", "demo:em_main", "--reason", "inspected")
    run("device", "rotate", "riverside", "demo:em_main")
    run("device", "revoke", "riverside", "demo:ahu_1", "--reason", "burnt out")
    run("device", "replace", "riverside", "demo:ahu_1", "--fingerprint", "serial=8", "--vouched-by", "demo:gateway")

    assert standing() == {"demo:gateway": "active", "demo:em_main": "active", "demo:ahu_1": "active"}
    assert [d["key"] for d in run("device", "list", "riverside")["devices"] if d["device"] == "demo:em_main"] != keys


def test_a_group_is_created_and_shown(house, run, street) -> None:
    created = run("group", "create", "hillside", "--owner", "Bob", "--witness", street.server.url)

    shown = run("group", "show", "hillside")

    assert shown == created
    assert shown["final_size"] == 0
    assert [member["name"] for member in shown["members"]] == ["Bob", "government"]


def test_errors_say_who_has_to_act(house, run, street, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="there is no group nowhere"):
        run("group", "show", "nowhere")
    with pytest.raises(StateError, match="belongs to no group of that name; its groups: riverside"):
        run("group", "trust", "nowhere", "--out", str(tmp_path / "x"))
    with pytest.raises(StateError, match="both --first and --end"):
        run("bundle", "riverside", "--out", str(tmp_path / "x"), "--first", "1")
    with pytest.raises(StateError, match="cannot be read"):
        run("verify", str(tmp_path / "absent"), state=False)
    with pytest.raises(StateError, match="the witness does not answer"):
        run("group", "create", "valley", "--owner", "Eve", "--witness", "http://127.0.0.1:9")
    (house.folder / "keys" / "owner.key").chmod(0o644)
    with pytest.raises(AccessError, match="others may read"):
        run("device", "revoke", "riverside", "demo:em_main", "--reason", "x")
    (tmp_path / "trust").write_text("{}")
    (tmp_path / "b").write_bytes(b"")
    with pytest.raises(StateError, match="not a trust file"):
        run("verify", str(tmp_path / "b"), "--trust", str(tmp_path / "trust"), state=False)


def test_the_ledger_s_own_verification_error_becomes_the_inspector_s() -> None:
    from ledger.errors import VerificationError as Inner

    with pytest.raises(VerificationError, match="no"), commands.said_plainly():
        raise Inner("no")


def test_a_port_in_use_is_said_to_the_technician(street, tmp_path: Path) -> None:
    with pytest.raises(WireError, match="choose another"):
        commands.witness(port=street.server.server_address[1], state=str(tmp_path / "other"))


def test_the_witness_process_tells_its_url_and_serves(tmp_path: Path) -> None:
    code = f"from ledger.commands import witness; witness(port=0, name='Shanghai', state={str(tmp_path)!r})"
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        told = json.loads(child.stdout.readline())
        from ledger.witness_client import WitnessClient

        keys = WitnessClient(told["url"]).ask_to_join("riverside", "Ann")
    finally:
        child.terminate()
        child.wait()
        child.stdout.close()

    assert told["name"] == keys.government == "Shanghai"
    assert keys.witness.name == "shanghai/witness/riverside"
