import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from ledger.custody import (
    Enrolment,
    device_signer,
    enrol_device,
    found_group,
    open_log,
    replace_device,
    resume_device,
    revoke_device,
    rotate_device,
    suspend_device,
)
from ledger.entry import Signed
from ledger.errors import LedgerError, WitnessAwayError
from ledger.keys import Ed25519Signer
from ledger.log import Log
from ledger.reader import Reader
from ledger.replay import Event, Followed
from ledger.source import Source
from ledger.tree import root_of
from ledger.verify import verify_bundle
from ledger.witness_client import WitnessClient

GATEWAY, METER, FAN = "demo:gateway", "demo:em_main", "demo:ahu_1"


def test_a_batch_is_sealed_under_a_signed_root(house) -> None:
    sealed = house.seal(house.batch(house.gateway()))

    rows = list(house.log.stored(0, house.log.size()))
    assert rows[sealed.numbers[0]].entry.source == GATEWAY
    assert sealed.checkpoint.root == root_of([row.entry.hash for row in rows])
    assert rows[-1].entry.kind == "state"
    assert sealed.refused == ()


def test_bodies_lie_sealed_and_registry_entries_lie_open(house) -> None:
    house.seal(house.batch(house.gateway()))

    rows = list(house.log.stored(0, house.log.size()))
    assert {row.entry.kind for row in rows if row.epoch == 1} == {"reading.batch"}
    assert b"ahu_1.sa_t" not in (house.folder / "log.db").read_bytes() + (house.folder / "log.db-wal").read_bytes()
    assert house.log.body(next(row for row in rows if row.epoch)).fields[0] == ("ahu_1.sa_t", [215, "good"])


def test_entries_can_neither_be_changed_nor_deleted(house) -> None:
    house.live(1)
    db = sqlite3.connect(house.folder / "log.db")

    for table in ("entry", "body", "node", "checkpoint", "cosignature"):
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET rowid = rowid + 1000"):
            with pytest.raises(sqlite3.Error):
                db.execute(statement)
    db.close()


REFUSALS = {
    "unknown: demo:stranger was never enrolled": lambda house: house.batch(
        Source(device_signer(house.folder, METER), house.group.id, "demo:stranger", simulated=True)
    ),
    "is not signed under the key that is valid now": lambda house: house.batch(
        Source(device_signer(house.folder, METER), house.group.id, GATEWAY, simulated=True)
    ),
    "known by a fingerprint and cannot sign; demo:gateway vouches for it": lambda house: house.batch(
        Source(device_signer(house.folder, METER), house.group.id, FAN, simulated=True)
    ),
    "belongs to another group": lambda house: house.batch(
        Source(device_signer(house.folder, GATEWAY), b"\x01" * 32, GATEWAY, simulated=True)
    ),
    "mixes simulated and real": lambda house: house.batch(Source(device_signer(house.folder, GATEWAY), house.group.id, GATEWAY)),
    "claims a calendar time that has not come": lambda house: house.gateway().entry(
        "reading.batch", {"a": 1}, house.now, house.now + timedelta(hours=1)
    ),
    "device.revoke is said by the owner": lambda house: house.gateway().entry(
        "device.revoke", {"device": METER, "reason": "spite"}, house.now, house.now
    ),
    "is not for others to say": lambda house: house.gateway().entry("state", {"a": 1}, house.now, house.now),
    "not valid on": lambda house: house.gateway().entry("reading.batch", {"a": 1}, house.now, house.now - timedelta(days=30)),
    "malformed": lambda house: b"\x00noise",
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_what_may_not_enter_is_refused_and_the_refusal_is_sealed(house, reason: str) -> None:
    item = REFUSALS[reason](house)

    sealed = house.seal(item, house.batch(house.gateway()))

    assert len(sealed.numbers) == 1, "the honest batch entered all the same"
    refusal = next(row for row in house.log.stored(0, house.log.size()) if row.entry.kind == "refused")
    assert reason in house.log.body(refusal).by_name()["reason"]
    assert sealed.refused == (house.log.body(refusal).by_name()["reason"],)


def test_a_flipped_signature_is_refused(house) -> None:
    record = bytearray(house.batch(house.gateway()).encode())
    place = bytes(record).index(b"csigX@") + 10
    record[place] ^= 1

    assert "unproven: demo:gateway 1" in house.seal(bytes(record)).refused[0]


def test_an_entry_that_comes_again_is_refused(house) -> None:
    batch = house.batch(house.gateway())
    house.seal(batch)

    assert "replayed: demo:gateway 1 came again" in house.seal(batch).refused[0]


def test_a_second_history_of_a_source_is_refused(house) -> None:
    house.seal(house.batch(house.gateway(), 1))
    other = Source(device_signer(house.folder, GATEWAY), house.group.id, GATEWAY, 1, b"\x09" * 32, simulated=True)

    assert "forked" in house.seal(house.batch(other, 2)).refused[0]


def test_numbers_that_never_came_are_declared_by_the_log(house) -> None:
    meter = house.meter()
    lost = [meter.record("reading.batch", {"energy_wh": n}, house.now, house.now) for n in range(4)]

    sealed = house.seal(lost[0], lost[3])

    assert sealed.refused == ()
    gap = next(row for row in house.log.stored(0, house.log.size()) if row.entry.kind == "gap")
    assert house.log.body(gap).by_name() == {"source": METER, "first": 2, "last": 3}


def test_a_device_s_life_rules_from_each_index_on(house) -> None:
    """Enrol, suspend, resume, rotate, revoke: one batch after each step, and which of them entered."""
    story = []

    def try_batch(step: str) -> None:
        refused = house.seal(house.batch(house.meter())).refused
        story.append((step, refused[0].split(":")[0] if refused else "sealed"))

    try_batch("enrolled")
    suspend_device(house.folder, METER, "test", house.now)
    try_batch("suspended")
    resume_device(house.folder, METER, "test", house.now)
    try_batch("resumed")
    old = device_signer(house.folder, METER)
    rotate_device(house.folder, METER, house.now)
    try_batch("rotated")
    late = house.log.source(old, METER).entry("reading.batch", {"a": 1}, house.now, house.now)
    story.append(("with the old key", house.seal(late).refused[0].split(":")[0]))
    revoke_device(house.folder, METER, "test", house.now)
    try_batch("revoked")
    replace_device(house.folder, Enrolment(METER), house.now)
    try_batch("replaced")
    house.cosign()

    assert story == [
        ("enrolled", "sealed"),
        ("suspended", "suspended"),
        ("resumed", "sealed"),
        ("rotated", "sealed"),
        ("with the old key", "unknown"),
        ("revoked", "revoked"),
        ("replaced", "sealed"),
    ]
    assert verify_bundle(house.bundle().encode(), house.trust).ok


def test_registry_changes_that_cannot_be_are_refused(house) -> None:
    revoke_device(house.folder, METER, "broken", house.now)

    for change, reason in [
        (lambda: revoke_device(house.folder, METER, "again", house.now), "is revoked since"),
        (lambda: resume_device(house.folder, METER, "please", house.now), "cannot become active"),
        (lambda: enrol_device(house.folder, Enrolment(METER), house.now), "enrolled already"),
        (lambda: enrol_device(house.folder, Enrolment("demo:x", fingerprint={"a": "b"}, vouched_by=METER), house.now), "cannot vouch"),
        (lambda: enrol_device(house.folder, Enrolment("nosite"), house.now), "<site>"),
        (lambda: revoke_device(house.folder, "demo:nobody", "why", house.now), "never enrolled"),
    ]:
        with pytest.raises(LedgerError, match=reason):
            change()


def test_an_expired_certificate_stops_new_entries_only(house) -> None:
    house.seal(house.batch(house.gateway()))
    house.wait(60 * 24 * 1096)

    assert "certificate not valid on" in house.seal(house.batch(house.gateway())).refused[0]


def test_two_processes_seal_by_turns(house) -> None:
    first, second = house.open(), house.open()
    for _ in range(3):
        for log in (first, second):
            source = log.source(device_signer(house.folder, GATEWAY), GATEWAY)
            assert log.seal([house.batch(source)], house.now).refused == ()

    assert Reader(house.folder / "log.db").last(GATEWAY).seq == 6


def test_a_log_goes_on_after_a_restart_where_it_stopped(house) -> None:
    house.live(2)
    before = house.log.newest()

    again = house.open()

    assert again.newest() == before
    assert again.seal([house.batch(house.gateway())], house.now).refused == ()


def test_what_contracts_say_is_sealed_in_the_same_checkpoint(house) -> None:
    gateway = house.gateway()
    batch = house.batch(gateway)

    def follow(views) -> Followed:
        assert [view.entry for view in views] == [batch.entry]
        event = Event("alarm.raised", {"source": "em_main", "contract": "overload"})
        return Followed([gateway.entry(event.kind, event.fields, house.now, house.now)], {"overload": b"\x01" * 32})

    sealed = house.log.seal([batch], house.now, follow)

    state = list(house.log.stored(0, sealed.checkpoint.size))[-1]
    assert house.log.body(state).by_name()["contracts"] == {"overload": b"\x01" * 32}
    house.seal()
    state = list(house.log.stored(0, house.log.size()))[-1]
    assert house.log.body(state).by_name()["contracts"] == {"overload": b"\x01" * 32}, "the roots stay until somebody changes them"


def test_nothing_of_a_checkpoint_stays_when_making_it_fails(house) -> None:
    size = house.log.size()

    def follow(views) -> Followed:
        raise RuntimeError("a contract crashed")

    with pytest.raises(RuntimeError):
        house.log.seal([house.batch(house.gateway())], house.now, follow)

    assert house.log.size() == size
    assert house.seal(house.batch(house.gateway())).refused == ()


CHILD = """
import sys
from datetime import datetime
from pathlib import Path
from ledger.custody import open_log, device_signer
folder, now = Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2])
log = open_log(folder)
source = log.source(device_signer(folder, "demo:gateway"), "demo:gateway")
while True:
    sealed = log.seal([source.entry("reading.batch", {"n": n}, now, now) for n in range(20)], now)
    print(sealed.checkpoint.size, sealed.checkpoint.root.hex(), flush=True)
"""


@pytest.mark.parametrize("checkpoints", [1, 4])
def test_a_log_that_is_killed_while_it_seals_keeps_every_checkpoint_it_told(house, checkpoints: int) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", CHILD, str(house.folder), house.now.isoformat()]
    child = subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, stdout=subprocess.PIPE, text=True)
    told = [child.stdout.readline().split() for _ in range(checkpoints)]
    child.send_signal(signal.SIGKILL)
    told += [line.split() for line in child.stdout.read().splitlines() if len(line.split()) == 2 and len(line.split()[1]) == 64]
    child.wait()
    child.stdout.close()

    log = house.open()

    for size, sealed_root in told:
        assert log.note_at(int(size)).checkpoint.root.hex() == sealed_root
        assert log.range_hash(0, int(size)).hex() == sealed_root
    assert house.seal(house.batch(house.gateway())).refused == ()
    assert house.cosign() == house.log.size()


def test_a_log_altered_on_disk_does_not_open(house) -> None:
    house.live(1)
    db = sqlite3.connect(house.folder / "log.db")
    db.execute("DROP TRIGGER node_stays")
    db.execute("UPDATE node SET hash = zeroblob(32)")
    db.commit()
    db.close()

    with pytest.raises(LedgerError, match="restore it from backup"):
        open_log(house.folder)


def test_a_group_is_founded_once(house) -> None:
    with pytest.raises(LedgerError, match="founded once"):
        found_group(house.folder, "riverside", "Ann", house.client)
    with pytest.raises(LedgerError, match="no log"):
        Reader(house.folder / "other.db")


def test_a_founding_whose_answer_was_lost_is_finished_with_the_same_words(street) -> None:
    class LosingClient(WitnessClient):
        def join(self, draft, owner_signature):
            super().join(draft, owner_signature)
            raise WitnessAwayError("the line broke")

    folder = street.root / "groups" / "hillside"
    with pytest.raises(WitnessAwayError):
        found_group(folder, "hillside", "Bob", LosingClient(street.server.url))
    with pytest.raises(LedgerError, match="another founding was begun"):
        found_group(folder, "hillside", "Bob", WitnessClient(street.server.url), simulated=True)

    group = found_group(folder, "hillside", "Bob", WitnessClient(street.server.url))

    assert group.id == street.server.witness.trust("hillside").group


@pytest.mark.parametrize("source", ["../../x:y", "demo:", "Demo:x", "demo", "a:b/c"])
def test_a_device_s_name_cannot_leave_the_folder(house, source: str) -> None:
    with pytest.raises(LedgerError, match="small letters"):
        enrol_device(house.folder, Enrolment(source), house.now)


def test_another_log_key_cannot_go_on(house) -> None:
    size = house.log.size()
    with closing(Log(house.folder / "log.db", Ed25519Signer.generate(), {1: b"\x00" * 32})) as log:
        with pytest.raises(LedgerError, match="another key than this one"):
            log.seal([], house.now)
        assert log.size() == size


def test_a_record_travels_as_bytes(house) -> None:
    record = house.meter().record("reading.batch", {"energy_wh": 5}, house.now, house.now)

    sealed = house.seal(record)

    stored = next(row for row in house.log.stored(0, house.log.size()) if row.number == sealed.numbers[0])
    assert stored.entry == Signed.decode(record).entry
