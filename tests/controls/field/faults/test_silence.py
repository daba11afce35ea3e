"""Devices that say nothing, too little at once, or too late."""

import asyncio

import pytest

from twin.words import Quality

SETPOINT, LIGHT = "z00.htg_sp", "z00.light_level"
ONE_ENGINE = pytest.mark.parametrize("engine", ["fast"], indirect=True)  # what is told here is decided above the engines


@pytest.mark.parametrize("connection", ["floor_1", "lights_1"])
def test_a_silent_device_goes_stale_is_asked_rarely_and_comes_back_by_itself(staged, connection):
    """F01: a silent device."""

    async def story():
        async with staged(connection) as s:
            await s.step()
            wire = s.disturb(connection, mute=True)
            await s.step(3)
            assert {r.quality for r in s.image(connection).values()} == {Quality.STALE}
            asked = wire.asked
            report = await s.step(5)
            assert wire.asked - asked <= 4  # a probe or two, and their retries
            assert report.lost == [connection]
            assert s.qualities("ahu_1") == {"good"}
            s.disturb(connection)
            await s.until_good(connection)
            assert {r.quality for r in s.image(connection).values()} == {Quality.GOOD}
            assert [b["state"] for _, b in s.house.rows("alarm")] == ["raised", "cleared"]
            assert s.untrue() == []

    asyncio.run(story())


@ONE_ENGINE
def test_one_silent_device_in_five_holds_nobody_up_once_it_is_known(staged):
    """F02: 20 % of the devices are silent."""

    async def story():
        async with staged("floor_1", "lights_2", storeys=2) as s:
            s.house.wishes.values = {"z10.htg_sp": 16.0, SETPOINT: 16.0}
            for name in ("floor_1", "lights_2"):
                s.disturb(name, mute=True)
            await s.step(3)
            asked = [wire.asked for wire in s.between.values()]
            report = await s.step()
            assert sum(w.asked for w in s.between.values()) - sum(asked) <= 4  # nothing but probes beside the cycle
            assert report.lost == ["floor_1", "lights_2"]
            others = [c for c in s.house.connections if c not in report.lost]
            assert {q for c in others for q in s.qualities(c)} <= {"good"}
            assert await s.house.holds("z10.htg_sp") == 16.0
            assert [b["point"] for _, b in s.house.rows("command")] == ["z10.htg_sp"]

    asyncio.run(story())


@ONE_ENGINE
def test_a_device_with_one_buffer_never_gets_a_second_request_while_it_works_on_the_first(staged):
    """F03: a one-buffer device."""

    async def story():
        async with staged("floor_1", zones=8) as s:
            wire = s.disturb("floor_1", one_buffer=True, delay_s=0.03)
            s.house.wishes.values = {f"z0{n}.htg_sp": 16.0 for n in range(8)}
            await s.step(2)
            assert wire.overruns == 0
            assert s.qualities("floor_1") == {"good"}
            assert [await s.house.holds(f"z0{n}.htg_sp") for n in range(8)] == [16.0] * 8
            assert {b["result"] for _, b in s.house.rows("outcome")} == {"applied"}

    asyncio.run(story())


@ONE_ENGINE
def test_a_slow_device_among_fast_ones_is_waited_for_alone(staged):
    """F04: a slow device among fast ones."""

    async def story():
        async with staged("floor_1", storeys=2) as s:
            s.disturb("floor_1", delay_s=0.25)
            s.house.wishes.values = {"z10.htg_sp": 16.0, SETPOINT: 17.0}
            report = await s.step(2)
            assert report.answered == report.asked
            assert (await s.house.holds("z10.htg_sp"), await s.house.holds(SETPOINT)) == (16.0, 17.0)
            assert s.untrue() == []

    asyncio.run(story())


@pytest.mark.parametrize("connection", ["floor_1", "ahu_1", "lights_1", "meters", "main_meter"])
def test_answers_that_come_after_their_time_out_answer_nothing_else(staged, connection):
    """F05: late replies, while the next questions are already out."""

    async def story():
        async with staged(connection) as s:
            await s.step()
            s.disturb(connection, delay_s=0.9)  # later than every time-out
            await s.step(2)
            s.disturb(connection, delay_s=0.1)
            await s.step()
            assert s.untrue() == []
            await s.until_good(connection)
            assert s.untrue() == []

    asyncio.run(story())


@pytest.mark.parametrize("connection", ["floor_1", "lights_1", "meters"])
def test_an_old_answer_under_the_id_of_a_new_question_is_refused(staged, connection):
    """F05: ids reused: the driver asks for other rows than the old answer has, so it is never taken."""

    async def story():
        async with staged(connection) as s:
            await s.step()
            s.house.wishes.values = {SETPOINT: 16.0, LIGHT: 40.0}
            s.disturb(connection, "last_answer_again")
            await s.step(3)
            s.disturb(connection)
            await s.step(2)
            assert s.untrue() == []
            assert (await s.house.holds(SETPOINT), await s.house.holds(LIGHT)) == (16.0, 40.0)

    asyncio.run(story())


@pytest.mark.parametrize("loss", [0.1, 0.3])
@pytest.mark.parametrize("connection", ["floor_1", "meters"])
def test_on_a_lossy_wire_every_value_is_true_or_marked_old(staged, connection, loss):
    """F06: 10 and 30 % loss, duplicates, reordering."""

    async def story():
        async with staged(connection, zones=1) as s:
            seed = 3
            s.disturb(connection, seed=seed, drop=loss, duplicate=0.2, reorder=0.2 if connection == "floor_1" else 0.0)
            s.house.wishes.values = {SETPOINT: 16.0}
            for _ in range(5):
                await s.step()
                assert s.untrue() == [], f"seed {seed}"
            s.disturb(connection)
            await s.until_good(connection)
            await s.step()
            assert await s.house.holds(SETPOINT) == 16.0
            by_id = {b["id"]: b for _, b in s.house.rows("command")}
            final = [b["result"] for _, b in s.house.rows("outcome") if b["command"] in by_id][-1]
            assert final == "applied"

    asyncio.run(story())


@ONE_ENGINE
def test_a_gateway_that_accepts_and_says_nothing_is_left_and_found_again(staged):
    """F07: TCP accepted but mute."""

    async def story():
        async with staged("meters") as s:
            await s.step()
            wire = s.disturb("meters", mute=True)
            await s.step(3)
            assert wire.connections >= 2  # a connection that was mute is not asked again
            assert s.qualities("meters") == {"stale"}
            assert s.qualities("main_meter") == {"good"}
            s.disturb("meters")
            await s.until_good("meters")
            assert s.untrue() == []

    asyncio.run(story())


@ONE_ENGINE
def test_a_connection_reset_in_the_middle_of_a_frame_costs_one_reading_and_no_foreign_value(staged):
    """F08: reset in mid-frame."""

    async def story():
        async with staged("meters", "lights_1") as s:
            await s.step()
            for name in ("meters", "lights_1"):
                s.disturb(name, seed=5, cut=0.4)
            s.house.wishes.values = {LIGHT: 40.0}
            for _ in range(6):
                await s.step()
                assert s.untrue() == []
            for name in ("meters", "lights_1"):
                s.disturb(name)
            await s.until_good("meters", "lights_1")
            await s.step(2)
            assert await s.house.holds(LIGHT) == 40.0

    asyncio.run(story())
