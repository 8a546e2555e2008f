"""A connection that is cut off is an outage, whatever the event loop calls it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from flower_engine.log.client import connect, send


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run])
def test_a_command_on_a_connection_that_was_cut_off_is_sent_again(
    redis_url: str, runner: Callable[[Awaitable[None]], None]
) -> None:
    async def work() -> None:
        async with connect(redis_url) as client:
            await send(client, "SET", "here", "1")
            (connection,) = client.connection_pool._available_connections  # pyright: ignore
            for _ in range(3):
                connection._writer.transport.abort()  # pyright: ignore
                assert await send(client, "GET", "here") == b"1"
                connection._writer.transport.abort()  # pyright: ignore
                await asyncio.sleep(0)
                assert await send(client, "GET", "here") == b"1"

    runner(work())
