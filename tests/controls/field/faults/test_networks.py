"""Whole networks that go away, and devices that come back as others."""

import asyncio
from datetime import timedelta

import pytest

from simulators.wire import bacnet_lies
from twin.journal import Record
from twin.words import Quality

SETPOINT, TEMPERATURE = "z00.htg_sp", "z00.zn_t"
TRUNK = {"floor_1": "trunk", "ahu_1": "trunk", "floor_2": "trunk"}
ONE_ENGINE = pytest.mark.parametrize("engine", ["fast"], indirect=True)  # what is told here is decided above the engines


def alarms(s) -> list[tuple[str, str]]:
    return [(b["id"], b["state"]) for _, b in s.house.rows("alarm")]


@ONE_ENGINE
def test_a_lost_router_is_one_alarm_for_its_network_and_none_for_each_device(staged):
    """F31: the router of a trunk is lost, and comes back."""

    async def story():
        async with staged(*TRUNK, storeys=2, zones=1, networks=TRUNK) as s:
            await s.step()
            for name in TRUNK:
                s.disturb(name, mute=True)
            await s.step(4)
            assert alarms(s) == [("network.trunk", "raised")]
            assert {b["connection"] for _, b in s.house.rows("device") if b["event"] == "lost"} == set(TRUNK)
            assert {q for name in TRUNK for q in s.qualities(name)} == {"stale"}
            assert s.qualities("ahu_2") == {"good"}
            for name in TRUNK:
                s.disturb(name)
            await s.until_good(*TRUNK)
            assert alarms(s) == [("network.trunk", "raised"), ("network.trunk", "cleared")]

    asyncio.run(story())


@ONE_ENGINE
def test_a_device_that_stays_away_when_its_network_returns_is_told_then(staged):
    """F31: one controller did not survive the power cut of its trunk."""

    async def story():
        async with staged(*TRUNK, storeys=2, zones=1, networks=TRUNK) as s:
            await s.step()
            for name in TRUNK:
                s.disturb(name, mute=True)
            await s.step(4)
            for name in ("ahu_1", "floor_2"):
                s.disturb(name)
            await s.until(lambda: ("device.floor_1", "raised") in alarms(s))
            assert alarms(s) == [("network.trunk", "raised"), ("network.trunk", "cleared"), ("device.floor_1", "raised")]

    asyncio.run(story())


def reprogrammed(s, connection: str, point: str, name: str) -> bacnet_lies.Reprogrammed:
    """The device counts its database revision up, and calls the object behind the point otherwise."""
    address = s.house.book[point].binding.address
    return bacnet_lies.Reprogrammed(7, {bacnet_lies.number_of(address): name})


def test_a_reprogrammed_device_is_reported_and_never_remapped_in_silence(staged):
    """F19: database-revision changed: a difference report; neither believed nor commanded until a person has looked."""

    async def story():
        async with staged("floor_1") as s:
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.step()
            s.disturb("floor_1", reprogrammed(s, "floor_1", TEMPERATURE, "pump speed"))
            s.house.clock.advance(timedelta(hours=1))
            await s.step(2)
            assert alarms(s) == [("changed.floor_1", "raised")]
            ((_, row),) = [(k, b) for k, b in s.house.rows("device") if b["event"] == "changed"]
            assert len(row["differences"]) == 1
            assert row["differences"][0].endswith(f"was called {TEMPERATURE}, now pump speed")
            reading = s.image("floor_1")[TEMPERATURE]
            assert (reading.value, reading.quality) == (None, Quality.BAD)
            others = {p: r.quality for p, r in s.image("floor_1").items() if p != TEMPERATURE}
            assert set(others.values()) == {Quality.GOOD}
            assert await s.house.holds(SETPOINT) == 16.0

            life = s.house.new_life()  # a restart forgets none of it
            await life.open()
            await life.step()
            assert s.image("floor_1")[TEMPERATURE].quality is Quality.BAD
            await life.close()

            (alarm,) = [b for _, b in s.house.rows("alarm") if b["id"] == "changed.floor_1"][-1:]
            s.house.journal.append([Record("alarm", s.house.clock.now(), {**alarm, "state": "acknowledged", "by": "ann"})])
            await s.step()
            assert alarms(s)[-1] == ("changed.floor_1", "cleared")
            assert s.image("floor_1")[TEMPERATURE].quality is Quality.GOOD

    asyncio.run(story())


@ONE_ENGINE
def test_a_setpoint_whose_object_is_another_one_now_is_let_go_and_not_commanded(staged):
    """F19: an object that was renamed is not written to."""

    async def story():
        async with staged("floor_1") as s:
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.step()
            s.disturb("floor_1", reprogrammed(s, "floor_1", SETPOINT, "alarm limit"))
            s.house.clock.advance(timedelta(hours=1))
            await s.step(3)
            assert [b["value"] for _, b in s.house.rows("command")][-1] is None
            assert await s.house.slot(SETPOINT) is None
            s.disturb("floor_1")  # the old program is loaded again
            s.house.clock.advance(timedelta(hours=1))
            await s.step(3)
            assert alarms(s)[-1] == ("changed.floor_1", "cleared")
            assert await s.house.holds(SETPOINT) == 16.0

    asyncio.run(story())
