"""Fresh stores for every test of the projection."""

from collections.abc import AsyncIterator

import pytest

from flower_engine.log.client import AsyncRedis, connect
from flower_engine.log.partition import Partition
from flower_engine.projection import database
from flower_engine.projection.database import Connection, Pool, make_pool
from flower_engine.projection.write.projected_positions import Projected, add_positions
from flower_engine.projection.write.writer import Writer, prepare_session
from flower_engine.runtime.installation import ensure_installation
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.settings_loading import load_settings


@pytest.fixture
def settings(redis_url: str, database_url: str) -> Settings:
    return load_settings(redis_url=redis_url, database_url=database_url)


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[AsyncRedis]:
    async with connect(redis_url) as client:
        yield client


@pytest.fixture
async def tables(database_url: str) -> AsyncIterator[Connection]:
    """A connection to a database with Flower's tables, and nothing in them."""
    async with await database.connect(database_url, "test") as connection:
        yield connection


@pytest.fixture
async def writer(tables: Connection) -> Writer:
    """A writer of partition 0, of which nothing is projected yet."""
    held = Projected(partition=0, position=None, installation="here", generation="1", partitions=1)
    await add_positions(tables, [held])
    await prepare_session(tables)
    return Writer(tables, held)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with make_pool(database_url, "test", max_size=4) as pool:
        yield pool


@pytest.fixture
async def partition(client: AsyncRedis, pool: Pool, settings: Settings) -> Partition:
    """The one partition of a new installation."""
    (partition,) = await ensure_installation(client, pool, settings)
    return partition
