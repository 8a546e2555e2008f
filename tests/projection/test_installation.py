"""The installation is made once; afterwards every start checks that the two stores belong together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from flower_engine.errors import InstallationError, LostError
from flower_engine.log.client import AsyncRedis, connect, send
from flower_engine.log.keys import Keys
from flower_engine.log.partition import Partition
from flower_engine.projection import database
from flower_engine.projection.database import Connection, Pool
from flower_engine.projection.maintain.migrations import migrate
from flower_engine.projection.write.projected_positions import Projected, add_positions, read_positions
from flower_engine.runtime import partitions_in_redis
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.runtime.installation import ensure_installation
from flower_engine.runtime.partitions_in_redis import open_partitions
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.installation_transitions import halt, install
from projection.waiting import until

pytestmark = pytest.mark.no_tables  # most begin as an engine does where nothing is there


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    async with await database.connect(database_url, "test") as connection:
        yield connection


@pytest.fixture
def two(settings: Settings) -> Settings:
    """Settings of two partitions."""
    return settings.model_copy(update={"partitions": 2})


def named(partitions: list[Partition]) -> list[tuple[int, str, str]]:
    return [(one.number, one.installation, one.generation) for one in partitions]


def said(caplog: pytest.LogCaptureFixture, words: str) -> Callable[[], Awaitable[bool]]:
    async def is_said() -> bool:
        return words in caplog.text

    return is_said


async def test_it_is_made_where_neither_store_has_one(
    client: AsyncRedis, pool: Pool, two: Settings, connection: Connection
) -> None:
    partitions = await ensure_installation(client, pool, two)
    assert [(one.number, one.generation) for one in partitions] == [(0, "1"), (1, "1")]
    (installation,) = {one.installation for one in partitions}
    assert await read_positions(connection) == [
        Projected(partition=number, position=None, installation=installation, generation="1", partitions=2)
        for number in (0, 1)
    ]
    assert named(await ensure_installation(client, pool, two)) == named(partitions)
    assert named(await open_partitions(client, two)) == named(partitions)


async def test_services_that_start_at_once_make_one_installation(
    client: AsyncRedis, pool: Pool, two: Settings
) -> None:
    found = await asyncio.gather(*(ensure_installation(client, pool, two) for _ in range(4)))
    assert len({one.installation for partitions in found for one in partitions}) == 1
    assert await send(client, "XLEN", Keys(0).log) == 1


async def test_one_that_was_half_made_is_taken_over(
    client: AsyncRedis, pool: Pool, two: Settings, connection: Connection
) -> None:
    """A service was killed between Redis and Postgres, or between two partitions of Redis."""
    await install(client, 0, "half-made", 2)
    partitions = await ensure_installation(client, pool, two)
    assert [one.installation for one in partitions] == ["half-made", "half-made"]
    assert [row.installation for row in await read_positions(connection)] == ["half-made", "half-made"]


async def test_a_redis_with_a_history_is_not_taken_over(
    client: AsyncRedis, pool: Pool, settings: Settings
) -> None:
    await install(client, 0, "of-another", 1)
    await send(client, "XADD", Keys(0).log, "*", "e", '{"type":"outcome.refused"}')
    with pytest.raises(InstallationError, match=r"of-another with a history.*FLOWER_DATABASE_URL"):
        await ensure_installation(client, pool, settings)


async def test_a_trimmed_redis_is_not_taken_over(client: AsyncRedis, pool: Pool, settings: Settings) -> None:
    await install(client, 0, "of-another", 1)
    last = await send(client, "XADD", Keys(0).log, "*", "e", '{"type":"outcome.refused"}')
    await send(client, "XTRIM", Keys(0).log, "MINID", last)
    with pytest.raises(InstallationError, match="of-another with a history"):
        await ensure_installation(client, pool, settings)


async def test_a_redis_that_lost_everything_is_not_filled_anew(
    client: AsyncRedis, pool: Pool, settings: Settings
) -> None:
    await ensure_installation(client, pool, settings)
    await send(client, "FLUSHALL")
    with pytest.raises(LostError, match=r"lost its data.*recover"):
        await ensure_installation(client, pool, settings)
    assert await send(client, "DBSIZE") == 0


async def test_a_redis_that_lost_one_partition_is_lost(client: AsyncRedis, pool: Pool, two: Settings) -> None:
    await ensure_installation(client, pool, two)
    await send(client, "DEL", Keys(1).meta)
    with pytest.raises(LostError, match="partition 1"):
        await ensure_installation(client, pool, two)


async def test_stores_of_different_installations_are_refused(
    client: AsyncRedis, pool: Pool, settings: Settings, connection: Connection
) -> None:
    await install(client, 0, "the-one", 1)
    await migrate(connection)
    row = Projected(partition=0, position=None, installation="the-other", generation="1", partitions=1)
    await add_positions(connection, [row])
    with pytest.raises(InstallationError, match="the-one and Postgres installation the-other"):
        await ensure_installation(client, pool, settings)


async def test_a_store_of_another_generation_must_be_recovered(
    client: AsyncRedis, pool: Pool, settings: Settings, connection: Connection
) -> None:
    await ensure_installation(client, pool, settings)
    await connection.execute("UPDATE kr_projection SET generation = 2")
    with pytest.raises(LostError, match="generation 1 in Redis and at generation 2 in Postgres"):
        await ensure_installation(client, pool, settings)


async def test_another_number_of_partitions_is_refused(
    client: AsyncRedis, pool: Pool, settings: Settings, two: Settings
) -> None:
    await ensure_installation(client, pool, two)
    for attempt in (ensure_installation(client, pool, settings), open_partitions(client, settings)):
        with pytest.raises(InstallationError, match="2 partitions; FLOWER_PARTITIONS is 1"):
            await attempt


async def test_more_partitions_than_before_are_refused_too(
    client: AsyncRedis, pool: Pool, settings: Settings, two: Settings
) -> None:
    await ensure_installation(client, pool, settings)
    for attempt in (ensure_installation(client, pool, two), open_partitions(client, two)):
        with pytest.raises(InstallationError, match="1 partitions; FLOWER_PARTITIONS is 2"):
            await attempt


async def test_a_halted_partition_is_not_opened(
    client: AsyncRedis, pool: Pool, settings: Settings, partition: Partition
) -> None:
    await halt(client, partition, "entry 7-7 is gone")
    for attempt in (ensure_installation(client, pool, settings), open_partitions(client, settings)):
        with pytest.raises(LostError, match="entry 7-7 is gone"):
            await attempt


async def test_tables_of_a_newer_version_are_refused(
    client: AsyncRedis, pool: Pool, settings: Settings, connection: Connection
) -> None:
    await migrate(connection)
    await connection.execute("INSERT INTO flower_migration (name, sha256) VALUES ('0999_later', 'x')")
    with pytest.raises(InstallationError, match="newer"):
        await ensure_installation(client, pool, settings)


async def test_a_worker_waits_until_the_installation_is_made_and_says_so(
    client: AsyncRedis, pool: Pool, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    waiting = asyncio.create_task(open_partitions(client, settings))
    await until(said(caplog, "waiting for an installation"))
    assert not waiting.done()
    made = await ensure_installation(client, pool, settings)
    assert named(await waiting) == named(made)


async def test_a_worker_that_waits_long_says_again_and_again_that_the_installation_may_be_lost(
    client: AsyncRedis,
    pool: Pool,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partitions_in_redis, "_LONG_SECONDS", 0.0)
    monkeypatch.setattr(partitions_in_redis, "_SAY_AGAIN_SECONDS", 0.0)
    await ensure_installation(client, pool, settings)
    await send(client, "FLUSHALL")
    waiting = asyncio.create_task(open_partitions(client, settings))

    async def is_said_twice() -> bool:
        return caplog.text.count("it was lost: see the projector's log") > 1

    await until(is_said_twice)
    await cancel_all([waiting])


async def test_a_store_that_is_away_is_waited_for_by_name(
    client: AsyncRedis, settings: Settings, caplog: pytest.LogCaptureFixture, tmp_path: object
) -> None:
    async with (
        connect(f"unix://{tmp_path}/nobody.sock") as away,
        database.make_pool(f"postgresql:///flower?host={tmp_path}", "test") as pool_away,
    ):
        for attempt, name in (
            (open_partitions(away, settings), "Redis"),
            (ensure_installation(away, pool_away, settings), "Redis"),
            (ensure_installation(client, pool_away, settings), "Postgres"),
        ):
            caplog.clear()
            waiting = asyncio.create_task(attempt)
            await until(said(caplog, f"{name} does not answer"))
            assert not waiting.done()
            await cancel_all([waiting])
