"""What a batch of events changes: the fold of the batch alone, to be added to what the tables hold.

``model/fold.py`` is the oracle: tables that any cutting of a log into batches was added to equal its fold.
Unlike it, this never refuses: an event that contradicts those before it is for ``flower verify`` to find.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from flower_engine.model.events import (
    AnyEvent,
    FlowRegistered,
    LogOpened,
    OutcomeRefused,
    TaskError,
    TaskFinished,
    TaskLapsed,
    TaskReturned,
    TaskStarted,
    TaskSuspended,
)
from flower_engine.model.status import Status

_WAIT, _RUNNING, _SUSPEND, _FINISH = map(
    int, (Status.WAIT, Status.RUNNING, Status.SUSPEND, Status.FINISH)
)  # an enum's attributes are slow to reach


class TaskChange(msgspec.Struct, gc=False):
    """How a task stands after the batch; None: the batch does not say."""

    status: int = _WAIT
    attempt: int | None = None
    worker: str | None = None
    lost: int | None = None
    started_ms: int | None = None
    finished_ms: int | None = None
    suspended_ms: int | None = None
    result: bytes | None = None
    error: TaskError | None = None


class FlowChange(msgspec.Struct, gc=False):
    """What the batch changes of a flow.

    Counts are differences; where the flow is registered in this batch (``registered``) they start at 0 and
    so are the counts themselves. ``started_ms`` is the first start, the other times the last.
    """

    flow: str
    first_ms: int
    last_ms: int
    registered: FlowRegistered | None = None
    version: int = 0
    waiting: int = 0
    running: int = 0
    suspended: int = 0
    finished: int = 0
    ignored: int = 0
    started_ms: int | None = None
    finished_ms: int | None = None
    suspended_ms: int | None = None
    tasks: dict[int, TaskChange] = {}


class Changes:
    """The flows that a batch changes, by id, in the order in which it first names them."""

    def __init__(self) -> None:
        self.flows: dict[str, FlowChange] = {}

    def touch(self, flow_id: str, position_ms: int) -> FlowChange:
        """The flow has an event at a position of this millisecond."""
        flow = self.flows.get(flow_id)
        if flow is None:
            flow = self.flows[flow_id] = FlowChange(flow_id, position_ms, position_ms)
        else:
            flow.last_ms = position_ms
        return flow

    def add(self, event: AnyEvent, position_ms: int) -> None:
        """Count the next event, which lies at a position of this millisecond."""
        if isinstance(event, LogOpened):
            return
        flow = self.touch(event.flow, position_ms)
        if isinstance(event, OutcomeRefused):
            return
        flow.version = event.v
        if isinstance(event, FlowRegistered):
            if flow.registered is None:
                flow.registered = event
                flow.waiting += len(event.tasks)
            return
        task = flow.tasks.get(event.task)
        if task is None:
            task = flow.tasks[event.task] = TaskChange()
        _COUNT[type(event)](flow, task, event)


def _started(flow: FlowChange, task: TaskChange, event: TaskStarted) -> None:
    flow.waiting -= 1
    flow.running += 1
    if flow.started_ms is None:
        flow.started_ms = event.at
    task.status = _RUNNING
    task.attempt = event.attempt
    task.worker = event.worker
    task.started_ms = event.at


def _finished(flow: FlowChange, task: TaskChange, event: TaskFinished) -> None:
    flow.running -= 1
    flow.finished += 1
    if event.ends:
        flow.finished_ms = event.at
    task.status = _FINISH
    task.finished_ms = event.at
    task.result = bytes(event.result)


def _suspended(flow: FlowChange, task: TaskChange, event: TaskSuspended) -> None:
    flow.running -= 1
    flow.suspended += 1
    flow.suspended_ms = event.at
    task.status = _SUSPEND
    task.suspended_ms = event.at
    task.error = event.error
    if event.lost:
        task.lost = event.lost


def _returned(flow: FlowChange, task: TaskChange, _event: TaskReturned) -> None:
    flow.running -= 1
    flow.waiting += 1
    task.status = _WAIT


def _lapsed(flow: FlowChange, task: TaskChange, event: TaskLapsed) -> None:
    flow.running -= 1
    flow.waiting += 1
    task.status = _WAIT
    task.lost = event.lost


_COUNT: dict[type, Callable[[FlowChange, TaskChange, Any], None]] = {
    TaskStarted: _started,
    TaskFinished: _finished,
    TaskSuspended: _suspended,
    TaskReturned: _returned,
    TaskLapsed: _lapsed,
}
