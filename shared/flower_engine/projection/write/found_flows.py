"""A flow as a snapshot found it: what a batch changes of it is all of it, but for what still holds."""

from flower_engine.model.events import FlowSnapshot
from flower_engine.model.snapshot_registration import (
    LOST_ERROR,
    pause_of,
    progress_of,
    registration_of,
    started_ms,
)
from flower_engine.model.status import Status
from flower_engine.projection.write.flow_changes import FlowChange, TaskChange


def found_flow(event: FlowSnapshot, before: FlowChange | None, position_ms: int) -> FlowChange:
    """The flow as a snapshot found it, with what the batch told of it before where that still holds."""
    known = before if before and before.registered else None
    flow = FlowChange(event.flow, known.first_ms if known else position_ms, position_ms)
    flow.is_found, flow.version = True, event.v
    flow.registered = registration_of(event, known and known.registered)
    flow.pause_said, flow.paused = True, pause_of(event) if event.paused else None
    for seq, found in enumerate(event.tasks, start=1):
        task = flow.tasks[seq] = TaskChange(
            status=found.status,
            attempt=found.attempt,
            lost=found.lost,
            failures=found.failures,
            worker=found.worker or None,
            started_ms=started_ms(found),
            retry_ms=found.due_ms,
            progress=progress_of(event, seq),
        )
        if found.status == Status.SUSPEND:
            task.suspended_ms, task.error = event.at, LOST_ERROR
    flow.waiting, flow.running, flow.suspended, flow.finished, flow.ignored = (
        sum(found.status == status for found in event.tasks) for status in Status
    )
    if known:
        flow.keep(known)
    flow.settle_times()
    return flow
