"""Schedules and their slots built anew from the archive, beside the flows (``replay.py``)."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, LiteralString

from psycopg import AsyncServerCursor
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Identifier

from flower_engine.errors import NewerEventError
from flower_engine.model.events.schedule_events import ScheduleEvent
from flower_engine.projection.archive.refused_events import UNREADABLE, event_of, without_values
from flower_engine.projection.database import Connection
from flower_engine.projection.write.slot_rows import Told, write_schedules
from flower_engine.projection.write.target_tables import BUILT

_PAGE_EVENTS = 5_000
_ALL: LiteralString = (
    "SELECT partition, position_ms, coalesce(raw, convert_to(event::text, 'UTF8')), error FROM kr_event"
    " WHERE task_flow_id IS NULL AND type LIKE 'schedule.%' ORDER BY partition, position_ms, position_seq"
)
_TABLES: tuple[LiteralString, ...] = (
    "CREATE TEMP TABLE kr_schedule (LIKE kr_schedule INCLUDING DEFAULTS, PRIMARY KEY (uid)) ON COMMIT DROP",
    "CREATE TEMP TABLE kr_schedule_slot (LIKE kr_schedule_slot INCLUDING DEFAULTS,"
    " PRIMARY KEY (uid, slot, backfill)) ON COMMIT DROP",
)
# Of one of which events have gone, what they said is only here.
_PRUNED = SQL("INSERT INTO pg_temp.kr_schedule SELECT * FROM {} WHERE pruned_to IS NOT NULL")
_COUNTS_PRUNED: LiteralString = (
    "UPDATE pg_temp.kr_schedule SET fired = pruned_fired, skipped = pruned_skipped, missed = pruned_missed"
)


async def make_tables(connection: Connection, schema: str) -> None:
    """The temporary tables, with what of schedules stands in no event any more; ``schema``: where the live
    tables are."""
    for statement in _TABLES:
        await connection.execute(statement)
    await connection.execute(_PRUNED.format(Identifier(schema, "kr_schedule")))
    await connection.execute(_COUNTS_PRUNED)


async def fill(connection: Connection, reader: Connection) -> int:
    """Adds all events of schedules, in the order of the log; how many there are."""
    count = 0
    async with reader.cursor(name="slots", binary=True) as cursor:
        await cursor.execute(_ALL)
        while rows := await _page(cursor):
            count += len(rows)
            for partition, some in groupby(rows, key=itemgetter(0)):
                await write(connection, [row[1:] for row in some], partition)
    return count


async def write(connection: Connection, rows: Sequence[Sequence[Any]], partition: int) -> None:
    """Adds archived events of schedules: ms of the position, bytes, error; those that cannot be read are left
    out, as the projector leaves them out."""
    async with connection.transaction():
        await write_schedules(connection, list(_told(rows)), partition, BUILT)


def _told(rows: Sequence[Sequence[Any]]) -> Iterator[Told]:
    for ms, raw, error in rows:
        try:
            event = event_of(bytes(raw or b""), error)
        except (NewerEventError, *UNREADABLE):
            continue
        if isinstance(event, ScheduleEvent):
            kept = event if error is None else without_values(event, error)
            assert isinstance(kept, ScheduleEvent)
            yield ms, kept


async def _page(cursor: AsyncServerCursor[TupleRow]) -> list[TupleRow]:
    return await cursor.fetchmany(_PAGE_EVENTS)
