"""A prune in a process of its own, which may be killed at a crash point; its clock is two days ahead, so that
what has just ended did so long ago for it."""

import asyncio
import os

from flower_engine.log.client import connect
from flower_engine.projection import database
from flower_engine.runtime.retention import prune_older

LATER = -2 * 86_400.0


async def _prune() -> None:
    async with (
        connect(os.environ["FLOWER_REDIS_URL"]) as client,
        await database.connect(os.environ["FLOWER_DATABASE_URL"], "prune") as connection,
    ):
        assert await prune_older(client, connection, LATER)


if __name__ == "__main__":
    asyncio.run(_prune())
