"""`read` and `write` as a person uses them, on a site whose devices run in this process."""

import asyncio
import contextlib
import io
import json
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from ledger.site_commands import grant, sign
from simulators.wire.devices import FieldDevices
from twin import cli
from twin.journal import Journal
from twin.site import Connection

TEMPERATURE, SETPOINT, SENSOR = "east_1.zn_t", "east_1.htg_sp", "east_1.zn_rh"
AT = datetime(2026, 1, 12, 8, tzinfo=UTC)


@pytest.fixture
def office(tmp_path, book, graph):
    """A real site's folder, its devices up; `async with office(commissioned=True) as (ask, devices, journal)`."""

    @asynccontextmanager
    async def make(*, commissioned: bool = True, running: bool = True):
        connections = {n: _connection(n, i, points) for i, (n, points) in enumerate(book.by_connection().items())}
        devices = FieldDevices(book, connections)
        ports = await devices.start()
        await devices.schedule({p.id: p.limits.fallback for p in book.writable if p.limits})
        await devices.publish({p.id: 21.5 for p in book.bound if not p.writable and not p.id.endswith(("record", "level_now"))}, AT)
        folder, state = _folder(tmp_path, book, graph, ports), tmp_path / "state"
        if commissioned:
            commission(tmp_path, new_key=True)

        async def ask(command, *words):
            return await asyncio.to_thread(_inside, command, str(folder), *words, "--state", str(state))

        controller = await _start("run", str(folder), "--state", str(state)) if running else None
        try:
            if controller:
                await _until(lambda: (state / "sites" / "house" / "journal.db").exists())
                await asyncio.sleep(0.5)
            journal = Journal(state / "sites" / "house" / "journal.db")
            if controller:
                await _until(lambda: len(journal.after(0, ("readings",))) > 0)
            yield ask, devices, journal
            assert controller is None or controller.returncode is None, await controller.communicate()
        finally:
            if controller:
                controller.terminate()
                await controller.communicate()
            await devices.stop()

    return make


def commission(tmp_path, *, new_key=False, revoke=""):
    """What an engineer does at the house: sign and grant, or take back."""
    folder, key, state = str(tmp_path / "house"), tmp_path / "engineer.pem", str(tmp_path / "state")
    sign(folder, key, "chen", new_key=new_key, days=9, revoke=revoke)
    grant(folder, state, revoke=revoke)


async def edit(tmp_path, file, old, new):
    path = tmp_path / "house" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def _connection(name, number, points):
    bacnet = points[0].binding.address.startswith("bacnet")
    return Connection("bacnet", device=1000 + number) if bacnet else Connection("modbus")


def _folder(tmp_path, book, graph, connections):
    folder = tmp_path / "house"
    folder.mkdir()
    lines = ['name = "house"\ntitle = "House"\nplace = "Wuhan"\njurisdiction = "CN-42"\ntimezone = "Asia/Shanghai"\narea_m2 = 800.0']
    lines += [
        'use = "office"\ngrid_region = "CN-HB"\n[group]\nname = "g"\nowner = "o"\ngovernment = "x"\n[cycle]\nstep_s = 30\nlease_s = 60'
    ]
    lines += [
        f'[connections.{n}]\nprotocol = "{c.protocol}"\nhost = "{c.host}"\nport = {c.port}\ndevice = {c.device}'
        for n, c in connections.items()
    ]
    (folder / "site.toml").write_text("\n".join(lines))
    rows = ["point,address,scale,writable,low,high,step,fallback"]
    for p in book.values():
        limits = f"yes,{p.limits.low},{p.limits.high},{p.limits.step},{p.limits.fallback}" if p.limits else "no,,,,"
        rows.append(f'{p.id},"{p.binding.address}",{p.binding.scale},{limits}')
    (folder / "points.csv").write_text("\n".join(rows))
    graph.write(folder / "twin.ttl", [])
    return folder


async def _start(*words):
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "twin", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


def _inside(*words):
    """A command in this process, as the command line runs it: exit code, output, errors."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main(words)
        except SystemExit as end:
            code = end.code
    return code, out.getvalue(), err.getvalue()


async def _until(true, seconds=30):
    for _ in range(int(seconds / 0.05)):
        if true():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it never came true")


def test_a_wish_is_ruled_written_and_shown_at_once_and_taken_back_at_once(office):
    async def story():
        async with office() as (ask, devices, journal):
            code, out, err = await ask("write", SETPOINT, "22", "--why", "a guest is cold", "--by", "ann", "--for", "45m", "--json")
            assert code == 0, err
            answer = json.loads(out)
            assert (answer["result"], answer["read_back"], answer["slot"]) == ("applied", 22.0, 22.0)
            assert (await devices.held())[SETPOINT] == 22.0
            command = next(r.body for r in journal.after(0, ("command",)) if r.body["id"] == answer["command"])
            assert (command["by"], command["authority"], command["priority"]) == ("ann", 3, 13)
            assert "a guest is cold" in command["why"]

            code, out, err = await ask("read", SETPOINT, TEMPERATURE, "--json")
            assert (code, [r["value"] for r in json.loads(out)["readings"]][1]) == (0, 21.5), err

            code, out, err = await ask("write", SETPOINT, "--release", "--why", "the guest left", "--by", "ann")
            assert code == 0, err
            assert (await devices.held())[SETPOINT] != 22.0

    asyncio.run(story())


def test_what_may_not_be_written_is_refused_with_the_reason_and_journalled(office):
    async def story():
        async with office() as (ask, _, journal):
            for words, said in (
                ((SENSOR, "50", "--why", "w"), "not writable"),
                ((SETPOINT, "35", "--why", "w"), "outside 12 to 24"),
                ((SETPOINT, "nan", "--why", "w"), "not a number"),
                ((SETPOINT, "22"), "say why"),
                ((SETPOINT, "--why", "w"), "one of them"),
                ((SETPOINT, "22", "--why", "w", "--for", "9d"), "at most 7d"),
                ((SETPOINT, "22", "--why", "w", "--for", "soon"), "at most 7d"),
                (("east_1.htg_s", "22", "--why", "w"), "did you mean east_1.htg_sp"),
            ):
                code, _, err = await ask("write", *words)
                assert code != 0
                assert said in err, (words, err)
                assert "Traceback" not in err
            refused = [r.body["point"] for r in journal.after(0, ("refusal",)) if r.body["why"] == "w"]
            assert refused == [SENSOR, SETPOINT, SETPOINT]
            assert journal.after(0, ("request",)) == []

    asyncio.run(story())


def test_without_a_controller_points_are_read_from_the_wire_and_nothing_is_written(office):
    async def story():
        async with office(running=False) as (ask, devices, _):
            code, out, err = await ask("read", TEMPERATURE, SENSOR)
            assert code == 0, err
            assert out.startswith(f"{TEMPERATURE}: 21.5, good")
            code, _, err = await ask("write", SETPOINT, "22", "--why", "w")
            assert code == 1
            assert "no controller runs" in err
            await devices.kill(next(n for n in devices._devices if n.startswith("floor_1")))
            code, out, _ = await ask("read", TEMPERATURE)
            assert code == 1
            assert "no value" in out or "uncertain" in out or "stale" in out
            assert devices.log == []

    asyncio.run(story())


def test_a_site_that_nobody_signed_refuses_and_says_how_to_commission_it(office):
    async def story():
        async with office(commissioned=False) as (ask, devices, _):
            code, _, err = await ask("write", SETPOINT, "22", "--why", "w")
            assert code == 1
            assert "never commissioned" in err
            assert "wattproof sign" in err
            code, _, _ = await ask("read", TEMPERATURE)
            assert code == 0
            assert devices.log == []

    asyncio.run(story())


def test_a_running_controller_takes_up_a_grant_and_lets_go_of_what_is_taken_back(office, tmp_path):
    async def story():
        async with office(commissioned=False) as (ask, devices, journal):
            code, _, err = await ask("write", SETPOINT, "22", "--why", "w")
            assert (code, "never commissioned" in err) == (1, True)
            await asyncio.to_thread(commission, tmp_path, new_key=True)
            code, out, err = await ask("write", SETPOINT, "22", "--why", "a guest is cold", "--by", "ann")
            assert code == 0, out + err
            assert (await devices.held())[SETPOINT] == 22.0
            _, out, _ = await ask("read", SETPOINT, SENSOR)
            assert "; may be written 12 to 24, granted by chen until " in out.splitlines()[0]
            assert out.splitlines()[1].endswith("; only read")

            await asyncio.to_thread(commission, tmp_path, revoke=SETPOINT)
            await _until(lambda: any(r.body["value"] is None for r in journal.after(0, ("command",)) if r.body["point"] == SETPOINT))
            await _until(
                lambda: [r.body["result"] for r in journal.after(0, ("outcome",)) if r.body["point"] == SETPOINT][-2:] == ["applied"] * 2
            )
            assert (await devices.held())[SETPOINT] == 20.0
            refused = [r.body["refused_because"] for r in journal.after(0, ("refusal",)) if r.body["by"] == "ann"]
            assert "not writable" in refused[-1]
            code, _, err = await ask("write", SETPOINT, "22", "--why", "w")
            assert (code, "not writable" in err) == (1, True)

    asyncio.run(story())


def test_a_wider_envelope_counts_at_once_and_what_is_held_goes_on(office, tmp_path):
    async def story():
        async with office() as (ask, devices, journal):
            assert (await ask("write", SETPOINT, "22", "--why", "a guest is cold"))[0] == 0
            assert (await ask("write", "core_1.min_flow", "3", "--why", "w"))[0] != 0
            await edit(
                tmp_path,
                "points.csv",
                'core_1.min_flow,"bacnet:floor_1/analog-output,1",1.0,yes,5.0',
                'core_1.min_flow,"bacnet:floor_1/analog-output,1",1.0,yes,2.0',
            )
            await asyncio.to_thread(commission, tmp_path)
            code, out, err = await ask("write", "core_1.min_flow", "3", "--why", "w")
            assert code == 0, out + err
            held = await devices.held()
            assert (held[SETPOINT], held["core_1.min_flow"]) == (22.0, 3.0)
            assert [w.value for w in devices.log if w.point == SETPOINT] == [22.0]
            assert journal.after(0, ("release",)) == []

    asyncio.run(story())


def test_a_grant_over_files_that_lead_elsewhere_begins_anew_in_the_same_process_and_overrides_come_back(office, tmp_path):
    async def story():
        async with office() as (ask, devices, journal):
            assert (await ask("write", SETPOINT, "22", "--why", "a guest is cold", "--by", "ann"))[0] == 0
            await edit(tmp_path, "points.csv", f'{SENSOR},"bacnet:floor_1/analog-input,1"', f'{SENSOR},"bacnet:floor_1/analog-input,77"')
            await asyncio.to_thread(commission, tmp_path)
            await _until(lambda: len(journal.after(0, ("release",))) == 1)
            await _until(lambda: [r.body["value"] for r in journal.after(0, ("command",)) if r.body["by"] == "ann"] == [22.0, 22.0])
            last = journal.after(0, ("command",))[-1].body["id"]
            await _until(lambda: last in {r.body["command"] for r in journal.after(0, ("outcome",))})
            assert (await devices.held())[SETPOINT] == 22.0

    asyncio.run(story())
