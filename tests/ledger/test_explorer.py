"""The explorer over a group that a recorder filled: what the owner, the government and a stranger see."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger import custody, explorer
from ledger.carbon.claims import MeterTerm, Terms
from ledger.contracts.policies import policy
from ledger.recorder import Recorder
from ledger.witness import Witness, WitnessServer
from ledger.witness_client import WitnessClient
from twin.errors import StateError
from twin.journal import Journal, Record

START = datetime(2025, 7, 1, 8, 0, tzinfo=UTC)
KINDS = ("reading.batch", "control.action", "emission.period")


@dataclass(frozen=True)
class Sealed:
    """A group's folder and its government's key folder."""

    folder: Path
    government_keys: Path


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sealed]:
    root = tmp_path_factory.mktemp("explorer")
    witness = Witness(root / "witness", "Energy office")
    server = WitnessServer(witness)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    folder = root / "groups" / "harbour"
    overload = policy("overload", {"sites": {"pier": {"energy": "em_main.energy", "limits_w": {"contract": 50_000}}}})
    custody.found_group(folder, "harbour", "Harbour Ltd", WitnessClient(server.url), simulated=True, policies=[overload])
    custody.issue_gateway(folder, "pier")
    journal = Journal(root / "sites" / "pier" / "journal.db")
    for n in range(7):
        at = START + timedelta(minutes=10 * n)
        values = {"em_main.energy": [float(10_000 * n), "good", ""], "hall.zn_t": [21.25, "good", ""], "hall.zn_rh": [None, "bad", "fault"]}
        journal.append([Record("readings", at, {"connection": "meters", "at": at.isoformat(), "values": values})])
    asked = {
        "id": "c1", "cycle": "1", "point": "hall.clg_sp", "value": 25.5, "priority": 13, "by": "setback", "why": "nobody is there",
        "until": at.isoformat(), "authority": 6, "before": 24.0, "inputs": {},
    }  # fmt: skip
    answer = {"command": "c1", "point": "hall.clg_sp", "result": "applied", "read_back": 25.5, "slot": 25.5, "ruling_priority": 13}
    journal.append([Record("command", at, asked), Record("outcome", at, answer)])
    recorder = Recorder(folder, Terms("pier", "CN-GD", (MeterTerm("em_main.energy", 2),)), journal, simulated=True, witness_url=server.url)
    recorder.open()
    recorder.finish()
    journal.close()
    yield Sealed(folder, root / "witness" / "keys")
    server.shutdown()
    server.server_close()
    thread.join()
    witness.close()


def test_the_overview_needs_no_key_and_says_what_is_final(sealed: Sealed) -> None:
    seen = explorer.overview(sealed.folder)
    assert (seen.name, seen.owner, seen.government) == ("harbour", "Harbour Ltd", "Energy office")
    assert seen.size == seen.final_size == sum(seen.by_kind.values())
    assert seen.by_kind["reading.batch"] == 7
    assert len(seen.cosigned_by) == 1
    assert seen.seal_delay_p95_s is not None
    assert seen.seal_delay_p95_s < 60


@pytest.mark.parametrize("who", ["owner", "government"])
def test_both_members_read_every_entry_as_one_line(sealed: Sealed, who: str) -> None:
    keys = sealed.folder / "keys" if who == "owner" else sealed.government_keys
    lines = {entry.kind: entry.summary for entry in explorer.entries(sealed.folder, keys)}
    assert lines["control.action"] == "hall.clg_sp: 24 → 25.5 by setback (nobody is there), applied"
    assert lines["emission.period"] == "pier: 60.0 kWh in 1 h, 26.5 kg CO2 by average/CN-GD/2023/MEE+NBS, provisional"
    assert lines["reading.batch"] == "3 readings of meters"
    assert lines["alarm.raised"] == "overload: load 60.0 kW is 120.0 % of the contract limit (alarm)"
    assert lines["device.enrol"] == "pier:gateway enrolled: own certificate"
    assert lines["group.found"] == "group harbour founded, simulated"


def test_entries_come_newest_first_of_the_asked_kinds_only(sealed: Sealed) -> None:
    found = explorer.entries(sealed.folder, sealed.folder / "keys", kinds=("alarm", "reading.batch"), newest=4)
    assert len(found) == 4
    assert {entry.kind for entry in found} <= {"alarm.raised", "alarm.escalated", "reading.batch"}
    assert [entry.number for entry in found] == sorted((entry.number for entry in found), reverse=True)


def test_a_reading_shows_value_quality_both_times_and_who_vouches(sealed: Sealed) -> None:
    batch = explorer.entries(sealed.folder, sealed.folder / "keys", kinds=("reading.batch",))[-1]
    assert batch.body is not None
    assert (batch.body["hall.zn_t"], batch.body["hall.zn_rh"]) == ("21.25", "no value (bad, fault)")
    assert (batch.at, batch.simulated) == (START, True)
    assert batch.wall > batch.at
    assert (batch.key_name, batch.vouched_by) == ("key of pier:gateway", "gateway pier:gateway")


def test_without_a_key_bodies_stay_sealed(sealed: Sealed, tmp_path: Path) -> None:
    for keys in (None, tmp_path):
        assert [(entry.body, entry.summary) for entry in explorer.entries(sealed.folder, keys, kinds=("control.action",))] == [
            (None, "sealed for members")
        ]


def test_the_verification_on_the_spot_has_every_step(sealed: Sealed, tmp_path: Path) -> None:
    steps = explorer.check(sealed.folder, sealed.government_keys)
    assert [step.number for step in steps] == list(range(1, 13))
    assert [step.number for step in steps if step.ok is not True] == [12]
    trust = tmp_path / "trust.json"
    witness = Witness(sealed.government_keys.parent)
    custody.export_trust(witness.trust("harbour"), trust)
    witness.close()
    assert [step.ok for step in explorer.check(sealed.folder, trust)] == [step.ok for step in steps]


def test_a_group_that_is_not_there_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="there is no log"):
        explorer.overview(tmp_path)
