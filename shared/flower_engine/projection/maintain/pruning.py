"""Retention: flows that ended long ago go, with their rows and events; old days of the archive are dropped.

What must stay of a day that goes (events of flows that are open, or ended later, or that no row tells of, and
the entries at the projected positions) is first copied into a small table, which takes the day's place.

Redis is told before anything goes, so that from there on no operation puts back what goes, and asked then
which flows were put back before: see ``Fence``.
"""

import logging
from collections.abc import AsyncGenerator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Protocol

import msgspec
from psycopg.sql import SQL, Identifier, Literal

from flower_engine.crash_points import crash_point
from flower_engine.projection.archive.archive_days import DAY_MS, EVENTS, table_of_day
from flower_engine.projection.archive.archived_events import UNCOUNTED
from flower_engine.projection.blobs.uses import forget_uses
from flower_engine.projection.database import Connection
from flower_engine.projection.hooks.deliveries import prune_deliveries
from flower_engine.projection.maintain.gaps import forget_lost_ends
from flower_engine.projection.maintain.pruned_days import PrunedDays
from flower_engine.projection.task_logs.chunk_rows import TABLE
from flower_engine.projection.write.projected_positions import LOCK_SPACE, Projected

_log = logging.getLogger(__name__)

_PAGE_ROWS = 2_000
_LOCK_NUMBER = 65_534  # of LOCK_SPACE
# Dropping waits for readers of the archive for so long; then everything is tried again another time.
_LOCK_TIMEOUT = "5s"

_FLOWS = """
CREATE TEMP TABLE pg_temp.pruned_flow ON COMMIT DROP AS
SELECT flow.task_flow_id, flow.partition, flow.version, flow.finished_ts FROM kr_flow_stat AS flow
LEFT JOIN kr_flow_stat AS trunk ON trunk.task_flow_id = flow.trunk_flow_id
WHERE flow.finished_ts < to_timestamp(%(cut)s / 1000.0)
AND (trunk.task_flow_id IS NULL OR trunk.finished_ts < to_timestamp(%(cut)s / 1000.0))
"""
_POSITIONS = """
SELECT partition, position, installation, generation::text, partitions, retired_ts IS NOT NULL
FROM kr_projection ORDER BY partition FOR UPDATE
"""
# Right behind the last end of those that are to go: nothing that ends later is refused.
_UNTIL = """
SELECT partition, (extract(epoch FROM max(finished_ts)) * 1000)::bigint + 1 FROM pg_temp.pruned_flow
GROUP BY partition
"""
# Nothing that a flow names goes, nor the newest, nor the last number, so that none is given twice.
_VERSIONS = """
DELETE FROM ms_workflow_version AS held WHERE held.created_ts < to_timestamp(%(cut)s / 1000.0)
AND held.used_ts < to_timestamp(%(cut)s / 1000.0)
AND EXISTS (SELECT FROM ms_workflow_version AS other
    WHERE other.task_id = held.task_id AND other.used_ts > held.used_ts)
AND EXISTS (SELECT FROM ms_workflow_version AS other
    WHERE other.task_id = held.task_id AND other.number > held.number)
AND NOT EXISTS (SELECT FROM kr_workflow_origin AS origin
    WHERE origin.task_id = held.task_id AND origin.hash = held.hash)
AND NOT EXISTS (SELECT FROM kr_flow_stat AS flow
    WHERE flow.task_id = held.task_id AND flow.definition = held.hash)
AND NOT EXISTS (SELECT FROM kr_task_stat AS task
    WHERE task.task_id = held.task_id AND task.definition = held.hash)
AND held.hash NOT IN (
    SELECT pinned.hash FROM kr_task_stat AS task, LATERAL (
        SELECT task.parameters::jsonb ->> 'version'
        UNION ALL SELECT value FROM jsonb_each_text(
            CASE WHEN jsonb_typeof(task.parameters::jsonb -> 'versions') = 'object'
            THEN task.parameters::jsonb -> 'versions' ELSE '{}'::jsonb END)
    ) AS pinned (hash)
    WHERE task.program = '@flow' AND pinned.hash IS NOT NULL)
"""
# Slots of which the events go: their rows go, too, and are counted. A schedule's own row stays.
_SLOTS = """
WITH gone AS (
  DELETE FROM kr_schedule_slot AS held USING kr_schedule AS schedule
  WHERE schedule.uid = held.uid AND held.position_ms < %s AND NOT EXISTS (
    SELECT FROM kr_projection AS known WHERE known.partition = schedule.partition
      AND split_part(known.position, '-', 1) = held.position_ms::text)
  RETURNING held.uid, held.until, held.state, held.count
), counted AS (
  SELECT uid, max(until) AS until,
    coalesce(sum(count) FILTER (WHERE state = 'fired'), 0) AS fired,
    coalesce(sum(count) FILTER (WHERE state = 'skipped'), 0) AS skipped,
    coalesce(sum(count) FILTER (WHERE state = 'missed'), 0) AS missed
  FROM gone GROUP BY uid
)
UPDATE kr_schedule AS known SET pruned_to = greatest(known.pruned_to, counted.until),
  pruned_fired = pruned_fired + counted.fired, pruned_skipped = pruned_skipped + counted.skipped,
  pruned_missed = pruned_missed + counted.missed
FROM counted WHERE counted.uid = known.uid
"""
# What goes of a schedule may be its definition, which its own row says from then on.
_DEFINED = """
UPDATE kr_schedule AS known SET pruned_to = 'epoch' FROM (
  SELECT DISTINCT event ->> 'schedule' AS uid FROM kr_event
  WHERE position_ms < %s AND task_flow_id IS NULL AND type LIKE 'schedule.%%') AS told
WHERE known.pruned_to IS NULL AND known.uid::text = told.uid
"""
# Backfills that were over before; their slots go with them.
_BACKFILLS = """
DELETE FROM ms_backfill AS asked USING kr_backfill AS known
WHERE known.id = asked.id AND known.state <> 'open'
  AND coalesce(known.ended_ts, known.planned_ts) < to_timestamp(%s / 1000.0)
"""
# Of a process that stands still; else the projector would wait for it for as long.
_IDLE_TIMEOUT = "60s"
_STAYS = SQL(
    "(held.task_flow_id IS NOT NULL AND held.error IS DISTINCT FROM {uncounted} AND NOT EXISTS"
    " (SELECT FROM pg_temp.pruned_flow AS gone WHERE gone.task_flow_id = held.task_flow_id))"
    " OR EXISTS (SELECT FROM kr_projection AS known WHERE known.partition = held.partition"
    " AND (known.position = held.position_ms || '-' || held.position_seq OR (held.type LIKE 'schedule.%'"
    " AND held.task_flow_id IS NULL AND split_part(known.position, '-', 1) = held.position_ms::text)))"
).format(uncounted=Literal(UNCOUNTED))
# Nobody can ask for lines of a flow that has no row. Of one that goes the last may lie behind the bound.
_LINES_STAY = SQL(
    "(EXISTS (SELECT FROM kr_flow_stat AS known WHERE known.task_flow_id = held.task_flow_id) AND NOT EXISTS"
    " (SELECT FROM pg_temp.pruned_flow AS gone WHERE gone.task_flow_id = held.task_flow_id))"
)
_LATE_LINES = """
DELETE FROM kr_task_log AS held USING pg_temp.pruned_flow AS gone
WHERE gone.task_flow_id = held.task_flow_id AND held.position_ms BETWEEN %(cut)s AND %(cut)s + 86400000
"""
_LOCK_LINES = "SELECT FROM kr_task_log_position ORDER BY partition FOR UPDATE"

# Of those that follow the archive, the ones that have not read all of what goes are told so.
_UNREAD = SQL(
    "UPDATE kr_follower AS reader SET pruned_ms = {cut} WHERE reader.position_ms < {cut}"
    " AND EXISTS (SELECT FROM kr_event AS held WHERE held.partition = reader.partition"
    " AND held.position_ms >= reader.position_ms AND held.position_ms < {cut}"
    " AND (held.position_ms, held.position_seq) > (reader.position_ms, reader.position_seq)"
    " AND NOT ({stays}))"
)


class Pruned(msgspec.Struct, kw_only=True):
    """What went: flows, the events and tables of days, and versions of workflows that no flow names any more;
    ``kept`` events of these days had to stay. ``chunks`` of task logs went."""

    flows: int = 0
    versions: int = 0
    events: int = 0
    kept: int = 0
    chunks: int = 0
    days: list[str] = []


class Fence(Protocol):
    """What Redis is told and asked, where operations are judged, too: what it knows is never older."""

    async def begin(self, held: Projected, until_ms: int) -> None:
        """From here on nothing of the partition that ended before this moment is put back."""
        ...

    async def put_back(self, partition: int, flows: Sequence[tuple[str, int]]) -> set[str]:
        """Those of the flows (id, version in Postgres) that were put back before, or ended anew since."""
        ...

    async def check(self) -> None:
        """Raises, unless all of that still holds."""
        ...

    async def end(self, *, has_gone: bool) -> None:
        """It is over."""
        ...


async def prune(connection: Connection, *, before_ms: int, fence: Fence) -> Pruned | None:
    """Drops what ended before the day (UTC) of this moment; None: somebody else is at it.

    All of it is one transaction: killed half way, nothing has gone. The projector waits meanwhile, and
    readers of the archive while the old days' tables are exchanged, at its end.

    Raises:
        psycopg.errors.LockNotAvailable: somebody reads the archive for longer than this waits.
        Exception: whatever the fence raises; nothing has gone then.
    """
    cut_ms = before_ms // DAY_MS * DAY_MS
    is_undecided = False  # whether Postgres may have committed
    pruned: Pruned | None = None
    try:
        async with connection.transaction():
            if await _is_the_one(connection):
                pruned = await _prune(connection, cut_ms, fence)
                await fence.check()
                crash_point("prune.done")
                is_undecided = True
    except BaseException:
        if not is_undecided:
            await fence.end(has_gone=False)
        raise
    crash_point("prune.committed")
    if pruned is not None:
        await fence.end(has_gone=True)
        crash_point("prune.told")
    return pruned


async def is_being_pruned(connection: Connection, flow: str) -> bool | None:
    """Whether a prune is at work just now; None: none is, and the flow has no row (any more)."""
    if not await _is_the_one(connection):
        return True
    row = await (
        await connection.execute("SELECT FROM kr_flow_stat WHERE task_flow_id = %s", [flow])
    ).fetchone()
    return None if row is None else False


async def _prune(connection: Connection, cut_ms: int, fence: Fence) -> Pruned:
    pruned = Pruned()
    await connection.execute(SQL("SET LOCAL idle_in_transaction_session_timeout = {}").format(_IDLE_TIMEOUT))
    positions = await (await connection.execute(_POSITIONS)).fetchall()
    await connection.execute(_FLOWS, {"cut": cut_ms})
    ends = {partition: until async for partition, until in await connection.execute(_UNTIL)}
    for row in positions:
        held = Projected(
            partition=row[0], position=row[1], installation=row[2], generation=row[3], partitions=row[4]
        )
        if held.partition in ends and not row[5]:  # of one that was retired nothing is put back
            await fence.begin(held, ends[held.partition])
    crash_point("prune.begun")
    await _spare(connection, fence)
    await connection.execute("CREATE UNIQUE INDEX ON pg_temp.pruned_flow (task_flow_id)")
    await connection.execute("ANALYZE pg_temp.pruned_flow")
    await connection.execute(_LOCK_LINES)  # nothing is added to a day while it is copied
    events = PrunedDays(connection, EVENTS, _STAYS)
    lines = PrunedDays(connection, TABLE, _LINES_STAY)
    await events.copy_what_stays(cut_ms)
    await lines.copy_what_stays(cut_ms)
    pruned.chunks = (await connection.execute(_LATE_LINES, {"cut": cut_ms})).rowcount
    for table in ("kr_task_stat", "kr_flow_stat"):
        gone = await connection.execute(
            SQL("DELETE FROM {} AS held USING pg_temp.pruned_flow AS gone"
                " WHERE gone.task_flow_id = held.task_flow_id").format(Identifier(table))
        )  # fmt: skip
        pruned.flows = gone.rowcount
    pruned.versions = (await connection.execute(_VERSIONS, {"cut": cut_ms})).rowcount
    await connection.execute(_DEFINED, [cut_ms])
    await connection.execute(_SLOTS, [cut_ms])
    await connection.execute(_BACKFILLS, [cut_ms])
    await forget_lost_ends(connection, cut_ms)
    await forget_uses(connection)
    await prune_deliveries(connection, cut_ms)
    await connection.execute("DELETE FROM kr_audit WHERE at_ms < %s", [cut_ms])
    await connection.execute(_UNREAD.format(cut=cut_ms, stays=_STAYS))
    pruned.events = await events.delete_from_default(cut_ms)
    pruned.chunks += await lines.delete_from_default(cut_ms)
    await connection.execute(SQL("SET LOCAL lock_timeout = {}").format(_LOCK_TIMEOUT))
    pruned.events += await events.exchange()
    pruned.chunks += await lines.exchange()
    pruned.kept = events.kept
    pruned.days = events.names
    return pruned


async def old_days(connection: Connection, *, before_ms: int) -> list[int]:
    """The days (since 1970) before the day of this moment that have a table, oldest first."""
    return await PrunedDays(connection, EVENTS, _STAYS).before(before_ms // DAY_MS * DAY_MS)


async def events_of_day(connection: Connection, day: int) -> AsyncGenerator[dict[str, Any]]:
    """Everything that a day's table holds, in log order, as people may want it in a file."""
    statement = SQL(
        "SELECT partition, position_ms || '-' || position_seq, event::text, raw, error FROM {}"
        " ORDER BY partition, position_ms, position_seq"
    ).format(Identifier(table_of_day(day)))
    async with connection.transaction(), connection.cursor(name="exported") as cursor:
        await cursor.execute(statement)
        while rows := await cursor.fetchmany(_PAGE_ROWS):
            for partition, position, event, raw, error in rows:
                entry: dict[str, Any] = {"partition": partition, "position": position}
                if error is None:
                    entry["event"] = msgspec.Raw(event.encode())
                else:
                    entry |= {"raw": bytes(raw), "error": error}
                yield entry


async def _is_the_one(connection: Connection) -> bool:
    row = await (
        await connection.execute(f"SELECT pg_try_advisory_xact_lock({LOCK_SPACE} + %s)", [_LOCK_NUMBER])
    ).fetchone()
    return row == (True,)


async def _spare(connection: Connection, fence: Fence) -> None:
    """Takes flows out that were begun again since."""
    async with connection.cursor(name="pruned") as cursor:
        await cursor.execute(
            "SELECT partition, task_flow_id, version FROM pg_temp.pruned_flow ORDER BY partition"
        )
        spared: set[str] = set()
        while rows := await cursor.fetchmany(_PAGE_ROWS):
            for partition, some in groupby(rows, key=itemgetter(0)):
                spared |= await fence.put_back(partition, [(flow, version) for _, flow, version in some])
    if spared:
        await connection.execute(
            "DELETE FROM pg_temp.pruned_flow WHERE task_flow_id = ANY(%s)", [list(spared)]
        )
