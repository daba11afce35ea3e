"""What happens to the gateway itself: networks, clocks, power, disks, and too much to do."""

import asyncio
import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from controls.cycle import Cycle
from controls.orphans import orphans
from twin.clock import WallClock
from twin.errors import StateError, WireError
from twin.graph import Graph
from twin.journal import Journal, Record
from twin.site import CycleSettings
from twin.state import endpoint_locks
from twin.words import Authority, Command, Quality

SETPOINT, LIGHT, FAN = "z00.htg_sp", "z00.light_level", "ahu_1.fan_run"
WAL_HEAD, WAL_FRAME = 32, 24 + 4096  # bytes, as SQLite writes its log
EVERYTHING = {SETPOINT: 16.0, LIGHT: 40.0, FAN: 0.0}
OWN = {SETPOINT: 20.0, LIGHT: 95.0, FAN: 1.0}
pytestmark = pytest.mark.parametrize("engine", ["fast"], indirect=True)  # nothing here depends on how BACnet is spoken
NOT_OURS = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts a small disk or makes a network namespace")


async def held(h) -> dict[str, float]:
    return {p: await h.holds(p) for p in EVERYTHING}


# Networks


def test_a_network_down_for_less_than_the_lease_loses_nothing(staged):
    """F30: shorter than the lease: the command is renewed, nothing is written anew."""

    async def story():
        async with staged("floor_1") as s:
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.step()
            s.disturb("floor_1", mute=True)
            s.house.clock.advance(timedelta(seconds=300))
            report = await s.house.cycle.step()
            assert report.waiting == 1
            s.disturb("floor_1")
            s.house.clock.advance(timedelta(seconds=300))
            await s.house.cycle.step()
            assert await s.house.holds(SETPOINT) == 16.0
            assert len(s.house.rows("command")) == 1
            assert s.house.results(SETPOINT) == ["applied"]
            assert s.house.cycle.held[SETPOINT].until == s.house.clock.now() + timedelta(seconds=900)

    asyncio.run(story())


def test_a_network_down_for_longer_than_the_lease_is_freed_before_anything_new(staged):
    """F30: longer than the lease: on return the point is let go first, then asked for again."""

    async def story():
        async with staged("floor_1") as s:
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.step()
            s.disturb("floor_1", mute=True)
            await s.step(4)
            s.disturb("floor_1")
            await s.until_good("floor_1")
            await s.step()
            assert [b["value"] for _, b in s.house.rows("command")] == [16.0, None, 16.0]
            assert s.house.results(SETPOINT) == ["applied", "applied", "applied"]
            assert await s.house.holds(SETPOINT) == 16.0

    asyncio.run(story())


def test_a_wish_that_ended_while_the_device_was_away_is_let_go_on_its_return(staged):
    """F30: nobody asks any more when the device comes back."""

    async def story():
        async with staged("floor_1", "lights_1") as s:
            s.house.wishes.values = {SETPOINT: 16.0, LIGHT: 40.0}
            await s.step()
            for name in ("floor_1", "lights_1"):
                s.disturb(name, mute=True)
            s.house.wishes.values = {}
            await s.step(4)
            for name in ("floor_1", "lights_1"):
                s.disturb(name)
            await s.until_good("floor_1", "lights_1")
            await s.step()
            assert (await s.house.holds(SETPOINT), await s.house.holds(LIGHT)) == (20.0, 95.0)
            assert s.house.cycle.held == {}
            assert orphans(s.house.journal) == []

    asyncio.run(story())


def test_a_restarted_device_with_an_object_removed_shows_one_bad_point(staged):
    """F19: device restart: commands come again; an object that is gone is bad, its neighbours are not."""
    from simulators.wire import bacnet_lies

    async def story():
        async with staged("floor_1") as s:
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.step()
            await s.house.devices.kill("floor_1")
            await s.house.devices.revive("floor_1")
            gone = bacnet_lies.object_id(0, int(s.house.book["z00.zn_t"].binding.address.rpartition(",")[2]))
            s.disturb("floor_1", bacnet_lies.shows(gone, bacnet_lies.UNKNOWN_OBJECT, failed=True))
            await s.step(3)
            assert await s.house.holds(SETPOINT) == 16.0
            image = s.image("floor_1")
            assert image["z00.zn_t"].quality is Quality.BAD
            assert {r.quality for p, r in image.items() if p != "z00.zn_t"} == {Quality.GOOD}

    asyncio.run(story())


# Two gateways


def test_a_second_gateway_for_one_device_is_refused_whatever_its_state_folder():
    """F29: two gateways started on one machine."""
    mine = f"bacnet 127.0.0.1:{os.getpid()}"
    second = endpoint_locks([mine])
    with endpoint_locks([mine, "modbus 127.0.0.1:1"]), pytest.raises(StateError, match=f"{mine} is commanded by another gateway"):
        second.__enter__()
    with endpoint_locks([mine]):
        pass


# Power cuts


@pytest.mark.parametrize("stride", [1009, pytest.param(1, marks=pytest.mark.long)])
def test_a_journal_cut_anywhere_is_whole_up_to_its_last_row_and_knows_what_is_held(tmp_path, stride):
    """F34: a power cut cuts the journal's log at any byte, overrides active."""
    base = tmp_path / "journal.db"
    journal = Journal(base)
    at = WallClock().now()
    until = (at + timedelta(hours=2)).isoformat()
    for n in range(4):
        request = {"id": str(n), "point": SETPOINT, "value": 20.0 + n, "by": "ann", "why": "w", "until": until, "authority": 3}
        command = {"id": f"{n}.1", "point": SETPOINT, "value": 20.0 + n, "by": "ann", "until": until, "authority": 3}
        journal.append([Record("request", at, request)])
        journal.append([Record("command", at, command)])
    content, log = base.read_bytes(), (tmp_path / "journal.db-wal").read_bytes()
    journal.close()
    sizes = []
    frames = range(WAL_HEAD, len(log) + 1, WAL_FRAME)
    for cut in sorted({0, len(log), *range(0, len(log), stride), *(f + n for f in frames for n in (-1, 0, 1) if f + n <= len(log))}):
        file = tmp_path / "cut.db"
        for old in tmp_path.glob("cut.db*"):
            old.unlink()
        file.write_bytes(content)
        (tmp_path / "cut.db-wal").write_bytes(log[:cut])
        after = Journal(file)
        size = after.check()
        sizes.append(size)
        commands = [row.body["value"] for row in after.after(0, ("command",))]
        left = orphans(after)
        assert [lease.written for lease in left] == ([frozenset(commands)] if commands else [])
        after.append([Record("release", at, {"by": "x", "why": "y", "points": 0, "held_after": 0, "not_released": [], "seconds": 0})])
        assert after.check() == size + 1
        after.close()
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (0, 8)


def test_after_a_power_cut_orphans_go_first_and_a_persons_override_comes_back_once(staged):
    """F33, F34: SIGKILL or power cut with overrides active."""

    async def story():
        async with staged("floor_1") as s:
            s.house.ask(SETPOINT, 22.0, hours=4)
            s.house.wishes.values = {LIGHT: 40.0}
            await s.step()
            life = s.house.new_life()
            before = s.house.journal.size()
            await life.open()
            assert (await s.house.holds(SETPOINT), await s.house.holds(LIGHT)) == (20.0, 95.0)
            s.house.cycle, old = life, s.house.cycle
            s.house.wishes.values = {}
            await s.step(3)
            rows = [(r.kind, r.body.get("point"), r.body.get("value")) for r in s.house.journal.after(before, ("command", "readings"))]
            kinds = [kind for kind, _, _ in rows]
            assert "readings" not in kinds[: kinds.index("command") + 2]  # both orphans before anything is read
            assert [r for r in rows if r[0] == "command"] == [
                ("command", SETPOINT, None), ("command", LIGHT, None), ("command", SETPOINT, 22.0)
            ] or [r for r in rows if r[0] == "command"] == [
                ("command", LIGHT, None), ("command", SETPOINT, None), ("command", SETPOINT, 22.0)
            ]  # fmt: skip
            assert await s.house.holds(SETPOINT) == 22.0
            await life.close()
            s.house.cycle = old

    asyncio.run(story())


# Clocks and leases


class JumpingClock:
    """A wall clock that somebody sets."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def now(self):
        return WallClock().now() + self.offset


def by_the_wall(s, clock, *, step_s=1, lease_s=2) -> Cycle:
    """A controller as `run` makes it: no simulated site, leases on the monotonic clock too."""
    h = s.house
    (h.folder / "site" / "plant.toml").unlink(missing_ok=True)
    site = replace(h.cycle.site, cycle=CycleSettings(step_s, lease_s))
    return Cycle(site, Graph.from_triples("test_house", []), h.book, h.journal, h.history, h.connections, clock, [Always(h.wishes.values)])


class Always:
    """A strategy of the wall clock."""

    name = "always"

    def __init__(self, values) -> None:
        self.values = values

    def propose(self, image, now):
        from twin.words import Request

        return [Request(p, v, self.name, "the test wants it", now + timedelta(hours=1)) for p, v in self.values.items()]


@pytest.mark.parametrize("hours", [0, -1])
def test_a_controller_whose_thinking_hangs_loses_its_leases_by_monotonic_time(staged, hours):
    """F35, F36: the cycle hangs, and the clock goes back an hour: the watcher lets go on time all the same."""

    async def story():
        async with staged("floor_1") as s:
            s.house.wishes.values = dict(EVERYTHING)
            clock = JumpingClock()
            life = by_the_wall(s, clock)
            await life.open()
            await life.step()
            assert await held(s.house) == EVERYTHING
            watcher = asyncio.create_task(life.watch())
            clock.offset = timedelta(hours=hours)
            began = time.monotonic()
            while await held(s.house) != OWN:
                assert time.monotonic() - began < 5
                await asyncio.sleep(0.1)
            assert time.monotonic() - began > 0.5
            watcher.cancel()
            await life.close()

    asyncio.run(story())


def test_a_clock_that_jumps_an_hour_ahead_lets_go_and_takes_up_again(staged):
    """F36: the clock jumps ahead by an hour."""

    async def story():
        async with staged("floor_1") as s:
            s.house.wishes.values = dict(EVERYTHING)
            clock = JumpingClock()
            life = by_the_wall(s, clock, lease_s=900)
            await life.open()
            await life.step()
            clock.offset = timedelta(hours=1)
            await life.step()
            await life.step()
            assert await held(s.house) == EVERYTHING
            await life.close()
            assert await held(s.house) == OWN
            assert s.house.journal.check() > 0

    asyncio.run(story())


# Disks, ports, interfaces, file descriptors


@NOT_OURS
def test_a_full_disk_refuses_commands_and_never_a_release(staged, tmp_path):
    """F40: disk full, on a real disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode()}")

    async def story():
        async with staged("floor_1") as s:
            h = s.house
            h.journal.close()
            h.journal = Journal(disk / "journal.db")
            life = h.new_life()
            await life.open()
            h.wishes.values = dict(EVERYTHING)
            await s.publish()
            await life.step()
            assert await held(h) == EVERYTHING
            (disk / "fill").write_bytes(b"")
            fill_up(disk / "fill")
            h.wishes.values = {SETPOINT: 13.0, LIGHT: 10.0}
            said = [await refusal_of(life, s, 13.0 + n % 2) for n in range(12)]
            assert "commands are refused" in said[-1]
            assert await h.holds(SETPOINT) in (13.0, 14.0, 16.0)
            (disk / "fill").write_bytes(b"")
            size = h.journal.check()
            assert size == h.journal.size()
            await life.release("ann", "disk full")
            assert await held(h) == OWN
            await life.close()

    try:
        asyncio.run(story())
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_full_disk_still_lets_go_of_everything(staged):
    """F40: while the journal refuses every row, a release reaches the devices; the trouble is told afterwards."""

    async def story():
        async with staged("floor_1") as s:
            s.house.wishes.values = dict(EVERYTHING)
            await s.step()
            s.house.journal._db.execute("PRAGMA max_page_count = 1")  # SQLite's own «disk is full»
            s.house.wishes.values = {p: v + 1 for p, v in EVERYTHING.items() if p != FAN}
            said = [await refusal_of(s.house.cycle, s, 13.0 + n % 5) for n in range(40)]
            assert "full" in said[-1]
            before = await held(s.house)
            assert before[SETPOINT] in {13.0 + n for n in range(5)} | {16.0}
            with pytest.raises(StateError):
                await s.house.cycle.release("ann", "disk full")
            assert await held(s.house) == OWN
            s.house.journal._db.execute("PRAGMA max_page_count = 1073741823")

    asyncio.run(story())


def fill_up(path):
    """Write until the disk takes no byte more."""
    with path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass


async def refusal_of(cycle, s, value) -> str:
    """One cycle with another wish; what the journal's refusal says, if it refuses."""
    s.house.wishes.values[SETPOINT] = value
    await s.publish()
    try:
        await cycle.step()
    except StateError as error:
        return str(error)
    return ""


def run_command(*words, **more):
    return subprocess.run([sys.executable, "-m", "twin", *map(str, words)], capture_output=True, text=True, timeout=60, check=False, **more)


@pytest.fixture
def plain_site(tmp_path):
    """The clinic as a real site, its devices where nobody is."""
    from pathlib import Path

    folder = tmp_path / "clinic"
    shutil.copytree(Path(__file__).parents[4] / "sites" / "corner_clinic", folder)
    (folder / "plant.toml").unlink()
    toml = (folder / "site.toml").read_text().replace("port = 0", "port = 9")
    (folder / "site.toml").write_text(toml)
    return folder


def test_a_journal_that_cannot_be_opened_is_said_at_once(plain_site, tmp_path):
    """F41: journal not writable at start."""
    (tmp_path / "state" / "sites" / "corner_clinic" / "journal.db").mkdir(parents=True)
    done = run_command("run", plain_site, "--state", tmp_path / "state")

    assert done.returncode == 1
    assert "the journal cannot be opened" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_journal_that_is_no_journal_is_said_at_once(plain_site, tmp_path):
    """F41: rubbish where the journal was."""
    folder = tmp_path / "state" / "sites" / "corner_clinic"
    folder.mkdir(parents=True)
    (folder / "journal.db").write_bytes(b"rubbish" * 2000)
    done = run_command("run", plain_site, "--state", tmp_path / "state")

    assert done.returncode == 1
    assert "the journal cannot be opened" in done.stderr


@NOT_OURS
def test_a_missing_interface_is_said_by_a_deadline(plain_site, tmp_path):
    """F42: no way to the devices: a network namespace without any route."""
    words = ["unshare", "-n", sys.executable, "-m", "twin", "read", str(plain_site), "surgery_1.zn_t", "--state", str(tmp_path / "state")]
    began = time.monotonic()
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if "unshare" in done.stderr:
        pytest.skip(f"no network namespace here: {done.stderr}")

    assert done.returncode == 1
    assert "no way there" in done.stderr or "no value" in done.stdout
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 30


def test_a_device_port_that_is_taken_is_refused_before_anything_starts(house):
    """F43: port taken: the simulated devices try with a plain bind, because two stacks would share it silently."""
    from simulators.wire.devices import FieldDevices

    async def story():
        async with house() as h:
            again = FieldDevices(h.book, h.connections)
            with pytest.raises(WireError, match="is used by another program"):
                await again.start()

    asyncio.run(story())


def test_no_file_descriptors_left_is_said_by_a_deadline(plain_site, tmp_path):
    """F44: no file descriptors."""

    def starve():
        resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))

    began = time.monotonic()
    done = run_command("read", plain_site, "surgery_1.zn_t", "--state", tmp_path / "state", preexec_fn=starve)

    assert done.returncode == 1
    assert "no file descriptors left" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert time.monotonic() - began < 30


# Too much to do, and too much asked


def test_more_points_than_the_bus_carries_shows_as_overruns_and_commands_go_out(staged):
    """F51: more points than the bus carries."""

    async def story():
        async with staged("floor_1") as s:
            s.house.wishes.values = {SETPOINT: 16.0}
            life = by_the_wall(s, WallClock(), step_s=1, lease_s=900)
            await life.open()
            s.disturb("floor_1", delay_s=0.45)
            report = await life.step()
            assert report.overrun
            assert await s.house.holds(SETPOINT) == 16.0
            s.disturb("floor_1")
            report = await life.step()
            assert not report.overrun
            await life.close()

    asyncio.run(story())


def test_a_burst_of_wishes_ends_in_the_last_one_and_one_command(staged):
    """F52: a command burst."""

    async def story():
        async with staged("floor_1") as s:
            for n in range(200):
                s.house.ask(SETPOINT, 15.0 + n % 8)
            await s.step()
            assert [b["value"] for _, b in s.house.rows("command")] == [22.0]
            assert await s.house.holds(SETPOINT) == 22.0

    asyncio.run(story())


@pytest.mark.parametrize("priority", [1, 6, 8, 9, 15, 16, 17])
def test_no_command_of_another_priority_than_ours_can_even_be_made(priority):
    """F52: priority 8."""
    at = WallClock().now()

    with pytest.raises(ValueError, match="priority must be 10 to 14"):
        Command("1", SETPOINT, 16.0, priority, "x", "y", at, at, Authority.OPERATOR)


def test_a_lease_above_a_quarter_of_an_hour_is_no_setting():
    """F52: lease above 900 s."""
    with pytest.raises(ValueError, match="lease_s must be between step_s and 900"):
        CycleSettings(600, 901)


def test_a_journal_holds_what_a_reader_locks(tmp_path):
    """F40: another process that reads for long holds nobody up: a command is durable all the same."""
    journal = Journal(tmp_path / "journal.db")
    reader = sqlite3.connect(tmp_path / "journal.db")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM journal").fetchone()
    assert journal.append([Record("mode", WallClock().now(), {"mode": "off", "by": "x", "why": "y"})]) == 1
    reader.close()
    journal.close()
