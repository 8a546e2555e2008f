"""A batch is written exactly once, whatever happens to the writer."""

import asyncio
import re

import psycopg
import pytest

from flower_engine.projection import database
from flower_engine.projection.archive.archive_days import Days, make_day
from flower_engine.projection.database import Connection
from flower_engine.projection.write.batch import Batch, make_batch
from flower_engine.projection.write.flow_rows import FLOW_COLUMNS, UPDATE_FLOWS
from flower_engine.projection.write.projected_positions import Projected, read_positions
from flower_engine.projection.write.tables import write_changes
from flower_engine.projection.write.task_rows import UPDATE_BODIES, UPDATE_PRIORITIES, UPDATE_TASKS
from flower_engine.projection.write.writer import Writer
from projection.rows import archived, expected, held
from projection.stories import Story
from projection.waiting import until


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
    late = Writer(
        tables, Projected(partition=0, position=None, installation="here", generation="1", partitions=1)
    )
    assert not await late.write(await batch_of(story))
    await is_projected_once(tables, story)


async def test_of_two_writers_at_once_one_writes(
    tables: Connection, writer: Writer, story: Story, database_url: str
) -> None:
    row = Projected(partition=0, position=None, installation="here", generation="1", partitions=1)
    async with await database.connect(database_url, "other") as connection:
        other = Writer(connection, row)
        batch = await batch_of(story)
        written = await asyncio.gather(writer.write(batch), other.write(batch))
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

        async def is_blocked() -> bool:
            found = await watcher.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [pid])
            return await found.fetchone() == (True,)

        await until(is_blocked)
        await watcher.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        with pytest.raises(psycopg.OperationalError):
            await writing
        await holder.execute("ROLLBACK")
        assert await held(watcher) == ([], [])
        assert await archived(watcher) == []
        (row,) = await read_positions(watcher)
        again = Writer(watcher, row)
        assert await again.write(await batch_of(story))
        await is_projected_once(watcher, story)


@pytest.mark.usefixtures("writer")
async def test_a_batch_that_meets_a_table_of_its_day_as_that_is_made_is_written_there(
    tables: Connection, database_url: str
) -> None:
    story = Story()
    story.open()  # one event: of several each half would be tried again
    batch = await batch_of(story)
    (day,) = batch.days()
    times = iter([1.0])
    days = Days(monotonic=lambda: next(times, 0.0))  # it makes no tables for a while
    (held_now,) = await read_positions(tables)
    late = Writer(tables, held_now, days)
    async with await database.connect(database_url, "maker") as maker:
        await maker.execute("BEGIN")
        assert await make_day(maker, day)
        writing = asyncio.create_task(late.write(batch))
        pid = tables.info.backend_pid

        async def is_blocked() -> bool:
            found = await maker.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [pid])
            return await found.fetchone() == (True,)

        await until(is_blocked)
        await maker.execute("COMMIT")
        assert await writing
    await is_projected_once(tables, story)
    refused = await tables.execute("SELECT count(*) FROM kr_event WHERE error IS NOT NULL")
    assert await refused.fetchone() == (0,)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE kr_projection SET installation = 'elsewhere'",
        "UPDATE kr_projection SET generation = 2",
        "UPDATE kr_projection SET position = '7-7'",
    ],
)
async def test_nothing_is_written_where_the_position_is_not_the_one_held(
    tables: Connection, writer: Writer, story: Story, change: str
) -> None:
    await tables.execute(change.encode())
    assert not await writer.write(await batch_of(story))
    assert await held(tables) == ([], [])
    assert await archived(tables) == []


async def test_rows_are_looked_up_by_their_key_whatever_the_statistics_say(
    tables: Connection, writer: Writer
) -> None:
    """A plan made while the tables are small would read all of them once they are large."""
    for statement in (UPDATE_TASKS, UPDATE_FLOWS, UPDATE_BODIES, UPDATE_PRIORITIES):
        nothing = re.sub(r"%b::\w+", lambda found: "'{}'" + found.group()[2:], statement)
        plan = await tables.execute(b"EXPLAIN " + nothing.encode())
        lines = [line async for (line,) in plan]
        assert any("Bitmap Index Scan on kr_" in line for line in lines), lines
        assert not any("Seq Scan" in line or "Hash" in line for line in lines), lines


async def test_a_plan_made_while_the_tables_were_small_looks_rows_up_as_they_grow(
    tables: Connection, writer: Writer
) -> None:
    story = Story()
    written = 0

    async def write() -> None:
        nonlocal written
        assert await writer.write(await make_batch(0, story.entries[written:]))
        written = len(story.entries)

    story.open()
    few = [story.register() for _ in range(100)]
    await write()
    story.run(few[0])
    await write()  # which plans
    many = [story.register() for _ in range(600)]
    await write()
    for flow in many[:5]:
        story.run(flow)
    before = await _tasks_read(tables)
    await write()
    read = await _tasks_read(tables) - before
    assert read < 100
    assert await held(tables) == expected(story.events)


async def test_a_plan_reads_rows_by_key_where_a_table_was_analysed_while_its_first_rows_came(
    tables: Connection, writer: Writer, database_url: str
) -> None:
    """Autovacuum that comes in the middle of a large transaction takes its pages for empty ones: a plan would
    then take a table of any size for one of one row, and read all of it for each batch."""
    story = Story()
    story.open()
    flows = [story.register() for _ in range(300)]
    first = await make_batch(0, story.entries)
    async with await database.connect(database_url, "other") as other:
        await other.execute("BEGIN")
        await write_changes(other, [(0, first.changes.flows.values())])
        await tables.execute("ANALYZE kr_task_stat, kr_flow_stat")
        await other.execute("ROLLBACK")
    assert await writer.write(first)
    written = len(story.entries)
    for flow in flows[:5]:
        story.run(flow)
    before = await _tasks_read(tables)
    assert await writer.write(await make_batch(0, story.entries[written:]))
    read = await _tasks_read(tables) - before
    assert read < 100
    assert await held(tables) == expected(story.events)


async def _tasks_read(tables: Connection) -> int:
    await tables.execute("SELECT pg_stat_force_next_flush()")
    rows = await tables.execute(
        "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_user_tables WHERE relname = 'kr_task_stat'"
    )
    row = await rows.fetchone()
    assert row is not None
    return row[0]


async def test_rows_of_flows_have_the_columns_of_the_table(tables: Connection) -> None:
    rows = await tables.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema()"
        " AND table_name = 'kr_flow_stat'"
    )
    there = {name for (name,) in await rows.fetchall()}
    assert there - set(FLOW_COLUMNS) == {"lost_version"}, "projection/write/flow_rows.py does not write them"
    assert set(FLOW_COLUMNS) <= there
