"""Parking: suspended flows that nobody touched for a time leave Redis, whose memory is for active flows."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence

import psycopg
from redis.exceptions import RedisError

from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.read.untouched_flows import untouched_flows
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.park_transitions import park

_log = logging.getLogger(__name__)

_LONGEST_PAUSE_SECONDS = 60.0
_AGAIN_SECONDS = 3_600.0  # then those are asked for again that could not go when they were first
_MOST_TASKS = 3_000  # of flows that one call looks at


class Parker:
    """Parks the flows of some partitions; any number of these may."""

    def __init__(self, client: AsyncRedis, partitions: Sequence[Partition], settings: Settings) -> None:
        self._client = client
        self._partitions = partitions
        self._settings = settings
        self._park_ms = int(settings.park_hours * 3_600_000)
        self._seen_ms: dict[int, int] = {}
        self._again_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Parks until ``stop`` is set; never, where the setting is 0.

        Raises:
            LostError: Redis lost its state.
        """
        pause_seconds = min(_LONGEST_PAUSE_SECONDS, self._park_ms / 10_000)
        while self._park_ms and not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_seconds):
                    await stop.wait()
            if stop.is_set():
                return
            try:
                await self.run_once()
            except (psycopg.Error, RedisError, OSError) as error:
                _log.debug("nothing is parked this time: %s", error)

    async def run_once(self) -> int:
        """Parks what nobody has touched for the time that is set; returns how many flows that were."""
        assert self._settings.database_url is not None
        if time.monotonic() >= self._again_at:
            self._seen_ms, self._again_at = {}, time.monotonic() + _AGAIN_SECONDS
        count = 0
        async with await connect(self._settings.database_url, "parking") as connection:
            for partition in self._partitions:
                count += await self._park(connection, partition)
        return count

    async def _park(self, connection: Connection, partition: Partition) -> int:
        count = 0
        until_ms = int(time.time() * 1000) - self._park_ms
        after_ms = self._seen_ms.get(partition.number, -1)
        async for flows in untouched_flows(connection, partition.number, after_ms, until_ms, _MOST_TASKS):
            count += len(await park(self._client, partition, flows))
        self._seen_ms[partition.number] = until_ms
        if count:
            _log.info("parked %d suspended flows of partition %d", count, partition.number)
        return count
