"""Who may send when."""

import asyncio

from controls.drivers.lanes import IN_FLIGHT_MAX, Traffic


def test_one_request_at_a_time_goes_over_a_lane_and_writes_go_first():
    log = []

    async def use(turn, name):
        async with turn:
            log.append(name)
            await asyncio.sleep(0)

    async def story():
        way = Traffic().way()
        await asyncio.gather(*[use(way.to_read(), f"read {n}") for n in range(3)], use(way.to_write(), "write"))
        assert log == ["read 0", "write", "read 1", "read 2"]

    asyncio.run(story())


async def most_at_once(ways) -> int:
    now, most = 0, 0

    async def use(way):
        nonlocal now, most
        async with way.to_read():
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.001)
            now -= 1

    await asyncio.gather(*[use(way) for way in ways])
    return most


def test_devices_of_one_router_network_share_a_lane_and_a_site_has_a_cap():
    async def story():
        traffic = Traffic()
        assert await most_at_once([traffic.way("mstp_1"), traffic.way("mstp_1"), traffic.way("mstp_2")]) == 2
        assert await most_at_once([traffic.way() for _ in range(50)]) == IN_FLIGHT_MAX

    asyncio.run(story())


def test_devices_that_fell_silent_take_no_place_from_the_others():
    async def story():
        traffic = Traffic()
        silent = [traffic.way() for _ in range(IN_FLIGHT_MAX)]
        for way in silent:
            way.answered = False
        waiting = [asyncio.create_task(hold(way)) for way in silent]
        await asyncio.sleep(0)
        async with asyncio.timeout(1), traffic.way().to_read():
            pass
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def hold(way):
        async with way.to_read():
            await asyncio.sleep(60)

    asyncio.run(story())


def test_a_place_that_nobody_waits_for_any_more_goes_to_the_next_one():
    async def story():
        way = Traffic().way()
        async with way.to_read():
            given_up, next_one = asyncio.create_task(pass_through(way)), asyncio.create_task(pass_through(way))
            await asyncio.sleep(0)
            given_up.cancel()
        async with asyncio.timeout(1):
            assert await next_one

    async def pass_through(way):
        async with way.to_read():
            return True

    asyncio.run(story())


def test_who_waits_for_a_busy_lane_takes_no_place_from_others():
    async def story():
        traffic = Traffic()
        networked = [traffic.way("mstp") for _ in range(2 * IN_FLIGHT_MAX)]
        waiting = [asyncio.create_task(pause(way)) for way in networked]
        await asyncio.sleep(0)
        async with asyncio.timeout(1), traffic.way().to_read():
            pass
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def pause(way):
        async with way.to_read():
            await asyncio.sleep(60)

    asyncio.run(story())
