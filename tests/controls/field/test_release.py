"""The building always ends as its own: release, crash, restart, signals, and one controller at a time."""

import asyncio
import json
import signal
import sys
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from controls.orphans import orphans
from ledger.site_commands import grant, sign
from simulators.design import AirHandlerDesign, Building, ZoneDesign
from simulators.wire.devices import FieldDevices
from twin.errors import StateError
from twin.journal import Journal, Record
from twin.state import site_lock

SETPOINT, LIGHT, FAN = "z00.htg_sp", "z00.light_level", "ahu_1.fan_run"
EVERYTHING = {SETPOINT: 16.0, LIGHT: 40.0, FAN: 0.0}
OWN = {SETPOINT: 20.0, LIGHT: 95.0, FAN: 1.0}


async def held(h) -> dict[str, float]:
    return {p: await h.holds(p) for p in EVERYTHING}


def test_a_release_leaves_no_slot_of_ours_and_the_lights_as_they_were(house):
    async def story():
        async with house() as h:
            h.wishes.values = dict(EVERYTHING)
            await h.step()
            report = await h.cycle.release("ann", "going home")
            assert (report.points, report.not_released) == (3, [])
            assert report.seconds < 5
            assert await held(h) == OWN
            assert [await h.slot(SETPOINT), await h.slot(FAN)] == [None, None]
            assert h.rows("release")[0][1]["held_after"] == 0
            assert [w.value for w in h.devices.log if w.point == LIGHT] == [40.0, None]  # None: its own schedule again
            assert orphans(h.journal) == []

    asyncio.run(story())


def test_a_person_who_turns_the_optimiser_off_is_obeyed_between_two_cycles(house):
    async def story():
        async with house() as h:
            h.wishes.values = dict(EVERYTHING)
            await h.step()
            watcher = asyncio.create_task(h.cycle.watch())
            h.journal.append([Record("mode", h.clock.now(), {"mode": "off", "by": "ann", "why": "a fire drill"})])
            await asyncio.sleep(2)
            watcher.cancel()
            assert await held(h) == OWN
            assert h.rows("release")[0][1]["by"] == "ann"

            report = await h.step()
            assert (report.mode, report.commands, report.answered) == ("off", 0, report.asked)
            h.journal.append([Record("mode", h.clock.now(), {"mode": "automatic", "by": "ann", "why": "drill over"})])
            await h.step()
            assert await held(h) == EVERYTHING

    asyncio.run(story())


def test_a_crashed_controllers_commands_are_given_back_before_anything_is_read(house):
    async def story():
        async with house() as h:
            h.wishes.values = dict(EVERYTHING)
            await h.step()
            life = h.new_life()  # the first one just stops breathing
            await life.open()
            assert await held(h) == OWN
            assert [kind for kind, _ in h.rows("readings", "release")][-1] == "release"
            assert life.held == {}
            await life.close()

    asyncio.run(story())


def test_after_a_crash_a_persons_override_that_has_not_ended_is_put_back(house):
    async def story():
        async with house() as h:
            h.ask(SETPOINT, 22.0, hours=4)
            await h.step()
            life = h.new_life()
            await life.open()
            assert await h.holds(SETPOINT) == 20.0
            await life.step()
            assert await h.holds(SETPOINT) == 22.0
            await life.close()

    asyncio.run(story())


def test_an_override_is_put_back_once_ends_on_time_and_does_not_come_again(house):
    async def story():
        async with house() as h:
            h.ask(SETPOINT, 22.0, hours=1)
            await h.step()
            life = h.new_life()
            await life.open()
            for _ in range(3):
                h.clock.advance(timedelta(minutes=10))
                await life.step()
            mine = [body for _, body in h.rows("command") if body["by"] == "ann"]
            assert [(b["value"], b["why"]) for b in mine] == [(22.0, "a meeting")] * 2  # before the crash, and once after it
            assert [b["until"] for b in mine][1] <= (h.clock.now() + timedelta(minutes=30)).isoformat()

            watcher = asyncio.create_task(life.watch())
            h.clock.advance(timedelta(minutes=19))
            await asyncio.sleep(1.5)
            assert await h.holds(SETPOINT) == 20.0  # its lease ended: no cycle renewed it
            await life.step()
            assert await h.holds(SETPOINT) == 22.0
            h.clock.advance(timedelta(minutes=12))
            await asyncio.sleep(1.5)
            assert await h.holds(SETPOINT) == 20.0  # its own end, between two cycles
            watcher.cancel()
            await life.close()

            last = h.new_life()
            await last.open()
            await last.step()
            assert await h.slot(SETPOINT) is None
            await last.close()

    asyncio.run(story())


def test_what_another_client_put_into_our_slot_since_the_crash_stays(house):
    async def story():
        async with house() as h, h.somebody_else("floor_1") as rival:
            h.wishes.values = dict(EVERYTHING)
            await h.step()
            await rival.write(h.book[SETPOINT], 18.5, 13)
            life = h.new_life()
            await life.open()
            assert await h.slot(SETPOINT) == 18.5
            assert h.results(SETPOINT)[-1] == "conflict"
            assert await h.holds(LIGHT) == 95.0
            await life.close()

    asyncio.run(story())


def test_a_device_that_was_off_during_the_release_is_freed_when_it_returns(house):
    async def story():
        async with house() as h:
            h.wishes.values = {LIGHT: 40.0, SETPOINT: 16.0}
            await h.step()
            await h.devices.kill("lights_1")
            report = await h.cycle.release("ann", "going home")
            assert report.not_released == [LIGHT]
            assert report.seconds < 5
            assert [lease.point for lease in orphans(h.journal)] == [LIGHT]
            h.wishes.values = {}
            await h.devices.revive("lights_1")
            await h.step(2)
            assert h.cycle.held == {}
            assert orphans(h.journal) == []

    asyncio.run(story())


def test_a_lease_that_nobody_renews_ends_although_no_cycle_runs(house):
    async def story():
        async with house() as h:
            h.wishes.values = dict(EVERYTHING)
            await h.step()
            watcher = asyncio.create_task(h.cycle.watch())
            h.clock.advance(timedelta(seconds=899))
            await asyncio.sleep(1.3)
            assert await held(h) == EVERYTHING
            h.clock.advance(timedelta(seconds=1))
            await asyncio.sleep(1.3)
            assert await held(h) == OWN
            watcher.cancel()

    asyncio.run(story())


def test_a_journal_that_cannot_be_written_stops_commands_but_never_a_release(house):
    async def story():
        async with house() as h:
            h.wishes.values = dict(EVERYTHING)
            await h.step()
            h.journal._db.execute("PRAGMA query_only = ON")  # the disk is full
            h.wishes.values = {SETPOINT: 12.0}
            with pytest.raises(StateError, match="commands are refused"):
                await h.step()
            assert await h.holds(SETPOINT) == 16.0
            with pytest.raises(StateError):
                await h.cycle.release("ann", "the disk is full")
            assert await held(h) == OWN
            h.journal._db.execute("PRAGMA query_only = OFF")

    asyncio.run(story())


def test_a_second_controller_is_refused(tmp_path: Path):
    with site_lock(tmp_path, "wattproof run"), pytest.raises(StateError, match="wattproof run, process"), site_lock(tmp_path, "another"):
        pass


# The commands, as processes on a site whose devices run in this one.


@pytest.fixture
def real_site(tmp_path, book, graph):
    """A folder that looks like a real building: no plant.toml, its devices where site.toml says."""
    folder = tmp_path / "house"
    folder.mkdir()

    def write(connections, *, commissioned: bool):
        lines = ['name = "house"\ntitle = "House"\nplace = "Wuhan"\njurisdiction = "CN-42"\ntimezone = "Asia/Shanghai"\narea_m2 = 800.0']
        lines += [
            'use = "office"\ngrid_region = "CN-HB"\n[group]\nname = "g"\nowner = "o"\ngovernment = "x"\n[cycle]\nstep_s = 1\nlease_s = 60'
        ]
        for name, c in connections.items():
            lines.append(f'[connections.{name}]\nprotocol = "{c.protocol}"\nhost = "{c.host}"\nport = {c.port}\ndevice = {c.device}')
        (folder / "site.toml").write_text("\n".join(lines))
        rows = ["point,address,scale,writable,low,high,step,fallback"]
        for p in book.values():
            limits = f"yes,{p.limits.low},{p.limits.high},{p.limits.step},{p.limits.fallback}" if p.limits else "no,,,,"
            rows.append(f'{p.id},"{p.binding.address}",{p.binding.scale},{limits}')
        (folder / "points.csv").write_text("\n".join(rows))
        graph.write(folder / "twin.ttl", [])
        if commissioned:
            sign(str(folder), tmp_path / "engineer.pem", "chen", new_key=True, days=9)
            grant(str(folder), str(tmp_path / "state"))
        return folder

    return write


@asynccontextmanager
async def start(command: str, *arguments: str):
    """The command as its own process; it never outlives the story."""
    code = f"from controls.commands import {command} as c; from typer import Typer; a = Typer(); a.command()(c); a()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def wait_until(true, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_controller_told_to_stop_gives_the_building_back_within_five_seconds(how, state, real_site, book, house_devices):
    """F32: SIGTERM, and Ctrl-C."""

    async def story():
        async with house_devices(book) as (devices, connections):
            folder = str(real_site(connections, commissioned=True))
            async with start("run", folder, "--state", str(state.parent), "--json") as controller:
                journal = await at_work(state)
                async with start("run", folder, "--state", str(state.parent)) as second:
                    assert "already running" in str(await second.communicate())
                began = time.monotonic()
                controller.send_signal(how)
                out, err = await controller.communicate()
                assert time.monotonic() - began < 6, err  # five seconds, and the interpreter's own leaving
                assert json.loads(out)["writes"] > 5
            assert await slots_taken(devices) == []
            assert orphans(journal) == []
            journal.close()

    asyncio.run(story())


def test_release_makes_a_running_controller_give_the_building_back(state, real_site, book, house_devices):
    async def story():
        async with house_devices(book) as (devices, connections):
            folder = str(real_site(connections, commissioned=True))
            async with start("run", folder, "--state", str(state.parent)):
                journal = await at_work(state)
                async with start("release", folder, "--state", str(state.parent), "--json") as releasing:
                    out, err = await releasing.communicate()
                assert json.loads(out)["held_after"] == 0, err
                assert await slots_taken(devices) == []
            journal.close()

    asyncio.run(story())


def test_release_frees_what_a_killed_controller_held_and_turns_the_optimiser_off(state, real_site, book, house_devices):
    """F33: SIGKILL."""

    async def story():
        async with house_devices(book) as (devices, connections):
            folder = str(real_site(connections, commissioned=True))
            async with start("run", folder, "--state", str(state.parent)) as controller:
                journal = await at_work(state)
                controller.kill()
                await controller.communicate()
            assert await slots_taken(devices) != []
            async with start("release", folder, "--state", str(state.parent), "--json") as releasing:
                out, err = await releasing.communicate()
            assert json.loads(out)["held_after"] == 0, err
            assert await slots_taken(devices) == []
            assert journal.latest(("mode",))[0].body["mode"] == "off"
            journal.close()

    asyncio.run(story())


def large_house() -> Building:
    """25 storeys, each with four zones and an air handler: 500 points to write on 75 devices."""
    square = ((0.0, 0.0), (5.0, 0.0), (5.0, 5.0), (0.0, 5.0))
    zones = [ZoneDesign(f"Z{s}x{n}", s, square, 4.0 * s, 3.0, f"AHU-{s + 1}", n == 0) for s in range(25) for n in range(4)]
    handlers = tuple(AirHandlerDesign(f"AHU-{s + 1}", s) for s in range(25))
    return Building("Large House", tuple(4.0 * s for s in range(25)), tuple(zones), handlers)


@pytest.mark.parametrize("building", [large_house()], ids=["500 points"])
@pytest.mark.parametrize("running", [True, False], ids=["while a controller runs", "after it was killed"])
def test_release_gives_back_500_points(running, state, real_site, book, house_devices):
    """How fast stands in the speed table; here every point is free, on real sockets."""

    async def story():
        assert len(book.writable) == 500
        async with house_devices(book) as (devices, connections):
            folder = str(real_site(connections, commissioned=True))
            async with start("run", folder, "--state", str(state.parent)) as controller:
                journal = await opened(state)
                await wait_until(lambda: len({r.body["point"] for r in journal.after(0, ("outcome",))}) == 500, seconds=120)
                if not running:
                    controller.kill()
                    await controller.communicate()
                async with start("release", folder, "--state", str(state.parent), "--json") as releasing:
                    out, err = await releasing.communicate()
                answer = json.loads(out)
                assert (answer["points"], answer["held_after"]) == (500, 0), err
                assert await slots_taken(devices) == []
            assert orphans(journal) == []
            journal.close()

    asyncio.run(story())


def test_a_site_never_commissioned_is_read_and_says_so(state, real_site, book, house_devices):
    async def story():
        async with house_devices(book) as (devices, connections):
            folder = str(real_site(connections, commissioned=False))
            async with start("run", folder, "--state", str(state.parent)) as controller:
                journal = await opened(state)
                await wait_until(lambda: journal.latest(("readings",)))
                controller.terminate()
                _, err = await controller.communicate()
            assert b"never commissioned" in err
            assert b"wattproof grant" in err
            assert journal.latest(("command",)) == devices.log == []
            journal.close()

    asyncio.run(story())


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The folder that holds the state of all sites."""
    return tmp_path / "state" / "sites"


async def opened(state: Path) -> Journal:
    file = state / "house" / "journal.db"
    await wait_until(file.exists)
    await asyncio.sleep(0.5)  # whoever made it is still setting it up
    return Journal(file)


async def at_work(state: Path) -> Journal:
    """The journal of a controller that has commanded things and seen the outcomes."""
    journal = await opened(state)
    await wait_until(lambda: len(journal.after(0, ("outcome",))) > 5)
    return journal


async def slots_taken(devices: FieldDevices) -> list[str]:
    """Points whose last write, as the devices saw it, was not a letting go."""
    await devices.look()
    last = {(w.point, w.priority): w.value for w in devices.log}
    return sorted(point for (point, _), value in last.items() if value is not None)
