"""Pruning now and then, where ``FLOWER_RETENTION_DAYS`` is set."""

import asyncio
import logging
from functools import partial

from flower_engine.errors import BlobStoreError, LostError
from flower_engine.log.client import AsyncRedis
from flower_engine.projection.database import connect
from flower_engine.runtime.backoff import SteadyBackoff
from flower_engine.runtime.blob_retention import prune_blobs, stores_at_urls
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.retention import DAY_SECONDS, prune_older
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.task_log_store import prune_lines
from flower_engine.store_faults import STORE_ERRORS

_log = logging.getLogger(__name__)

_FIRST_SECONDS = 60.0  # a service that has only just begun has more urgent things to do
_INTERVAL_SECONDS = 3_600.0


async def keep_pruning(client: AsyncRedis, settings: Settings, stop: asyncio.Event) -> None:
    """Prunes every hour until ``stop`` is set; any number of these may run."""
    if settings.retention_days is None:
        return
    loop = Loop(
        "retention",
        partial(prune_once, client, settings, settings.retention_days),
        _INTERVAL_SECONDS,
        SteadyBackoff(_log, "nothing is pruned this time: %s", _INTERVAL_SECONDS, level=logging.WARNING),
        stop,
        heals=(*STORE_ERRORS, LostError),  # the loops of the partitions say what is lost
        first_seconds=_FIRST_SECONDS,
        is_watched=False,
    )
    await loop.run()


async def prune_once(client: AsyncRedis, settings: Settings, days: int) -> None:
    """Prunes once.

    Raises:
        psycopg.Error, RedisError, OSError, LostError: that is not possible now; nothing has gone.
    """
    assert settings.database_url is not None
    async with await connect(settings.database_url, "retention") as connection:
        pruned = await prune_older(client, connection, days * DAY_SECONDS)
        blobs = await prune_blobs(client, connection, stores_at_urls(settings.blobs))
        try:
            await prune_lines(connection, settings.task_log_store)
        except BlobStoreError as error:
            _log.warning("lines of task logs in their store were not pruned: %s", error)
    if blobs.count:
        _log.info("pruned %d blobs of %d bytes that no flow uses", blobs.count, blobs.size)
    for problem in blobs.problems:
        _log.warning("blobs of a store were not pruned: %s", problem)
    if pruned is not None and (pruned.flows or pruned.days):
        _log.info(
            "pruned %d flows, %d events and %d chunks of task logs that ended more than %d days ago; days"
            " dropped: %s",
            pruned.flows, pruned.events, pruned.chunks, days, ", ".join(pruned.days) or "none",
        )  # fmt: skip
