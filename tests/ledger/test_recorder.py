"""The recorder: a journal goes into the log once, whatever happens in between, and a claim can be redone from what was sealed."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger import custody, statements
from ledger.carbon.claims import MeterTerm, Terms
from ledger.contracts.policies import policy
from ledger.entry import Signed
from ledger.errors import LedgerError
from ledger.log import Log
from ledger.recorder import Recorder
from ledger.replay import View
from ledger.rules import RULES
from ledger.source import Source
from ledger.trust import Trust
from ledger.verify import Report, verify_bundle
from ledger.witness import Witness, WitnessServer
from ledger.witness_client import WitnessClient
from twin.clock import wall_now
from twin.grants import Grant, digest
from twin.journal import Journal, Record

START = datetime(2025, 7, 1, 0, 0, tzinfo=UTC)
STEP = timedelta(minutes=10)
TERMS = Terms("tower", "CN-GD", (MeterTerm("em_main.energy", 2), MeterTerm("gm_main.energy", 1, "natural_gas")))
LIMITS = {"contract": 100_000, "transformer": 0}


@dataclass
class Town:
    """A government, an owner's group with one simulated site, and the site's journal."""

    folder: Path
    witness: Witness
    server: WitnessServer
    journal: Journal
    wh: int = 1_000_000
    gas_wh: int = 500_000
    cycle: int = 0

    def recorder(self, *, witness: bool = True) -> Recorder:
        return Recorder(self.folder, TERMS, self.journal, simulated=True, witness_url=self.server.url if witness else "")

    @property
    def now(self) -> datetime:
        return START + self.cycle * STEP

    def live(self, power_w: int = 60_000, commands: int = 0) -> None:
        """One cycle: readings of two devices, commands, their outcomes."""
        if self.cycle:
            self.wh += power_w // 6
            self.gas_wh += 1_000
        at = self.now
        meters = {"em_main.energy": float(self.wh), "gm_main.energy": float(self.gas_wh)}
        zones = {"core.zn_t": 22.5 + self.cycle / 100, "core.zn_rh": 45.0}
        self.journal.append([readings("meters", at, meters), readings("floor_1", at, zones)])
        orders = [command(f"c{self.cycle}.{n}", at) for n in range(commands)]
        if orders:
            self.journal.append(orders)
            self.journal.append([outcome(order.body["id"], at) for order in orders])
        self.cycle += 1

    def views(self, *kinds: str) -> list[View]:
        log = custody.open_log(self.folder)
        try:
            return [View(row.number, row.entry, log.body(row)) for row in log.stored(0, log.size(), kinds)]
        finally:
            log.close()

    def verify(self) -> Report:
        trust = Trust.from_json(self.witness.trust("guangda").to_json())
        data = custody.make_bundle(self.folder).encode()
        return verify_bundle(data, trust, now=wall_now(), rules=RULES)


def readings(connection: str, at: datetime, values: dict[str, float | None]) -> Record:
    body = {
        "connection": connection,
        "at": at.isoformat(),
        "values": {p: [v, "good" if v is not None else "bad", ""] for p, v in values.items()},
    }
    return Record("readings", at, body)


def command(name: str, at: datetime, value: float | None = 21.5) -> Record:
    body = {
        "id": name, "cycle": "c", "point": "core.htg_sp", "value": value, "priority": 13, "by": "comfort", "why": "people are expected",
        "until": (at + STEP).isoformat(), "authority": 5, "before": 20.0, "inputs": {"people": 3.2},
    }  # fmt: skip
    return Record("command", at, body)


def outcome(name: str, at: datetime, result: str = "applied") -> Record:
    body = {"command": name, "point": "core.htg_sp", "result": result, "read_back": 21.5, "slot": 21.5, "ruling_priority": 13, "detail": ""}
    return Record("outcome", at, body)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    witness = Witness(tmp_path / "witness", "Guangzhou energy office")
    server = WitnessServer(witness)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    folder = tmp_path / "groups" / "guangda"
    metering = {"em_main.energy": 0, "gm_main.energy": 0}
    policies = [
        policy("metering", {"sites": {"tower": metering}}),
        policy("overload", {"sites": {"tower": {"energy": "em_main.energy", "limits_w": LIMITS}}}),
    ]
    custody.found_group(folder, "guangda", "Guangda Property", WitnessClient(server.url), simulated=True, policies=policies)
    custody.issue_gateway(folder, "tower")
    journal = Journal(tmp_path / "sites" / "tower" / "journal.db")
    yield Town(folder, witness, server, journal)
    server.shutdown()
    server.server_close()
    thread.join()
    journal.close()
    witness.close()


def seal_all(town: Town) -> Recorder:
    recorder = town.recorder()
    recorder.open()
    recorder.finish()
    return recorder


def claim(town: Town, number: int = 0) -> dict[str, Any]:
    return town.views("emission.period")[number].body.by_name()


def test_an_hour_of_readings_becomes_a_claim_that_anyone_can_redo(town: Town) -> None:
    for _ in range(7):
        town.live(power_w=60_000)
    seal_all(town)
    sealed = claim(town)
    assert (sealed["scope2_wh"], sealed["scope1_wh"]) == (60_000, 6_000)
    assert (sealed["factor"], sealed["factor_value"]) == ("average/CN-GD/2023/MEE+NBS", "0.4419")
    assert (sealed["scope2_location_g"], sealed["scope1_g"]) == (26_514, 1_200)
    assert sealed["provisional"]
    assert sealed["to_ms"] - sealed["from_ms"] == 3_600_000
    report = town.verify()
    assert [step.number for step in report.steps if step.ok is False] == []
    assert [step.ok for step in report.steps if step.number in (10, 11)] == [True, True]
    assert report.ok


def test_one_batch_a_cycle_and_one_action_a_command_with_its_outcome(town: Town) -> None:
    for _ in range(3):
        town.live(commands=4)
    seal_all(town)
    batches, actions = town.views("reading.batch"), town.views("control.action")
    assert len(batches) == 3
    assert [name for name, _ in batches[0].body.fields][2:] == ["core.zn_rh", "core.zn_t", "em_main.energy", "gm_main.energy"]
    assert dict(batches[0].body.fields)["core.zn_t"] == [statements.ms(START), 22500, -3, "good", ""]
    assert len(actions) == 12
    fields = actions[0].body.by_name()
    assert (fields["by"], fields["why"], fields["outcome"]["result"]) == ("comfort", "people are expected", "applied")
    assert (fields["asked"]["before_milli"], fields["asked"]["value_milli"], fields["outcome"]["read_back_milli"]) == (20000, 21500, 21500)
    assert actions[0].entry.simulated
    assert actions[0].entry.time_ms == statements.ms(START)
    assert actions[0].entry.wall_ms > actions[0].entry.time_ms


def test_an_edited_total_is_found(town: Town) -> None:
    for _ in range(7):
        town.live()
    seal_all(town)
    views = town.views()
    original = next(view for view in views if view.entry.kind == "emission.period")
    check = RULES.claims["emission.period"]
    assert "as sealed" in check(original, views)
    for name, value in (
        ("scope2_location_g", 26_417),
        ("scope2_wh", 59_999),
        ("factor", "average/CN-SC/2023/MEE+NBS"),
        ("region", "CN-SC"),
    ):
        fields = tuple((n, value if n == name else v) for n, v in original.body.fields)
        edited = View(original.number, original.entry, type(original.body)(fields, original.body.secret))
        with pytest.raises(LedgerError, match="redone it is"):
            check(edited, views)


def test_a_claim_that_cites_another_register_than_was_sealed_is_found(town: Town) -> None:
    for _ in range(7):
        town.live()
    seal_all(town)
    views = town.views()
    original = next(view for view in views if view.entry.kind == "emission.period")
    line = dict(original.body.fields)["line:em_main.energy"]
    lower = {**line, "to": [line["to"][0], line["to"][1], line["to"][2] - 600], "wh": line["wh"] - 600}
    fields = tuple((n, lower if n == "line:em_main.energy" else v) for n, v in original.body.fields)
    edited = View(original.number, original.entry, type(original.body)(fields, original.body.secret))
    with pytest.raises(LedgerError, match="that entry does not say so"):
        RULES.claims["emission.period"](edited, views)


def test_the_claims_of_a_day_add_up_to_the_register(town: Town) -> None:
    begun = town.wh
    recorder = town.recorder()
    for n in range(145):
        town.live(power_w=30_000 + 400 * n)
        recorder.step()
    recorder.finish()
    claims = [view.body.by_name() for view in town.views("emission.period")]
    assert len(claims) == 24
    assert sum(c["scope2_wh"] for c in claims) == town.wh - begun
    assert [a["line:em_main.energy"]["to"] for a in claims[:-1]] == [b["line:em_main.energy"]["from"] for b in claims[1:]]


def test_readings_missing_at_a_mark_make_one_longer_period_and_estimate_nothing(town: Town) -> None:
    for _ in range(3):
        town.live()
    town.cycle, town.wh = 11, town.wh + 90_000  # silent from 00:20 to 01:50
    for _ in range(2):
        town.live()
    seal_all(town)
    claims = town.views("emission.period")
    assert len(claims) == 1
    assert claim(town)["to_ms"] - claim(town)["from_ms"] == 2 * 3_600_000
    assert town.verify().ok


def test_a_killed_recorder_loses_nothing_and_seals_nothing_twice(town: Town) -> None:
    for _ in range(5):
        town.live(commands=2)
    first = town.recorder()
    first.step()
    (town.folder / "recorder-tower.json").unlink()  # killed after the log's commit, before anything else was written
    first.close()
    for _ in range(5):
        town.live(commands=2)
    seal_all(town)
    actions = [view.body.by_name()["id"] for view in town.views("control.action")]
    assert actions == [f"c{cycle}.{n}" for cycle in range(10) for n in range(2)]
    assert len(town.views("reading.batch")) == 10
    assert len(town.views("emission.period")) == 1
    assert town.verify().ok


def test_a_checkpoint_that_fails_is_made_again_whole(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(7):
        town.live(power_w=95_000)
    recorder = town.recorder()
    kept = Log.seal

    def full_disk(self: Log, items: Any, wall: datetime, follow: Any = None) -> Any:
        def last_moment(views: Any) -> Any:
            follow(views)
            raise LedgerError("disk full")

        return kept(self, items, wall, last_moment)

    monkeypatch.setattr(Log, "seal", full_disk)
    with pytest.raises(LedgerError, match="disk full"):
        recorder.step()
    monkeypatch.setattr(Log, "seal", kept)
    recorder.finish()
    assert len(town.views("alarm.raised")) == 1
    assert town.verify().ok


def test_nothing_new_makes_no_checkpoint(town: Town) -> None:
    town.live()
    recorder = town.recorder()
    assert recorder.step() == 2
    size = recorder._log.size()
    assert recorder.step() == 0
    assert recorder._log.size() == size
    recorder.close()


def test_an_overload_is_sealed_once_and_people_see_it_once(town: Town) -> None:
    for power_w in (0, 48_000, 96_000, 98_000, 96_000, 48_000, 48_000):
        town.live(power_w)
    seal_all(town)
    seal_all(town)
    kinds = [view.entry.kind for view in town.views("alarm.raised", "alarm.escalated", "alarm.cleared")]
    assert kinds == ["alarm.raised", "alarm.cleared"]
    shown = [row.body for row in town.journal.after(0, ("alarm",))]
    assert [(body["state"], body["kind"], body["source"]) for body in shown] == [
        ("raised", "overload", "tower"),
        ("cleared", "overload", "tower"),
    ]
    assert shown[0]["message"] == "load 96.0 kW is 96.0 % of the contract limit (warn)"
    assert town.verify().ok


def test_an_alarm_sealed_just_before_a_kill_is_shown_after_the_restart(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    for power_w in (0, 97_000):
        town.live(power_w)
    with monkeypatch.context() as killed:
        killed.setattr(Recorder, "_journal_alarms", lambda self, alarms: None)
        town.recorder().step()
    assert town.journal.after(0, ("alarm",)) == []
    seal_all(town)
    seal_all(town)
    assert len(town.journal.after(0, ("alarm",))) == 1


def test_sealing_goes_on_while_the_witness_is_away_and_becomes_final_when_it_is_back(town: Town) -> None:
    recorder = Recorder(town.folder, TERMS, town.journal, simulated=True, witness_url="http://127.0.0.1:9")
    recorder.open()
    town.live()
    assert recorder.step() == 2
    assert recorder.behind
    recorder.close()
    back = town.recorder()
    back.open()
    assert not back.behind
    back.close()


def test_a_command_without_an_answer_is_waited_for_then_sealed_and_its_late_answer_too(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = town.recorder()
    town.journal.append([command("slow", START)])
    assert recorder.step() == 0
    monkeypatch.setattr("ledger.chunk.ANSWER_WAIT", timedelta(0))
    assert recorder.step() == 1
    recorder.close()
    town.journal.append([outcome("slow", START, "applied")])
    seal_all(town)
    told = [view.body.by_name() for view in town.views("control.action")]
    assert [(t["outcome"]["result"], t.get("late", False)) for t in told] == [("unanswered", False), ("applied", True)]


def test_a_revoked_gateway_is_refused_once_and_its_rows_wait(town: Town) -> None:
    town.live()
    recorder = town.recorder()
    recorder.step()
    custody.suspend_device(town.folder, "tower:gateway", "cover was open")
    town.live(commands=1)
    assert [recorder.step() for _ in range(3)] == [0, 0, 0]
    assert len(town.views("refused")) == 1
    assert town.journal.latest(("alarm",))[0].body["source"] == "tower:gateway"
    custody.resume_device(town.folder, "tower:gateway", "inspected")
    recorder.finish()
    assert len(town.views("reading.batch")) == 2
    assert town.verify().ok


def test_a_gateway_with_a_new_key_goes_on_sealing_and_loses_no_row(town: Town) -> None:
    town.live()
    recorder = town.recorder()
    recorder.step()

    custody.rotate_device(town.folder, "tower:gateway")
    town.live(commands=1)
    recorder.finish()

    assert [len(town.views(kind)) for kind in ("refused", "reading.batch", "control.action")] == [0, 2, 1]
    assert town.verify().ok


def secure_meter(town: Town) -> Source:
    custody.enrol_device(town.folder, custody.Enrolment("tower:em_main", brick="Building_Electrical_Meter"))
    log = custody.open_log(town.folder)
    try:
        return log.source(custody.device_signer(town.folder, "tower:em_main"), "tower:em_main")
    finally:
        log.close()


def record_row(town: Town, record: bytes) -> Record:
    return Record("record", town.now, {"connection": "main_meter", "point": "em_main.record", "record": record.hex()})


def test_a_meter_that_signs_itself_is_sealed_as_it_came_and_the_claim_rests_on_it(town: Town) -> None:
    meter = secure_meter(town)
    for _ in range(7):
        at = town.now
        town.live()
        record = meter.record("reading.batch", statements.register("em_main.energy", at, town.wh), at, wall_now())
        town.journal.append([record_row(town, record)])
    seal_all(town)
    line = claim(town)["line:em_main.energy"]
    assert (line["from_source"], line["to_source"]) == ("tower:em_main", "tower:em_main")
    assert claim(town)["line:gm_main.energy"]["to_source"] == "tower:gateway"
    assert town.verify().ok


def test_a_forged_meter_record_is_refused_and_the_refusal_is_sealed(town: Town) -> None:
    meter = secure_meter(town)
    record = meter.record("reading.batch", statements.register("em_main.energy", START, 1), START, wall_now())
    signature = Signed.decode(record).entry.signatures[0]
    forged = record.replace(signature, bytes((signature[0] ^ 1,)) + signature[1:])
    town.journal.append([record_row(town, forged), Record("record", START, {"connection": "m", "point": "p", "record": "no hex"})])
    seal_all(town)
    reasons = [view.body.by_name()["reason"] for view in town.views("refused")]
    assert [reason.split(":")[0] for reason in reasons] == ["unproven", "malformed"]


def device(event: str, firmware: str, at: datetime = START) -> Record:
    fingerprint = {"instance": 11, "vendor": "Simulated", "model": "VAV-4", "serial": "s-7", "firmware": firmware}
    return Record("device", at, {"connection": "floor_1", "event": event, "fingerprint": fingerprint})


def test_a_field_device_is_enrolled_by_fingerprint_and_a_changed_one_raises_an_alarm(town: Town) -> None:
    town.journal.append([device("found", "1.0")])
    town.live()
    recorder = town.recorder()
    recorder.step()
    known = recorder._log.group().devices["tower:floor_1"]
    assert (known.kind, known.vouched_by, known.fingerprint["serial"]) == ("fingerprint", "tower:gateway", "s-7")
    town.journal.append([device("changed", "1.1")])
    recorder.step()
    recorder.finish()
    alarm = town.journal.latest(("alarm",))[0].body
    assert alarm["kind"] == "device_changed"
    assert "firmware was '1.0', is '1.1'" in alarm["message"]
    assert len(town.views("device.seen")) == 2
    assert len(town.views("alarm.raised")) == 1


def test_who_decided_on_a_binding_and_who_released_points_is_sealed(town: Town) -> None:
    decision = {
        "header": "bacnet:ddc_1/analog-output,4",
        "decision": {"point": "vav_1.dmp", "writable": True},
        "by": "chen",
        "why": "saw it",
    }
    taken_back = {"header": "2O2Fr$t4X7Zf8NOew3FLOH", "decision": None, "by": "chen", "why": "an old drawing"}
    row = {"brick": "Damper_Position_Command", "address": "bacnet:ddc_1/analog-output,4", "low": 0.0, "high": 100.0, "step": None}
    grant = Grant("chen", "p256:key", START, None, {"vav_1.dmp": row}, {"ddc_1": {"host": "10.0.0.5"}}, ("p256:key",)).body()
    town.journal.append([Record("review", START, decision), Record("review", START, taken_back), Record("grant", START, grant)])
    town.live()
    seal_all(town)
    reviews = [view.body.by_name() for view in town.views("twin.review")]
    (released,) = [view.body.by_name() for view in town.views("control.grant")]

    assert [(said["by"], said["decision"]) for said in reviews] == [("chen", {"point": "vav_1.dmp", "writable": True}), ("chen", None)]
    assert (released["by"], released["points"]) == ("chen", ["vav_1.dmp"])
    assert released["sha256"].hex() == digest(town.journal.latest(("grant",))[0].body)
    assert town.verify().ok


def test_a_simulated_site_never_sits_in_a_real_group(town: Town) -> None:
    with pytest.raises(LedgerError, match="tower is a real site, group guangda is for simulated ones"):
        Recorder(town.folder, TERMS, town.journal, simulated=False)


def test_a_region_without_a_factor_is_claimed_as_nothing_and_said_so(town: Town) -> None:
    terms = Terms("tower", "CN-XZ", TERMS.meters)
    for _ in range(7):
        town.live()
    recorder = Recorder(town.folder, terms, town.journal, simulated=True)
    recorder.finish()
    assert town.views("emission.period") == []
    assert "CN-XZ has no published average factor" in (town.folder / "recorder-tower.json").read_text()


def test_two_sites_of_one_owner_share_a_log_and_its_contracts(town: Town) -> None:
    custody.issue_gateway(town.folder, "annex")
    other = Town(town.folder, town.witness, town.server, Journal(town.folder / "annex.db"))
    terms = Terms("annex", "CN-TJ", TERMS.meters)
    tower, annex = town.recorder(), Recorder(town.folder, terms, other.journal, simulated=True)
    for _ in range(7):
        town.live(power_w=96_000, commands=1)
        other.live(power_w=30_000)
        assert tower.step() >= 4  # readings, command, outcome, and the alarm it journalled itself
        assert annex.step() == 2
    annex.finish()
    tower.finish()
    claims = [view.body.by_name() for view in town.views("emission.period")]
    assert {(c["site"], c["scope2_wh"], c["factor"]) for c in claims} == {
        ("tower", 96_000, "average/CN-GD/2023/MEE+NBS"),
        ("annex", 30_000, "average/CN-TJ/2023/MEE+NBS"),
    }
    assert [view.entry.source for view in town.views("alarm.raised")] == ["tower:gateway"]
    assert town.verify().ok
    other.journal.close()


def test_a_row_that_cannot_be_understood_stops_nothing_behind_it(town: Town) -> None:
    broken = command("broken", START).body | {"until": "tomorrow"}
    huge = {"mode": "automatic", "by": "x", "why": "y", "level": 2**70}
    town.journal.append([Record("command", START, broken), outcome("broken", START), Record("mode", START, huge)])
    town.live(commands=1)
    seal_all(town)
    why = [view.body.by_name()["refused_because"] for view in town.views("control.refusal")]
    assert [reason.split(":")[0] for reason in why] == ["the journal row is malformed", "cannot be sealed"]
    assert len(town.views("control.action")) == 1
    assert town.verify().ok


def test_another_journal_than_the_one_that_was_sealed_is_refused(town: Town) -> None:
    town.live()
    seal_all(town)
    other = Journal(town.folder / "other.db")
    with pytest.raises(LedgerError, match="restore the journal that belongs to it"):
        Recorder(town.folder, TERMS, other, simulated=True)
    other.close()


def test_a_clock_that_went_back_makes_sealing_wait(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    town.live()
    recorder = town.recorder()
    recorder.step()
    town.live()
    with monkeypatch.context() as wrong:
        wrong.setattr("ledger.recorder.wall_now", lambda: wall_now() - timedelta(hours=1))
        with pytest.raises(LedgerError, match="the clock went back"):
            recorder.step()
    assert recorder.step() == 2
    recorder.finish()
    assert town.views("refused") == []


def test_a_demo_day_is_sealed_in_a_few_seconds(town: Town) -> None:
    points = {f"zone_{n}.zn_t": 20.0 + n / 7 for n in range(200)}
    recorder = town.recorder()
    recorder.open()
    for _ in range(20):
        town.journal.append([readings("floor_1", town.now, points)])
        town.live(commands=30)
        recorder.step()
    recorder.finish()
    assert len(town.views("control.action")) == 600
    delay = recorder.delay()
    assert delay.count == 20 * 63
    assert delay.p95_s < 5


def test_a_witness_that_dies_in_mid_run_stops_no_sealing_and_all_is_final_when_it_is_back(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.recorder.WITNESS_PAUSE_S", 0.0)
    recorder = town.recorder()
    recorder.open()
    town.live()
    recorder.step()
    assert recorder.cosign()
    final = recorder.final_size
    port = town.server.server_address[1]
    town.server.shutdown()
    town.server.server_close()

    town.live()
    assert recorder.step() == 2
    assert (recorder.cosign(), recorder.behind, recorder.final_size) == (False, True, final)
    again = WitnessServer(town.witness, port)
    thread = threading.Thread(target=again.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    town.server = again
    assert recorder.cosign()
    assert not recorder.behind
    recorder.close()
    assert town.verify().ok
    again.shutdown()
    again.server_close()
    thread.join()
