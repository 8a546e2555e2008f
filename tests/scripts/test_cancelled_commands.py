"""Whoever is cancelled while it waits for Redis ends, whatever moment that was."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from flower_engine.log.client import connect, queue_command, send


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run])
def test_no_cancellation_is_forgotten(redis_url: str, runner: Callable[[Awaitable[None]], None]) -> None:
    async def for_ever() -> None:
        async with connect(redis_url) as client:
            while True:
                await send(client, "PING")
                pipeline = client.pipeline(transaction=False)
                queue_command(pipeline, "PING")
                await pipeline.execute()

    async def work() -> None:
        for turns in range(150):
            task = asyncio.create_task(for_ever())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=30)
            assert done, f"cancelled after {turns} turns of the loop, it goes on"
            assert task.cancelled()

    runner(work())
