"""Commands that a device, an operator or another client does not let through."""

import asyncio
from datetime import timedelta

import pytest

from simulators.wire import bacnet_lies, modbus_lies

SETPOINT, LIGHT, FAN = "z00.htg_sp", "z00.light_level", "ahu_1.fan_run"
ONE_ENGINE = pytest.mark.parametrize("engine", ["fast"], indirect=True)  # what is told here is decided above the engines
PATIENT = pytest.mark.parametrize("answer_s", [3.0], indirect=True)  # no silence is staged: a stall of the machine is not one


def setpoint_number(book) -> int:
    return bacnet_lies.number_of(book[SETPOINT].binding.address)


@PATIENT
@pytest.mark.parametrize(("lie", "words"), [("write_denied", "write-access-denied"), ("out_of_range", "value-out-of-range")])
def test_a_refused_write_is_rejected_with_the_devices_words_and_not_repeated_every_cycle(staged, lie, words):
    """F21: write denied, or out of range."""

    async def story():
        async with staged("floor_1") as s:
            await s.step()
            wire = s.disturb("floor_1", lie)
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.step(2)
            (outcome,) = [b for _, b in s.house.rows("outcome")]
            assert outcome["result"] == "rejected"
            assert words in outcome["detail"]
            assert wire._lie.refused == 1
            assert await s.house.slot(SETPOINT) is None
            assert await s.house.holds(SETPOINT) == 20.0

    asyncio.run(story())


@ONE_ENGINE
@PATIENT
def test_an_output_that_stops_at_its_own_end_is_not_effective(staged):
    """F22: acknowledged, our value in the slot, the output clamped."""

    async def story():
        async with staged("floor_1") as s:
            s.disturb("floor_1", bacnet_lies.clamps(setpoint_number(s.house.book), 18.0, 30.0))
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.step(2)
            (outcome,) = [b for _, b in s.house.rows("outcome")]
            assert (outcome["result"], outcome["slot"], outcome["read_back"]) == ("not_effective", 16.0, 18.0)
            s.house.wishes.values = {}
            await s.step()
            assert await s.house.slot(SETPOINT) is None

    asyncio.run(story())


@ONE_ENGINE
@PATIENT
def test_a_slot_that_stops_at_its_own_end_is_not_effective_and_still_ours_to_free(staged):
    """F22: the device puts a value within its own ends into our slot: nobody else is blamed, and it is let go at the end."""

    async def story():
        async with staged("floor_1") as s:
            s.disturb("floor_1", bacnet_lies.SlotClamps(18.0, 30.0))
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.step(3)
            assert s.house.results(SETPOINT) == ["not_effective"]
            assert len(s.house.rows("command")) == 1
            assert s.house.rows("alarm") == []
            assert await s.house.slot(SETPOINT) == 18.0
            s.house.wishes.values = {}
            await s.step()
            assert await s.house.slot(SETPOINT) is None

    asyncio.run(story())


@ONE_ENGINE
@PATIENT
def test_what_a_clamping_device_made_of_our_value_is_given_back_after_a_crash_too(staged):
    """F22, F33: the journal tells what the device put into our slot."""

    async def story():
        async with staged("floor_1", "lights_1") as s:
            s.disturb("floor_1", bacnet_lies.SlotClamps(18.0, 30.0))
            s.disturb("lights_1", modbus_lies.ClampedWrites(700))
            s.house.wishes.values = {SETPOINT: 16.0, LIGHT: 90.0}
            await s.step(2)
            life = s.house.new_life()  # the first one just stops breathing
            await life.open()
            assert await s.house.slot(SETPOINT) is None
            assert (await s.house.holds(SETPOINT), await s.house.holds(LIGHT)) == (20.0, 95.0)
            assert s.house.rows("alarm") == []
            await life.close()

    asyncio.run(story())


@ONE_ENGINE
@PATIENT
def test_a_register_that_stops_at_its_own_end_is_not_effective_and_gets_its_prior_value_back(staged):
    """F22: a Modbus server echoes what it does not keep."""

    async def story():
        async with staged("lights_1") as s:
            s.disturb("lights_1", modbus_lies.ClampedWrites(700))  # tenths of a percent
            s.house.wishes.values = {LIGHT: 90.0}
            await s.step(2)
            assert s.house.results(LIGHT) == ["not_effective"]
            assert await s.house.holds(LIGHT) == 70.0
            s.house.wishes.values = {}
            await s.step()
            assert await s.house.holds(LIGHT) == 95.0
            assert s.house.rows("alarm") == []

    asyncio.run(story())


@pytest.mark.parametrize(("connection", "point", "value"), [("floor_1", SETPOINT, 16.0), ("lights_1", LIGHT, 40.0)])
def test_a_write_that_took_effect_without_an_answer_is_read_back_and_never_repeated(staged, connection, point, value):
    """F23: a write took effect but timed out: one intent, one write, one outcome in the end."""

    async def story():
        async with staged(connection) as s:
            await s.step()
            s.disturb(connection, "no_write_answer")
            s.house.wishes.values = {point: value}
            await s.step()
            s.disturb(connection)
            await s.step(2)
            assert [b["value"] for _, b in s.house.rows("command")] == [value]
            assert s.house.results(point) == ["applied"]
            await s.house.devices.look()
            if connection == "floor_1":
                assert [w.value for w in s.house.devices.log if w.point == point] == [value]
            assert await s.house.holds(point) == value

    asyncio.run(story())


@ONE_ENGINE
def test_a_write_lost_with_its_answer_is_unverified_until_the_device_can_be_asked(staged):
    """F23: the device falls silent with the write."""

    async def story():
        async with staged("floor_1") as s:
            await s.step()

            class Swallows(bacnet_lies.NoAck):
                """From the write on, nothing comes back."""

                silent = False

                def asked(self, frame):
                    said = bacnet_lies.message(frame)
                    self.silent |= said is not None and (said.kind, said.service) == (bacnet_lies.REQUEST, bacnet_lies.WRITE)
                    return super().asked(frame)

                def answered(self, frame):
                    return () if self.silent else (frame,)

            s.disturb("floor_1", Swallows())
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.step()
            assert s.house.results(SETPOINT) == ["unverified"]
            await s.house.cycle.step()
            s.disturb("floor_1")
            s.house.clock.advance(timedelta(seconds=300))  # within the lease
            await s.house.cycle.step()
            await s.house.cycle.step()
            assert s.house.results(SETPOINT) == ["unverified", "applied"]
            assert len(s.house.rows("command")) == 1

    asyncio.run(story())


@ONE_ENGINE
def test_a_lost_device_is_not_commanded_and_the_wish_waits(staged):
    """F24: a command to a quarantined device."""

    async def story():
        async with staged("floor_1") as s:
            s.disturb("floor_1", mute=True)
            await s.step(3)
            s.house.wishes.values = {SETPOINT: 16.0}
            report = await s.step()
            assert (report.waiting, report.commands) == (1, 0)
            assert s.house.rows("command") == []
            s.disturb("floor_1")
            await s.until_good("floor_1")
            await s.step()
            assert await s.house.holds(SETPOINT) == 16.0
            assert s.house.results(SETPOINT) == ["applied"]

    asyncio.run(story())


@PATIENT
@pytest.mark.parametrize("priority", [1, 6, 8])
@pytest.mark.parametrize("when", ["before", "after"])
def test_whoever_stands_above_us_rules_at_once_and_we_apply_when_he_lets_go(staged, priority, when):
    """F25, F26, F27: the operator at 8, life safety at 1, minimum on/off at 6, before or after our command."""

    async def story():
        async with staged("floor_1") as s, s.house.somebody_else("floor_1") as above:
            await s.step()
            if when == "before":
                await above.write(s.house.book[SETPOINT], 21.0, priority)
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.step()
            if when == "after":
                await above.write(s.house.book[SETPOINT], 21.0, priority)
                await s.step()
            assert await s.house.holds(SETPOINT) == 21.0
            assert await s.house.slot(SETPOINT) == 16.0
            assert await s.house.slot(SETPOINT, priority) == 21.0
            await above.write(s.house.book[SETPOINT], None, priority)
            await s.step()
            assert await s.house.holds(SETPOINT) == 16.0
            expected = ["masked", "applied"] if when == "before" else ["applied", "masked", "applied"]
            assert s.house.results(SETPOINT) == expected
            assert {b["ruling_priority"] for _, b in s.house.rows("outcome") if b["result"] == "masked"} == {priority}
            assert s.house.rows("alarm") == []

    asyncio.run(story())


@ONE_ENGINE
@PATIENT
def test_an_operator_who_comes_while_we_write_is_masked_all_the_same(staged):
    """F25: during our command."""

    async def story():
        async with staged("floor_1") as s, s.house.somebody_else("floor_1") as panel:
            await s.step()
            s.disturb("floor_1", delay_s=0.1)
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.publish()
            step = asyncio.create_task(s.house.cycle.step())
            s.house.connections  # noqa: B018 (the panel has its own line to the device)
            await asyncio.sleep(0.15)
            await panel.write(s.house.book[SETPOINT], 21.0, 8)
            await step
            await s.step()
            assert s.house.results(SETPOINT)[-1] == "masked"
            assert await s.house.holds(SETPOINT) == 21.0

    asyncio.run(story())


@PATIENT
@pytest.mark.parametrize("engine", ["fast"], indirect=True)
def test_a_register_that_could_not_be_seen_is_not_written_over(staged):
    """F28: somebody else writes while our reads fail: we do not write blindly, and see the conflict when we see again."""

    async def story():
        async with staged("lights_1") as s, s.house.somebody_else("lights_1") as rival:
            s.house.wishes.values = {LIGHT: 40.0}
            await s.step()
            s.disturb("lights_1", modbus_lies.Refuses((modbus_lies.READ_HOLDING,), 4))
            await rival.write(s.house.book[LIGHT], 17.0, 13)
            await s.step()
            assert await s.house.holds(LIGHT) == 17.0
            s.disturb("lights_1")
            report = await s.step()  # one step: a rival who falls silent is forgotten by the gateway's own watchdog
            assert report.conflicts == [LIGHT]
            assert await s.house.holds(LIGHT) == 17.0

    asyncio.run(story())


@PATIENT
@pytest.mark.parametrize(("connection", "point"), [("floor_1", SETPOINT), ("lights_1", LIGHT)])
def test_a_foreign_writer_in_our_place_is_a_conflict_and_keeps_it(staged, connection, point):
    """F28: a foreign writer in our slot, or in our register."""

    async def story():
        async with staged(connection) as s, s.house.somebody_else(connection) as rival:
            s.house.wishes.values = {point: 22.0}
            await s.step()
            await rival.write(s.house.book[point], 17.0, 13)
            report = await s.step(2)
            assert report.conflicts == [point]
            assert await s.house.holds(point) == 17.0
            assert s.house.results(point) == ["applied", "conflict"]
            assert [(b["kind"], b["state"]) for _, b in s.house.rows("alarm")] == [("conflict", "raised")]
            await s.house.cycle.release("ann", "home time")
            assert await s.house.holds(point) == 17.0

    asyncio.run(story())
