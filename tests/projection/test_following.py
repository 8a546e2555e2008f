"""A follower projects the whole log in order, and stops where it must."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from flower_engine.errors import InstallationError, LostError, NewerEventError
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.partition import Partition, read_meta
from flower_engine.projection import database
from flower_engine.projection.database import Connection
from flower_projector import log_follower
from flower_projector.log_follower import Follower
from projection.logs import append, entries_of, events_of, flows, tell
from projection.rows import archived, expected, held


@pytest.fixture
async def connection(database_url: str, partition: Partition) -> AsyncIterator[Connection]:
    async with await database.connect(database_url, "follower") as connection:
        yield connection


@pytest.fixture
async def other(database_url: str, partition: Partition) -> AsyncIterator[Connection]:
    async with await database.connect(database_url, "other follower") as connection:
        yield connection


async def to_the_end(follower: Follower) -> list[int]:
    """Projects until the log has no more; the sizes of the batches."""
    sizes: list[int] = []
    while size := await follower.run_once():
        sizes.append(size)
    return sizes


async def is_all_projected(client: AsyncRedis, connection: Connection, partition: Partition) -> None:
    assert await held(connection) == expected(await events_of(client, partition))
    entries = await entries_of(client, partition)
    assert [position for position, _ in await archived(connection)] == [entry.position for entry in entries]


@pytest.mark.parametrize("most_events", [1, 7, 5_000])
async def test_the_whole_log_is_projected_in_batches_of_at_most_the_setting(
    client: AsyncRedis, partition: Partition, connection: Connection, most_events: int
) -> None:
    last = await tell(client, partition, flows(5))
    follower = Follower(client, connection, partition, most_events)
    sizes = await to_the_end(follower)
    assert (sum(sizes), max(sizes)) == (36, min(most_events, 36))
    assert follower.position == last
    await is_all_projected(client, connection, partition)


async def test_what_comes_later_is_projected_later(
    client: AsyncRedis, partition: Partition, connection: Connection
) -> None:
    follower = Follower(client, connection, partition, 5_000)
    assert await to_the_end(follower) == [1]  # the log's opening
    for _ in range(3):
        await tell(client, partition, flows(1))
        assert await to_the_end(follower) == [7]
    await is_all_projected(client, connection, partition)


async def test_a_new_follower_goes_on_where_the_last_one_was(
    client: AsyncRedis, partition: Partition, connection: Connection, other: Connection
) -> None:
    await tell(client, partition, flows(3))
    assert await Follower(client, connection, partition, 10).run_once() == 10
    assert sum(await to_the_end(Follower(client, other, partition, 10))) == 12
    await is_all_projected(client, connection, partition)


async def test_two_followers_at_once_project_each_event_once(
    client: AsyncRedis, partition: Partition, connection: Connection, other: Connection
) -> None:
    last = await tell(client, partition, flows(30))

    async def follow(follower: Follower) -> None:
        while follower.position != last:
            await follower.run_once()

    await asyncio.gather(
        follow(Follower(client, connection, partition, 9)), follow(Follower(client, other, partition, 4))
    )
    await is_all_projected(client, connection, partition)


async def test_big_events_make_small_batches(
    client: AsyncRedis, partition: Partition, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_follower, "_BATCH_BYTES", 1_000)
    await tell(client, partition, flows(10))
    follower = Follower(client, connection, partition, 5_000)
    await tell(client, partition, flows(1))
    await to_the_end(follower)
    await tell(client, partition, flows(4))
    assert max(await to_the_end(follower)) < 10
    await is_all_projected(client, connection, partition)


async def test_an_event_of_a_newer_version_stops_it_after_everything_before(
    client: AsyncRedis, partition: Partition, connection: Connection
) -> None:
    before = await tell(client, partition, flows(2))
    newer = b'{"type":"task.teleported","at":1,"flow":"x"}'
    await append(client, partition, newer, b'{"type":"task.started"}')
    follower = Follower(client, connection, partition, 5_000)
    assert await follower.run_once() == 15
    for _ in range(2):
        with pytest.raises(NewerEventError, match=r"partition 0 .*task\.teleported.*Upgrade"):
            await follower.run_once()
    assert follower.position == before
    assert len(await archived(connection)) == 15


async def test_a_log_without_the_entry_at_the_position_halts_the_partition(
    client: AsyncRedis, partition: Partition, connection: Connection
) -> None:
    last = await tell(client, partition, flows(1))
    follower = Follower(client, connection, partition, 5_000)
    await to_the_end(follower)
    await send(client, "XDEL", partition.keys.log, last)
    await tell(client, partition, flows(1))  # ids go on rising after a loss: the last one alone tells nothing
    with pytest.raises(LostError, match=last):
        await follower.run_once()
    meta = await read_meta(client, 0)
    assert meta is not None
    assert meta.generation == ""
    assert last in meta.halted_why
    assert len(await archived(connection)) == 8


async def test_an_emptied_redis_is_noticed_before_anything_is_written(
    client: AsyncRedis, partition: Partition, connection: Connection
) -> None:
    await tell(client, partition, flows(1))
    follower = Follower(client, connection, partition, 5_000)
    await to_the_end(follower)
    await send(client, "FLUSHALL")
    await tell(client, partition, flows(1))
    with pytest.raises(LostError):
        await follower.run_once()
    assert len(await archived(connection)) == 8


async def test_a_follower_that_was_overtaken_and_trimmed_past_goes_on(
    client: AsyncRedis, partition: Partition, connection: Connection, other: Connection
) -> None:
    """A process that was stopped for a while must not take its own lateness for a loss."""
    late = Follower(client, connection, partition, 5)
    await tell(client, partition, flows(4))
    await late.run_once()
    await to_the_end(Follower(client, other, partition, 5_000))
    await send(client, "XTRIM", partition.keys.log, "MAXLEN", 3)
    last = await tell(client, partition, flows(1))
    while late.position != last:
        await late.run_once()
    meta = await read_meta(client, 0)
    assert meta is not None
    assert meta.generation == "1"
    assert len(await archived(connection)) == 1 + 5 * 7


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("UPDATE kr_projection SET installation = 'another'", InstallationError),
        ("UPDATE kr_projection SET generation = 2", LostError),
        ("DELETE FROM kr_projection", InstallationError),
    ],
)
async def test_a_postgres_that_became_another_ones_is_noticed(
    client: AsyncRedis, partition: Partition, connection: Connection, change: str, error: type[Exception]
) -> None:
    follower = Follower(client, connection, partition, 5_000)
    await to_the_end(follower)
    await connection.execute(change.encode())
    with pytest.raises(error):
        await follower.check()
    await tell(client, partition, flows(1))
    assert await follower.run_once() == 0  # the position is not where it was: nothing is written
    with pytest.raises(error):
        await follower.run_once()
