"""One projector of a partition is active, the others stand by; stores that are away are borne."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest

from flower_engine.errors import InstallationError, LostError
from flower_engine.log.client import AsyncRedis, connect, send
from flower_engine.log.partition import Partition
from flower_engine.projection import database
from flower_engine.projection.database import Connection
from flower_engine.projection.write.projected_positions import read_positions
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.installation_transitions import halt
from flower_projector import trimming
from flower_projector.partition_loop import PartitionLoop, Round
from flower_projector.service import serve
from projection.logs import entries_of, events_of, flows, tell
from projection.rows import archived, expected, held
from projection.waiting import until


@pytest.fixture
async def connection(database_url: str, partition: Partition) -> AsyncIterator[Connection]:
    async with await database.connect(database_url, "test") as connection:
        yield connection


MakeLoop = Callable[..., PartitionLoop]


@pytest.fixture
async def make_loop(client: AsyncRedis, partition: Partition, settings: Settings) -> AsyncIterator[MakeLoop]:
    """Makes loops of the partition; they are closed after the test."""
    made: list[PartitionLoop] = []

    def make(redis: AsyncRedis = client, settings: Settings = settings) -> PartitionLoop:
        made.append(PartitionLoop(redis, partition, settings))
        return made[-1]

    yield make
    for loop in made:
        await loop.close()


async def once_elected(loop: PartitionLoop) -> Round:
    """The first turn after the server has noticed that the one elected before is gone."""
    turn = Round.STANDBY

    async def is_elected() -> bool:
        nonlocal turn
        turn = await loop.run_once()
        return turn is not Round.STANDBY

    await until(is_elected)
    return turn


async def test_of_two_loops_one_projects_and_the_other_stands_by_and_takes_over(
    client: AsyncRedis, partition: Partition, connection: Connection, make_loop: MakeLoop
) -> None:
    first, second = make_loop(), make_loop()
    assert [await first.run_once(), await second.run_once()] == [Round.PROJECTED, Round.STANDBY]
    await tell(client, partition, flows(1))
    assert [await second.run_once(), await first.run_once()] == [Round.STANDBY, Round.PROJECTED]
    assert await first.run_once() is Round.IDLE
    await first.close()
    await tell(client, partition, flows(1))
    assert await once_elected(second) is Round.PROJECTED
    assert await held(connection) == expected(await events_of(client, partition))


async def test_a_loop_whose_backend_was_terminated_is_elected_anew_and_goes_on(
    client: AsyncRedis, partition: Partition, connection: Connection, make_loop: MakeLoop
) -> None:
    loop = make_loop()
    await loop.run_once()
    await tell(client, partition, flows(2))
    await connection.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE 'flower projector%'"
    )
    await loop.rounds.step()
    assert loop.rounds.is_failing
    turns = [await loop.run_once() for _ in range(2)]
    assert turns[0] is Round.PROJECTED
    assert len(await archived(connection)) == 15
    assert await held(connection) == expected(await events_of(client, partition))


async def test_a_redis_that_is_away_is_borne(
    client: AsyncRedis, make_loop: MakeLoop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(f"unix://{tmp_path}/nobody.sock") as away:
        loop = make_loop(redis=away)
        assert await _fails_twice(loop)
    assert caplog.text.count("Redis (partition 0) does not answer") == 1


async def test_a_postgres_that_is_away_is_borne(
    make_loop: MakeLoop, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = settings.model_copy(update={"database_url": f"postgresql:///flower?host={tmp_path}"})
    loop = make_loop(settings=away)
    assert await _fails_twice(loop)
    assert caplog.text.count("Postgres (partition 0) does not answer") == 1


async def test_a_table_that_is_gone_is_waited_for(
    connection: Connection, make_loop: MakeLoop, caplog: pytest.LogCaptureFixture
) -> None:
    """``flower replay`` makes it anew."""
    loop = make_loop()
    await connection.execute("ALTER TABLE kr_event RENAME TO elsewhere")
    await loop.rounds.step()
    assert loop.rounds.is_failing
    assert 'relation "kr_event" does not exist' in caplog.text
    await connection.execute("ALTER TABLE elsewhere RENAME TO kr_event")
    assert await loop.run_once() is Round.PROJECTED


async def test_tables_that_are_of_another_kind_stop_it(connection: Connection, make_loop: MakeLoop) -> None:
    await connection.execute("ALTER TABLE kr_event RENAME COLUMN event TO something")
    with pytest.raises(InstallationError, match="kr_event"):
        await make_loop().run_once()


async def test_a_position_that_was_set_back_by_hand_stops_it(
    client: AsyncRedis, partition: Partition, connection: Connection, make_loop: MakeLoop
) -> None:
    """What is archived was counted: counting it again would make the tables wrong."""
    await tell(client, partition, flows(1))
    loop = make_loop()
    await loop.run_once()
    await loop.close()
    before = await held(connection), await archived(connection)
    await connection.execute("UPDATE kr_projection SET position = NULL")
    with pytest.raises(InstallationError, match="already exists"):
        await once_elected(loop)
    assert (await held(connection), await archived(connection)) == before


async def test_a_partition_that_was_halted_stops_it(
    client: AsyncRedis, partition: Partition, make_loop: MakeLoop
) -> None:
    loop = make_loop()
    await halt(client, partition, "for a test")
    with pytest.raises(LostError):
        await loop.run_once()


async def test_the_loop_trims_what_it_has_archived(
    client: AsyncRedis,
    partition: Partition,
    settings: Settings,
    make_loop: MakeLoop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trimming, "_INTERVAL_SECONDS", 0.0)
    loop = make_loop(
        settings=settings.model_copy(update={"log_tail_events": 100, "projector_batch_events": 50})
    )
    last = await tell(client, partition, flows(200))
    while await loop.run_once() is Round.PROJECTED:
        pass
    left = await entries_of(client, partition)
    assert 100 <= len(left) < 700
    assert left[-1].position == last
    assert await loop.run_once() is Round.IDLE


@pytest.mark.no_tables
async def test_the_service_projects_until_it_is_stopped(
    client: AsyncRedis, settings: Settings, database_url: str
) -> None:
    two = settings.model_copy(update={"partitions": 2})
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(two, stop))
    async with await database.connect(database_url, "test") as connection:

        async def has_begun() -> bool:
            if serving.done():
                await serving
            positions = await _positions(connection)
            return bool(positions) and None not in positions

        await until(has_begun)
        rows = await read_positions(connection)
        partitions = [Partition(row.partition, row.installation, row.generation) for row in rows]
        ends = [await tell(client, one, flows(20)) for one in partitions]

        async def is_at_the_end() -> bool:
            return await _positions(connection) == ends

        await until(is_at_the_end)
        stop.set()
        await serving
        assert len(await archived(connection)) == 2 * (1 + 20 * 7)


async def test_the_service_stops_while_it_waits_for_a_store(settings: Settings, tmp_path: Path) -> None:
    stop = asyncio.Event()
    away = settings.model_copy(update={"redis_url": f"unix://{tmp_path}/nobody.sock"})
    serving = asyncio.create_task(serve(away, stop))
    await asyncio.sleep(0)
    stop.set()
    await serving


async def test_the_service_ends_with_the_error_of_a_partition(
    client: AsyncRedis, partition: Partition, settings: Settings
) -> None:
    serving = asyncio.create_task(serve(settings, asyncio.Event()))
    await send(client, "XADD", partition.keys.log, "*", "e", b'{"type":"task.teleported"}')
    with pytest.raises(Exception, match=r"task\.teleported"):
        await serving


async def _fails_twice(loop: PartitionLoop) -> bool:
    failed: list[bool] = []
    for _ in range(2):
        assert await loop.rounds.step() > 0
        failed.append(loop.rounds.is_failing)
    return all(failed)


async def _positions(connection: Connection) -> list[str | None]:
    """How far each partition is projected; [] while there are no tables, or they lack what comes later."""
    try:
        return [row.position for row in await read_positions(connection)]
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        return []
