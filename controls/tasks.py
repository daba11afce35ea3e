"""Ending tasks for certain: `asyncio.wait_for` of Python 3.11 may swallow a cancellation, so one request to end is not enough."""

import asyncio
from collections.abc import Iterable

AGAIN_S = 0.2  # a task that has not ended by then missed the request, or is busy with a last write


async def end_tasks(tasks: Iterable[asyncio.Task[None] | None]) -> None:
    """Cancel the tasks, again and again, until each has ended; what they raised does not matter any more."""
    pending = {task for task in tasks if task is not None and not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_S)
