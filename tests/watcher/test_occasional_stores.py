"""Stores that loops of several partitions share are opened once, and stay open."""

import asyncio
import gc

import pytest

from flower_engine.log.client import connect
from flower_engine.projection.database import make_pool
from flower_engine.runtime.installation import ensure_installation
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.settings_loading import load_settings
from flower_watcher.occasional_stores import OccasionalStores


@pytest.fixture
async def settings(redis_url: str, database_url: str) -> Settings:
    settings = load_settings(redis_url=redis_url, database_url=database_url)
    async with connect(redis_url) as client, make_pool(database_url, "test", max_size=1) as pool:
        await ensure_installation(client, pool, settings)
    return settings


async def test_loops_of_several_partitions_that_open_them_at_the_same_time_get_the_same(
    settings: Settings,
) -> None:
    stores = OccasionalStores(settings, "test")
    try:
        first, *others = await asyncio.gather(*(stores.open() for _ in range(3)))
        assert all(other is first for other in others)
        gc.collect()  # what is left behind would be closed now
        async with first.primary() as connection:
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
    finally:
        await stores.close_all()
