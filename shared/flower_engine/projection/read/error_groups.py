"""Failed tasks of all flows, grouped by what is the same in them: program, type, shape of message."""

from datetime import datetime
from typing import Any

import msgspec
from psycopg.sql import SQL, Composable

from flower_engine.model.values.message_shapes import shape_of
from flower_engine.projection.database import Connection
from flower_engine.projection.read.view_fields import Moment, View

MOST_TASKS = 20_000
_MOST_WORKFLOWS = 5

# Messages that are the same are counted by Postgres, so that but few have to be sent.
_GROUPS = SQL("""
SELECT coalesce(program, ''), coalesce(error ->> 'type', ''), left(coalesce(error ->> 'message', ''), 400),
    count(*), min(suspended_ts), max(suspended_ts),
    (array_agg(task_flow_id ORDER BY suspended_ts DESC))[1],
    (array_agg(task_exec_seq ORDER BY suspended_ts DESC))[1]::int,
    (array_agg(DISTINCT task_id))[1:%(workflows)s]
FROM (
    SELECT program, error, suspended_ts, task_flow_id, task_exec_seq, task_id FROM kr_task_stat
    WHERE {conditions} ORDER BY suspended_ts DESC, task_flow_id DESC, task_exec_seq DESC LIMIT %(tasks)s
) AS failed GROUP BY 1, 2, 3
""")


class ErrorGroup(View):
    """Tasks that failed alike. ``message``, ``task_flow_id`` and ``task_exec_seq`` are of the one that failed
    last; ``workflows``: some that have such tasks."""

    program: str
    type: str
    shape: str
    tasks: int
    first_ts: Moment
    last_ts: Moment
    message: str
    task_flow_id: str
    task_exec_seq: int
    workflows: list[str]


class ErrorGroups(View):
    """The groups, the one with the latest failure first. ``is_all``: no failed task was left out."""

    groups: list[ErrorGroup]
    is_all: bool


async def group_errors(
    connection: Connection, *, workflow: str | None, since: datetime | None
) -> ErrorGroups:
    """The groups of tasks that stand in Suspend: of the ``MOST_TASKS`` that failed last."""
    conditions: list[Composable] = [SQL("suspended_ts IS NOT NULL")]
    values: dict[str, Any] = {"tasks": MOST_TASKS, "workflows": _MOST_WORKFLOWS}
    if workflow is not None:
        conditions.append(SQL("task_id = %(workflow)s"))
        values["workflow"] = workflow
    if since is not None:
        conditions.append(SQL("suspended_ts >= %(since)s"))
        values["since"] = since
    statement = _GROUPS.format(conditions=SQL(" AND ").join(conditions))
    rows = await (await connection.execute(statement, values)).fetchall()
    groups: dict[tuple[str, str, str], ErrorGroup] = {}
    for row in sorted(rows, key=lambda row: row[5], reverse=True):
        _add(groups, row)
    return ErrorGroups(list(groups.values()), is_all=sum(row[3] for row in rows) < MOST_TASKS)


def _add(groups: dict[tuple[str, str, str], ErrorGroup], row: Any) -> None:
    program, kind, message, tasks, first, last, flow, seq, workflows = row
    key = (program, kind, shape_of(message))
    known = groups.get(key)
    if known is None:
        groups[key] = ErrorGroup(*key, tasks, first, last, message, flow, seq, workflows)
        return
    groups[key] = msgspec.structs.replace(
        known,
        tasks=known.tasks + tasks,
        first_ts=min(known.first_ts, first),
        workflows=sorted({*known.workflows, *workflows})[:_MOST_WORKFLOWS],
    )
