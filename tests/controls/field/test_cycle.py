"""The cycle over real sockets, against simulated devices."""

import asyncio
import time
from datetime import datetime, timedelta

from twin.words import Authority, Quality

SETPOINT, LIGHT, FAN = "z00.htg_sp", "z00.light_level", "ahu_1.fan_run"


def test_a_wish_becomes_what_the_devices_hold_and_letting_go_gives_the_building_back(house):
    async def story():
        async with house() as h:
            before = {p: await h.holds(p) for p in (SETPOINT, LIGHT, FAN)}
            h.wishes.values = {SETPOINT: 16.0, LIGHT: 40.0, FAN: 0.0}
            report = await h.step()

            assert {p: await h.holds(p) for p in before} == h.wishes.values
            assert (report.commands, report.writes, report.outcomes) == (3, 3, {"applied": 3})
            assert report.answered == report.asked == len(h.book.bound) - 1  # the record is no number

            h.wishes.values = {}
            report = await h.step()
            assert {p: await h.holds(p) for p in before} == before
            assert (report.released, report.held) == (3, 0)

    asyncio.run(story())


def test_what_does_not_change_is_renewed_and_verified_but_not_commanded_again(house):
    async def story():
        async with house() as h:
            h.wishes.values = {SETPOINT: 16.0, LIGHT: 40.0}
            await h.step(3)
            assert [body["point"] for _, body in h.rows("command")] == [SETPOINT, LIGHT]
            assert len(h.rows("outcome")) == 2
            assert [w.value for w in h.devices.log if w.point == LIGHT] == [40.0] * 3  # its watchdog wants it again and again

    asyncio.run(story())


def test_the_journal_holds_the_readings_and_the_command_before_the_device_does(house):
    async def story():
        async with house() as h:
            h.wishes.values = {LIGHT: 40.0}
            await h.step()
            (seen,) = [w for w in h.devices.log if w.point == LIGHT]
            (command,) = h.journal.after(0, ["command"])
            assert command.wall < seen.wall
            assert [kind for kind, _ in h.rows("prior", "command", "outcome")] == ["prior", "command", "outcome"]
            body = command.body
            assert (body["by"], body["value"], body["priority"], body["authority"]) == ("wishes", 40.0, 13, Authority.STRATEGY)
            assert datetime.fromisoformat(body["until"]) == h.clock.now() + timedelta(seconds=900)
            readings = {body["connection"]: body["values"] for _, body in h.rows("readings")}
            assert readings["floor_1"]["z00.zn_t"] == [21.5, "good", ""]
            assert h.history.latest()["z00.zn_t"].at == h.clock.now()
            assert h.journal.check() == h.journal.size()

    asyncio.run(story())


def test_an_operator_at_priority_8_masks_us_and_we_apply_when_he_lets_go(house):
    async def story():
        async with house() as h:
            h.wishes.values = {SETPOINT: 16.0}
            await h.step()
            async with h.somebody_else("floor_1") as panel:
                await panel.write(h.book[SETPOINT], 21.0, 8)
                await h.step(2)
                assert await h.holds(SETPOINT) == 21.0
                await panel.write(h.book[SETPOINT], None, 8)
                await h.step()
            assert await h.holds(SETPOINT) == 16.0
            assert h.results(SETPOINT) == ["applied", "masked", "applied"]
            assert h.rows("outcome")[1][1]["ruling_priority"] == 8

    asyncio.run(story())


def test_a_value_in_our_slot_that_we_never_wrote_is_a_conflict_and_we_stop_until_it_is_gone(house):
    async def story():
        async with house() as h:
            h.wishes.values = {SETPOINT: 16.0}
            await h.step()
            async with h.somebody_else("floor_1") as rival:
                await rival.write(h.book[SETPOINT], 19.0, 13)
                await h.step(2)
                assert await h.holds(SETPOINT) == 19.0
                await rival.write(h.book[SETPOINT], None, 13)
            report = await h.step()
            assert h.results(SETPOINT) == ["applied", "conflict", "applied"]
            assert [body["state"] for _, body in h.rows("alarm")] == ["raised", "cleared"]
            assert report.conflicts == []

    asyncio.run(story())


def test_a_slot_taken_by_another_client_before_us_is_never_touched(house):
    async def story():
        async with house() as h, h.somebody_else("floor_1") as rival:
            await rival.write(h.book[SETPOINT], 19.0, 13)
            h.wishes.values = {SETPOINT: 16.0}
            report = await h.step()
            assert (report.commands, report.conflicts) == (0, [SETPOINT])
            await h.cycle.release("ann", "home time")
            assert await h.slot(SETPOINT) == 19.0

    asyncio.run(story())


def test_a_register_that_somebody_else_wrote_is_left_to_them(house):
    async def story():
        async with house() as h, h.somebody_else("lights_1") as rival:
            h.wishes.values = {LIGHT: 40.0}
            await h.step()
            await rival.write(h.book[LIGHT], 77.0, 13)
            report = await h.step()
            await h.cycle.release("ann", "home time")
            assert report.conflicts == [LIGHT]
            assert await h.holds(LIGHT) == 77.0

    asyncio.run(story())


def test_a_persons_override_wins_over_strategies_until_it_ends(house):
    async def story():
        async with house() as h:
            h.wishes.values = {SETPOINT: 16.0}
            await h.step()
            h.ask(SETPOINT, 22.0, hours=1)
            await h.step(5)
            assert await h.holds(SETPOINT) == 22.0
            await h.step()
            assert await h.holds(SETPOINT) == 16.0
            assert [(b["by"], b["value"]) for _, b in h.rows("command")] == [("wishes", 16.0), ("ann", 22.0), ("wishes", 16.0)]

    asyncio.run(story())


def test_an_override_taken_back_or_nonsense_moves_nothing(house):
    async def story():
        async with house() as h:
            h.ask(SETPOINT, 22.0)
            await h.step()
            h.ask(SETPOINT, None)
            h.ask(FAN, 0.5)
            h.ask("no_such_point", 1.0)
            h.ask(LIGHT, 30.0, authority=Authority.EQUIPMENT)  # written down, but a person stays an operator
            await h.step(2)
            assert (await h.holds(SETPOINT), await h.holds(FAN), await h.holds(LIGHT)) == (20.0, 1.0, 30.0)
            assert [b["authority"] for _, b in h.rows("command") if b["point"] == LIGHT] == [Authority.OPERATOR]

    asyncio.run(story())


def test_a_device_that_dies_goes_stale_within_three_intervals_while_the_others_go_on_and_it_returns(house):
    async def story():
        async with house(storeys=2, zones=1) as h:
            h.wishes.values = {"z00.htg_sp": 16.0, "z10.htg_sp": 16.0}
            await h.step()
            await h.devices.kill("floor_1")
            seen, slowest = [], 0.0
            for value in (17.0, 18.0, 19.0, 20.0):
                h.wishes.values["z10.htg_sp"] = value
                report = await h.step()
                slowest = max(slowest, report.duration_s)
                seen.append(h.history.latest()["z00.zn_t"].quality)
            assert seen == [Quality.UNCERTAIN, Quality.UNCERTAIN, Quality.STALE, Quality.STALE]
            assert slowest < 1.6
            assert report.duration_s < 0.5  # lost: nobody waits for it any more
            assert report.lost == ["floor_1"]
            assert report.waiting == 1
            assert await h.holds("z10.htg_sp") == 20.0

            await h.devices.revive("floor_1")
            h.wishes.values["z00.htg_sp"] = 15.0
            deadline = time.monotonic() + 6
            while report.lost and time.monotonic() < deadline:
                await asyncio.sleep(0.2)
                report = await h.step()
            await h.step()
            assert h.history.latest()["z00.zn_t"].quality is Quality.GOOD
            assert await h.holds("z00.htg_sp") == 15.0
            events = [b["event"] for _, b in h.rows("device") if b["connection"] == "floor_1"]
            assert events == ["found", "lost", "returned", "found"]

    asyncio.run(story())


def test_a_device_that_restarted_between_two_cycles_gets_its_commands_again(house):
    async def story():
        async with house() as h:
            h.wishes.values = {SETPOINT: 16.0, LIGHT: 40.0}
            await h.step()
            for name in ("floor_1", "lights_1"):
                await h.devices.kill(name)
                await h.devices.revive(name)
            await h.step(2)
            assert (await h.holds(SETPOINT), await h.holds(LIGHT)) == (16.0, 40.0)
            assert h.results(SETPOINT) == ["applied", "not_effective", "applied"]

    asyncio.run(story())


def test_another_device_on_the_configured_port_is_neither_read_nor_commanded(house):
    async def story():
        async with house() as h:
            other = dict(h.connections)
            other["floor_1"] = h.connections["ahu_1"]  # somebody swapped two addresses
            other["floor_1"] = type(other["floor_1"])("bacnet", port=h.connections["ahu_1"].port, device=h.connections["floor_1"].device)
            h.connections = other
            life = h.new_life()
            await life.open()
            h.wishes.values = {SETPOINT: 16.0}
            report = await life.step()
            await life.close()
            assert report.commands == 0
            assert [b["id"] for _, b in h.rows("alarm")] == ["identity.floor_1"]

    asyncio.run(story())


def test_an_implausible_value_is_uncertain_and_the_strategies_are_told(house):
    async def story():
        async with house() as h:
            h.clock.advance(timedelta(seconds=600))
            await h.devices.publish({"z00.zn_t": 85.0}, h.clock.now())
            await h.cycle.step()
            reading = h.history.latest()["z00.zn_t"]
            assert (reading.value, reading.quality, reading.reason) == (85.0, "uncertain", "implausible")

    asyncio.run(story())


def test_a_site_that_was_never_commissioned_is_read_only(house):
    async def story():
        async with house() as h:
            h.cycle.read_only = True
            h.wishes.values = {SETPOINT: 16.0}
            report = await h.step()
            assert (report.commands, report.answered) == (0, report.asked)
            assert h.devices.log == []

    asyncio.run(story())


def test_an_interlock_holds_across_buses_and_is_told_by_name_each_time_a_person_asks(house, tmp_path):
    (tmp_path / "site").mkdir()
    rule = "z00.light_level > 50 forbids z00.min_flow > 50"
    (tmp_path / "site" / "interlocks.csv").write_text(f"name,rule\nodd,{rule}\n")

    async def story():
        async with house() as h:
            h.ask("z00.light_level", 80.0)
            await h.step()
            h.ask("z00.min_flow", 60.0)
            await h.step(2)
            refused = {"point": "z00.min_flow", "by": "ann", "why": "a meeting", "refused_because": f"interlock odd: {rule}"}
            assert [body for _, body in h.rows("refusal")] == [refused]
            h.ask("z00.min_flow", 70.0)
            await h.step(2)
            assert [body for _, body in h.rows("refusal")] == [refused, refused]
            assert (await h.holds("z00.light_level"), await h.slot("z00.min_flow")) == (80.0, None)

            h.ask("z00.light_level", None)
            await h.step(2)  # let go, and seen to be
            assert await h.slot("z00.min_flow") == 70.0

    asyncio.run(story())
