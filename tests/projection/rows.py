"""The projected tables, as rows to compare: what they hold, and what a log's fold says they must hold."""

from collections.abc import Sequence
from typing import Any

import msgspec
from psycopg.sql import SQL, Identifier

from flower_engine.model.events.attempt_events import TaskStarted
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.folding.fold import fold
from flower_engine.model.folding.schedule_state import fold_schedules
from flower_engine.model.folding.snapshot_registration import started_ms
from flower_engine.model.tasks.status import Status
from flower_engine.projection.database import Connection
from flower_engine.projection.task_columns import DEFAULTS, FLOW_COLUMNS_OF, SELDOM

Row = dict[str, Any]

_TIMES = SQL(", ").join(
    SQL("(extract(epoch FROM {0}) * 1000)::bigint AS {0}").format(Identifier(name))
    for name in ("registered_ts", "started_ts", "finished_ts", "suspended_ts")
)
_RETRY = SQL("(extract(epoch FROM retry_ts) * 1000)::bigint AS retry_ts")
_FLOW_TIMES = SQL(", ").join(
    SQL("(extract(epoch FROM {0}) * 1000)::bigint AS {0}").format(Identifier(name))
    for name in (
        *("start_ts", "paused_ts", "cancelled_ts", "ending_ts", "ending_until_ts"),
        *("slot_ts", "previous_slot_ts", "next_slot_ts"),
    )
)
_SAID = SQL(", ").join(map(Identifier, FLOW_COLUMNS_OF.values()))
_TASKS = SQL(
    "SELECT to_jsonb(row) FROM (SELECT task_flow_id, task_exec_seq, depends_task_exec_seq, task_id, {},"
    " exec_status, ended_as, attempt, lost, failures, worker, definition, result, blob, error, progress,"
    " ignored_by, ignore_reason, awaiting, votes, item_of, item_index, item_key, taken_from, {},"
    " {}"
    " FROM kr_task_stat ORDER BY task_flow_id, task_exec_seq) AS row"
).format(_SAID, _TIMES, _RETRY)
_FLOWS = SQL(
    "SELECT to_jsonb(row) FROM (SELECT task_flow_id, task_id, exec_status, partition, version, tasks,"
    " waiting, running, suspended, finished, ignored, registered_by, idempotency_key, forked_from,"
    " paused_by, cancelled_by, ending_cause, parameters, definition, schedule, {}, {}"
    " FROM kr_flow_stat ORDER BY task_flow_id) AS row"
).format(_TIMES, _FLOW_TIMES)


async def held(connection: Connection) -> tuple[list[Row], list[Row]]:
    """The rows of ``kr_flow_stat`` and ``kr_task_stat``."""
    flows, tasks = [
        [row[0] async for row in await connection.execute(statement)] for statement in (_FLOWS, _TASKS)
    ]
    return flows, tasks


def expected(events: Sequence[AnyEvent]) -> tuple[list[Row], list[Row]]:
    """The rows that these events add up to."""
    flows = sorted(fold(events).values(), key=lambda flow: flow.flow)
    first_start_ms: dict[str, int] = {}
    for event in events:
        if isinstance(event, TaskStarted):
            first_start_ms.setdefault(event.flow, event.at)
        elif isinstance(event, FlowSnapshot):
            starts = [at for at in map(started_ms, event.tasks) if at]
            if starts:
                first_start_ms.setdefault(event.flow, min(starts))
    return (
        [_flow_row(flow, first_start_ms.get(flow.flow)) for flow in flows],
        [_task_row(flow, task) for flow in flows for task in flow.tasks],
    )


_SCHEDULES = (
    "SELECT uid::text, name, version, state, problem, (extract(epoch FROM cursor) * 1000)::bigint, failures,"
    " fired, skipped, missed, (extract(epoch FROM last_slot) * 1000)::bigint, coalesce(last_flow, '')"
    " FROM kr_schedule ORDER BY uid"
)
_SLOTS = (
    "SELECT uid::text, (extract(epoch FROM slot) * 1000)::bigint, (extract(epoch FROM until) * 1000)::bigint,"
    " count, state, reason, detail, flow, late_ms, backfill, (extract(epoch FROM decided_ts) * 1000)::bigint"
    " FROM kr_schedule_slot ORDER BY uid, slot, backfill"
)


async def held_schedules(connection: Connection) -> tuple[list[Any], list[Any]]:
    """The rows of ``kr_schedule`` and ``kr_schedule_slot``."""
    first, second = [
        [row async for row in await connection.execute(statement)] for statement in (_SCHEDULES, _SLOTS)
    ]
    return first, second


def expected_schedules(events: Sequence[AnyEvent]) -> tuple[list[Any], list[Any]]:
    """The rows that these events add up to."""
    schedules = sorted(fold_schedules(events).values(), key=lambda one: one.uid)
    return (
        [
            (
                *(one.uid, one.name, one.version, one.state, one.problem, one.cursor, one.failures),
                *one.counts().values(),
                *(one.last_slot, one.last_flow),
            )
            for one in schedules
        ],
        [
            (
                *(one.uid, fate.slot, fate.until, fate.count, fate.state, fate.reason, fate.detail),
                *(fate.flow, fate.late_ms, fate.backfill, fate.decided_ms),
            )
            for one in schedules
            for _, fate in sorted(one.fates.items())
        ],
    )


async def archived(connection: Connection) -> list[tuple[str, Any]]:
    """The archive: (position, event) in log order."""
    rows = await connection.execute(
        "SELECT position_ms || '-' || position_seq, event FROM kr_event ORDER BY position_ms, position_seq"
    )
    return await rows.fetchall()


def _flow_row(flow: FlowState, started_ms: int | None) -> Row:
    count = [task.status for task in flow.tasks].count
    return {
        "task_flow_id": flow.flow,
        "task_id": flow.workflow,
        "exec_status": int(flow.status),
        "partition": 0,
        "version": flow.version,
        "tasks": len(flow.tasks),
        "waiting": count(Status.WAIT),
        "running": count(Status.RUNNING),
        "suspended": count(Status.SUSPEND),
        "finished": count(Status.FINISH),
        "ignored": count(Status.IGNORE),
        "registered_ts": flow.registered_ms,
        "started_ts": started_ms,
        "finished_ts": flow.ended_ms,
        "suspended_ts": flow.suspended_ms,
        "registered_by": flow.registered.by or None,
        "idempotency_key": flow.registered.key or None,
        "forked_from": flow.registered.forked_from or None,
        "start_ts": flow.registered.start_ms or None,
        "parameters": flow.registered.parameters or None,
        "definition": flow.registered.definition or None,
        "schedule": flow.registered.schedule or None,
        "slot_ts": flow.registered.slot or None,
        "previous_slot_ts": flow.registered.previous_slot or None,
        "next_slot_ts": flow.registered.next_slot or None,
        "paused_ts": flow.paused and flow.paused.at,
        "paused_by": flow.paused and flow.paused.by,
        "ending_ts": flow.ending and flow.ending.at,
        "ending_cause": flow.ending and flow.ending.cause,
        "ending_until_ts": flow.ending and flow.ending.until_ms,
        "cancelled_ts": flow.cancelled and flow.cancelled.at,
        "cancelled_by": flow.cancelled and flow.cancelled.by,
    }


def _task_row(flow: FlowState, task: TaskState) -> Row:
    planned = task.planned
    said = {column: getattr(planned, name) for name, column in FLOW_COLUMNS_OF.items()}
    said |= {FLOW_COLUMNS_OF[name]: None for name in SELDOM if getattr(planned, name) == DEFAULTS[name]}
    said[FLOW_COLUMNS_OF["depends_on"]] = planned.own_dependencies
    said = msgspec.json.decode(msgspec.json.encode(said))
    return said | {
        "task_flow_id": flow.flow,
        "task_exec_seq": planned.seq,
        "depends_task_exec_seq": max(planned.own_dependencies, default=-1),
        "task_id": flow.workflow,
        "exec_status": int(task.status),
        "ended_as": task.ended_as or None,
        "registered_ts": task.came_ms or flow.registered_ms,
        "started_ts": task.started_ms,
        "finished_ts": task.finished_ms,
        "suspended_ts": task.suspended_ms,
        "attempt": task.attempt,
        "lost": task.lost,
        "failures": task.failures,
        "retry_ts": task.retry_ms,
        "progress": task.progress and {"fraction": task.progress.fraction, "note": task.progress.note},
        "awaiting": task.awaiting
        and {
            "kind": task.awaiting.kind,
            "since_ms": task.awaiting.at,
            "until_ms": task.awaiting.until_ms,
        },
        "votes": list(task.votes) if task.votes is not None else None,
        "ignored_by": task.ignored_by,
        "ignore_reason": task.ignore_reason,
        "worker": task.worker or None,
        "definition": planned.definition or None,
        "item_of": planned.item and planned.item[0],
        "item_index": planned.item and planned.item[1],
        "item_key": planned.item_key or None,
        "taken_from": task.taken_from or None,
        "result": msgspec.json.decode(task.result) if task.result is not None else None,
        "blob": msgspec.to_builtins(task.blob),
        "error": msgspec.to_builtins(task.error) if task.error is not None else None,
    }
