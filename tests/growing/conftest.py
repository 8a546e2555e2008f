"""A fresh installation of two partitions in both stores for every test."""

from collections.abc import AsyncIterator

import pytest

from flower_engine.log.client import AsyncRedis, connect
from flower_engine.projection import database
from flower_engine.projection.database import Connection, Pool, make_pool
from flower_engine.runtime.installation import ensure_installation
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.settings_loading import load_settings


@pytest.fixture
def settings(redis_url: str, database_url: str) -> Settings:
    return load_settings(redis_url=redis_url, database_url=database_url).model_copy(update={"partitions": 2})


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[AsyncRedis]:
    async with connect(redis_url) as client:
        yield client


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with make_pool(database_url, "test", max_size=1) as pool:
        yield pool


@pytest.fixture
async def connection(
    settings: Settings, client: AsyncRedis, pool: Pool, database_url: str
) -> AsyncIterator[Connection]:
    """To the tables of the installation."""
    await ensure_installation(client, pool, settings)
    async with await database.connect(database_url, "test") as connection:
        yield connection
