"""What people ask of the projection: flows, one flow with its tasks, its history, and how far it is."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg.sql import SQL, Composable

from flower_engine.errors import HistoryDamagedError
from flower_engine.model.tasks.status import Status
from flower_engine.projection.database import Connection
from flower_engine.projection.read.event_views import EventView
from flower_engine.projection.read.status_conditions import status_conditions
from flower_engine.projection.read.unreadable_rows import decode_flow
from flower_engine.projection.read.views import FlowSummary, FlowView, add_children, failed_tasks

# Postgres builds the JSON: one statement sees one moment, and parameters and results are never decoded.
# Times are seconds since the Unix epoch in it, which leaves the server's time zone out.
_SUMMARY = SQL("""
    'taskFlowId', flow.task_flow_id, 'taskId', flow.task_id, 'execStatus', flow.exec_status,
    'status', CASE flow.exec_status WHEN 0 THEN 'Wait' WHEN 1 THEN 'Running' WHEN 2 THEN 'Suspend'
        WHEN 3 THEN 'Finish' ELSE 'Ignore' END,
    'partition', flow.partition, 'version', flow.version, 'taskCount', flow.tasks, 'waiting', flow.waiting,
    'running', flow.running, 'suspended', flow.suspended, 'finished', flow.finished, 'ignored', flow.ignored,
    'registeredTs', extract(epoch FROM flow.registered_ts),
    'startedTs', extract(epoch FROM flow.started_ts), 'finishedTs', extract(epoch FROM flow.finished_ts),
    'suspendedTs', extract(epoch FROM flow.suspended_ts), 'registeredBy', flow.registered_by,
    'key', flow.idempotency_key, 'forkedFrom', flow.forked_from,
    'startTs', extract(epoch FROM flow.start_ts), 'pausedTs', extract(epoch FROM flow.paused_ts),
    'pausedBy', flow.paused_by, 'cancelledTs', extract(epoch FROM flow.cancelled_ts),
    'cancelledBy', flow.cancelled_by, 'endingTs', extract(epoch FROM flow.ending_ts),
    'endingCause', flow.ending_cause, 'endingUntilTs', extract(epoch FROM flow.ending_until_ts),
    'rounds', coalesce(flow.rounds, 0),
    'workflowVersion', flow.definition, 'lostVersion', flow.lost_version,
    'scheduleUid', flow.schedule, 'slotTs', extract(epoch FROM flow.slot_ts),
    'previousSlotTs', extract(epoch FROM flow.previous_slot_ts),
    'nextSlotTs', extract(epoch FROM flow.next_slot_ts),
    'parentFlowId', flow.parent_flow_id, 'parentTask', flow.parent_task,
    'parentAttempt', flow.parent_attempt, 'parentRound', coalesce(flow.parent_round, 0),
    'trunkFlowId', flow.trunk_flow_id,
    'schedule', CASE WHEN flow.schedule ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
        (SELECT nullif(name, '') FROM kr_schedule WHERE uid = flow.schedule::uuid) END
""")
_TASK = SQL("""
    'taskExecSeq', task.task_exec_seq, 'taskSeq', task.task_seq, 'taskName', task.task_name,
    'program', coalesce(task.program, ''),
    'queue', coalesce(task.queue, 'default'), 'execStatus', task.exec_status,
    'status', CASE task.exec_status WHEN 0 THEN 'Wait' WHEN 1 THEN 'Running' WHEN 2 THEN 'Suspend'
        WHEN 3 THEN 'Finish' ELSE 'Ignore' END,
    'workflowVersion', task.definition,
    'taskPriority', task.task_priority, 'dependsOn', coalesce(task.depends_on, '{}'), 'whenIs', task.when_is,
    'waitReason', NULL,
    'attempt', coalesce(task.attempt, 0), 'lost', coalesce(task.lost, 0), 'worker', task.worker,
    'registeredTs', extract(epoch FROM task.registered_ts),
    'startedTs', extract(epoch FROM task.started_ts), 'finishedTs', extract(epoch FROM task.finished_ts),
    'suspendedTs', extract(epoch FROM task.suspended_ts), 'failures', coalesce(task.failures, 0),
    'retryTs', extract(epoch FROM task.retry_ts),
    'againTs', extract(epoch FROM task.again_ts), 'round', coalesce(task.round, 0), 'given', task.given,
    'maxRounds', coalesce(task.max_rounds, 1000), 'progress', task.progress,
    'awaiting', CASE WHEN task.awaiting IS NOT NULL THEN json_build_object('kind', task.awaiting ->> 'kind',
        'since', (task.awaiting ->> 'since_ms')::numeric / 1000,
        'until', nullif((task.awaiting ->> 'until_ms')::numeric, 0) / 1000,
        'answeredBy', coalesce(task.votes, '[]')) END,
    'ignoredBy', task.ignored_by, 'ignoreReason', task.ignore_reason, 'parameters', task.parameters,
    'result', task.result, 'blob', task.blob,
    'hasStandIn', task.exec_status = 9 AND (task.result IS NOT NULL OR task.blob IS NOT NULL),
    'error', task.error, 'rule', coalesce(task.rule, 'ready'), 'onFailure', coalesce(task.on_failure, 'hold'),
    'finally', coalesce(task.finally, false),
    'endedAs', CASE task.ended_as WHEN 'p' THEN 'passedOver' WHEN 'n' THEN 'notTaken' WHEN 'w' THEN 'notTaken'
        WHEN 'c' THEN 'cancelled' WHEN 'u' THEN 'unneeded' WHEN 'v' THEN 'vanished'
        WHEN 'x' THEN 'givenUp' END,
    'itemOf', task.item_of, 'itemIndex', task.item_index, 'itemKey', task.item_key,
    'items', NULL,
    'takenFrom', CASE WHEN task.exec_status = 3 AND coalesce(task.attempt, 0) = 0 AND task.taken_from > 0
        THEN task.taken_from END,
    'givesUpTs', NULL, 'notTaken', NULL
""")
_FLOW = SQL("""
SELECT json_build_object({summary}, 'parameters', flow.parameters, 'failedTasks', json_build_array(),
    'tasks', (
    SELECT coalesce(json_agg(json_build_object({task}) ORDER BY task.task_exec_seq), json_build_array())
    FROM kr_task_stat AS task WHERE task.task_flow_id = flow.task_flow_id))::text
FROM kr_flow_stat AS flow WHERE flow.task_flow_id = %s
""").format(summary=_SUMMARY, task=_TASK)
_FLOWS = SQL("""
SELECT json_build_object({summary})::text FROM kr_flow_stat AS flow WHERE {conditions}
ORDER BY flow.registered_ts DESC, flow.task_flow_id DESC LIMIT %(limit)s
""")
_OF_IDS = SQL("""
SELECT json_build_object({summary})::text FROM kr_flow_stat AS flow WHERE flow.task_flow_id = ANY(%s)
ORDER BY flow.registered_ts DESC, flow.task_flow_id DESC
""").format(summary=_SUMMARY)
_BY_KEY = """
SELECT DISTINCT ON (idempotency_key) idempotency_key, task_flow_id, task_id FROM kr_flow_stat
WHERE idempotency_key = ANY(%s) ORDER BY idempotency_key, registered_ts, task_flow_id
"""
_BY_PREFIX = """
SELECT task_flow_id FROM kr_flow_stat WHERE task_flow_id >= %(prefix)s AND task_flow_id < %(behind)s
ORDER BY task_flow_id LIMIT %(limit)s
"""
_NEWEST = """
SELECT task_flow_id FROM kr_flow_stat WHERE parent_flow_id IS NULL
ORDER BY registered_ts DESC, task_flow_id DESC LIMIT 1
"""
_POSITION = "SELECT position FROM kr_projection WHERE partition = %s"
_EVENTS = """
SELECT position_ms, position_seq, event::text, error FROM kr_event
WHERE task_flow_id = %s AND partition = %s AND position_ms >= %s AND (position_ms, position_seq) > (%s, %s)
ORDER BY position_ms, position_seq LIMIT %s
"""
_FIRST_MS = "SELECT first_ms FROM kr_flow_stat WHERE task_flow_id = %s"

_flow_decoder = msgspec.json.Decoder(FlowView, strict=False)
_summary_decoder = msgspec.json.Decoder(FlowSummary, strict=False)


class FlowFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which flows are asked for; None and () ask for all. ``failed``: (also) those that have ended with tasks
    that were given up. ``ending``: (also) those that end but for their cleanup. ``parent``: children of this
    flow, ``trunk``: flows of the tree below it; ``children``: false: none that are children."""

    parent: str | None = None
    trunk: str | None = None
    children: bool = True
    workflow: str | None = None
    schedules: tuple[str, ...] | None = None  # their uids
    statuses: tuple[Status, ...] = ()
    failed: bool = False
    ending: bool = False
    since: datetime | None = None
    until: datetime | None = None


class FlowCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a list of flows, newest first, goes on: behind this flow."""

    registered_ts: datetime
    flow: str


async def read_position(connection: Connection, partition: int) -> str | None:
    """The position up to which the partition is projected; None: nothing yet."""
    row = await (await connection.execute(_POSITION, (partition,))).fetchone()
    return row[0] if row else None


async def read_flow(connection: Connection, flow_id: str) -> FlowView | None:
    """The flow with its tasks, all at one moment, or None; wait reasons are left open.

    Raises:
        HistoryDamagedError: a row of it holds what cannot be read.
    """
    row = await (await connection.execute(_FLOW, (flow_id,))).fetchone()
    if row is None:
        return None
    try:
        flow = decode_flow(_flow_decoder, row[0])
    except RecursionError:
        why = "a row of it holds JSON that is nested deeper than a parser goes; replay makes the rows anew"
        raise HistoryDamagedError(flow_id, why) from None
    add_children(flow)
    flow.failed_tasks = failed_tasks(flow.tasks)
    return flow


async def list_flows(
    connection: Connection, asked: FlowFilter, *, behind: FlowCursor | None, limit: int
) -> list[FlowSummary]:
    """Up to ``limit`` flows, newest first."""
    conditions: list[Composable] = [SQL("true")]
    values: dict[str, Any] = {"limit": limit}
    if asked.workflow is not None:
        conditions.append(SQL("flow.task_id = %(workflow)s"))
        values["workflow"] = asked.workflow
    if asked.schedules is not None:
        # Of one, the index has them in the order of the list; there are more where one was made anew.
        is_one = len(asked.schedules) == 1
        conditions.append(
            SQL("flow.schedule = %(schedules)s") if is_one else SQL("flow.schedule = ANY(%(schedules)s)")
        )
        values["schedules"] = asked.schedules[0] if is_one else list(asked.schedules)
    if asked.parent is not None:
        conditions.append(SQL("flow.parent_flow_id = %(parent)s"))
        values["parent"] = asked.parent
    if asked.trunk is not None:
        conditions.append(SQL("flow.trunk_flow_id = %(trunk)s"))
        values["trunk"] = asked.trunk
    if not asked.children:
        conditions.append(SQL("flow.parent_flow_id IS NULL"))
    conditions += status_conditions(asked.statuses, values, failed=asked.failed, ending=asked.ending)
    if asked.since is not None:
        conditions.append(SQL("flow.registered_ts >= %(since)s"))
        values["since"] = asked.since
    if asked.until is not None:
        conditions.append(SQL("flow.registered_ts < %(until)s"))
        values["until"] = asked.until
    if behind is not None:
        conditions.append(SQL("(flow.registered_ts, flow.task_flow_id) < (%(behind_ts)s, %(behind_id)s)"))
        values |= {"behind_ts": behind.registered_ts, "behind_id": behind.flow}
    statement = _FLOWS.format(summary=_SUMMARY, conditions=SQL(" AND ").join(conditions))
    rows = await (await connection.execute(statement, values)).fetchall()
    return [decode_flow(_summary_decoder, row[0]) for row in rows]


async def read_summaries(connection: Connection, flows: Sequence[str]) -> list[FlowSummary]:
    """Those of these flows that are projected, newest first."""
    rows = await (await connection.execute(_OF_IDS, (list(flows),))).fetchall()
    return [decode_flow(_summary_decoder, row[0]) for row in rows]


async def find_by_keys(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[str, str]]:
    """(flow id, workflow) of the flow registered first under each of these idempotency keys that is known."""
    rows = await (await connection.execute(_BY_KEY, (list(keys),))).fetchall()
    return {key: (flow, workflow) for key, flow, workflow in rows}


async def find_by_prefix(connection: Connection, prefix: str, limit: int) -> list[str]:
    """Up to ``limit`` ids of flows that begin so, in order; ``prefix`` is in small letters."""
    # Ids are compared byte by byte, and "~" is behind every character of one.
    values = {"prefix": prefix, "behind": prefix + "~", "limit": limit}
    return [row[0] for row in await (await connection.execute(_BY_PREFIX, values)).fetchall()]


async def newest_flow(connection: Connection) -> str | None:
    """The id of the flow that was registered last and is no child of another one; None: there is none."""
    row = await (await connection.execute(_NEWEST)).fetchone()
    return row[0] if row else None


async def read_events(
    connection: Connection, flow_id: str, partition: int, *, after: tuple[int, int], limit: int
) -> list[EventView]:
    """Up to ``limit`` archived events of the flow behind the position ``after`` (ms, number), in order."""
    first = await (await connection.execute(_FIRST_MS, (flow_id,))).fetchone()
    if first is None:
        return []
    values = (flow_id, partition, max(first[0], after[0]), *after, limit)
    rows = await (await connection.execute(_EVENTS, values)).fetchall()
    return [_event_view(*row) for row in rows]


def _event_view(ms: int, number: int, event: str | None, error: str | None) -> EventView:
    if event is None and error is None:
        error = "somebody removed the event from its row"
    raw = None if event is None else event.encode()
    return EventView.of(f"{ms}-{number}", raw, error, archived=True)
