"""What monitoring asks Postgres: numbers that an index knows, and since when a few tasks are ready."""

from collections.abc import Sequence

import msgspec

from flower_engine.projection.database import Connection

_MOST = 100_000  # counted; more is told as this

_COUNTS = """
SELECT
  (SELECT count(*) FROM (
    SELECT FROM kr_task_stat WHERE suspended_ts IS NOT NULL AND ended_as IS NULL LIMIT %(most)s) AS held),
  (SELECT count(*) FROM (SELECT FROM kr_flow_stat WHERE finished_ts IS NULL LIMIT %(most)s) AS open),
  pg_database_size(current_database())
"""
_QUEUES = "SELECT DISTINCT coalesce(queue, 'default') FROM ms_task_definition LIMIT %(most)s"
_FOLLOWERS = """
SELECT known.name, max(split_part(projected.position, '-', 1)::bigint - known.position_ms)
FROM kr_follower AS known JOIN kr_projection AS projected USING (partition)
WHERE projected.position IS NOT NULL AND known.position_ms > 0 GROUP BY known.name
"""
_SINCE = """
SELECT (extract(epoch FROM clock_timestamp() - greatest(
    task.registered_ts, flow.start_ts, task.retry_ts,
    (SELECT max(other.finished_ts) FROM kr_task_stat AS other
     WHERE other.task_flow_id = task.task_flow_id AND other.task_exec_seq = ANY(task.depends_on::numeric[]))
  )) * 1000)::bigint
FROM unnest(%(flows)s::text[], %(tasks)s::numeric[]) AS named (flow, task)
JOIN kr_task_stat AS task ON task.task_flow_id = named.flow AND task.task_exec_seq = named.task
JOIN kr_flow_stat AS flow ON flow.task_flow_id = named.flow
WHERE task.exec_status = 0
"""


class PostgresGauges(msgspec.Struct, frozen=True):
    """``suspended`` and ``open_flows`` go up to 100,000; ``queues``: those that definitions name;
    ``followers``: by how many ms of events those who follow the archive are behind it."""

    suspended: int
    open_flows: int
    size_bytes: int
    queues: list[str]
    followers: dict[str, int]


async def read_postgres_gauges(connection: Connection, most_queues: int) -> PostgresGauges:
    """The numbers as they are."""
    cursor = await connection.execute(_COUNTS, {"most": _MOST})
    row = await cursor.fetchone()
    assert row is not None
    cursor = await connection.execute(_QUEUES, {"most": most_queues})
    queues = [str(queue) for (queue,) in await cursor.fetchall()]
    cursor = await connection.execute(_FOLLOWERS)
    followers = {str(name): max(0, int(ms)) for name, ms in await cursor.fetchall()}
    return PostgresGauges(int(row[0]), int(row[1]), int(row[2]), queues, followers)


async def longest_ready_ms(connection: Connection, tasks: Sequence[tuple[str, int]]) -> int | None:
    """For how long the longest of these ready tasks (flow, number) has been ready, as far as Postgres knows
    them; since a rerun, it is counted from the end of what the task depends on. None: it knows none."""
    cursor = await connection.execute(
        _SINCE, {"flows": [flow for flow, _ in tasks], "tasks": [task for _, task in tasks]}
    )
    ages = [int(age) for (age,) in await cursor.fetchall() if age is not None]
    return max(0, *ages) if ages else None
