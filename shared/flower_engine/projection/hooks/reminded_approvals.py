"""Approvals that have waited so long that hooks are to be told again."""

from typing import Any, LiteralString

import msgspec

from flower_engine.projection.database import Connection

# The condition is that of an index, in these words: it holds those that say when to remind, and no others.
_DUE: LiteralString = """
WITH asked AS (
  SELECT task_flow_id AS flow, task_exec_seq::int AS task, coalesce(attempt, 0) AS attempt,
    task_id AS workflow,
    (awaiting ->> 'since_ms')::bigint AS since_ms, coalesce((awaiting ->> 'until_ms')::bigint, 0) AS until_ms,
    (extract(epoch FROM now()) * 1000)::bigint - (awaiting ->> 'since_ms')::bigint AS waited_ms,
    CASE json_typeof(parameters -> %(parameter)s) WHEN 'number'
      THEN (parameters ->> %(parameter)s)::float8 * 1000 END AS every_ms
  FROM kr_task_stat
  WHERE CASE WHEN awaiting ->> 'kind' = 'approval'
    THEN (parameters ->> 'remind_seconds') IS NOT NULL OR (parameters ->> 'escalate_seconds') IS NOT NULL
    ELSE false END
)
SELECT flow, task, attempt, since_ms, until_ms, every_ms::bigint, floor(waited_ms / every_ms)::bigint
FROM asked
WHERE every_ms >= 1 AND waited_ms >= every_ms AND (%(workflow)s::text IS NULL OR workflow = %(workflow)s)
ORDER BY since_ms, flow, task LIMIT %(most)s
"""


class Reminded(msgspec.Struct, frozen=True):
    """An approval that has waited ``times`` times the ``every_ms`` that it says; ``until_ms`` 0: for ever."""

    flow: str
    task: int
    attempt: int
    since_ms: int
    until_ms: int
    every_ms: int
    times: int


async def due_reminders(
    connection: Connection, parameter: str, workflow: str | None, most: int
) -> list[Reminded]:
    """Those whose time by this parameter (``remind_seconds``, ``escalate_seconds``) has passed at least once,
    of this workflow or of all, the oldest first."""
    values: dict[str, Any] = {"parameter": parameter, "workflow": workflow, "most": most}
    rows = await (await connection.execute(_DUE, values)).fetchall()
    return [Reminded(*row) for row in rows]
