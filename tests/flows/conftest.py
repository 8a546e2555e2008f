"""Stores in both forms, Postgres and memory, each on a Redis of its own."""

from collections.abc import AsyncIterator

import pytest

from flower_engine.flows.installed_stores import open_stores
from flower_engine.flows.memory_stores import MemoryStores
from flower_engine.flows.stores import Stores
from flower_engine.log.client import connect
from flower_engine.log.durability import Level
from flower_engine.log.partition import Partition
from flower_engine.runtime.clock import SystemClock
from flower_engine.runtime.settings_loading import load_settings
from flower_engine.transitions.installation_transitions import install


@pytest.fixture(params=("postgres", "memory"))
async def stores(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Stores]:
    """Stores with nothing in them."""
    if request.param == "postgres":
        database_url: str = request.getfixturevalue("database_url")
        async with open_stores(load_settings(redis_url=redis_url, database_url=database_url)) as opened:
            yield opened
        return
    async with connect(redis_url) as redis:
        meta = await install(redis, 0, "test-installation", 1)
        made = MemoryStores(redis, load_settings(redis_url=redis_url), SystemClock())
        made.install([Partition(0, meta.installation, meta.generation)], [Level()])
        yield made
