"""Parking: suspended flows that nobody touched for a time leave Redis, whose memory is for active flows."""

import asyncio
import logging
from collections.abc import Sequence

from redis.exceptions import RedisError

from flower_engine.errors import LostError
from flower_engine.log.client import AsyncRedis, is_cluster
from flower_engine.log.partition import Partition
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.read.untouched_flows import untouched_flows
from flower_engine.runtime.backoff import SteadyBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.park_transitions import park

_log = logging.getLogger(__name__)

_LONGEST_INTERVAL_SECONDS = 60.0
_AGAIN_SECONDS = 3_600.0  # then those are asked for again that could not go when they were first
_MOST_TASKS = 3_000  # of flows that one call looks at


class Parker:
    """Parks the flows of some partitions; any number of these may."""

    def __init__(
        self,
        client: AsyncRedis,
        partitions: Sequence[Partition],
        settings: Settings,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._client = client
        self._partitions = partitions
        self._settings = settings
        self._park_ms = int(settings.park_hours * 3_600_000)
        self._seen_ms: dict[int, int] = {}
        self._clock = clock
        self._again_at = clock.monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Parks until ``stop`` is set; never, where the setting is 0.

        Raises:
            LostError: Redis lost its state.
        """
        if not self._park_ms:
            return
        interval = min(_LONGEST_INTERVAL_SECONDS, self._park_ms / 10_000)
        backoff = SteadyBackoff(_log, "nothing is parked this time: %s", interval)
        loop = Loop(
            *("parking", self.run_once, interval, backoff, stop),
            first_seconds=interval,
            is_watched=False,
            clock=self._clock,
        )
        await loop.run()

    async def run_once(self) -> int:
        """Parks what nobody has touched for the time that is set; returns how many flows that were."""
        assert self._settings.database_url is not None
        now = self._clock.monotonic()
        if now >= self._again_at:
            self._seen_ms, self._again_at = {}, now + _AGAIN_SECONDS
        count = 0
        async with await connect(self._settings.database_url, "parking") as connection:
            away: Exception | None = None
            for partition in list(self._partitions):
                try:
                    count += await self._park(connection, partition)
                except RedisError as error:
                    away = error
                except LostError:
                    if not is_cluster(self._client):
                        raise  # else its own life says it
            if away is not None:
                raise away
        return count

    async def _park(self, connection: Connection, partition: Partition) -> int:
        count = 0
        until_ms = self._clock.now_ms() - self._park_ms
        after_ms = self._seen_ms.get(partition.number, -1)
        async for flows in untouched_flows(connection, partition.number, after_ms, until_ms, _MOST_TASKS):
            count += len(await park(self._client, partition, flows))
        self._seen_ms[partition.number] = until_ms
        if count:
            _log.info("parked %d suspended flows of partition %d", count, partition.number)
        return count
