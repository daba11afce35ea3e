"""The command `seal` as its own process: it follows, survives, and ends cleanly when told to."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger import custody, explorer
from ledger.carbon.claims import MeterTerm
from ledger.terms import group_policies, limits_w, terms_of
from ledger.witness import Witness, WitnessServer
from ledger.witness_client import WitnessClient
from twin.clock import wall_now
from twin.errors import StateError
from twin.graph import Graph
from twin.journal import Journal, Record
from twin.site import Site, load_site

ROOT = Path(__file__).resolve().parents[2]
START = datetime(2025, 7, 1, 8, 0, tzinfo=UTC)
SITE = """
name = "pier"
title = "Pier 3"
place = "Shenzhen"
jurisdiction = "CN"
timezone = "Asia/Shanghai"
area_m2 = 5000.0
use = "office"
grid_region = "CN-GD"
contract_demand_kw = 50.0
transformer_kva = 250.0
[group]
name = "harbour"
owner = "Harbour Ltd"
government = "Energy office"
"""
METERS = (
    ("em_main", "Building_Electrical_Meter", (("energy", "Electric_Energy_Sensor"), ("power", "Electric_Power_Sensor"))),
    ("em_hvac", "Electrical_Meter", (("energy", "Electric_Energy_Sensor"),)),
    ("gm_main", "Building_Gas_Meter", (("energy", "Natural_Gas_Usage_Sensor"),)),
)
SEAL = "import sys; import typer; from ledger.seal_commands import seal; typer.run(seal)"


@dataclass
class Pier:
    """A site folder, its state, its government, and its journal."""

    site: Site
    state: Path
    witness: Witness
    url: str
    journal: Journal
    cycle: int = 0

    @property
    def group(self) -> Path:
        return self.state / "groups" / "harbour"

    def live(self, cycles: int) -> None:
        for _ in range(cycles):
            at = START + timedelta(minutes=10) * self.cycle
            values = {f"{meter}.energy": [float(5000 * self.cycle), "good", ""] for meter, _, _ in METERS}
            self.journal.append([Record("readings", at, {"connection": "meters", "at": at.isoformat(), "values": values})])
            self.cycle += 1

    def seal(self, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SEAL, str(self.site.folder), "--state", str(self.state), "--witness", self.url, "--json", *options]
        return subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )

    def sealed(self, kind: str) -> int:
        return explorer.overview(self.group).by_kind.get(kind, 0)

    def wait_for(self, kind: str, count: int) -> None:
        for _ in range(300):
            if self.sealed(kind) >= count:
                return
            time.sleep(0.05)
        pytest.fail(f"{kind}: {self.sealed(kind)} sealed, expected {count}")


def write_site(folder: Path) -> Site:
    folder.mkdir()
    (folder / "site.toml").write_text(SITE)
    (folder / "plant.toml").write_text("")
    graph = twin()
    graph.write(folder / "twin.ttl")
    return load_site(folder)


def twin() -> Graph:
    triples = []
    for meter, brick, points in METERS:
        triples.append((f"site:{meter}", "rdf:type", f"brick:{brick}"))
        for tag, point_class in points:
            unit = "unit:W" if tag == "power" else "unit:W-HR"
            point = f"site:{meter}.{tag}"
            triples += [
                (point, "rdf:type", f"brick:{point_class}"),
                (point, "brick:isPointOf", f"site:{meter}"),
                (point, "brick:hasUnit", unit),
            ]
    return Graph.from_triples("pier", triples)


@pytest.fixture
def pier(tmp_path: Path) -> Iterator[Pier]:
    site = write_site(tmp_path / "pier")
    witness = Witness(tmp_path / "state" / "witness", "Energy office")
    server = WitnessServer(witness)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    pier = Pier(site, tmp_path / "state", witness, server.url, Journal(tmp_path / "state" / "sites" / "pier" / "journal.db"))
    policies = group_policies([(site, terms_of(site, twin()))])
    custody.found_group(pier.group, "harbour", "Harbour Ltd", WitnessClient(server.url), simulated=True, policies=policies)
    custody.issue_gateway(pier.group, "pier")
    yield pier
    server.shutdown()
    server.server_close()
    thread.join()
    pier.journal.close()
    witness.close()


def test_the_twin_says_which_meters_count_and_how(pier: Pier) -> None:
    terms = terms_of(pier.site, twin())
    assert terms.meters == (MeterTerm("em_hvac.energy", 0), MeterTerm("em_main.energy", 2), MeterTerm("gm_main.energy", 1, "natural_gas"))
    assert terms.region == "CN-GD"
    assert limits_w(pier.site) == {"contract": 50_000, "transformer": 237_500}


def test_once_seals_what_is_there_and_says_so_in_one_object(pier: Pier) -> None:
    pier.live(7)
    process = pier.seal("--once")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    said = json.loads(out)
    assert (said["site"], said["cursor"]) == ("pier", 7)
    seen = explorer.overview(pier.group)
    assert said["final_size"] == seen.size == seen.final_size
    assert seen.by_kind["emission.period"] == 1
    assert all(step.ok for step in explorer.check(pier.group, pier.state / "witness" / "keys") if step.number < 12)


def test_a_row_is_sealed_within_a_second_or_two_and_sigterm_ends_cleanly(pier: Pier) -> None:
    process = pier.seal()
    pier.live(1)
    pier.wait_for("reading.batch", 1)
    begun = wall_now()
    pier.live(1)
    pier.wait_for("reading.batch", 2)
    assert wall_now() - begun < timedelta(seconds=5)
    pier.live(1)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert pier.sealed("reading.batch") == 3
    assert json.loads(out)["seal_delay_p95_s"] < 10


def test_a_second_recorder_of_the_same_site_is_refused(pier: Pier) -> None:
    first = pier.seal()
    pier.live(1)
    pier.wait_for("reading.batch", 1)
    second = pier.seal("--once")
    _, err = second.communicate(timeout=60)
    assert second.returncode != 0
    assert "another recorder is sealing this site" in err
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    assert first.returncode == 0


def test_killed_at_any_moment_the_next_process_goes_on_without_gap_or_double(pier: Pier) -> None:
    for _ in range(3):
        process = pier.seal()
        pier.live(4)
        pier.wait_for("reading.batch", max(1, pier.cycle - 3))
        process.kill()
        process.communicate(timeout=60)
    done = pier.seal("--once")
    done.communicate(timeout=60)
    batches = explorer.entries(pier.group, pier.group / "keys", kinds=("reading.batch",))
    assert [batch.at for batch in reversed(batches)] == [START + timedelta(minutes=10) * n for n in range(12)]
    assert pier.sealed("emission.period") == 1
    assert all(step.ok for step in explorer.check(pier.group, pier.state / "witness" / "keys") if step.number < 12)


def test_a_log_restored_from_an_old_backup_is_not_sealed_any_further(pier: Pier) -> None:
    pier.live(1)
    pier.seal("--once").communicate(timeout=60)
    backup = {path.name: path.read_bytes() for path in pier.group.glob("*.*") if path.is_file()}
    pier.live(1)
    pier.seal("--once").communicate(timeout=60)
    for path in list(pier.group.glob("log.db*")):
        path.unlink()
    for name, content in backup.items():
        (pier.group / name).write_bytes(content)
    pier.live(1)
    process = pier.seal("--once")
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert StateError.__name__ in err
    assert "restore the log to size" in err


def test_devices_are_enrolled_and_the_gateway_revoked_by_command_while_the_log_is_being_sealed(pier: Pier) -> None:
    """Two processes seal one log by turns: nothing is lost, and after the revocation nothing of the gateway's enters."""
    process = pier.seal()
    words = [sys.executable, "-m", "twin", "device"]
    state = ["--state", str(pier.state)]
    for number in range(3):
        pier.live(2)
        done = subprocess.run(
            [*words, "enrol", "harbour", f"pier:meter_{number}", *state], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    pier.wait_for("reading.batch", 6)
    done = subprocess.run(
        [*words, "revoke", "harbour", "pier:gateway", "--reason", "opened", *state], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    pier.live(2)
    pier.wait_for("refused", 1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    kinds = explorer.overview(pier.group).by_kind
    assert (kinds["reading.batch"], kinds["refused"], kinds["device.enrol"], kinds["device.revoke"]) == (6, 1, 4, 1)
    alarm = pier.journal.latest(["alarm"])[0].body
    assert (alarm["source"], alarm["state"]) == ("pier:gateway", "raised")
    refusal = explorer.entries(pier.group, pier.group / "keys", kinds=("refused",))[0]
    assert "pier:gateway refused, revoked" in refusal.summary
    steps = explorer.check(pier.group, pier.state / "witness" / "keys")
    assert [f"{step.number}: {step.detail}" for step in steps if step.ok is False] == []
