"""What a recovery of Redis asks of Postgres, and keeps there."""

from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from typing import LiteralString

import msgspec
from psycopg.rows import TupleRow

from flower_engine.model.events.events import EVENT_TYPES
from flower_engine.projection.archive.archived_events import UNCOUNTED, ArchivedEvent
from flower_engine.projection.archive.refused_events import flow_and_type
from flower_engine.projection.database import Connection
from flower_engine.projection.write.batch import Entry
from flower_engine.projection.write.projected_positions import LOCK_SPACE, Projected

_FLOWS_A_PAGE = 1_000
_BATCH_TASKS = 3_000

_TAKE_GENERATION = """
UPDATE kr_projection SET generation = generation + 1, updated_ts = now()
WHERE partition = %s AND installation = %s AND retired_ts IS NULL
RETURNING partition, position, installation, generation::text, partitions
"""
_HAS_LOST_ROWS = """
SELECT NOT EXISTS (SELECT FROM kr_flow_stat WHERE partition = %(partition)s)
  AND EXISTS (SELECT FROM kr_event WHERE partition = %(partition)s AND type = 'flow.registered')
"""
_ENTRY = """
SELECT coalesce(raw, convert_to(coalesce(event, jsonb_build_object('type', type, 'flow', task_flow_id))::text,
  'UTF8'))
FROM kr_event WHERE partition = %s AND position_ms = %s AND position_seq = %s
"""
_NEWER_EVENT = """
SELECT task_flow_id, position_ms || '-' || position_seq, type FROM kr_event AS told
JOIN kr_flow_stat AS flow USING (task_flow_id)
WHERE told.partition = %(partition)s AND flow.partition = %(partition)s AND flow.finished_ts IS NULL
  AND told.position_ms BETWEEN flow.first_ms AND flow.last_ms
  AND told.error IS NULL AND told.type <> ALL(%(known)s)
LIMIT 1
"""
# Those under way come first: they had their places before those that wait for one.
_OPEN = """
SELECT task_flow_id, tasks, first_ms, last_ms FROM kr_flow_stat WHERE finished_ts IS NULL AND partition = %s
ORDER BY started_ts IS NULL, registered_ts, task_flow_id
"""
_OPEN_OR_NAMED = """
SELECT task_flow_id, tasks, first_ms, last_ms FROM kr_flow_stat
WHERE partition = %(partition)s AND (finished_ts IS NULL OR task_flow_id = ANY(%(flows)s))
ORDER BY first_ms, task_flow_id
"""
_COUNT_OPEN = "SELECT count(*) FROM kr_flow_stat WHERE finished_ts IS NULL AND partition = %s"
_HISTORIES = """
SELECT task_flow_id, position_ms, position_seq, coalesce(raw, convert_to(event::text, 'UTF8')), error
FROM kr_event WHERE task_flow_id = ANY(%s) AND partition = %s AND position_ms BETWEEN %s AND %s
  AND error IS DISTINCT FROM %s
ORDER BY task_flow_id, position_ms, position_seq
"""
_ENDED = """
SELECT task_flow_id, version, (extract(epoch FROM finished_ts) * 1000)::bigint FROM kr_flow_stat
WHERE partition = %s AND finished_ts > now() - make_interval(secs => %s) ORDER BY finished_ts
"""
_TAKEN = """
SELECT idempotency_key, task_flow_id, task_id, (extract(epoch FROM registered_ts) * 1000)::bigint
FROM kr_flow_stat WHERE idempotency_key IS NOT NULL AND partition = %s
  AND registered_ts > now() - make_interval(secs => %s) ORDER BY registered_ts
"""
# An entry whose position the archive has, for the same flow and type, is archived; every other is of a fork.
_KEEP_FORK = """
INSERT INTO kr_fork_event (partition, generation, position_ms, position_seq, task_flow_id, type, raw)
SELECT %(partition)s, %(generation)s, found.ms, found.seq, found.flow, found.type, found.raw
FROM unnest(%(ms)s::bigint[], %(seq)s::bigint[], %(flow)s::text[], %(type)s::text[], %(raw)s::bytea[])
  AS found (ms, seq, flow, type, raw)
WHERE NOT EXISTS (
  SELECT FROM kr_event AS known WHERE known.partition = %(partition)s AND known.position_ms = found.ms
    AND known.position_seq = found.seq AND known.type IS NOT DISTINCT FROM found.type
    AND known.task_flow_id IS NOT DISTINCT FROM found.flow)
ON CONFLICT DO NOTHING
"""
# Found by this recovery, or by one shortly before that did not come to its end.
_FORKED = """
SELECT DISTINCT ON (task_flow_id) raw FROM kr_fork_event AS fork
WHERE partition = %s AND type = 'flow.registered' AND found_ts > now() - interval '1 day'
  AND NOT EXISTS (SELECT FROM kr_flow_stat AS known WHERE known.task_flow_id = fork.task_flow_id)
ORDER BY task_flow_id, generation, position_ms, position_seq
"""

_SLOTS_KNOWN = """
SELECT known.uid::text, (extract(epoch FROM known.cursor) * 1000)::bigint, known.failures,
  (SELECT (extract(epoch FROM max(slot)) * 1000)::bigint FROM kr_schedule_slot AS held
   WHERE held.uid = known.uid AND held.state = 'held' AND held.slot > known.cursor)
FROM kr_schedule AS known WHERE known.partition = %s AND known.state <> 'deleted' ORDER BY known.uid
"""
_FORKED_SLOTS = """
SELECT raw FROM kr_fork_event WHERE partition = %s AND type LIKE 'schedule.%%'
  AND found_ts > now() - interval '1 day'
ORDER BY generation, position_ms, position_seq
"""


class OpenFlow(msgspec.Struct, frozen=True):
    """A flow that has not ended; its events lie between these milliseconds."""

    flow: str
    tasks: int
    first_ms: int
    last_ms: int


async def try_to_be_the_one(connection: Connection, partition: int) -> bool:
    """Whether no other recovery of the partition is at work (while this connection lasts)."""
    return await connection.try_lock(LOCK_SPACE, 32768 + partition)


async def take_generation(connection: Connection, partition: int, installation: str) -> Projected | None:
    """Raises the partition's generation: no projector of an older one writes from here on, so the position
    stays where it is. None: the partition is not of this installation."""
    row = await (await connection.execute(_TAKE_GENERATION, [partition, installation])).fetchone()
    if row is None:
        return None
    return Projected(
        partition=row[0], position=row[1], installation=row[2], generation=row[3], partitions=row[4]
    )


async def has_lost_rows(connection: Connection, partition: int) -> bool:
    """Whether the table of flows is empty, although the archive has flows."""
    row = await (await connection.execute(_HAS_LOST_ROWS, {"partition": partition})).fetchone()
    return row == (True,)


class NewerEvent(msgspec.Struct, frozen=True):
    """An archived event of a type that this version does not know."""

    flow: str
    position: str
    type: str


async def newer_event(connection: Connection, partition: int) -> NewerEvent | None:
    """One that a flow which has not ended has; None: there is none."""
    values = {"partition": partition, "known": sorted(EVENT_TYPES)}
    row = await (await connection.execute(_NEWER_EVENT, values)).fetchone()
    return None if row is None else NewerEvent(*row)


async def entry_at(connection: Connection, partition: int, position: str) -> bytes | None:
    """The archived event at a position; where somebody removed it from its row, one that only says of which
    type and flow it was."""
    ms, _, seq = position.partition("-")
    row = await (await connection.execute(_ENTRY, [partition, int(ms), int(seq)])).fetchone()
    return None if row is None else bytes(row[0])


class _Timed(msgspec.Struct):
    at: int = 0


def time_of(raw: bytes) -> int:
    """When an event happened, in engine time; 0 where it does not say."""
    try:
        return msgspec.json.decode(raw, type=_Timed).at
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0


async def count_open_flows(connection: Connection, partition: int) -> int:
    row = await (await connection.execute(_COUNT_OPEN, [partition])).fetchone()
    return int(row[0]) if row else 0


async def open_flows(connection: Connection, partition: int) -> AsyncGenerator[list[OpenFlow]]:
    """Every flow of the partition that has not ended, in the order in which they are to come back."""
    async with connection.transaction(), connection.cursor(name="open_flows") as cursor:
        await cursor.execute(_OPEN, [partition])
        while rows := await cursor.fetchmany(_FLOWS_A_PAGE):
            yield [OpenFlow(*row) for row in rows]


async def open_or_named(connection: Connection, partition: int, flows: Sequence[str]) -> list[OpenFlow]:
    """The flows of the partition that have not ended, and these; in the order of their registration."""
    rows = await connection.execute(_OPEN_OR_NAMED, {"partition": partition, "flows": list(flows)})
    return [OpenFlow(*row) async for row in rows]


def in_batches(flows: Iterable[OpenFlow]) -> Iterator[list[OpenFlow]]:
    """The flows, together those whose histories are read at once."""
    batch: list[OpenFlow] = []
    tasks = 0
    for flow in flows:
        batch.append(flow)
        tasks += flow.tasks
        if tasks >= _BATCH_TASKS:
            yield batch
            batch, tasks = [], 0
    if batch:
        yield batch


async def histories(
    connection: Connection, partition: int, flows: Sequence[OpenFlow]
) -> dict[str, list[ArchivedEvent]]:
    """The archived events of these flows, each flow's in log order."""
    first_ms, last_ms = min(flow.first_ms for flow in flows), max(flow.last_ms for flow in flows)
    names = [flow.flow for flow in flows]
    found: dict[str, list[ArchivedEvent]] = {name: [] for name in names}
    for flow, ms, seq, raw, error in await (
        await connection.execute(_HISTORIES, [names, partition, first_ms, last_ms, UNCOUNTED])
    ).fetchall():
        found[flow].append(ArchivedEvent(f"{ms}-{seq}", bytes(raw or b""), error))
    return found


async def ended_lately(connection: Connection, partition: int, seconds: float) -> list[tuple[str, int, int]]:
    """Flows that ended within so many seconds: id, version, ms of the end; oldest first."""
    return [(row[0], row[1], row[2]) for row in await _rows(connection, _ENDED, [partition, seconds])]


async def taken_lately(
    connection: Connection, partition: int, seconds: float
) -> list[tuple[str, str, str, int]]:
    """Idempotency keys of flows registered within so many seconds: key, flow, workflow, ms; oldest first."""
    found = await _rows(connection, _TAKEN, [partition, seconds])
    return [(row[0], row[1], row[2], row[3]) for row in found]


async def keep_fork(connection: Connection, held: Projected, entries: Sequence[Entry]) -> int:
    """Keeps those of a lost log's entries that the archive does not have; returns how many."""
    numbers = [entry.position.partition("-") for entry in entries]
    named = [flow_and_type(entry.raw) for entry in entries]
    kept = await connection.execute(
        _KEEP_FORK,
        {
            "partition": held.partition,
            "generation": int(held.generation),
            "ms": [int(ms) for ms, _, _ in numbers],
            "seq": [int(seq) for _, _, seq in numbers],
            "flow": [flow for flow, _ in named],
            "type": [kind for _, kind in named],
            "raw": [entry.raw for entry in entries],
        },
    )
    return kept.rowcount


async def forked_registrations(connection: Connection, partition: int) -> list[bytes]:
    """The events of registrations that only a fork has."""
    return [bytes(raw) for (raw,) in await _rows(connection, _FORKED, [partition])]


async def slots_known(connection: Connection, partition: int) -> list[tuple[str, int, int, int | None]]:
    """Of each schedule: its uid, up to where its slots have their fates (ms), failures in a row, and the slot
    that waits for a flow."""
    found = await _rows(connection, _SLOTS_KNOWN, [partition])
    return [(row[0], row[1], row[2], row[3]) for row in found]


async def forked_slots(connection: Connection, partition: int) -> list[bytes]:
    """The events of schedules that only a fork has, oldest first."""
    return [bytes(raw) for (raw,) in await _rows(connection, _FORKED_SLOTS, [partition])]


async def _rows(connection: Connection, query: LiteralString, values: Sequence[object]) -> list[TupleRow]:
    return await (await connection.execute(query, values)).fetchall()
