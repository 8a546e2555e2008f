"""An archive to write to, hooks that are set with SQL, and the projector's loops over them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from flower_engine.log.client import AsyncRedis
from flower_engine.log.client import connect as connect_redis
from flower_engine.log.partition import Partition
from flower_engine.projection import database
from flower_engine.projection.database import Connection, Pool, make_pool
from flower_engine.runtime.installation import ensure_installation
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.settings_loading import load_settings
from flower_projector.hook_deliveries import DeliveryLoop
from flower_projector.hook_notices import NoticeLoop
from flower_projector.log_follower import Follower
from hooks.receiver import Receiver, receiving
from projection.logs import append
from projection.stories import Story

Row = dict[str, Any]


@pytest.fixture
def settings(redis_url: str, database_url: str) -> Settings:
    return load_settings(
        redis_url=redis_url,
        database_url=database_url,
        hook_networks=("loopback",),
        hook_timeout_seconds=30.0,
        hook_secrets=("HOOK_*",),
    )


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[AsyncRedis]:
    async with connect_redis(redis_url) as client:
        yield client


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with make_pool(database_url, "test", max_size=3) as pool:
        yield pool


@pytest.fixture
async def tables(database_url: str) -> AsyncIterator[Connection]:
    async with await database.connect(database_url, "test") as connection:
        yield connection


@pytest.fixture
async def partition(client: AsyncRedis, pool: Pool, settings: Settings) -> Partition:
    (partition,) = await ensure_installation(client, pool, settings)
    return partition


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


class Hooked:
    """What the projector does, step by step."""

    def __init__(
        self, client: AsyncRedis, partition: Partition, settings: Settings, tables: Connection, pool: Pool
    ) -> None:
        self.client = client
        self.partition = partition
        self.settings = settings
        self.tables = tables
        self.pool = pool
        self.notices = NoticeLoop(client, [partition], settings)
        self.deliveries = DeliveryLoop(pool, settings)
        self._told = 0

    async def hook(self, name: str, target: str, *occasions: str, **more: Any) -> None:
        """Sets a hook as somebody with psql would."""
        columns: Row = {
            "name": name,
            "kind": "webhook",
            "target": target,
            "occasions": list(occasions) or ["flow.failed"],
        } | more
        names = ", ".join(columns)
        places = ", ".join(["%s"] * len(columns))
        await self.tables.execute(
            f"INSERT INTO ms_hook ({names}) VALUES ({places})".encode(),  # noqa: S608 # of a test
            list(columns.values()),
        )

    async def happen(self, story: Story) -> None:
        """Appends what is new of the story to the log, and projects it."""
        await append(self.client, self.partition, *(entry.raw for entry in story.entries[self._told :]))
        self._told = len(story.entries)
        async with await database.connect(self.settings.database_url or "", "projector") as connection:
            follower = Follower(self.client, connection, self.partition, 1_000)
            while await follower.run_once():
                pass

    async def note(self) -> None:
        """Notes all that hooks are to tell of what is archived."""
        while await self.notices.run_once() == 0.0:
            pass

    async def deliver(self, loop: DeliveryLoop | None = None) -> None:
        """Begins what is due, and waits until that is over."""
        loop = loop or self.deliveries
        await loop.run_once()
        await settle(loop)

    async def ledger(self, *columns: str) -> list[tuple[Any, ...]]:
        rows = await self.tables.execute(
            f"SELECT {', '.join(columns)} FROM kr_hook_delivery ORDER BY created_ts, id".encode()  # noqa: S608
        )
        return await rows.fetchall()


async def settle(loop: DeliveryLoop) -> None:
    """Waits until no attempt is under way."""
    while tasks := list(loop._tasks):  # pyright: ignore[reportPrivateUsage]
        await asyncio.wait(tasks)
        await asyncio.sleep(0)  # so that it is noted there


@pytest.fixture
async def hooked(
    client: AsyncRedis, partition: Partition, settings: Settings, tables: Connection, pool: Pool
) -> AsyncIterator[Hooked]:
    hooked = Hooked(client, partition, settings, tables, pool)
    await hooked.note()  # from here on
    yield hooked
    await hooked.notices.close()
    await hooked.deliveries.close()
