"""Suspended flows that nothing happened to for a time."""

from collections.abc import AsyncGenerator

from flower_engine.projection.database import Connection

_PAGE_ROWS = 1_000
_UNTOUCHED = """
SELECT task_flow_id, version, tasks FROM kr_flow_stat
WHERE suspended_ts IS NOT NULL AND finished_ts IS NULL AND running = 0 AND suspended > 0
  AND partition = %s AND last_ms > %s AND last_ms <= %s
"""


async def untouched_flows(
    connection: Connection, partition: int, after_ms: int, until_ms: int, most_tasks: int
) -> AsyncGenerator[list[tuple[str, int]]]:
    """Suspended flows of a partition (id, version) whose last event was between these milliseconds; together
    those that have up to so many tasks."""
    async with connection.transaction(), connection.cursor(name="untouched") as cursor:
        await cursor.execute(_UNTOUCHED, [partition, after_ms, until_ms])
        batch: list[tuple[str, int]] = []
        tasks = 0
        while rows := await cursor.fetchmany(_PAGE_ROWS):
            for flow, version, count in rows:
                batch.append((flow, int(version)))
                tasks += count
                if tasks >= most_tasks:
                    yield batch
                    batch, tasks = [], 0
        if batch:
            yield batch
