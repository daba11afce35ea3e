"""A VAV device and a lighting gateway die in mid-run: their points go stale, their own schedule takes over, the rest goes on."""

import asyncio
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from controls.cycle import Cycle
from simulators.preparing import Period, assemble, make_twin, work_copy
from simulators.running import Loss, RunningSite
from twin.clock import SteppedClock, wall_now
from twin.journal import Journal
from twin.state import StateFolder

ROOT = Path(__file__).parents[2]
STEPS = 144
LOST_AT = 72  # noon, when people are in and the rules hold many points
REGISTER_STEP = 0.051  # a lighting register holds tenths of a percent, a BACnet Real seven digits


def run_day(folder, losses=(), days=1):
    """One day of the clinic under control; the running site when it is over, and the image of every cycle."""
    state = StateFolder(folder / "state")
    site = work_copy(ROOT / "sites" / "corner_clinic", folder / "work")
    make_twin(site, state.site(site.name), wall_now())
    parts = replace(assemble(site, state.site(site.name), Period(days=days), {}), losses=losses)
    running = RunningSite(parts)
    asyncio.run(running.run(speed=None, stop=asyncio.Event()))
    return running


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run_day(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    losses = (Loss("floor_1", LOST_AT), Loss("lights_1", LOST_AT))
    return run_day(tmp_path_factory.mktemp("broken"), losses)


def readings_of(running, connection):
    """Cycle by cycle the readings of one device."""
    return [row.body["values"] for row in running.journal.after(0, ("readings",), most=100_000) if row.body["connection"] == connection]


def qualities(running, connection, step):
    return {quality for _, quality, _ in readings_of(running, connection)[step].values()}


def test_points_of_a_lost_device_turn_stale_within_three_cycles(broken):
    for connection in ("floor_1", "lights_1"):
        assert qualities(broken, connection, LOST_AT - 1) == {"good"}
        assert qualities(broken, connection, LOST_AT + 4) == {"stale"}


def test_the_other_devices_go_on(broken):
    for connection in ("ahu_1", "meters", "main_meter"):
        assert all("stale" not in qualities(broken, connection, step) for step in range(LOST_AT, STEPS))


def test_the_journal_tells_of_the_loss(broken):
    events = [(row.body["connection"], row.body["event"]) for row in broken.journal.after(0, ("device",), most=1000)]

    for connection in ("floor_1", "lights_1"):
        assert [e for c, e in events if c == connection and e in ("lost", "returned")] == ["lost"]


def test_no_command_goes_to_a_lost_device(broken):
    lost_by = broken.report.began + timedelta(minutes=10 * (LOST_AT + 3))
    commands = broken.journal.after(0, ("command",), most=100_000)
    zones = [row for row in commands if row.body["point"].endswith((".clg_sp", ".light_level"))]

    assert [row.body["point"] for row in zones if row.at > lost_by and row.body["value"] is not None] == []
    assert [row.body["point"] for row in commands if row.at > lost_by] != []


def test_energy_changes_when_the_own_schedule_takes_over(whole, broken):
    lost, kept = broken.report.score, whole.report.score

    assert lost.energy_kwh["whole"] != kept.energy_kwh["whole"]
    assert lost.end_uses_kwh["light"] > kept.end_uses_kwh["light"]  # the gateway's own schedule burns 95 % at noon


def test_every_applied_command_stands_in_the_device_side_log(whole):
    seen = defaultdict(list)
    for write in whole.devices.log:
        seen[write.point].append(write.value)
    journal = whole.journal
    applied = {row.body["command"] for row in journal.after(0, ("outcome",), most=100_000) if row.body["result"] == "applied"}
    commands = [row.body for row in journal.after(0, ("command",), most=100_000) if row.body["id"] in applied]
    missing = [
        (c["point"], c["value"])
        for c in commands
        if c["value"] is not None and not any(v is not None and abs(v - c["value"]) <= REGISTER_STEP for v in seen[c["point"]])
    ]

    assert len(commands) > 100
    assert missing == []


def test_at_the_end_nothing_of_ours_is_left(whole):
    (release,) = whole.journal.latest(("release",))

    assert release.body["held_after"] == 0
    assert whole.report.release.not_released == []


def test_a_crash_leaves_orphans_that_the_next_life_gives_back_first(tmp_path):
    """The cycle dies without a word; a new one over the same journal relinquishes before it reads."""
    state = StateFolder(tmp_path / "state")
    site = work_copy(ROOT / "sites" / "corner_clinic", tmp_path / "work")
    make_twin(site, state.site(site.name), wall_now())
    parts = assemble(site, state.site(site.name), Period(), {})
    running = RunningSite(parts)

    async def live_and_crash():
        step = await asyncio.to_thread(parts.plant.reset)
        connections = await running.devices.start()
        await running._publish(step)
        clock = SteppedClock(step.at)
        first = Cycle(site, parts.graph, parts.book, running.journal, running.history, connections, clock, parts.strategies)
        await first.open()
        await first.step()
        held = len(first.held)
        await asyncio.gather(*[driver.close() for driver in first._drivers.values()])  # no release: as after SIGKILL
        second = Cycle(site, parts.graph, parts.book, Journal(running.journal.path), running.history, connections, clock, parts.strategies)
        await second.open()
        released = Journal(running.journal.path).latest(("release",))
        left = len(second.held)
        await second.close()
        await running.devices.stop()
        parts.plant.close()
        return held, released, left

    held, released, left = asyncio.run(live_and_crash())

    assert held > 0
    assert released[0].body["points"] == held
    assert left == 0
