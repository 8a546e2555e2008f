"""What a batch changes, as rows for COPY (new flows and their tasks) and arrays for UPDATE (known ones)."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, LiteralString, TypeVar

import msgspec

from flower_engine.model.definition import PlannedTask
from flower_engine.model.events import FlowRegistered, TaskError, TaskProgressed
from flower_engine.model.status import Status, flow_status
from flower_engine.projection import binary_fields
from flower_engine.projection.binary_fields import NULL, array
from flower_engine.projection.database import Packed
from flower_engine.projection.write.flow_changes import FlowChange, TaskChange
from flower_engine.projection.write.spec_fields import SAME, packed

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode

TASK_COLUMNS: tuple[LiteralString, ...] = (
    "task_exec_seq", "depends_task_exec_seq", "task_id", "task_seq", "task_priority", "parameters",
    "depends_on", *SAME, "task_flow_id", "registered_ts", "exec_status", "attempt", "lost",
    "failures", "worker", "started_ts", "finished_ts", "suspended_ts", "retry_ts", "result", "error",
    "progress", "ignored_by", "ignore_reason",
)  # fmt: skip
"""The columns of ``kr_task_stat`` that follow from events."""
COPY_TASKS = f"COPY kr_task_stat ({', '.join(TASK_COLUMNS)}) FROM STDIN (FORMAT BINARY)"
_task_head = binary_fields.row_head(len(TASK_COLUMNS))

FLOW_COLUMNS: tuple[LiteralString, ...] = (
    "partition", "tasks", "version", "waiting", "running", "suspended", "finished", "ignored", "first_ms",
    "last_ms", "task_flow_id", "task_id", "exec_status", "registered_ts", "started_ts", "finished_ts",
    "suspended_ts", "registered_by", "idempotency_key", "forked_from", "start_ts", "paused_ts", "paused_by",
    "cancelled_ts", "cancelled_by",
)  # fmt: skip
"""The columns of ``kr_flow_stat``; all follow from events."""
COPY_FLOWS = f"COPY kr_flow_stat ({', '.join(FLOW_COLUMNS)}) FROM STDIN (FORMAT BINARY)"
_flow_head = binary_fields.row_head(len(FLOW_COLUMNS))

# NULL in a change means "not said", so what is known is kept; what follows from a status alone is said with
# it, NULL included.
UPDATE_TASKS = """
UPDATE kr_task_stat AS known SET
    exec_status = coalesce(change.exec_status, known.exec_status),
    attempt = coalesce(change.attempt, known.attempt),
    lost = coalesce(change.lost, known.lost),
    failures = coalesce(change.failures, known.failures),
    worker = coalesce(change.worker, known.worker),
    started_ts = coalesce(change.started_ts, known.started_ts),
    finished_ts = CASE WHEN change.exec_status IS NULL THEN known.finished_ts ELSE change.finished_ts END,
    suspended_ts = CASE WHEN change.exec_status IS NULL THEN known.suspended_ts ELSE change.suspended_ts END,
    retry_ts = CASE WHEN change.exec_status IS NULL THEN known.retry_ts ELSE change.retry_ts END,
    result = CASE WHEN change.exec_status IS NULL THEN known.result ELSE change.result END,
    ignored_by = CASE WHEN change.exec_status IS NULL THEN known.ignored_by ELSE change.ignored_by END,
    ignore_reason = CASE WHEN change.exec_status IS NULL THEN known.ignore_reason
        ELSE change.ignore_reason END,
    error = CASE WHEN change.forget_error IS NULL THEN coalesce(change.error, known.error)
        ELSE change.error END,
    progress = CASE WHEN change.forget_progress IS NULL THEN coalesce(change.progress, known.progress)
        ELSE change.progress END,
    parameters = coalesce(change.parameters, known.parameters)
FROM unnest(%b::varchar[], %b::numeric[], %b::numeric[], %b::integer[], %b::integer[], %b::integer[],
    %b::text[], %b::timestamptz[], %b::timestamptz[], %b::timestamptz[], %b::timestamptz[], %b::jsonb[],
    %b::text[], %b::text[], %b::jsonb[], %b::integer[], %b::jsonb[], %b::integer[], %b::json[]) AS change (
    task_flow_id, task_exec_seq, exec_status, attempt, lost, failures,
    worker, started_ts, finished_ts, suspended_ts, retry_ts, result,
    ignored_by, ignore_reason, error, forget_error, progress, forget_progress, parameters)
WHERE known.task_flow_id = change.task_flow_id AND known.task_exec_seq = change.task_exec_seq
"""

UPDATE_FLOWS = """
UPDATE kr_flow_stat AS known SET
    exec_status = CASE
        WHEN known.suspended + change.suspended > 0 THEN 2
        WHEN known.waiting + change.waiting + known.running + change.running = 0 THEN
            CASE WHEN coalesce(change.cancelled_ts,
                CASE WHEN change.reopened IS NULL THEN known.cancelled_ts END) IS NULL THEN 3 ELSE 9 END
        WHEN known.waiting + change.waiting = known.tasks THEN 0
        ELSE 1 END,
    version = greatest(known.version, change.version),
    waiting = known.waiting + change.waiting,
    running = known.running + change.running,
    suspended = known.suspended + change.suspended,
    finished = known.finished + change.finished,
    ignored = known.ignored + change.ignored,
    last_ms = greatest(known.last_ms, change.last_ms),
    started_ts = coalesce(known.started_ts, change.started_ts),
    finished_ts = CASE WHEN change.reopened IS NULL THEN coalesce(change.finished_ts, known.finished_ts)
        ELSE change.finished_ts END,
    suspended_ts = CASE WHEN known.suspended + change.suspended > 0
        THEN coalesce(change.suspended_ts, known.suspended_ts) END,
    cancelled_ts = CASE WHEN change.reopened IS NULL THEN coalesce(change.cancelled_ts, known.cancelled_ts)
        ELSE change.cancelled_ts END,
    cancelled_by = CASE WHEN change.reopened IS NULL THEN coalesce(change.cancelled_by, known.cancelled_by)
        ELSE change.cancelled_by END,
    paused_ts = CASE WHEN change.pause_said IS NULL THEN known.paused_ts ELSE change.paused_ts END,
    paused_by = CASE WHEN change.pause_said IS NULL THEN known.paused_by ELSE change.paused_by END
FROM unnest(%b::varchar[], %b::integer[], %b::integer[], %b::integer[], %b::integer[], %b::integer[],
    %b::integer[], %b::bigint[], %b::timestamptz[], %b::timestamptz[], %b::timestamptz[], %b::integer[],
    %b::timestamptz[], %b::text[], %b::integer[], %b::timestamptz[], %b::text[]) AS change (
    task_flow_id, version, waiting, running, suspended, finished,
    ignored, last_ms, started_ts, finished_ts, suspended_ts, reopened,
    cancelled_ts, cancelled_by, pause_said, paused_ts, paused_by)
WHERE known.task_flow_id = change.task_flow_id
"""

UPDATE_PRIORITIES = """
UPDATE kr_task_stat AS known SET task_priority = change.priority
FROM unnest(%b::varchar[], %b::integer[]) AS change (task_flow_id, priority)
WHERE known.task_flow_id = change.task_flow_id
"""

_NOTHING_SAID = NULL * 4
_FEW = 16  # dependencies that are remembered as they are sent: mostly the same few come again and again
_UNTOUCHED = b"".join([binary_fields.numeric(Status.WAIT), binary_fields.integer(0) * 3, NULL * 10])


def new_tasks(flows: Iterable[FlowChange]) -> bytes:
    """The data of ``COPY_TASKS``: every task of the flows registered in this batch."""
    rows = [binary_fields.COPY_HEAD]
    for flow in flows:
        registered = flow.registered
        if registered is None:
            continue
        flow_fields = binary_fields.text(flow.flow) + binary_fields.timestamptz(registered.at)
        changed = flow.tasks
        workflow = binary_fields.short_text(registered.workflow)
        for planned in registered.tasks:
            task = changed.get(planned.seq)
            rows += (
                _planned(workflow, planned, task, flow.priority),
                flow_fields,
                _UNTOUCHED if task is None else _standing(task),
            )
    rows.append(binary_fields.COPY_TAIL)
    return b"".join(rows)


def new_flows(flows: Iterable[FlowChange], partition: int) -> bytes:
    """The data of ``COPY_FLOWS``: the flows registered in this batch."""
    rows = [binary_fields.COPY_HEAD]
    for flow in flows:
        registered = flow.registered
        if registered is not None:
            rows += (_flow_numbers(flow, len(registered.tasks), partition), _flow_texts(flow, registered))
    rows.append(binary_fields.COPY_TAIL)
    return b"".join(rows)


def changed_tasks(flows: Iterable[FlowChange]) -> list[Packed]:
    """The parameters of ``UPDATE_TASKS``: tasks of flows registered earlier; empty where there are none."""
    flow_ids: list[bytes] = []
    numbers: list[int] = []
    tasks: list[TaskChange] = []
    for flow in flows:
        if flow.registered is None and flow.tasks:
            flow_ids += [binary_fields.text(flow.flow)] * len(flow.tasks)
            numbers += flow.tasks.keys()
            tasks += flow.tasks.values()
    if not tasks:
        return []
    return [
        array(binary_fields.VARCHAR, flow_ids),
        array(binary_fields.NUMERIC, [binary_fields.numeric(number) for number in numbers]),
        _column(binary_fields.NUMERIC, binary_fields.numeric, [task.status for task in tasks]),
        _column(binary_fields.INTEGER, binary_fields.integer, [task.attempt for task in tasks]),
        _column(binary_fields.INTEGER, binary_fields.integer, [task.lost for task in tasks]),
        _column(binary_fields.INTEGER, binary_fields.integer, [task.failures for task in tasks]),
        _column(binary_fields.TEXT, binary_fields.short_text, [task.worker for task in tasks]),
        _column(binary_fields.TIMESTAMPTZ, binary_fields.timestamptz, [task.started_ms for task in tasks]),
        _column(binary_fields.TIMESTAMPTZ, binary_fields.timestamptz, [task.finished_ms for task in tasks]),
        _column(binary_fields.TIMESTAMPTZ, binary_fields.timestamptz, [task.suspended_ms for task in tasks]),
        _column(binary_fields.TIMESTAMPTZ, binary_fields.timestamptz, [task.retry_ms for task in tasks]),
        _column(binary_fields.JSONB, binary_fields.jsonb, [task.result for task in tasks]),
        _column(binary_fields.TEXT, binary_fields.short_text, [task.ignored_by for task in tasks]),
        _column(binary_fields.TEXT, binary_fields.text, [task.ignore_reason for task in tasks]),
        _column(binary_fields.JSONB, _error, [task.error for task in tasks]),
        _flags([task.forget_error for task in tasks]),
        _column(binary_fields.JSONB, _progress, [task.progress for task in tasks]),
        _flags([task.forget_progress for task in tasks]),
        _column(binary_fields.JSON, _json, [task.parameters for task in tasks]),
    ]


def changed_flows(flows: Iterable[FlowChange]) -> list[Packed]:
    """The parameters of ``UPDATE_FLOWS``: flows registered earlier; empty where there are none."""
    known = [flow for flow in flows if flow.registered is None]
    if not known:
        return []
    integer, timestamptz = binary_fields.integer, binary_fields.timestamptz
    return [
        array(binary_fields.VARCHAR, [binary_fields.text(flow.flow) for flow in known]),
        array(binary_fields.INTEGER, [integer(flow.version) for flow in known]),
        array(binary_fields.INTEGER, [integer(flow.waiting) for flow in known]),
        array(binary_fields.INTEGER, [integer(flow.running) for flow in known]),
        array(binary_fields.INTEGER, [integer(flow.suspended) for flow in known]),
        array(binary_fields.INTEGER, [integer(flow.finished) for flow in known]),
        array(binary_fields.INTEGER, [integer(flow.ignored) for flow in known]),
        array(binary_fields.BIGINT, [binary_fields.bigint(flow.last_ms) for flow in known]),
        _column(binary_fields.TIMESTAMPTZ, timestamptz, [flow.started_ms for flow in known]),
        _column(binary_fields.TIMESTAMPTZ, timestamptz, [flow.ended_ms for flow in known]),
        _column(binary_fields.TIMESTAMPTZ, timestamptz, [flow.suspended_ms for flow in known]),
        _flags([flow.reopened for flow in known]),
        _column(
            binary_fields.TIMESTAMPTZ, timestamptz, [flow.cancelled and flow.cancelled.at for flow in known]
        ),
        _column(
            binary_fields.TEXT, binary_fields.text, [flow.cancelled and flow.cancelled.by for flow in known]
        ),
        _flags([flow.pause_said for flow in known]),
        _column(binary_fields.TIMESTAMPTZ, timestamptz, [flow.paused and flow.paused.at for flow in known]),
        _column(binary_fields.TEXT, binary_fields.text, [flow.paused and flow.paused.by for flow in known]),
    ]


def changed_priorities(flows: Iterable[FlowChange]) -> list[Packed]:
    """The parameters of ``UPDATE_PRIORITIES``; empty where there are none."""
    changed = [flow for flow in flows if flow.registered is None and flow.priority is not None]
    if not changed:
        return []
    return [
        array(binary_fields.VARCHAR, [binary_fields.text(flow.flow) for flow in changed]),
        array(binary_fields.INTEGER, [binary_fields.integer(flow.priority or 0) for flow in changed]),
    ]


def _planned(workflow: bytes, task: PlannedTask, changed: TaskChange | None, priority: int | None) -> bytes:
    """The fields of a row that follow from the definition."""
    depends_on = task.depends_on
    return b"".join([
        _task_head,
        binary_fields.numeric(task.seq),
        _last_of(depends_on) if len(depends_on) <= _FEW else binary_fields.numeric(max(depends_on)),
        workflow,
        binary_fields.numeric(task.task_seq),
        binary_fields.numeric(task.priority if priority is None else priority),
        _json(task.parameters if changed is None or changed.parameters is None else changed.parameters),
        _few_of(depends_on) if len(depends_on) <= _FEW else _all_of(depends_on),
        *packed(task),
    ])  # fmt: skip


@lru_cache(4096)
def _last_of(depends_on: tuple[int, ...]) -> bytes:
    return binary_fields.numeric(max(depends_on, default=-1))


@lru_cache(4096)
def _few_of(depends_on: tuple[int, ...]) -> bytes:
    return _all_of(depends_on)


def _all_of(depends_on: tuple[int, ...]) -> bytes:
    return binary_fields.array_field(
        binary_fields.INTEGER, [binary_fields.integer(seq) for seq in depends_on]
    )


def _standing(task: TaskChange) -> bytes:
    """The fields of a row that say how the task stands."""
    # There are as many of these as tasks, so nothing is called for what is not there.
    integer, timestamptz = binary_fields.integer, binary_fields.timestamptz
    started, finished, suspended, retry = task.started_ms, task.finished_ms, task.suspended_ms, task.retry_ms
    has_more = task.error or task.progress or task.ignored_by is not None or task.ignore_reason is not None
    return b"".join((
        binary_fields.numeric(task.status or 0),
        integer(task.attempt or 0),
        integer(task.lost or 0),
        integer(task.failures or 0),
        NULL if task.worker is None else binary_fields.short_text(task.worker),
        NULL if started is None else timestamptz(started),
        NULL if finished is None else timestamptz(finished),
        NULL if suspended is None else timestamptz(suspended),
        NULL if retry is None else timestamptz(retry),
        NULL if task.result is None else binary_fields.jsonb(task.result),
        _said(task) if has_more else _NOTHING_SAID,
    ))  # fmt: skip


def _said(task: TaskChange) -> bytes:
    return b"".join([
        _optional(_error, task.error),
        _optional(_progress, task.progress),
        _optional(binary_fields.short_text, task.ignored_by),
        _optional(binary_fields.text, task.ignore_reason),
    ])  # fmt: skip


def _flow_numbers(flow: FlowChange, tasks: int, partition: int) -> bytes:
    counts = (flow.waiting, flow.running, flow.suspended, flow.finished, flow.ignored)
    numbers = (partition, tasks, flow.version, *counts)
    head = _flow_head + b"".join(map(binary_fields.integer, numbers))
    return head + binary_fields.bigint(flow.first_ms) + binary_fields.bigint(flow.last_ms)


def _flow_texts(flow: FlowChange, registered: FlowRegistered) -> bytes:
    status = flow_status(
        tasks=len(registered.tasks),
        waiting=flow.waiting,
        running=flow.running,
        suspended=flow.suspended,
        cancelled=flow.cancelled is not None,
    )
    cancelled, paused = flow.cancelled, flow.paused
    return b"".join([
        binary_fields.text(flow.flow),
        binary_fields.short_text(registered.workflow),
        binary_fields.numeric(status),
        binary_fields.timestamptz(registered.at),
        _optional(binary_fields.timestamptz, flow.started_ms),
        _optional(binary_fields.timestamptz, flow.ended_ms),
        _optional(binary_fields.timestamptz, flow.suspended_ms if flow.suspended else None),
        _optional(binary_fields.short_text, registered.by or None),
        _optional(binary_fields.text, registered.key or None),
        _optional(binary_fields.text, registered.forked_from or None),
        _optional(binary_fields.timestamptz, registered.start_ms or None),
        _optional(binary_fields.timestamptz, paused and paused.at),
        _optional(binary_fields.short_text, paused and paused.by),
        _optional(binary_fields.timestamptz, cancelled and cancelled.at),
        _optional(binary_fields.short_text, cancelled and cancelled.by),
    ])  # fmt: skip


def _error(error: TaskError) -> bytes:
    return binary_fields.jsonb(_encode(error))


def _progress(progress: TaskProgressed) -> bytes:
    return binary_fields.jsonb(_encode({"fraction": progress.fraction, "note": progress.note}))


def _json(value: dict[str, Any]) -> bytes:
    return binary_fields.json(_encode(value))


def _flags(values: Sequence[bool]) -> Packed:
    """An array of 1 for true and NULL for false: mostly an empty one, so that nothing is sent."""
    return _column(binary_fields.INTEGER, binary_fields.integer, [1 if value else None for value in values])


def _optional(field: Callable[[T], bytes], value: T | None) -> bytes:
    return NULL if value is None else field(value)


def _column(element_type: int, field: Callable[[T], bytes], values: Sequence[T | None]) -> Packed:
    """An array parameter; where no value is said at all, an empty one, which unnest fills up with NULL."""
    found = [NULL if value is None else field(value) for value in values]
    return array(element_type, found if any(value is not None for value in values) else [])
