"""A prune in a process of its own, which may be killed at a crash point; its clock is two days ahead, so that
what has just ended did so long ago for it."""

import asyncio
import os
import sys

from flower_engine.crash_points import VARIABLE
from flower_engine.log.client import connect
from flower_engine.projection import database
from flower_engine.runtime.retention import prune_older
from flower_engine.runtime.settings import Settings

LATER = -2 * 86_400.0


async def prune_apart(settings: Settings, crash_at: str = "") -> int:
    """Prunes; the exit code of the process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__,
        env={**os.environ, **settings.as_environment(), VARIABLE: crash_at},
    )  # fmt: skip
    return await process.wait()


async def _prune() -> None:
    async with (
        connect(os.environ["FLOWER_REDIS_URL"]) as client,
        await database.connect(os.environ["FLOWER_DATABASE_URL"], "prune") as connection,
    ):
        assert await prune_older(client, connection, LATER)


if __name__ == "__main__":
    asyncio.run(_prune())
