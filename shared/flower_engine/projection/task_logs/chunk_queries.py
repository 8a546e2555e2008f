"""Reading ``kr_task_log``: chunks in readers' order (task, attempt, line), or as they came."""

from collections.abc import Sequence
from typing import LiteralString, NamedTuple

from flower_engine.model.values.ids import created_ms
from flower_engine.projection.database import Connection
from flower_engine.projection.task_logs.chunk_rows import InBlob
from flower_engine.task_logs.arrivals import ArrivedChunk
from flower_engine.task_logs.lines import Line

_CLOCK_SLACK_MS = 86_400_000  # the clock of whoever made a flow's id may differ from Redis' by so much

Place = tuple[int, int, int]
"""A line in readers' order: task, attempt, number."""
Arrival = tuple[int, int, int]
"""A chunk as it came: ms and seq of its entry, its place in that."""


class ChunkFilter(NamedTuple):
    """Which chunks are meant; lines of others than ``level`` and above are not read."""

    flow: str
    task: int | None = None
    attempt: int | None = None
    level: int = 0


class ChunkRow(NamedTuple):
    """A chunk. ``lines``: those that are decoded already, or their JSON; None where no line is wanted, or
    where they are a blob's."""

    arrival: Arrival
    task: int
    attempt: int
    first: int
    last: int
    skipped: int
    is_wanted: bool
    lines: bytes | Sequence[Line] | None
    blob: InBlob | None = None

    @property
    def place(self) -> Place:
        return self.task, self.attempt, self.last


class LostRow(NamedTuple):
    """An event that may tell of the loss of an attempt."""

    raw: bytes
    error: str | None


_SELECT: LiteralString = """
SELECT position_ms, position_seq, chunk, task_exec_seq, attempt, first_line, last_line, skipped,
  top_level >= %(level)s, CASE WHEN top_level >= %(level)s THEN convert_to(lines::text, 'UTF8') END,
  blob, blob_offset, blob_bytes
FROM kr_task_log WHERE task_flow_id = %(flow)s AND position_ms >= %(since)s
"""
_OF_TASK: LiteralString = " AND task_exec_seq = %(task)s"
_OF_ATTEMPT: LiteralString = " AND attempt = %(attempt)s"
_BEHIND_PLACE: LiteralString = " AND (task_exec_seq, attempt, last_line) > (%(at0)s, %(at1)s, %(at2)s)"
_BY_PLACE: LiteralString = " ORDER BY task_exec_seq, attempt, last_line LIMIT %(limit)s"
_BEHIND: LiteralString = " AND (position_ms, position_seq, chunk) > (%(at0)s, %(at1)s, %(at2)s)"
_BEFORE: LiteralString = " AND (position_ms, position_seq, chunk) < (%(at0)s, %(at1)s, %(at2)s)"
_ARRIVING: LiteralString = " ORDER BY position_ms, position_seq, chunk LIMIT %(limit)s"
_BACKWARDS: LiteralString = " ORDER BY position_ms DESC, position_seq DESC, chunk DESC LIMIT %(limit)s"
_TOLD = """
SELECT task_exec_seq, attempt, max(last_line) FROM kr_task_log
WHERE task_flow_id = %(flow)s AND position_ms >= %(since)s
  AND (position_ms, position_seq, chunk) <= (%(at0)s, %(at1)s, %(at2)s) GROUP BY 1, 2
"""
# Who was never started again, and lost no worker, need not be looked for among the events.
_LOST = """
SELECT coalesce(raw, convert_to(event::text, 'UTF8')), error FROM kr_event
WHERE task_flow_id = %(flow)s AND position_ms >= %(since)s
  AND type IN ('task.lapsed', 'task.suspended', 'task.given_up')
  AND EXISTS (SELECT FROM kr_task_stat AS task WHERE task.task_flow_id = %(flow)s
    AND (%(task)s::int IS NULL OR task.task_exec_seq = %(task)s) AND (task.attempt > 1 OR task.lost > 0))
ORDER BY position_ms, position_seq
"""
_NAMES = """
SELECT task_exec_seq::int, task_name FROM kr_task_stat WHERE task_flow_id = %s AND task_name IS NOT NULL
"""
# A flow stands still, too, where tasks of it failed, none runs, what waits waits for these, and none of them
# is given up after a time.
_OVER = """
SELECT asked.flow, asked.task FROM unnest(%s::text[], %s::int[]) AS asked (flow, task)
WHERE CASE WHEN asked.task IS NULL THEN EXISTS (
    SELECT FROM kr_flow_stat AS flow WHERE flow.task_flow_id = asked.flow AND (flow.finished_ts IS NOT NULL
      OR (flow.suspended > 0 AND flow.running = 0 AND NOT EXISTS (
        SELECT FROM kr_task_stat AS waiting WHERE waiting.task_flow_id = asked.flow AND exec_status = 0
          AND NOT EXISTS (SELECT FROM kr_task_stat AS before WHERE before.task_flow_id = asked.flow
            AND before.task_exec_seq = ANY(waiting.depends_on) AND before.exec_status IN (0, 2)
            AND before.ended_as IS NULL))
        AND NOT EXISTS (SELECT FROM kr_task_stat AS held WHERE held.task_flow_id = asked.flow
          AND held.exec_status = 2 AND held.ended_as IS NULL AND held.on_failure LIKE 'hold:%%'))))
  ELSE EXISTS (SELECT FROM kr_flow_stat AS flow WHERE flow.task_flow_id = asked.flow
      AND flow.finished_ts IS NOT NULL)
    OR EXISTS (SELECT FROM kr_task_stat AS task WHERE task.task_flow_id = asked.flow
      AND task.task_exec_seq = asked.task AND task.exec_status IN (2, 3, 9)) END
"""


async def chunks_by_place(
    connection: Connection, asked: ChunkFilter, behind: Place, limit: int
) -> list[ChunkRow]:
    """Chunks that end behind a line, in readers' order."""
    return await _read(connection, asked, (_BEHIND_PLACE, _BY_PLACE), behind, limit)


async def chunks_by_arrival(
    connection: Connection, asked: ChunkFilter, behind: Arrival, limit: int
) -> list[ChunkRow]:
    """Chunks that came behind another, as they came."""
    return await _read(connection, asked, (_BEHIND, _ARRIVING), behind, limit)


async def chunks_backwards(
    connection: Connection, asked: ChunkFilter, before: Arrival, limit: int
) -> list[ChunkRow]:
    """Chunks that came before another, the last first."""
    return await _read(connection, asked, (_BEFORE, _BACKWARDS), before, limit)


async def last_lines(connection: Connection, flow: str, until: Arrival) -> dict[tuple[int, int], int]:
    """Of each task and attempt the last line that had come with a chunk or before it."""
    values = {"flow": flow, "since": _since(flow), **_at(until)}
    rows = await connection.execute(_TOLD, values)
    return {(task, attempt): last async for task, attempt, last in rows}


async def lost_events(connection: Connection, flow: str, task: int | None) -> list[LostRow]:
    """The events of a flow that may tell of losses of attempts, in log order."""
    rows = await connection.execute(_LOST, {"flow": flow, "since": _since(flow), "task": task})
    return [LostRow(bytes(raw or b""), error) async for raw, error in rows]


async def is_projected(connection: Connection, flow: str, task: int | None) -> bool:
    """Whether the tables have the flow, and this task of it, if any is given."""
    found = await connection.execute(
        "SELECT FROM kr_flow_stat WHERE task_flow_id = %s AND coalesce(%s::int <= tasks, true)", [flow, task]
    )
    return found.rowcount == 1


async def which_are_over(
    connection: Connection, asked: Sequence[tuple[str, int | None]]
) -> set[tuple[str, int | None]]:
    """Those of flows (task None) and tasks that have come to their end, or stand still."""
    flows, tasks = [flow for flow, _ in asked], [task for _, task in asked]
    return {(flow, task) async for flow, task in await connection.execute(_OVER, [flows, tasks])}


async def task_names(connection: Connection, flow: str) -> dict[int, str]:
    """The names of its tasks that have one."""
    return {task: name async for task, name in await connection.execute(_NAMES, [flow])}


def row_of(stored: ArrivedChunk, level: int) -> ChunkRow:
    """A chunk that is not in the table yet, as it will be there."""
    chunk = stored.chunk
    return ChunkRow(
        (stored.ms, stored.seq, stored.place),
        *(chunk.task, chunk.attempt, chunk.lines[0].number, chunk.lines[-1].number, chunk.skipped),
        is_wanted=any(line.level >= level for line in chunk.lines),
        lines=chunk.lines,
    )


async def _read(
    connection: Connection,
    asked: ChunkFilter,
    bounds: tuple[LiteralString, LiteralString],
    at: tuple[int, int, int],
    limit: int,
) -> list[ChunkRow]:
    statement = _SELECT
    if asked.task is not None:
        statement += _OF_TASK
    if asked.attempt is not None:
        statement += _OF_ATTEMPT
    values = {**asked._asdict(), "since": _since(asked.flow), "limit": limit, **_at(at)}
    rows = await connection.execute(statement + bounds[0] + bounds[1], values)
    return [
        ChunkRow(
            (row[0], row[1], row[2]),
            *row[3:9],
            lines=row[9],
            blob=None if row[10] is None else InBlob(*row[10:13]),
        )
        async for row in rows
    ]


def _at(at: tuple[int, int, int]) -> dict[str, int]:
    return {"at0": at[0], "at1": at[1], "at2": at[2]}


def _since(flow: str) -> int:
    return created_ms(flow) - _CLOCK_SLACK_MS
