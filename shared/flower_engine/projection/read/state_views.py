"""How flows are shown that Postgres does not have yet: the structs of ``views.py``, from folds of events."""

import msgspec

from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.tasks.status import Status
from flower_engine.model.values.times import is_shown
from flower_engine.projection.read.end_views import END_WORDS
from flower_engine.projection.read.view_fields import beyond, moment, moment_or_none
from flower_engine.projection.read.views import (
    STATUS_WORDS,
    AwaitingView,
    FlowView,
    ProgressView,
    TaskView,
    add_children,
    failed_tasks,
)


def view_of_state(flow: FlowState, partition: int) -> FlowView:
    """A flow and its tasks, from the fold of its events."""
    status = flow.status
    count = [task.status for task in flow.tasks].count
    started = [task.started_ms for task in flow.tasks if task.started_ms is not None]
    tasks = [_view_of_task(task, flow.registered_ms) for task in flow.tasks]
    view = FlowView(
        task_flow_id=flow.flow,
        task_id=flow.workflow,
        status=STATUS_WORDS[status],
        exec_status=status,
        partition=partition,
        version=flow.version,
        rounds=flow.rounds,
        task_count=len(flow.tasks),
        waiting=count(Status.WAIT),
        running=count(Status.RUNNING),
        suspended=count(Status.SUSPEND),
        finished=count(Status.FINISH),
        ignored=count(Status.IGNORE),
        registered_ts=moment(flow.registered_ms),
        started_ts=moment_or_none(min(started, default=None)),
        finished_ts=moment_or_none(flow.ended_ms),
        suspended_ts=moment_or_none(flow.suspended_ms),
        registered_by=flow.registered.by or None,
        key=flow.registered.key or None,
        forked_from=flow.registered.forked_from or None,
        start_ts=moment_or_none(flow.registered.start_ms or None),
        paused_ts=moment_or_none(flow.paused and flow.paused.at),
        paused_by=flow.paused and flow.paused.by,
        cancelled_ts=moment_or_none(flow.cancelled and flow.cancelled.at),
        cancelled_by=flow.cancelled and flow.cancelled.by,
        ending_ts=moment_or_none(flow.ending and flow.ending.at),
        ending_cause=flow.ending and flow.ending.cause,
        ending_until_ts=moment_or_none((flow.ending and flow.ending.until_ms) or None),
        workflow_version=flow.registered.definition or None,
        schedule_uid=flow.registered.schedule or None,
        slot_ts=moment_or_none(flow.registered.slot or None),
        previous_slot_ts=moment_or_none(flow.registered.previous_slot or None),
        next_slot_ts=moment_or_none(flow.registered.next_slot or None),
        unreadable=[] if is_shown(flow.registered.start_ms) else [beyond("startTs")],
        parameters=msgspec.Raw(msgspec.json.encode(flow.registered.parameters or None)),
        parent_flow_id=flow.registered.parent or None,
        parent_task=flow.registered.parent_task or None,
        parent_attempt=flow.registered.parent_attempt or None,
        parent_round=flow.registered.parent_round,
        trunk_flow_id=flow.registered.trunk or None,
        failed_tasks=failed_tasks(tasks),
        tasks=tasks,
    )
    add_children(view)
    return view


def taken_from(task: TaskState) -> int | None:
    """The earlier item whose result an item has; None: its own, or none."""
    has_it = task.status is Status.FINISH and not task.attempt
    return task.taken_from if has_it and task.taken_from > 0 else None


def _awaiting(task: TaskState) -> AwaitingView | None:
    said = task.awaiting
    if said is None:
        return None
    until = moment(said.until_ms) if said.until_ms else None
    return AwaitingView(said.kind, moment(said.at), until, list(task.votes or ()))


def _view_of_task(task: TaskState, registered_ms: int) -> TaskView:
    planned = task.planned
    return TaskView(
        task_exec_seq=planned.seq,
        task_seq=planned.task_seq,
        task_name=planned.task_name,
        program=planned.program,
        queue=planned.queue,
        status=STATUS_WORDS[task.status],
        exec_status=task.status,
        workflow_version=planned.definition or None,
        task_priority=planned.priority,
        depends_on=list(planned.own_dependencies),
        when_is=planned.when,
        wait_reason=None,
        attempt=task.attempt,
        lost=task.lost,
        worker=task.worker or None,
        registered_ts=moment(task.came_ms or registered_ms),
        started_ts=moment_or_none(task.started_ms),
        finished_ts=moment_or_none(task.finished_ms),
        suspended_ts=moment_or_none(task.suspended_ms),
        failures=task.failures,
        retry_ts=moment_or_none(task.retry_ms),
        again_ts=moment_or_none(task.again_ms),
        round=task.round,
        given=msgspec.Raw(task.given or b"null"),
        max_rounds=planned.max_rounds,
        progress=task.progress and ProgressView(task.progress.fraction, task.progress.note),
        awaiting=_awaiting(task),
        ignored_by=task.ignored_by,
        ignore_reason=task.ignore_reason,
        parameters=msgspec.Raw(msgspec.json.encode(planned.parameters)),
        result=msgspec.Raw(task.result or b"null"),
        blob=task.blob,
        has_stand_in=task.status == Status.IGNORE and (task.result is not None or task.blob is not None),
        error=task.error,
        rule=planned.rule,
        on_failure=planned.on_failure,
        finally_=planned.finally_,
        ended_as=END_WORDS.get(task.ended_as),
        gives_up_ts=moment_or_none(task.gives_up_ms),
        not_taken=None,
        item_of=planned.item and planned.item[0],
        item_index=planned.item and planned.item[1],
        item_key=planned.item_key or None,
        items=None,
        taken_from=taken_from(task),
    )
