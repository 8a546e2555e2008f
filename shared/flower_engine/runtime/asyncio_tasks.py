"""Ending asyncio tasks so that they have really ended."""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, TypeVar

_AGAIN_SECONDS = 0.2
T = TypeVar("T")


async def unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of the work; None, and the work cancelled, if ``stop`` is set before it ends."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        await cancel_all([working, stopping])


async def cancel_all(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels the tasks and waits for their end; what they raise is dropped. Whoever is cancelled while it
    waits here is so only when they have ended, so that none goes on unseen.

    ``asyncio.wait_for`` of Python 3.11 loses a cancellation that comes just as it ends, and libraries and
    programs call it; so a task that goes on is cancelled again.
    """
    cancelled = None
    while waiting := {task for task in tasks if not task.done()}:
        for task in waiting:
            task.cancel()
        try:
            await asyncio.wait(waiting, timeout=_AGAIN_SECONDS)
        except asyncio.CancelledError as error:
            cancelled = error
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen: asyncio need not warn of it
    if cancelled is not None:
        raise cancelled
