"""Approvals that wait for an answer, across all flows, those that were asked last first. As with failed
tasks, an index holds these and no others; what is said of each is in its parameters, so who filters by that
reads them."""

from typing import Any

import msgspec
from psycopg.sql import SQL, Composable

from flower_engine.projection.database import Connection

_LIST = SQL("""
SELECT task.task_flow_id, task.task_exec_seq::int, task.task_id, task.task_seq::bigint, task.task_name,
    coalesce(task.attempt, 0), (task.awaiting ->> 'since_ms')::bigint,
    coalesce((task.awaiting ->> 'until_ms')::bigint, 0), coalesce(task.votes, '[]')::text,
    task.parameters::text, CASE WHEN flow.trunk_flow_id IS NULL THEN flow.registered_by ELSE (
        SELECT trunk.registered_by FROM kr_flow_stat AS trunk WHERE trunk.task_flow_id = flow.trunk_flow_id
    ) END, flow.paused_ts IS NOT NULL
FROM kr_task_stat AS task JOIN kr_flow_stat AS flow USING (task_flow_id)
WHERE {conditions}
ORDER BY (task.awaiting ->> 'since_ms')::bigint DESC, task.task_flow_id DESC, task.task_exec_seq DESC
LIMIT %(limit)s
""")
_BEHIND = SQL(
    "((task.awaiting ->> 'since_ms')::bigint, task.task_flow_id, task.task_exec_seq)"
    " < (%(since_ms)s, %(flow)s, %(task)s)"
)
_RESULTS = """
SELECT task.task_flow_id, task.task_seq::bigint, task.task_name, task.result::text
FROM kr_task_stat AS task JOIN unnest(%(flows)s::text[], %(names)s::text[]) AS wanted (flow, name)
    ON task.task_flow_id = wanted.flow AND (task.task_name = wanted.name OR task.task_seq::text = wanted.name)
WHERE task.item_of IS NULL AND task.blob IS NULL
    AND (task.exec_status = 3 OR task.exec_status = 9 AND task.result IS NOT NULL)
"""


class ApprovalCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where the list goes on: behind this one. ``since_ms``: when it was asked."""

    since_ms: int
    flow: str
    task: int


class AskedRow(msgspec.Struct, frozen=True):
    """An approval that waits, as it stands in the tables; ``until_ms`` 0: for ever."""

    flow: str
    task: int
    workflow: str
    task_seq: int
    task_name: str | None
    attempt: int
    since_ms: int
    until_ms: int
    votes: str
    parameters: str
    registered_by: str
    is_paused: bool

    @property
    def cursor(self) -> ApprovalCursor:
        """Where a list goes on behind it."""
        return ApprovalCursor(self.since_ms, self.flow, self.task)


async def list_asked(
    connection: Connection, workflow: str | None, *, behind: ApprovalCursor | None, limit: int
) -> list[AskedRow]:
    """Up to ``limit`` approvals that wait for an answer, of this workflow or of all."""
    conditions: list[Composable] = [
        SQL("task.awaiting IS NOT NULL AND task.awaiting ->> 'kind' = 'approval'")
    ]
    values: dict[str, Any] = {"limit": limit}
    if workflow is not None:
        conditions.append(SQL("task.task_id = %(workflow)s"))
        values["workflow"] = workflow
    if behind is not None:
        conditions.append(_BEHIND)
        values |= {"since_ms": behind.since_ms, "flow": behind.flow, "task": behind.task}
    statement = _LIST.format(conditions=SQL(" AND ").join(conditions))
    rows = await (await connection.execute(statement, values)).fetchall()
    return [AskedRow(*row[:10], registered_by=row[10] or "", is_paused=row[11]) for row in rows]


async def results_of(connection: Connection, wanted: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The results (JSON) of tasks by (flow, name or taskSeq), as far as they stand in the tables."""
    if not wanted:
        return {}
    values = {"flows": [flow for flow, _ in wanted], "names": [name for _, name in wanted]}
    rows = await (await connection.execute(_RESULTS, values)).fetchall()
    found: dict[tuple[str, str], str] = {}
    for flow, seq, name, result in rows:
        said = result or "null"
        found[flow, str(seq)] = said
        if name is not None:
            found[flow, name] = said
    return found
