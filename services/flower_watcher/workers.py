"""The loop that forgets workers of one partition that are gone for good and hold nothing any more."""

import logging

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.engine_clock import read_engine_time
from flower_engine.log.keys import GROUP
from flower_engine.log.partition import Partition
from flower_engine.runtime.backoff import SteadyBackoff
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.watcher_transitions import queues_of
from flower_engine.transitions.worker_transitions import leave

_log = logging.getLogger(__name__)


class WorkersLoop:
    """Forgets workers whose heartbeats are forgotten, once their leases have lapsed."""

    def __init__(self, client: AsyncRedis, partition: Partition, settings: Settings) -> None:
        self._client = client
        self._partition = partition
        self._interval_seconds = settings.lease_seconds

    async def run(self) -> None:
        """Forgets until cancelled.

        Raises:
            LostError: Redis lost its state.
        """
        # The lapse loop says what is waited for.
        backoff = SteadyBackoff(_log, "looking for lost workers failed: %s", self._interval_seconds)
        name = f"workers of partition {self._partition.number}"
        number = self._partition.number
        await Loop(name, self.run_once, self._interval_seconds, backoff, partition=number).run()

    async def run_once(self) -> list[str]:
        """Forgets those that are gone and hold nothing; returns their ids. None after a stall: what is shown
        of a worker lives by Redis' clock, and a jump of that ends it for those that are there, too."""
        forgotten: list[str] = []
        time, clock_ms = await read_engine_time(self._client, self._partition.keys)
        now_ms = time.now(clock_ms)
        if now_ms < time.grace or (time.horizon is not None and now_ms > time.horizon):
            return forgotten
        gone = await self._gone()
        if gone:
            queues = await queues_of(self._client, self._partition)
            for worker in gone:
                if not await self._holds_leases(worker, queues):
                    await leave(self._client, self._partition, worker, queues)
                    _log.info("worker %s is gone and holds nothing: forgotten", worker)
                    forgotten.append(worker)
        return forgotten

    async def _gone(self) -> list[str]:
        keys = self._partition.keys
        names: list[bytes] = await send(self._client, "ZRANGE", keys.workers, 0, -1)
        workers = [name.decode() for name in names]
        if not workers:
            return []
        infos: list[bytes | None] = await send(
            self._client, "MGET", *(keys.worker(worker) for worker in workers)
        )
        return [worker for worker, info in zip(workers, infos, strict=True) if info is None]

    async def _holds_leases(self, worker: str, queues: list[str]) -> bool:
        for queue in queues:
            work = self._partition.keys.work(queue)
            if await self._client.xpending_range(work, GROUP, "-", "+", 1, worker):
                return True
        return False
