"""Failed tasks that failed alike: what one line of the grouped errors stands for, flow by flow."""

from typing import Any

import msgspec
from psycopg.sql import SQL

from flower_engine.model.values.message_shapes import shape_of
from flower_engine.projection.database import Connection
from flower_engine.projection.read.error_groups import MOST_TASKS
from flower_engine.projection.read.flow_selection import FlowSelection, conditions_of

# The latest, as in the groups; messages are cut where those are.
_ALIKE = SQL("""
SELECT flow.registered_ts, task.task_flow_id, flow.task_id, task.task_exec_seq::int, task.message
FROM (
    SELECT task_flow_id, task_exec_seq, left(coalesce(error ->> 'message', ''), 400) AS message
    FROM kr_task_stat
    WHERE suspended_ts IS NOT NULL AND coalesce(program, '') = %(program)s
        AND coalesce(error ->> 'type', '') = %(type)s {held}
    ORDER BY suspended_ts DESC, task_flow_id DESC, task_exec_seq DESC LIMIT %(tasks)s
) AS task JOIN kr_flow_stat AS flow ON flow.task_flow_id = task.task_flow_id
WHERE {conditions} ORDER BY flow.registered_ts, task.task_flow_id, task.task_exec_seq
""")
_HELD = SQL("AND ended_as IS NULL")


class Fault(msgspec.Struct, frozen=True):
    """What failures have in common: program, type of the error, shape of its message."""

    program: str
    type: str
    shape: str


class AlikeFlow(msgspec.Struct):
    """A flow, its workflow, and its tasks that failed so."""

    flow: str
    workflow: str
    tasks: list[int]


async def tasks_alike(
    connection: Connection, fault: Fault, selection: FlowSelection, *, held: bool = False
) -> list[AlikeFlow]:
    """The tasks in Suspend that failed so, of the ``MOST_TASKS`` of their program and type that failed last,
    in flows that match, the oldest first. ``held``: only those about which somebody must decide."""
    conditions, values = conditions_of(selection)
    statement = _ALIKE.format(conditions=SQL(" AND ").join(conditions), held=_HELD if held else SQL(""))
    values |= {"program": fault.program, "type": fault.type, "tasks": MOST_TASKS}
    rows: list[Any] = await (await connection.execute(statement, values)).fetchall()
    flows: dict[str, AlikeFlow] = {}
    for _, flow, workflow, task, message in rows:
        if shape_of(message) == fault.shape:
            flows.setdefault(flow, AlikeFlow(flow, workflow, [])).tasks.append(task)
    return list(flows.values())
