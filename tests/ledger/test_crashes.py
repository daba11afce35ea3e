"""Sealing under bad luck: killed at any moment, a full disk, a disk that is read-only, a torn file. Nothing told is lost."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.audit import audit_log
from ledger.custody import open_log
from ledger.errors import LedgerError
from ledger.verify import verify_bundle

ROOT = Path(__file__).parents[2]
SEALER = """
import sys
from datetime import datetime
from pathlib import Path
from ledger.custody import open_log, device_signer
folder, now = Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2])
log = open_log(folder)
source = log.source(device_signer(folder, "demo:gateway"), "demo:gateway")
print("ready", flush=True)
while True:
    sealed = log.seal([source.entry("reading.batch", {"n": n}, now, now) for n in range(20)], now)
    print(sealed.checkpoint.size, sealed.checkpoint.root.hex(), flush=True)
"""


@pytest.mark.parametrize(("kills", "seed"), [pytest.param(15, 1), pytest.param(200, 2, marks=pytest.mark.long)])
def test_killed_at_random_points_of_sealing_nothing_told_is_lost_and_nothing_half_sealed(house, kills: int, seed: int) -> None:
    chance, told = random.Random(seed), []
    for _ in range(kills):
        told += _sealed_until_killed(house, chance.random() * 0.08)

    log = house.open()
    for size, root in told:
        assert log.note_at(size).checkpoint.root.hex() == root, f"seed {seed}"
    assert log.size() == log.newest().checkpoint.size
    assert audit_log(house.folder / "log.db") == []
    assert house.seal(house.batch(house.gateway())).refused == ()
    house.cosign()
    assert verify_bundle(house.bundle().encode(), house.trust).ok


def _sealed_until_killed(house, after_s: float) -> list[tuple[int, str]]:
    command = [sys.executable, "-c", SEALER, str(house.folder), house.now.isoformat()]
    child = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    time.sleep(after_s)
    child.send_signal(signal.SIGKILL)
    lines = [line.split() for line in child.stdout.read().splitlines()]
    child.wait()
    child.stdout.close()
    return [(int(line[0]), line[1]) for line in lines if len(line) == 2 and len(line[1]) == 64]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes; only root can make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=False).returncode == 0
    if not mounted:
        pytest.skip("a small disk needs the right to mount one: run as root")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_refuses_the_checkpoint_in_one_sentence_and_loses_nothing(house, small_disk: Path) -> None:
    folder = small_disk / "riverside"
    house.log.close()
    shutil.copytree(house.folder, folder)
    house.folder = folder
    house.open()
    with pytest.raises(LedgerError, match=r"nothing of this checkpoint was kept|cannot be written") as told:
        _seal_without_end(house)

    size = house.log.newest().checkpoint.size
    assert "disk" in str(told.value)
    assert audit_log(folder / "log.db") == []
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    assert house.seal(house.batch(house.gateway())).checkpoint.size > size
    assert audit_log(folder / "log.db") == []


def _seal_without_end(house) -> None:
    while True:
        gateway = house.gateway()
        house.seal(*(house.batch(gateway) for _ in range(40)))


def test_a_disk_that_became_read_only_refuses_and_goes_on_when_it_can_be_written(house, small_disk: Path) -> None:
    folder = small_disk / "riverside"
    house.log.close()
    shutil.copytree(house.folder, folder)
    house.folder = folder
    house.open()
    house.seal(house.batch(house.gateway()))
    size = house.log.size()
    house.log.close()
    house.logs.clear()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

    with pytest.raises(LedgerError, match=r"cannot be (opened|written)|nothing of this checkpoint"):
        house.seal(house.batch(house.gateway()))

    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    house.logs.clear()
    house.open()
    assert house.log.size() == size
    assert house.seal(house.batch(house.gateway())).refused == ()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_torn_write_ahead_log_costs_whole_checkpoints_and_never_half_of_one(house, tmp_path: Path, share: float) -> None:
    """What a power cut may leave of the newest writes: the log opens at a whole checkpoint, or says what to do."""
    sizes = [house.log.size()] + [house.seal(house.batch(house.gateway())).checkpoint.size for _ in range(6)]
    torn = tmp_path / "torn"
    shutil.copytree(house.folder, torn)
    wal = torn / "log.db-wal"
    data = wal.read_bytes()
    wal.write_bytes(data[: int(len(data) * share)])

    log = open_log(torn)

    assert log.size() == log.newest().checkpoint.size
    assert log.size() in sizes or log.size() < sizes[0]
    assert audit_log(torn / "log.db") == []
    log.close()
