"""What a recovery of Redis adds to a flow's history, and when the flow's timeout is over."""

from collections.abc import Iterable

from flower_engine.model.events.attempt_events import TaskLapsed
from flower_engine.model.events.beginnings import FlowBeginning
from flower_engine.model.events.events import AnyEvent, FlowTimedOut
from flower_engine.model.events.operator_events import (
    FlowEnding,
    FlowRerun,
    TaskIgnored,
    TasksIgnored,
    TaskUnignored,
)
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_error import TaskError

_REDIS_LOST = TaskError(
    type="RedisLost",
    message="Redis was rebuilt from the archive while it ran: its lease is gone, its worker is not to blame",
)


def lapses_of_recovery(flow: FlowState, now_ms: int) -> list[TaskLapsed]:
    """One event for each task that ran when Redis was lost: its lease is gone, it waits for a new attempt.

    No worker is to blame, so none is counted as lost.
    """
    running = [task for task in flow.tasks if task.status is Status.RUNNING]
    return [
        TaskLapsed(
            at=now_ms,
            flow=flow.flow,
            v=flow.version + number,
            task=task.planned.seq,
            attempt=task.attempt,
            lease=task.lease,
            worker=task.worker,
            lost=task.lost,
            error=_REDIS_LOST,
        )
        for number, task in enumerate(running, start=1)
    ]


def timeout_due_ms(events: Iterable[AnyEvent]) -> int | None:
    """When the flow of these events, in order, has taken too long; None: never, or that was said already.

    The time begins with the flow's start, and anew when an operator moves what failed or ended. Of one
    that is ending it is that of its cleanup.
    """
    timeout_ms, due_ms, is_ending = 0, None, False
    for event in events:
        if isinstance(event, FlowBeginning):
            timeout_ms, due_ms = event.timeout_ms, event.due_ms
            is_ending = isinstance(event, FlowSnapshot) and bool(event.ending)
        elif isinstance(event, FlowEnding):
            due_ms, is_ending = event.until_ms, True
        elif isinstance(event, FlowTimedOut):
            due_ms = None
        elif isinstance(event, FlowRerun | TaskUnignored | TaskIgnored | TasksIgnored):
            is_ending = is_ending and (isinstance(event, TaskIgnored | TasksIgnored) or event.ending)
            due_ms = due_ms if is_ending else event.at + timeout_ms
    return due_ms if timeout_ms or is_ending else None
