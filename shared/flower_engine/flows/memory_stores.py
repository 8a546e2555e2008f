"""Stores without Postgres, for tests of workflows: Redis, and everything else in memory."""

from redis.asyncio import Redis

from flower_engine.flows.memory_sources import MemoryArchive, MemoryDefinitions, MemoryKeyOwners
from flower_engine.flows.stores import Stores
from flower_engine.runtime.clock import Clock
from flower_engine.runtime.settings import Settings


class MemoryStores(Stores):
    """Redis and memory. What happens to flows is found in the log, whether ``memory`` is given it or not."""

    def __init__(self, redis: Redis, settings: Settings, clock: Clock) -> None:
        self.memory = MemoryArchive()
        self.said = MemoryDefinitions(clock)
        super().__init__(
            redis,
            settings,
            clock,
            definitions=self.said,
            archive=self.memory,
            key_owners=MemoryKeyOwners(self.memory),
        )
