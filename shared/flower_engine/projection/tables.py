"""Writing what changed to the projected tables, whichever ``kr_task_stat`` and ``kr_flow_stat`` the session
means by these names: the live ones, or those that a replay builds beside them."""

from collections.abc import Collection, Sequence
from typing import LiteralString

from flower_engine.projection.changes import FlowChange
from flower_engine.projection.database import Connection, Packed
from flower_engine.projection.rows import (
    COPY_FLOWS,
    COPY_TASKS,
    UPDATE_FLOWS,
    UPDATE_PRIORITIES,
    UPDATE_TASKS,
    changed_flows,
    changed_priorities,
    changed_tasks,
    new_flows,
    new_tasks,
)
from flower_engine.projection.snapshots import take_over

BY_KEY: LiteralString = """
SET plan_cache_mode = force_generic_plan;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_seqscan = off;
SET jit = off;
"""
"""Session settings: statements look every row up by its key, whatever statistics of a growing table say."""


async def write_changes(connection: Connection, flows: Collection[FlowChange], partition: int) -> None:
    """Adds what changed of flows of one partition; call it in a transaction."""
    found = [flow for flow in flows if flow.is_found]
    if found:
        await take_over(connection, found)
    if any(flow.registered for flow in flows):
        await copy_into(connection, COPY_TASKS, new_tasks(flows))
        await copy_into(connection, COPY_FLOWS, new_flows(flows, partition))
    await _update(connection, UPDATE_PRIORITIES, changed_priorities(flows))
    await _update(connection, UPDATE_TASKS, changed_tasks(flows))
    await _update(connection, UPDATE_FLOWS, changed_flows(flows))


async def copy_into(connection: Connection, statement: LiteralString, data: bytes) -> None:
    """Runs a COPY FROM STDIN with this data."""
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write(data)


async def _update(connection: Connection, statement: LiteralString, parameters: Sequence[Packed]) -> None:
    if parameters:
        await connection.execute(statement, parameters, prepare=True)
