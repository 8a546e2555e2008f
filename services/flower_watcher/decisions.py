"""The loop of one partition that makes decisions where no worker does: conditions of branches."""

import logging

from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.deciding import Decider
from flower_engine.runtime.loop import Loop
from flower_watcher.looks import Looks

_log = logging.getLogger(__name__)
_LEAST_MS = 1_000  # so long any worker may decide
_INTERVAL_SECONDS = 0.5


class DecisionLoop:
    """Makes what is left; a decision that reads a blob is left to workers."""

    def __init__(self, client: AsyncRedis, partition: Partition, looks: Looks | None = None) -> None:
        self._partition = partition
        self._looks = looks or Looks(client)
        self._decider = Decider(client, partition, "watcher", looks=self._looks.client)

    async def run(self) -> None:
        """Decides until cancelled.

        Raises:
            LostError: Redis lost its state.
        """
        number = self._partition.number
        backoff = StoreBackoff(_log, f"Redis (decisions of partition {number})")
        name = f"decisions of partition {number}"
        await Loop(name, self.run_once, self._until_next, backoff, partition=number).run()

    async def run_once(self) -> int:
        """Makes decisions that nobody made within a second; how many."""
        return await self._decider.run_once(_LEAST_MS)

    def _until_next(self, made: int) -> float:
        return 0 if made else self._looks.seconds_until(_INTERVAL_SECONDS)
