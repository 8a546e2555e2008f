"""A flow as a snapshot found it: what a batch changes of it is all of it, but for what still holds."""

from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.folding.snapshot_registration import (
    LOST_ERROR,
    awaiting_of,
    due_of,
    ended_as,
    ending_of,
    error_of,
    pause_of,
    progress_of,
    registration_of,
    started_ms,
)
from flower_engine.model.tasks.status import Status
from flower_engine.projection.write.flow_changes import FlowChange, TaskChange


def found_flow(event: FlowSnapshot, before: FlowChange | None, position_ms: int) -> FlowChange:
    """The flow as a snapshot found it, with what the batch told of it before where that still holds."""
    known = before if before and before.registered else None
    flow = FlowChange(event.flow, known.first_ms if known else position_ms, position_ms)
    flow.replaces, flow.version = True, event.v
    flow.registered = registration_of(event, known and known.registered)
    flow.pause_said, flow.paused = True, pause_of(event) if event.paused else None
    flow.ending = ending_of(event)
    flow.cancelled = flow.ending and flow.ending.cancels
    flow.rounds = event.rounds
    for seq, found in enumerate(event.tasks, start=1):
        task = flow.tasks[seq] = TaskChange(
            status=found.status,
            ended_as=ended_as(found),
            attempt=found.attempt,
            lost=found.lost,
            failures=found.failures,
            worker=found.worker or None,
            started_ms=started_ms(found),
            retry_ms=due_of(found)[0],
            again_ms=due_of(found)[1],
            round=found.round,
            given=bytes(found.given) or None,
            progress=progress_of(event, seq),
            result=bytes(found.result) or None,
            blob=found.blob,
            awaiting=awaiting_of(event, seq) if found.status == Status.WAIT else None,
            votes=found.votes or None,
        )
        if found.status == Status.SUSPEND:
            task.suspended_ms, task.error = event.at, error_of(found)
    flow.waiting, flow.running, flow.suspended, flow.finished, flow.ignored = (
        sum(found.status == status for found in event.tasks) for status in Status
    )
    if known:
        keep(flow, known)
    settle_times(flow)
    return flow


def keep(flow: FlowChange, before: FlowChange) -> None:
    """What was known of the flow before, and still holds: a snapshot does not say everything."""
    flow.started_ms = before.started_ms or flow.started_ms
    if flow.paused and before.paused and not flow.paused.by:
        flow.paused = before.paused
    if flow.ending and before.ending:
        flow.ending = before.ending
    if flow.cancelled and before.cancelled:
        flow.cancelled = before.cancelled
    for seq, task in before.tasks.items():
        if seq in flow.tasks:
            _keep(flow.tasks[seq], task)


def settle_times(flow: FlowChange) -> None:
    """The flow's own times, as far as its tasks tell them."""
    starts = [task.started_ms for task in flow.tasks.values() if task.started_ms]
    flow.started_ms = flow.started_ms or min(starts, default=None)
    failures = [task.suspended_ms for task in flow.tasks.values() if task.suspended_ms]
    flow.suspended_ms = max(failures, default=None)


def _keep(task: TaskChange, before: TaskChange) -> None:
    """What was known of a task that has not moved since."""
    if (task.status, task.attempt or 0) != (before.status, before.attempt or 0):
        return
    task.worker = task.worker or before.worker
    task.started_ms = before.started_ms or task.started_ms
    task.finished_ms = task.finished_ms or before.finished_ms
    task.suspended_ms = before.suspended_ms or task.suspended_ms
    if task.result is None and task.blob is None:
        task.result, task.blob = before.result, before.blob
    task.ignored_by = before.ignored_by if task.ignored_by is None else task.ignored_by
    task.ignore_reason = before.ignore_reason if task.ignore_reason is None else task.ignore_reason
    if task.error in (None, LOST_ERROR) and not task.forget_error:
        task.error = before.error or task.error
    if task.progress is None and not task.forget_progress:
        task.progress = before.progress
