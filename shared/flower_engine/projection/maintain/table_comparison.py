"""The live tables beside those that a replay built: what differs, and making them the same."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, LiteralString

import msgspec
from psycopg.sql import SQL, Composable, Identifier

from flower_engine.crash_points import crash_point
from flower_engine.projection.blobs.uses import add_uses
from flower_engine.projection.database import Connection
from flower_engine.projection.maintain.compared_uses import different_uses, forget_untold
from flower_engine.projection.maintain.replay import Rebuilt, Replaying, Selection, schema_of
from flower_engine.projection.write.flow_rows import FLOW_COLUMNS
from flower_engine.projection.write.slot_rows import SCHEDULE_COLUMNS, SCHEDULE_KEY, SLOT_COLUMNS, SLOT_KEY
from flower_engine.projection.write.task_rows import TASK_COLUMNS

_PAGE_ROWS = 500
_TEMPORARY = "pg_temp"

# What stands in a table may be most of it, so this may read all of it.
_ALL_AT_ONCE = """
SET LOCAL enable_hashjoin = on;
SET LOCAL enable_mergejoin = on;
SET LOCAL enable_seqscan = on;
SET LOCAL work_mem = '64MB';
"""
_JSON_COLUMNS = ("parameters", "when_is")
_SELECTED: Composable = SQL(
    "(%(workflow)s::text IS NULL OR held.task_id = %(workflow)s)"
    " AND (%(since_ms)s::bigint IS NULL OR held.registered_ts >= to_timestamp(%(since_ms)s / 1000.0))"
    " AND (%(until_ms)s::bigint IS NULL OR held.registered_ts < to_timestamp(%(until_ms)s / 1000.0))"
)


class _Table(msgspec.Struct, frozen=True):
    name: LiteralString
    key: tuple[LiteralString, ...]
    columns: tuple[LiteralString, ...]

    def names(self, prefix: LiteralString, columns: Sequence[LiteralString]) -> Composable:
        """The columns of one side; ``json``, which knows no equality, as ``jsonb``."""
        return SQL(", ").join(
            SQL("{}::jsonb").format(Identifier(prefix, column))
            if column in _JSON_COLUMNS
            else Identifier(prefix, column)
            for column in columns
        )

    @property
    def values(self) -> list[LiteralString]:
        return [column for column in self.columns if column not in self.key]

    def differ(self, one: LiteralString, other: LiteralString) -> Composable:
        values = self.values
        return SQL("({}) IS DISTINCT FROM ({})").format(self.names(one, values), self.names(other, values))

    def same_key(self) -> Composable:
        return SQL(" AND ").join(
            SQL("{} = {}").format(Identifier("held", column), Identifier("told", column))
            for column in self.key
        )


_FLOWS = _Table("kr_flow_stat", ("task_flow_id",), FLOW_COLUMNS)
_TASKS = _Table("kr_task_stat", ("task_flow_id", "task_exec_seq"), TASK_COLUMNS)
_SCHEDULES = _Table("kr_schedule", SCHEDULE_KEY, SCHEDULE_COLUMNS)
_SLOTS = _Table("kr_schedule_slot", SLOT_KEY, SLOT_COLUMNS)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a row that is not what the events say; ``task`` None: of the flow itself. ``field`` "row":
    there is none on the side that is None; "blob_use": a blob that one side alone says the flow uses.
    ``schedule``: it is of a schedule's row (its uid), or of a slot's, and of no flow."""

    flow: str
    task: int | None
    field: str
    held: Any
    told: Any
    schedule: str = ""


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows of the live tables were written anew, and how many were there without any event."""

    written: int
    removed: int


async def swap_in(
    connection: Connection, replaying: Replaying, rebuilt: Rebuilt, chosen: Selection
) -> Merged:
    """Makes the live tables what the events say, at the position that holds then, when the transaction in
    which the others were built ends (``rebuild_tables``, not at one moment).

    No projector writes meanwhile; who reads is not kept waiting, and rows that are right stay untouched.
    """
    async with connection.transaction():
        await connection.execute("SELECT FROM kr_projection ORDER BY partition FOR UPDATE")
        await replaying.catch_up(rebuilt)
        await connection.execute(_ALL_AT_ONCE)
        schema = await schema_of(connection)
        written = removed = 0
        for table in (_FLOWS, _TASKS):
            removed += await _remove(connection, schema, table, chosen, keep=sorted(rebuilt.left_out))
            written += await _write(connection, schema, table)
        for table in (_SCHEDULES, _SLOTS) if chosen.is_whole else ():
            removed += await _remove_slots(connection, schema, table)
            written += await _write(connection, schema, table)
        await _say_what_is_lost(connection, schema, chosen)
        await add_uses(connection, rebuilt.uses)
        await forget_untold(connection, await _uses(connection, rebuilt, chosen))
        crash_point("replay.merged")
    return Merged(written=written, removed=removed)


async def find_differences(
    connection: Connection, rebuilt: Rebuilt, chosen: Selection
) -> AsyncGenerator[Difference]:
    """Every difference between the live tables and the events, at one position.

    Call it in the transaction in which the others were built (``rebuild_tables``, at one moment): projectors
    go on meanwhile. Nothing but temporary tables can be written to.
    """
    async with connection.transaction():
        await connection.execute("SET TRANSACTION READ ONLY")
        await connection.execute(_ALL_AT_ONCE)
        schema, left_out = await schema_of(connection), rebuilt.left_out
        for table in (_FLOWS, _TASKS):
            async for difference in _differences(connection, schema, table, chosen):
                if difference.flow not in left_out:
                    yield difference
        async for difference in _lost_versions(connection, schema, chosen):
            yield difference
        for flow, held, told in await _uses(connection, rebuilt, chosen):
            yield Difference(flow=flow, task=None, field="blob_use", held=held, told=told)
        for table in (_SCHEDULES, _SLOTS) if chosen.is_whole else ():
            async for difference in _slot_differences(connection, schema, table):
                yield difference


async def _uses(
    connection: Connection, rebuilt: Rebuilt, chosen: Selection
) -> Sequence[tuple[str, str | None, str | None]]:
    values = chosen.values()
    return await different_uses(connection, rebuilt.uses, rebuilt.left_out, values, is_whole=chosen.is_whole)


async def _differences(
    connection: Connection, schema: str, table: _Table, chosen: Selection
) -> AsyncGenerator[Difference]:
    task: Composable = Identifier("task_exec_seq") if table is _TASKS else SQL("NULL::numeric")
    statement = SQL(
        "SELECT task_flow_id, {task}, to_jsonb(held), to_jsonb(told)"
        " FROM {live} AS held FULL JOIN {built} AS told USING ({key})"
        " WHERE (told.task_flow_id IS NULL AND {selected})"
        " OR (told.task_flow_id IS NOT NULL AND {differ}) ORDER BY 1, 2"
    ).format(
        task=task,
        live=Identifier(schema, table.name),
        built=Identifier(_TEMPORARY, table.name),
        key=SQL(", ").join(map(Identifier, table.key)),
        selected=_SELECTED,
        differ=table.differ("held", "told"),
    )
    async with connection.cursor(name="differences") as cursor:
        await cursor.execute(statement, chosen.values())
        while rows := await cursor.fetchmany(_PAGE_ROWS):
            for flow, seq, held, told in rows:
                number = None if seq is None else int(seq)
                for difference in _of_row(table, flow, number, held, told):
                    yield difference


def _of_row(
    table: _Table, flow: str, task: int | None, held: dict[str, Any] | None, told: dict[str, Any] | None
) -> list[Difference]:
    if held is None or told is None:
        row = held or told or {}
        status = row.get("exec_status", row.get("state"))
        sides = (status, None) if told is None else (None, status)
        return [Difference(flow=flow, task=task, field="row", held=sides[0], told=sides[1])]
    return [
        Difference(flow=flow, task=task, field=name, held=held[name], told=told[name])
        for name in table.columns
        if held[name] != told[name]
    ]


async def _lost_versions(
    connection: Connection, schema: str, chosen: Selection
) -> AsyncGenerator[Difference]:
    """Rows that do not say that they are older than their flow, or say so and are not."""
    statement = SQL("SELECT held.task_flow_id, held.lost_version, lost.version {} ORDER BY 1").format(
        _unsaid(schema)
    )
    for flow, held, told in await (await connection.execute(statement, chosen.values())).fetchall():
        yield Difference(flow=flow, task=None, field="lost_version", held=held, told=told)


async def _say_what_is_lost(connection: Connection, schema: str, chosen: Selection) -> None:
    statement = SQL(
        "UPDATE {} AS known SET lost_version = found.version"
        " FROM (SELECT held.task_flow_id, lost.version {}) AS found"
        " WHERE found.task_flow_id = known.task_flow_id"
    ).format(Identifier(schema, "kr_flow_stat"), _unsaid(schema))
    await connection.execute(statement, chosen.values())


def _unsaid(schema: str) -> Composable:
    return SQL(
        "FROM {} AS held LEFT JOIN kr_gap_flow AS lost"
        " ON lost.task_flow_id = held.task_flow_id AND lost.version > held.version"
        " WHERE {} AND held.lost_version IS DISTINCT FROM lost.version"
    ).format(Identifier(schema, "kr_flow_stat"), _SELECTED)


async def _remove(
    connection: Connection, schema: str, table: _Table, chosen: Selection, *, keep: list[str]
) -> int:
    """Removes rows that no event tells of; not those of flows that could not be built."""
    statement = SQL(
        "DELETE FROM {live} AS held WHERE {selected} AND held.task_flow_id <> ALL(%(keep)s)"
        " AND NOT EXISTS (SELECT FROM {built} AS told WHERE {same})"
    ).format(
        live=Identifier(schema, table.name),
        built=Identifier(_TEMPORARY, table.name),
        selected=_SELECTED,
        same=table.same_key(),
    )
    return (await connection.execute(statement, {**chosen.values(), "keep": keep})).rowcount


async def _remove_slots(connection: Connection, schema: str, table: _Table) -> int:
    statement = SQL(
        "DELETE FROM {live} AS held WHERE NOT EXISTS (SELECT FROM {built} AS told WHERE {same})"
    ).format(
        live=Identifier(schema, table.name), built=Identifier(_TEMPORARY, table.name), same=table.same_key()
    )
    return (await connection.execute(statement)).rowcount


async def _slot_differences(connection: Connection, schema: str, table: _Table) -> AsyncGenerator[Difference]:
    slot: Composable = Identifier("slot") if table is _SLOTS else SQL("NULL::timestamptz")
    statement = SQL(
        "SELECT uid::text, {slot}, to_jsonb(held), to_jsonb(told)"
        " FROM {live} AS held FULL JOIN {built} AS told USING ({key})"
        " WHERE held.uid IS NULL OR told.uid IS NULL OR {differ} ORDER BY 1, 2"
    ).format(
        slot=slot,
        live=Identifier(schema, table.name),
        built=Identifier(_TEMPORARY, table.name),
        key=SQL(", ").join(map(Identifier, table.key)),
        differ=table.differ("held", "told"),
    )
    async with connection.cursor(name="slot_differences") as cursor:
        await cursor.execute(statement)
        while rows := await cursor.fetchmany(_PAGE_ROWS):
            for uid, at, held, told in rows:
                where = uid if at is None else f"{uid} slot {at.isoformat()}"
                for difference in _of_row(table, "", None, held, told):
                    yield msgspec.structs.replace(difference, schedule=where)


async def _write(connection: Connection, schema: str, table: _Table) -> int:
    """Writes the rows that are missing or differ."""
    columns = SQL(", ").join(map(Identifier, table.columns))
    statement = SQL(
        "INSERT INTO {live} AS known ({columns}) SELECT {told} FROM {built} AS told"
        " LEFT JOIN {live} AS held ON {same} WHERE held.{first} IS NULL OR {differ}"
        " ON CONFLICT ({key}) DO UPDATE SET {set}"
    ).format(
        live=Identifier(schema, table.name),
        built=Identifier(_TEMPORARY, table.name),
        first=Identifier(table.key[0]),
        columns=columns,
        told=SQL(", ").join(Identifier("told", column) for column in table.columns),
        same=table.same_key(),
        differ=table.differ("held", "told"),
        key=SQL(", ").join(map(Identifier, table.key)),
        set=SQL(", ").join(SQL("{0} = excluded.{0}").format(Identifier(column)) for column in table.values),
    )
    return (await connection.execute(statement)).rowcount
