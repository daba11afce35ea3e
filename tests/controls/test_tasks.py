"""A task ends even when what it waits for swallows the first request to end."""

import asyncio

from controls.tasks import end_tasks


def test_a_task_that_swallows_a_cancellation_is_asked_again():
    async def stubborn(log):
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                log.append("asked")
                if len(log) > 2:
                    raise

    async def story():
        log = []
        task = asyncio.create_task(stubborn(log))
        await asyncio.sleep(0)
        await asyncio.wait_for(end_tasks([None, task]), 30)
        return log

    assert asyncio.run(story()) == ["asked"] * 3
