"""Devices that answer, but wrongly."""

import asyncio
import math
from dataclasses import dataclass
from datetime import timedelta

import pytest

from controls.strategies.watch import fresh
from simulators.wire import bacnet_lies, modbus_lies
from twin.addresses import parse_address
from twin.words import Image, Quality, Reason, Request

SETPOINT, LIGHT, TEMPERATURE = "z00.htg_sp", "z00.light_level", "z00.zn_t"


def number_of(book, point) -> int:
    return bacnet_lies.number_of(book[point].binding.address)


# Modbus

PATIENT = pytest.mark.parametrize("answer_s", [3.0], indirect=True)  # no silence is staged: a stall of the machine is not one
ONE_ENGINE = pytest.mark.parametrize("engine", ["fast"], indirect=True)


@ONE_ENGINE
@pytest.mark.parametrize(
    "lie",
    ["transaction_zero", "other_function", "no_function", "coils_for_registers", "fewer_registers", "more_registers", "other_unit"],
)
@pytest.mark.parametrize("connection", ["meters", "lights_1"])
def test_no_value_of_a_lying_server_is_believed(staged, connection, lie):
    """F09, F10: another unit, no transaction, another function, a wrong count."""

    async def story():
        async with staged(connection) as s:
            await s.step()
            s.disturb(connection, lie)
            for _ in range(3):
                await s.step()
                assert s.untrue() == []
            assert "good" not in s.qualities(connection)
            assert s.qualities("main_meter") == {"good"}
            s.disturb(connection)
            await s.until_good(connection)
            assert s.untrue() == []

    asyncio.run(story())


@ONE_ENGINE
def test_an_answer_with_a_function_that_nobody_knows_raises_nothing_into_the_event_loop(staged):
    """F45: the Modbus library raises where nobody can catch it; each such frame would be a traceback in the log."""

    async def story():
        unhandled: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))
        async with staged("meters") as s:
            await s.step()
            s.disturb("meters", "no_function")
            await s.step()
            assert "good" not in s.qualities("meters")
            assert unhandled == []

    asyncio.run(story())


@ONE_ENGINE
def test_a_false_echo_is_not_an_acknowledgement_and_the_register_tells_what_happened(staged):
    """F10: the write is echoed with another value; what the device holds is read back before anything else."""

    async def story():
        async with staged("lights_1") as s:
            await s.step()
            s.disturb("lights_1", "false_echo")
            s.house.wishes.values = {LIGHT: 40.0}
            await s.step(3)
            assert await s.house.holds(LIGHT) == 40.0
            assert [b["value"] for _, b in s.house.rows("command")] == [40.0]
            assert s.house.results(LIGHT)[-1] == "applied"

    asyncio.run(story())


@PATIENT
@ONE_ENGINE
@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 10, 11])
def test_a_refused_read_is_bad_with_its_reason_and_the_gateway_stays_in_use(staged, code):
    """F11: exceptions 1 to 6, 0A and 0B on reads of one unit."""

    async def story():
        async with staged("meters") as s:
            await s.step()
            unit = parse_address(s.house.book[next(iter(s.sensors("meters")))].binding.address).unit
            s.disturb("meters", modbus_lies.Refuses(modbus_lies.READS, code, lambda question: question[modbus_lies.UNIT] == unit))
            report = await s.step()
            by_unit = {p: parse_address(s.house.book[p].binding.address).unit for p in s.sensors("meters")}
            for point, reading in s.sensors("meters").items():
                if by_unit[point] == unit:
                    assert (reading.value, reading.quality, reading.reason) == (None, Quality.BAD, Reason.FAULT)
                else:
                    assert reading.quality is Quality.GOOD
            assert report.lost == []
            s.disturb("meters")
            await s.until_good("meters")

    asyncio.run(story())


@PATIENT
@ONE_ENGINE
@pytest.mark.parametrize("code", [1, 2, 3, 4, 6, 10, 11])
def test_a_refused_write_is_rejected_once_with_the_devices_words(staged, code):
    """F11, F21: exceptions on writes; the prior value stays."""

    async def story():
        async with staged("lights_1") as s:
            await s.step()
            lie = modbus_lies.Refuses(modbus_lies.WRITES, code)
            s.disturb("lights_1", lie)
            s.house.wishes.values = {LIGHT: 40.0}
            await s.step()
            (outcome,) = [b for _, b in s.house.rows("outcome")]
            assert outcome["result"] == "rejected"
            assert "refused" in outcome["detail"]
            assert await s.house.holds(LIGHT) == 95.0

    asyncio.run(story())


@PATIENT
@ONE_ENGINE
def test_a_hole_is_found_and_asked_round_from_then_on(staged):
    """F11: exception 2 within a block: the hole is learned."""

    async def story():
        async with staged("lights_1", zones=6) as s:
            levels = sorted(p for p in s.house.book if p.endswith("light_level"))
            address = parse_address(s.house.book[levels[2]].binding.address)
            lie = modbus_lies.hole(address.unit, address.register)
            wire = s.disturb("lights_1", lie)
            await s.step()
            first, refused, asked = wire.asked, lie.refused, wire.asked
            await s.step()
            again = lie.refused - refused
            assert refused > 1  # halved until it was alone
            assert again == 1  # only the hole itself is asked for again
            assert wire.asked - asked <= first
            image = s.image("lights_1")
            assert image[levels[2]].quality is Quality.BAD
            others = [p for p in image if p.endswith("light_level") and p != levels[2]]
            assert {image[p].quality for p in others} == {Quality.GOOD}

    asyncio.run(story())


@PATIENT
@ONE_ENGINE
def test_swapped_words_show_as_implausible_where_physics_can_tell(staged):
    """F12: words swapped."""

    async def story():
        async with staged("main_meter") as s:
            await s.step()
            (power,) = [p for p in s.sensors("main_meter") if p.endswith("power")]
            s.disturb("main_meter", "swapped_words")
            await s.step()
            reading = s.image("main_meter")[power]
            truth = s.shown[-1][power]
            assert reading.quality is not Quality.GOOD or reading.value == truth
            assert (reading.quality, reading.reason) in {(Quality.UNCERTAIN, Reason.IMPLAUSIBLE), (Quality.BAD, Reason.FAULT)}

    asyncio.run(story())


# BACnet


@PATIENT
@pytest.mark.parametrize(
    ("name", "value", "failed"),
    [
        ("text", bacnet_lies.text("warm"), False),
        ("null", bacnet_lies.NULL, False),
        ("error row", bacnet_lies.UNKNOWN_OBJECT, True),
        ("NaN", bacnet_lies.real(math.nan), False),
        ("infinity", bacnet_lies.real(math.inf), False),
        ("minus infinity", bacnet_lies.real(-math.inf), False),
    ],
)
def test_a_row_that_is_no_number_is_bad_and_its_neighbours_are_good(staged, name, value, failed):
    """F13, F15: wrong datatype, Null, error row, NaN, infinity."""

    async def story():
        async with staged("floor_1") as s:
            s.disturb("floor_1", bacnet_lies.shows(number_of(s.house.book, TEMPERATURE), value, failed=failed))
            await s.step()
            image = s.image("floor_1")
            assert (image[TEMPERATURE].value, image[TEMPERATURE].quality, image[TEMPERATURE].reason) == (None, Quality.BAD, Reason.FAULT)
            assert {r.quality for p, r in image.items() if p != TEMPERATURE} == {Quality.GOOD}
            assert s.untrue() == []
            values = next(b["values"] for _, b in s.house.rows("readings") if b["connection"] == "floor_1")
            assert values[TEMPERATURE] == [None, "bad", "fault"]

    asyncio.run(story())


@pytest.mark.parametrize("lie", ["rows_missing", "rows_extra", "rows_out_of_order"])
def test_an_answer_that_does_not_answer_row_by_row_is_refused_whole(staged, lie, engine):
    """F14: rows missing, extra, out of order."""

    async def story():
        async with staged("floor_1") as s:
            await s.step()
            s.disturb("floor_1", lie)
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.step()
            assert s.untrue() == []
            assert s.qualities("floor_1") == {"bad"} or (engine, lie) == ("fast", "rows_out_of_order")  # it sorts them by what they name
            s.disturb("floor_1")
            await s.until_good("floor_1")
            await s.step()
            assert await s.house.holds(SETPOINT) == 16.0

    asyncio.run(story())


@PATIENT
@ONE_ENGINE
def test_a_value_no_sensor_can_see_is_uncertain_and_says_why(staged):
    """F15: an impossible value."""

    async def story():
        async with staged("floor_1") as s:
            s.disturb("floor_1", bacnet_lies.shows(number_of(s.house.book, TEMPERATURE), bacnet_lies.real(85.0)))
            await s.step()
            image = Image(s.house.clock.now(), s.image("floor_1"))
            reading = image.readings[TEMPERATURE]
            assert (reading.value, reading.quality, reading.reason) == (85.0, Quality.UNCERTAIN, Reason.IMPLAUSIBLE)
            assert image.value(TEMPERATURE) is fresh(image, TEMPERATURE) is None  # shown to people, never steered on

    asyncio.run(story())


@dataclass
class Follower:
    """A strategy that steers by the value alone: it sets what the sensor shows, and nothing where it shows nothing."""

    name: str = "follower"

    def propose(self, image: Image, now) -> list[Request]:
        value = image.value(TEMPERATURE)
        until = now + timedelta(seconds=900)
        return [] if value is None else [Request(SETPOINT, round(value), self.name, "it follows the sensor", until)]


@PATIENT
@ONE_ENGINE
@pytest.mark.parametrize("leap", [math.nan, math.inf, 60.0, 7.0])
def test_a_value_that_is_not_believed_steers_nothing_and_the_zone_is_given_back(staged, leap):
    """F15: NaN, infinity, an impossible value, an impossible step (7 K in a minute): never steered on."""

    async def story():
        async with staged("floor_1", strategies=[Follower()]) as s:
            await s.step()
            truth, before = s.shown[-1][TEMPERATURE], [b["value"] for _, b in s.house.rows("command")]
            assert before == [round(truth)]
            s.disturb("floor_1", bacnet_lies.shows(number_of(s.house.book, TEMPERATURE), bacnet_lies.real(truth + leap)))
            s.house.clock.advance(timedelta(minutes=1))
            await s.house.cycle.step()
            assert s.image("floor_1")[TEMPERATURE].quality is not Quality.GOOD
            assert [b["value"] for _, b in s.house.rows("command")] == [*before, None]
            assert await s.house.slot(SETPOINT) is None  # nobody asks for it any more: the zone is its own controller's again

    asyncio.run(story())


@PATIENT
@ONE_ENGINE
def test_a_leap_that_no_room_can_make_is_uncertain_until_the_values_agree_again(staged):
    """F15: an impossible step."""

    async def story():
        async with staged("floor_1") as s:
            await s.step(2)
            s.disturb("floor_1", bacnet_lies.shows(number_of(s.house.book, TEMPERATURE), bacnet_lies.real(45.0)))
            s.house.clock.advance(timedelta(minutes=1))
            await s.house.cycle.step()
            reading = s.image("floor_1")[TEMPERATURE]
            assert (reading.quality, reading.reason) == (Quality.UNCERTAIN, Reason.IMPLAUSIBLE)
            s.disturb("floor_1")
            await s.step(2)
            assert s.image("floor_1")[TEMPERATURE].quality is Quality.GOOD

    asyncio.run(story())


@PATIENT
@ONE_ENGINE
def test_a_sensor_frozen_for_a_day_is_uncertain(staged):
    """F15: a frozen value."""

    async def story():
        async with staged("floor_1", zones=1) as s:
            s.disturb("floor_1", bacnet_lies.shows(number_of(s.house.book, TEMPERATURE), bacnet_lies.real(21.34)))
            await s.step()
            assert s.image("floor_1")[TEMPERATURE].quality is Quality.GOOD
            s.house.clock.advance(timedelta(hours=24))
            await s.step()
            reading = s.image("floor_1")[TEMPERATURE]
            assert (reading.value, reading.quality, reading.reason) == (21.34, Quality.UNCERTAIN, Reason.IMPLAUSIBLE)
            s.disturb("floor_1")
            await s.step()
            assert s.image("floor_1")[TEMPERATURE].quality is Quality.GOOD

    asyncio.run(story())


@PATIENT
@pytest.mark.parametrize("lie", ["too_big", "no_segmentation", "no_multiple"])
def test_a_device_that_cannot_answer_that_much_is_asked_for_less_and_that_is_remembered(staged, lie):
    """F20: buffer-overflow, no segmentation, no ReadPropertyMultiple, a false max-APDU."""

    async def story():
        async with staged("floor_1", zones=4) as s:
            s.disturb("floor_1", lie)
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.step(2)
            assert s.qualities("floor_1") == {"good"}
            assert s.untrue() == []
            assert await s.house.holds(SETPOINT) == 16.0
            teller = s.between["floor_1"]._lie
            refused = teller.refused
            await s.step()
            assert teller.refused == refused

    asyncio.run(story())
