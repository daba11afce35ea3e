"""Every lie about sealed evidence is found and the entry at fault is named: one small ledger with all that a gateway and an owner say."""

import random
import shutil
import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dashboards.archive import Archive
from dashboards.building import read_building
from dashboards.desk import Desk
from ledger import custody, explorer
from ledger.bundle import Bundle
from ledger.entry import KINDS, Entry
from ledger.errors import LedgerError
from ledger.trust import Trust
from ledger.verify import verify_bundle
from ledger.witness import Witness, WitnessServer
from ledger.witness_client import WitnessClient, cosign_newest
from twin.errors import StateError
from twin.graph import Graph
from twin.site import load_site, product_root
from twin.state import StateFolder

START = datetime(2026, 6, 1, 8, tzinfo=UTC)
GATEWAY, METER, FAN = "pier:gateway", "pier:em_main", "pier:ahu_1"
SEED = 20260601
BYTES_TRIED = 4  # of each kind's entry and body; tests/ledger/test_verify.py tries every byte of a small bundle


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """Two owners' groups with one government; the first has an entry of each kind that its owner and gateway can make."""
    root = tmp_path_factory.mktemp("town")
    witness = Witness(root / "witness", "Energy office")
    server = WitnessServer(witness)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    for name, owner in (("harbour", "Harbour Ltd"), ("hillside", "Hillside Clinic")):
        folder = root / "groups" / name
        custody.found_group(folder, name, owner, WitnessClient(server.url), simulated=True, at=START)
        custody.issue_gateway(folder, "pier", START)
        _live(folder, WitnessClient(server.url))
    yield root, witness
    server.shutdown()
    server.server_close()
    thread.join()
    witness.close()


def _live(folder: Path, client: WitnessClient) -> None:
    at = START + timedelta(minutes=10)
    fan = custody.Enrolment(FAN, "AHU", "bacnet:ahu_1", {"serial": "A-12"}, GATEWAY)
    custody.enrol_devices(folder, [custody.Enrolment(METER, "Building_Electrical_Meter", "modbus:main"), fan], at)
    log = custody.open_log(folder)
    gateway, meter = log.source(custody.device_signer(folder, GATEWAY), GATEWAY), log.source(custody.device_signer(folder, METER), METER)
    said = [kind for kind, rule in KINDS.items() if rule.signer == "device"]
    records = [meter.record("reading.batch", {"em_main.energy": n}, at, at) for n in range(3)]
    log.seal([gateway.entry(kind, {"what": kind, "value": 215}, at, at) for kind in said], at)
    log.seal([records[0], records[2], records[0]], at + timedelta(minutes=1))  # a gap, and one that came again
    log.close()
    custody.suspend_device(folder, METER, "cover open", at + timedelta(minutes=2))
    custody.resume_device(folder, METER, "inspected", at + timedelta(minutes=3))
    custody.rotate_device(folder, METER, at + timedelta(minutes=4))
    custody.replace_device(folder, custody.Enrolment(FAN, "AHU", "bacnet:ahu_1", {"serial": "B-7"}, GATEWAY), at + timedelta(minutes=5))
    custody.revoke_device(folder, METER, "sold", at + timedelta(minutes=6))
    log = custody.open_log(folder)
    cosign_newest(log, client)
    log.close()


@pytest.fixture(scope="module")
def evidence(town):
    root, witness = town
    return custody.make_bundle(root / "groups" / "harbour"), witness.trust("harbour")


def _one_of_each_kind(bundle: Bundle) -> list[int]:
    return list({Entry.decode(piece.leaf).kind: piece.number for piece in bundle.pieces}.values())


def _flipped(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def _named(report) -> set[int | None]:
    failed = {step.number for step in report.steps if step.ok is False}
    return {finding.entry for finding in report.findings if finding.step in failed}


def test_the_small_ledger_is_honest_and_holds_what_a_gateway_and_an_owner_say(evidence):
    bundle, trust = evidence
    kinds = {Entry.decode(piece.leaf).kind for piece in bundle.pieces}

    assert verify_bundle(bundle.encode(), trust).ok
    assert kinds >= {k for k, r in KINDS.items() if r.signer in ("device", "log")} | {"group.found", "device.enrol", "device.revoke"}


@pytest.mark.parametrize("digest", ["repaired", "as it was"])
@pytest.mark.parametrize("part", ["leaf", "body"])
def test_one_altered_byte_of_any_kind_of_entry_is_found_in_a_bundle_and_the_entry_named(evidence, part, digest):
    bundle, trust = evidence
    dice = random.Random(SEED)
    for number in _one_of_each_kind(bundle):
        for _ in range(BYTES_TRIED):
            piece = bundle.pieces[number]
            altered = replace(piece, **{part: _flipped(getattr(piece, part), dice)})
            forged = replace(bundle, pieces=(*bundle.pieces[:number], altered, *bundle.pieces[number + 1 :])).encode()
            report = verify_bundle(forged if digest == "repaired" else forged[:-32] + bundle.encode()[-32:], trust)

            assert not report.ok
            assert number in _named(report), (number, Entry.decode(piece.leaf).kind, [s.detail for s in report.steps if s.ok is False])


@pytest.mark.parametrize(("table", "column"), [("entry", "leaf"), ("body", "box")])
def test_one_altered_byte_in_the_log_file_is_found_and_the_entry_named(town, tmp_path, table, column):
    """An owner with the disk in hand: making the bundle, or verifying it, names the entry; sealed bodies too."""
    root, witness = town
    folder = Path(shutil.copytree(root / "groups" / "harbour", tmp_path / "harbour"))
    db = sqlite3.connect(folder / "log.db")
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    dice = random.Random(SEED)
    kinds = db.execute("SELECT kind, max(number) FROM entry GROUP BY kind").fetchall()
    for kind, number in kinds:
        whole = db.execute(f"SELECT {column} FROM {table} WHERE number = ?", (number,)).fetchone()[0]
        for _ in range(BYTES_TRIED):
            db.execute(f"UPDATE {table} SET {column} = ? WHERE number = ?", (_flipped(whole, dice), number))
            db.commit()
            assert number in _found_at(folder, witness.trust("harbour"), number), kind
        db.execute(f"UPDATE {table} SET {column} = ? WHERE number = ?", (whole, number))
        db.commit()
    db.close()


def _found_at(folder: Path, trust: Trust, number: int) -> set[int | None]:
    """The entries that making the bundle, or else verifying it, complains of."""
    try:
        report = verify_bundle(custody.make_bundle(folder).encode(), trust)
    except LedgerError as error:
        return {number} if f"entry {number}" in str(error) else set()
    return set() if report.ok else _named(report)


def test_an_open_body_that_is_called_sealed_is_found(evidence):
    bundle, trust = evidence
    pieces = [replace(p, epoch=1) if not Entry.decode(p.leaf).rule.open else p for p in bundle.pieces]

    report = verify_bundle(replace(bundle, pieces=tuple(pieces)).encode(), trust)

    assert [s.number for s in report.steps if s.ok is False] == [9]
    assert _named(report) == {min(p.number for p in pieces if p.epoch)}


def test_the_inspector_s_own_verification_opens_sealed_bodies_and_names_a_spoiled_one(town, tmp_path):
    root, _ = town
    folder = Path(shutil.copytree(root / "groups" / "harbour", tmp_path / "harbour"))
    db = sqlite3.connect(folder / "log.db")
    db.execute("DROP TRIGGER body_stays")
    sealed = [n for (n,) in db.execute("SELECT number FROM body WHERE epoch > 0")]
    db.execute("UPDATE body SET box = zeroblob(length(box)) WHERE epoch > 0")  # all of them: nothing else lies open to compare with
    db.commit()
    db.close()

    step = next(s for s in explorer.check(folder, root / "witness" / "keys") if s.ok is False)

    assert (step.number, f"entry {sealed[0]} " in step.detail) == (9, True)


# --- isolation -------------------------------------------------------------------------------------


def test_with_one_owner_s_keys_and_trust_nothing_of_the_other_opens(town):
    root, witness = town
    harbour, hillside = root / "groups" / "harbour", root / "groups" / "hillside"

    with pytest.raises(StateError, match="another member or another group"):
        explorer.entries(hillside, harbour / "keys")
    report = verify_bundle(custody.make_bundle(hillside).encode(), witness.trust("harbour"))
    assert [s.number for s in report.steps if s.ok is False] == [2]

    log = custody.open_log(hillside)
    before = log.size()
    ours = custody.open_log(harbour)
    batch = ours.source(custody.device_signer(harbour, GATEWAY), GATEWAY).entry("reading.batch", {"a": 1}, START, START)
    ours.close()
    assert "belongs to another group" in log.seal([batch], START + timedelta(hours=2)).refused[0]
    assert next(log.stored(before, before + 1)).entry.kind == "refused"
    log.close()


def test_an_owner_s_pages_hold_one_group_and_the_government_s_hold_both(town, tmp_path):
    root, _ = town
    site = load_site(product_root() / "sites" / "corner_clinic")
    shutil.copytree(root, tmp_path / "state")
    (tmp_path / "state" / "groups" / "hillside").rename(tmp_path / "state" / "groups" / site.group.name)
    desk = Desk(read_building(site, Graph.read(site.twin_file)), StateFolder(tmp_path / "state"), explorer)
    found = desk.entries(("group.found", "reading.batch"))
    desk.close()

    assert desk.ledger().size > 0
    assert {e.body["name"] for e in found if e.kind == "group.found"} == {"hillside"}
    assert all(e.body is not None for e in found)
    assert Archive(root, explorer).groups() == ["harbour", "hillside"]
    assert all(e.body is not None for name in ("harbour", "hillside") for e in Archive(root, explorer).entries(name))


def test_keys_and_bundles_are_for_their_owner_alone(town, tmp_path):
    root, _ = town
    custody.make_bundle(root / "groups" / "harbour", tmp_path / "harbour.bundle")

    assert (tmp_path / "harbour.bundle").stat().st_mode & 0o777 == 0o600, "its bodies lie open"
    assert [k.name for k in root.rglob("*.key") if k.stat().st_mode & 0o077] == []
    assert [k for k in root.rglob("keys") if k.stat().st_mode & 0o077] == []
