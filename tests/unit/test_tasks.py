"""Tasks that are ended have really ended."""

import asyncio

import pytest

from flower_engine.runtime.asyncio_tasks import cancel_all, unless_stopped


async def deaf(times: int) -> None:
    """Goes on though it was cancelled, so many times."""
    for _ in range(times):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue
    await asyncio.sleep(60)


async def test_a_task_that_loses_a_cancellation_is_cancelled_again() -> None:
    task = asyncio.create_task(deaf(2))
    await asyncio.sleep(0)
    await cancel_all([task])
    assert task.cancelled()


async def test_what_a_cancelled_task_ends_has_ended_before_it() -> None:
    inner = asyncio.create_task(deaf(6))

    async def serve() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await cancel_all([inner])

    outer = asyncio.create_task(serve())
    await asyncio.sleep(0)
    await cancel_all([outer])
    assert (inner.cancelled(), outer.cancelled()) == (True, True)


async def test_who_is_cancelled_while_it_ends_others_is_cancelled_after_them() -> None:
    inner = asyncio.create_task(deaf(2))
    await asyncio.sleep(0)
    ending = asyncio.create_task(cancel_all([inner]))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert inner.cancelled()


async def test_what_a_task_raises_as_it_is_ended_is_dropped() -> None:
    async def fails() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise LookupError

    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await cancel_all([task])
    assert isinstance(task.exception(), LookupError)


async def test_work_ends_when_it_is_to_stop() -> None:
    stop = asyncio.Event()
    stop.set()
    assert await unless_stopped(stop, asyncio.sleep(60, 1)) is None
    assert await unless_stopped(asyncio.Event(), asyncio.sleep(0, 1)) == 1
