"""A fresh installation in both stores for every test."""

from collections.abc import AsyncIterator

import pytest

from flower_engine.log.client import connect, connect_blocking
from flower_engine.projection import database
from flower_engine.projection.database import make_pool
from flower_engine.runtime.installation import ensure_installation
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.settings_loading import load_settings
from recovery.both import Both
from scripts.engine import Engine


@pytest.fixture
def settings(redis_url: str, database_url: str) -> Settings:
    return load_settings(redis_url=redis_url, database_url=database_url)


@pytest.fixture
async def both(settings: Settings, redis_url: str, database_url: str) -> AsyncIterator[Both]:
    async with (
        connect(redis_url) as client,
        make_pool(database_url, "test", max_size=1) as pool,
        await database.connect(database_url, "test") as connection,
        await database.connect(database_url, "recoverer") as recoverer,
        await database.connect(database_url, "other recoverer") as other,
    ):
        (partition,) = await ensure_installation(client, pool, settings)
        with connect_blocking(redis_url) as blocking:
            engine = Engine(client, blocking, partition)
            await engine.attend("default")
            yield Both(engine, database_url, connection, recoverer, other)
