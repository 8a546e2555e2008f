"""A batch is written exactly once, whatever happens to the writer."""

import asyncio

import psycopg
import pytest

from flower_engine.projection import database
from flower_engine.projection.batch import Batch, make_batch
from flower_engine.projection.database import Connection
from flower_engine.projection.positions import Projected, read_positions
from flower_engine.projection.writer import Writer
from projection.rows import archived, expected, held
from projection.stories import Story


@pytest.fixture
def story() -> Story:
    """Two flows of three tasks, one of them at its end."""
    story = Story()
    story.open()
    story.run(story.register())
    story.start(story.register(), 1)
    return story


async def batch_of(story: Story) -> Batch:
    return await make_batch(0, story.entries)


async def is_projected_once(tables: Connection, story: Story) -> None:
    assert await held(tables) == expected(story.events)
    assert [position for position, _ in await archived(tables)] == [one.position for one in story.entries]
    assert [row.position for row in await read_positions(tables)] == [story.entries[-1].position]


async def test_a_batch_that_is_written_again_changes_nothing(
    tables: Connection, writer: Writer, story: Story
) -> None:
    assert await writer.write(await batch_of(story))
    late = Writer(tables, Projected(partition=0, position=None, installation="here", generation="1", partitions=1))
    assert not await late.write(await batch_of(story))
    await is_projected_once(tables, story)


async def test_of_two_writers_at_once_one_writes(
    tables: Connection, writer: Writer, story: Story, database_url: str
) -> None:
    row = Projected(partition=0, position=None, installation="here", generation="1", partitions=1)
    async with await database.connect(database_url, "other") as connection:
        other = Writer(connection, row)
        written = await asyncio.gather(*(one.write(await batch_of(story)) for one in (writer, other)))
        assert sorted(written) == [False, True]
        await is_projected_once(connection, story)


@pytest.mark.parametrize("table", ["kr_event", "kr_task_stat", "kr_flow_stat"])
async def test_a_writer_whose_backend_is_terminated_in_the_middle_has_written_nothing(
    tables: Connection, writer: Writer, story: Story, database_url: str, table: str
) -> None:
    async with (
        await database.connect(database_url, "holder") as holder,
        await database.connect(database_url, "watcher") as watcher,
    ):
        await holder.execute("BEGIN")
        await holder.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE".encode())
        writing = asyncio.create_task(writer.write(await batch_of(story)))
        pid = tables.info.backend_pid
        while await (await watcher.execute("SELECT pg_blocking_pids(%s)", [pid])).fetchone() == ([],):
            await asyncio.sleep(0)
        await watcher.execute("SELECT pg_terminate_backend(%s)", [pid])
        with pytest.raises(psycopg.OperationalError):
            await writing
        await holder.execute("ROLLBACK")
        assert await held(watcher) == ([], [])
        assert await archived(watcher) == []
        (row,) = await read_positions(watcher)
        again = Writer(watcher, row)
        assert await again.write(await batch_of(story))
        await is_projected_once(watcher, story)


@pytest.mark.parametrize("change", ["installation = 'elsewhere'", "generation = 2", "position = '7-7'"])
async def test_nothing_is_written_where_the_position_is_not_the_one_held(
    tables: Connection, writer: Writer, story: Story, change: str
) -> None:
    await tables.execute(f"UPDATE kr_projection SET {change}".encode())
    assert not await writer.write(await batch_of(story))
    assert await held(tables) == ([], [])
    assert await archived(tables) == []


async def test_updates_look_rows_up_by_their_key(tables: Connection, writer: Writer, story: Story) -> None:
    """Statistics of an empty table would have them read all of it."""
    await writer.write(await batch_of(story))
    for table, key in (("kr_task_stat", "task_flow_id, task_exec_seq"), ("kr_flow_stat", "task_flow_id")):
        plan = await tables.execute(
            f"EXPLAIN UPDATE {table} AS known SET exec_status = 1 FROM unnest('{{a}}'::varchar[], '{{1}}'::numeric[])"
            f" AS change ({'task_flow_id, task_exec_seq'}) WHERE ROW({', '.join('known.' + k for k in key.split(', '))})"
            f" = ROW({', '.join('change.' + k for k in key.split(', '))})".encode()
        )
        lines = "\n".join([line async for (line,) in plan])
        assert f"Index Scan using {table}_pkey" in lines
