"""Pruning now and then, where ``FLOWER_RETENTION_DAYS`` is set."""

import asyncio
import contextlib
import logging

import psycopg
from redis.exceptions import RedisError

from flower_engine.errors import LostError
from flower_engine.log.client import AsyncRedis
from flower_engine.projection.database import connect
from flower_engine.runtime.retention import DAY_SECONDS, prune_older
from flower_engine.runtime.settings import Settings

_log = logging.getLogger(__name__)

_FIRST_SECONDS = 60.0  # a service that has only just begun has more urgent things to do
_INTERVAL_SECONDS = 3_600.0


async def keep_pruning(client: AsyncRedis, settings: Settings, stop: asyncio.Event) -> None:
    """Prunes every hour until ``stop`` is set; any number of these may run."""
    pause_seconds = _FIRST_SECONDS
    while settings.retention_days is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_seconds):
                await stop.wait()
        if stop.is_set():
            return
        await prune_once(client, settings, settings.retention_days)
        pause_seconds = _INTERVAL_SECONDS


async def prune_once(client: AsyncRedis, settings: Settings, days: int) -> None:
    """Prunes once; where that is not possible now, says so."""
    assert settings.database_url is not None
    try:
        async with await connect(settings.database_url, "retention") as connection:
            pruned = await prune_older(client, connection, days * DAY_SECONDS)
    except (psycopg.Error, RedisError, OSError, LostError) as error:
        _log.warning("nothing is pruned this time: %s", error)
        return
    if pruned is not None and (pruned.flows or pruned.days):
        _log.info(
            "pruned %d flows and %d events that ended more than %d days ago; days dropped: %s",
            pruned.flows, pruned.events, days, ", ".join(pruned.days) or "none",
        )  # fmt: skip
