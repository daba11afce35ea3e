"""Who may send when."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from controls.drivers.lanes import IN_FLIGHT_MAX, Traffic, Way


@pytest.fixture
def traffic() -> Traffic:
    """All lanes of a site, empty."""
    return Traffic()


@asynccontextmanager
async def in_use(ways: Sequence[Way]) -> AsyncIterator[None]:
    """Somebody holds, or waits for, each of these ways."""

    async def hold(way: Way) -> None:
        async with way.to_read():
            await asyncio.Event().wait()

    holding = [asyncio.create_task(hold(way)) for way in ways]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        for task in holding:
            task.cancel()
        await asyncio.gather(*holding, return_exceptions=True)


async def passes(way: Way) -> bool:
    """Whether the way is free soon; the deadline only catches a way that never is."""
    async with asyncio.timeout(5), way.to_read():
        return True


async def most_at_once(ways: Sequence[Way]) -> int:
    now, most = 0, 0

    async def use(way: Way) -> None:
        nonlocal now, most
        async with way.to_read():
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.001)
            now -= 1

    await asyncio.gather(*[use(way) for way in ways])
    return most


def test_one_request_at_a_time_goes_over_a_lane_and_writes_go_first(traffic):
    log = []

    async def use(turn, name: str) -> None:
        async with turn:
            log.append(name)
            await asyncio.sleep(0)

    async def story():
        way = traffic.way()
        await asyncio.gather(*[use(way.to_read(), f"read {n}") for n in range(3)], use(way.to_write(), "write"))
        assert log == ["read 0", "write", "read 1", "read 2"]

    asyncio.run(story())


def test_devices_of_one_router_network_share_a_lane_and_a_site_has_a_cap(traffic):
    async def story():
        assert await most_at_once([traffic.way("mstp_1"), traffic.way("mstp_1"), traffic.way("mstp_2")]) == 2
        assert await most_at_once([traffic.way() for _ in range(50)]) == IN_FLIGHT_MAX

    asyncio.run(story())


def test_devices_that_fell_silent_take_no_place_from_the_others(traffic):
    async def story():
        silent = [traffic.way() for _ in range(IN_FLIGHT_MAX)]
        for way in silent:
            way.answered = False
        async with in_use(silent):
            assert await passes(traffic.way())

    asyncio.run(story())


def test_a_place_that_nobody_waits_for_any_more_goes_to_the_next_one(traffic):
    async def story():
        way = traffic.way()
        async with way.to_read():
            given_up, next_one = asyncio.create_task(passes(way)), asyncio.create_task(passes(way))
            await asyncio.sleep(0)
            given_up.cancel()
        assert await next_one

    asyncio.run(story())


def test_who_waits_for_a_busy_lane_takes_no_place_from_others(traffic):
    async def story():
        async with in_use([traffic.way("mstp") for _ in range(2 * IN_FLIGHT_MAX)]):
            assert await passes(traffic.way())

    asyncio.run(story())
