"""Ending asyncio tasks so that they have really ended."""

import asyncio
from collections.abc import Collection
from typing import Any

_AGAIN_SECONDS = 0.2


async def cancel_all(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels the tasks and waits for their end; what they raise is dropped.

    ``asyncio.wait_for`` of Python 3.11 loses a cancellation that comes just as it ends, and redis-py calls it
    for each command; so a task that goes on is cancelled again.
    """
    waiting = {task for task in tasks if not task.done()}
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=_AGAIN_SECONDS)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen: asyncio need not warn of it
