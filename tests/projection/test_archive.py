"""The archive: a table a day, and each flow's history back out of it."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from psycopg.sql import SQL, Identifier

from flower_engine.log.entries import LogEntry
from flower_engine.projection import database
from flower_engine.projection.archive.archive_days import DAY_MS, Days, make_day
from flower_engine.projection.archive.archived_events import history
from flower_engine.projection.database import Connection
from flower_engine.projection.write.batch import make_batch
from flower_engine.projection.write.projected_positions import read_positions
from flower_engine.projection.write.writer import Writer
from projection.stories import FIRST_MS, Story

DAY = FIRST_MS // DAY_MS


def name(day: int) -> str:
    return f"kr_event_{datetime.fromtimestamp(day * DAY_MS / 1000, UTC):%Y%m%d}"


async def tables_of_days(connection: Connection) -> dict[str, int]:
    """How many events each table of the archive holds."""
    rows = await connection.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'kr_event'::regclass"
    )
    counts: dict[str, int] = {}
    for (table,) in await rows.fetchall():
        count = SQL("SELECT count(*) FROM {}").format(Identifier(table))
        found = await (await connection.execute(count)).fetchone()
        assert found is not None
        counts[table] = found[0]
    return counts


async def test_events_lie_in_the_table_of_their_day_and_the_next_days_are_made_ahead(
    tables: Connection, writer: Writer
) -> None:
    story = Story()
    story.open()
    story.register()
    first, second = story.entries
    later = LogEntry(f"{FIRST_MS + 5 * DAY_MS}-0", second.raw)
    assert await writer.write(await make_batch(0, [first, later]))
    counts = await tables_of_days(tables)
    assert counts == {
        "kr_event_default": 0,
        **{name(day): 1 if day in (DAY, DAY + 5) else 0 for day in (DAY, *range(DAY + 5, DAY + 8))},
    }


async def test_midnight_belongs_to_the_new_day(tables: Connection, writer: Writer) -> None:
    story = Story()
    story.open()
    raw = story.entries[0].raw
    midnight_ms = (DAY + 1) * DAY_MS
    positions = [f"{midnight_ms - 1}-999999", f"{midnight_ms}-0"]
    assert await writer.write(await make_batch(0, [LogEntry(position, raw) for position in positions]))
    counts = await tables_of_days(tables)
    assert (counts[name(DAY)], counts[name(DAY + 1)]) == (1, 1)


async def test_projectors_that_make_the_same_days_at_once_both_succeed(
    tables: Connection, database_url: str
) -> None:
    async with await database.connect(database_url, "other") as other:
        made = await asyncio.gather(*(make_day(one, DAY) for one in (tables, other)))
        assert made == [True, True]
    assert await tables_of_days(tables) == {"kr_event_default": 0, name(DAY): 0}


async def test_a_day_that_cannot_be_made_now_goes_to_the_default_table(
    tables: Connection, writer: Writer, database_url: str
) -> None:
    seconds = 0.0
    writer = Writer(tables, (await read_positions(tables))[0], Days(monotonic=lambda: seconds))
    story = Story()
    story.open()
    raw = story.entries[0].raw
    async with await database.connect(database_url, "reader") as reader:
        await reader.execute("BEGIN")
        await reader.execute("SELECT count(*) FROM kr_event")  # as a long report would
        assert await writer.write(await make_batch(0, story.entries))
        await reader.execute("ROLLBACK")
    assert await writer.write(await make_batch(0, [LogEntry(f"{FIRST_MS + 1}-0", raw)]))
    assert await tables_of_days(tables) == {"kr_event_default": 2}
    seconds = 61.0
    later = LogEntry(f"{FIRST_MS + DAY_MS}-0", raw)
    assert await writer.write(await make_batch(0, [later]))
    counts = await tables_of_days(tables)
    assert (counts["kr_event_default"], counts[name(DAY + 1)]) == (2, 1)
    assert await make_day(tables, DAY)  # settled: its first events stay where they are
    assert name(DAY) not in await tables_of_days(tables)


@pytest.mark.parametrize("position", ["1-1", f"{2**62}-{2**62}"])
async def test_a_position_of_any_time_finds_a_table(
    tables: Connection, writer: Writer, position: str
) -> None:
    story = Story()
    story.open()
    assert await writer.write(await make_batch(0, [LogEntry(position, story.entries[0].raw)]))
    assert sum((await tables_of_days(tables)).values()) == 1


async def test_a_flows_history_is_its_events_and_no_others_in_order(
    tables: Connection, writer: Writer
) -> None:
    story = Story()
    story.open()
    flow, other = story.register(), story.register()
    story.run(flow)
    story.run(other)
    story.refuse(flow, 3)
    bad = LogEntry(
        f"{story.now_ms + 1}-0", b'{"type":"task.finished","flow":"' + flow.encode() + b'","at":[]}'
    )
    for entry in (*story.entries, bad):
        assert await writer.write(await make_batch(0, [entry]))
    found = await history(tables, flow)
    mine = [entry for entry in story.entries if flow.encode() in entry.raw]
    assert [(one.position, json.loads(one.raw)) for one in found[:-1]] == [
        (entry.position, json.loads(entry.raw)) for entry in mine
    ]
    assert (found[-1].position, found[-1].raw) == (bad.position, bad.raw)
    assert found[-1].error is not None
    assert await history(tables, "01a20773-0000-7000-834d-ad694c260876") == []
    assert await history(tables, "no flow id at all") == []


async def test_a_history_is_there_without_the_projected_rows(tables: Connection, writer: Writer) -> None:
    story = Story()
    story.open()
    flow = story.register()
    story.run(flow)
    assert await writer.write(await make_batch(0, story.entries))
    before = await history(tables, flow)
    await tables.execute("TRUNCATE kr_flow_stat, kr_task_stat")
    assert len(before) == 7
    assert await history(tables, flow) == before


async def test_a_history_reads_only_the_days_of_its_flow(tables: Connection, writer: Writer) -> None:
    story = Story()
    story.open()
    flow = story.register()
    story.run(flow)
    assert await writer.write(await make_batch(0, story.entries))
    for day in range(DAY - 20, DAY + 20):
        await make_day(tables, day)
    await tables.execute("SELECT pg_stat_force_next_flush()")
    await tables.execute("SELECT pg_stat_reset()")
    await history(tables, flow)
    await tables.execute("SELECT pg_stat_force_next_flush()")
    read = await tables.execute(
        "SELECT relname FROM pg_stat_user_tables WHERE relname LIKE 'kr_event%' AND idx_scan + seq_scan > 0"
    )
    assert await read.fetchall() == [(name(DAY),)]
