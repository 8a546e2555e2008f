"""The projector service: one loop for each partition."""

import asyncio
import gc
import logging

from flower_engine.log.client import AsyncRedis, connect
from flower_engine.log.partition import Partition
from flower_engine.projection.database import make_pool
from flower_engine.runtime.installation import ensure_installation
from flower_engine.runtime.settings import Settings
from flower_projector.loop import PartitionLoop

_log = logging.getLogger(__name__)

# A batch is tens of thousands of objects that live until it is written. Looking for cycles among them after
# every 700 new ones, as Python does by default, was measured to take a fifth of the projector's time.
_GC_THRESHOLDS = (50_000, 20, 100)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Projects until ``stop`` is set; any number of these may run, one is active for each partition.

    Raises:
        InstallationError: the stores do not belong together, or the tables cannot be used.
        LostError: Redis lost its state, or went back in time.
        NewerEventError: an event of a newer version was met; everything before it is projected.
    """
    gc.set_threshold(*_GC_THRESHOLDS)
    assert settings.redis_url is not None
    client = connect(settings.redis_url)
    opening = asyncio.create_task(_open(client, settings))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if opening.done():
            await _project(client, opening.result(), settings, stop)
    finally:
        for task in (opening, stopping):
            task.cancel()
        await asyncio.gather(opening, stopping, return_exceptions=True)
        await client.aclose()


async def _open(client: AsyncRedis, settings: Settings) -> list[Partition]:
    assert settings.database_url is not None
    async with make_pool(settings.database_url, "projector", max_size=1) as pool:
        return await ensure_installation(client, pool, settings)


async def _project(
    client: AsyncRedis, partitions: list[Partition], settings: Settings, stop: asyncio.Event
) -> None:
    _log.info("projecting %d partitions of installation %s", len(partitions), partitions[0].installation)
    loops = [PartitionLoop(client, partition, settings) for partition in partitions]
    tasks = [asyncio.create_task(loop.run(stop)) for loop in loops]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
