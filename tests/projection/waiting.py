"""Waiting for a condition that another process or task brings about."""

import asyncio
from collections.abc import Awaitable, Callable

_LONGEST_SECONDS = 120.0


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Returns once the condition holds; TimeoutError after two minutes."""
    async with asyncio.timeout(_LONGEST_SECONDS):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.002)
