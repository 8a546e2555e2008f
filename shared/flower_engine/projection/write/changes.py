"""What a batch of events changes: the fold of the batch alone, to be added to what the tables hold.

``model/fold.py`` is the oracle: tables that any cutting of a log into batches was added to equal its fold.
Unlike it, this never refuses: an event that contradicts those before it is for ``flower verify`` to find.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from flower_engine.model.events import (
    AnyEvent,
    FlowCancelled,
    FlowPaused,
    FlowPrioritised,
    FlowRegistered,
    FlowRerun,
    FlowResumed,
    FlowSnapshot,
    FlowTimedOut,
    OutcomeRefused,
    TaskError,
    TaskFinished,
    TaskIgnored,
    TaskLapsed,
    TaskOverdue,
    TaskProgressed,
    TaskRetrying,
    TaskReturned,
    TaskStarted,
    TaskSuspended,
    TaskUnignored,
)
from flower_engine.model.snapshot_registration import (
    LOST_ERROR,
    pause_of,
    progress_of,
    registration_of,
    started_ms,
)
from flower_engine.model.status import Status

_WAIT, _RUNNING, _SUSPEND, _FINISH, _IGNORE = map(
    int, (Status.WAIT, Status.RUNNING, Status.SUSPEND, Status.FINISH, Status.IGNORE)
)  # an enum's attributes are slow to reach


class TaskChange(msgspec.Struct, gc=False):
    """How a task stands after the batch; None: the batch does not say.

    What follows from the status alone is said with it: where there is one, a time, result or name that is
    None is none. ``forget_error`` and ``forget_progress``: what the tables hold of them is over.
    """

    status: int | None = None
    attempt: int | None = None
    worker: str | None = None
    lost: int | None = None
    failures: int | None = None
    started_ms: int | None = None
    finished_ms: int | None = None
    suspended_ms: int | None = None
    retry_ms: int | None = None
    result: bytes | None = None
    ignored_by: str | None = None
    ignore_reason: str | None = None
    error: TaskError | None = None
    forget_error: bool = False
    progress: TaskProgressed | None = None
    forget_progress: bool = False
    parameters: dict[str, Any] | None = None

    def keep(self, before: "TaskChange") -> None:
        """Taken from a snapshot, which does not say everything: what was known of it still holds, if it has
        not moved since."""
        if (self.status, self.attempt or 0) != (before.status, before.attempt or 0):
            return
        self.worker = self.worker or before.worker
        self.started_ms = before.started_ms or self.started_ms
        self.finished_ms = self.finished_ms or before.finished_ms
        self.suspended_ms = before.suspended_ms or self.suspended_ms
        self.result = before.result if self.result is None else self.result
        self.ignored_by = before.ignored_by if self.ignored_by is None else self.ignored_by
        self.ignore_reason = before.ignore_reason if self.ignore_reason is None else self.ignore_reason
        if self.error in (None, LOST_ERROR) and not self.forget_error:
            self.error = before.error or self.error
        if self.progress is None and not self.forget_progress:
            self.progress = before.progress

    def become(self, status: int) -> None:
        """Another status: what followed from the old one is over."""
        self.status = status
        self.finished_ms = self.suspended_ms = self.retry_ms = None
        self.result = self.ignored_by = self.ignore_reason = None


class FlowChange(msgspec.Struct, gc=False):
    """What the batch changes of a flow.

    Counts are differences; where the flow is registered in this batch (``registered``) they start at 0 and
    so are the counts themselves. ``started_ms`` is the first start, the other times the last. ``reopened``:
    an end that the tables hold is over. ``pause_said``: ``paused`` says whether it is paused. ``priority``:
    that of all its tasks, if it was changed. ``is_found``: it begins with a snapshot, so what the tables hold
    of it is replaced.
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
    reopened: bool = False
    cancelled: FlowCancelled | None = None
    pause_said: bool = False
    paused: FlowPaused | None = None
    priority: int | None = None
    is_found: bool = False
    tasks: dict[int, TaskChange] = {}

    def task(self, seq: int) -> TaskChange:
        """The change of a task."""
        task = self.tasks.get(seq)
        if task is None:
            task = self.tasks[seq] = TaskChange()
        return task

    def keep(self, before: "FlowChange") -> None:
        """What was known of a flow that a snapshot found."""
        self.started_ms = before.started_ms or self.started_ms
        if self.paused and before.paused and not self.paused.by:
            self.paused = before.paused
        for seq, task in before.tasks.items():
            if seq in self.tasks:
                self.tasks[seq].keep(task)

    def settle_times(self) -> None:
        """The flow's own times, as far as its tasks tell them."""
        starts = [task.started_ms for task in self.tasks.values() if task.started_ms]
        self.started_ms = self.started_ms or min(starts, default=None)
        failures = [task.suspended_ms for task in self.tasks.values() if task.suspended_ms]
        self.suspended_ms = max(failures, default=None)


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
        counted: Any = event  # isinstance with a union would take as long as all the rest
        if type(event) is FlowSnapshot:
            self.flows[event.flow] = _found(event, self.flows.get(event.flow), position_ms)
            return
        count = _COUNT.get(type(event))
        if count is not None:
            flow = self.touch(counted.flow, position_ms)
            flow.version = counted.v
            count(flow, event)
        elif isinstance(event, OutcomeRefused):
            self.touch(event.flow, position_ms)


def _registered(flow: FlowChange, event: FlowRegistered) -> None:
    if flow.registered is not None:
        return
    flow.registered = event
    flow.waiting += len(event.tasks)
    for seq, result in event.taken.items():
        _close(flow, (seq,), _FINISH, event.at)
        flow.task(seq).result = bytes(result)
        flow.waiting -= 1
    _close(flow, event.ignored, _IGNORE, event.at)
    flow.waiting -= len(event.ignored)


def _found(event: FlowSnapshot, before: FlowChange | None, position_ms: int) -> FlowChange:
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
        if found.status == _SUSPEND:
            task.suspended_ms, task.error = event.at, LOST_ERROR
    flow.waiting, flow.running, flow.suspended, flow.finished, flow.ignored = (
        sum(found.status == status for found in event.tasks)
        for status in (_WAIT, _RUNNING, _SUSPEND, _FINISH, _IGNORE)
    )
    if known:
        flow.keep(known)
    flow.settle_times()
    return flow


def _started(flow: FlowChange, event: TaskStarted) -> None:
    flow.waiting -= 1
    flow.running += 1
    if flow.started_ms is None:
        flow.started_ms = event.at
    task = flow.task(event.task)
    task.become(_RUNNING)
    task.attempt = event.attempt
    task.worker = event.worker
    task.started_ms = event.at


def _finished(flow: FlowChange, event: TaskFinished) -> None:
    flow.running -= 1
    flow.finished += 1
    if event.ends:
        flow.finished_ms = event.at
    task = flow.task(event.task)
    task.become(_FINISH)
    task.finished_ms = event.at
    task.result = bytes(event.result)
    task.progress = task.error = None  # of earlier attempts
    task.forget_progress = task.forget_error = True


def _suspended(flow: FlowChange, event: TaskSuspended) -> None:
    flow.running -= 1
    _suspend(flow, (event.task,), event.at, event.error)
    if event.lost:
        flow.task(event.task).lost = event.lost


def _returned(flow: FlowChange, event: TaskReturned) -> None:
    flow.running -= 1
    flow.waiting += 1
    flow.task(event.task).become(_WAIT)


def _lapsed(flow: FlowChange, event: TaskLapsed) -> None:
    flow.running -= 1
    flow.waiting += 1
    task = flow.task(event.task)
    task.become(_WAIT)
    task.lost = event.lost
    if event.error is not None:
        task.error = event.error


def _retrying(flow: FlowChange, event: TaskRetrying) -> None:
    flow.running -= 1
    flow.waiting += 1
    task = flow.task(event.task)
    task.become(_WAIT)
    task.failures = event.failures
    task.retry_ms = event.due_ms
    task.error = event.error


def _progressed(flow: FlowChange, event: TaskProgressed) -> None:
    flow.task(event.task).progress = event


def _overdue(flow: FlowChange, event: TaskOverdue) -> None:
    flow.waiting -= 1
    _suspend(flow, (event.task,), event.at, event.error)


def _timed_out(flow: FlowChange, event: FlowTimedOut) -> None:
    flow.running -= len(event.running)
    flow.waiting -= len(event.waiting)
    _suspend(flow, event, event.at, event.error)


def _ignored(flow: FlowChange, event: TaskIgnored) -> None:
    if event.was == _SUSPEND:
        flow.suspended -= 1
    else:
        flow.waiting -= 1
    if event.ends:
        flow.finished_ms = event.at
    _close(flow, (event.task,), _IGNORE, event.at)
    _name(flow, (event.task,), event.by, event.reason)


def _unignored(flow: FlowChange, event: TaskUnignored) -> None:
    flow.ignored -= 1
    _reopen(flow, (event.task,))


def _rerun(flow: FlowChange, event: FlowRerun) -> None:
    flow.finished -= len(event.finished)
    flow.ignored -= len(event.ignored)
    flow.suspended -= len(event.suspended)
    flow.waiting -= len(event.waiting)
    _reopen(flow, event)
    for seq, parameters in event.parameters.items():
        flow.task(seq).parameters = parameters


def _cancelled(flow: FlowChange, event: FlowCancelled) -> None:
    flow.waiting -= len(event.waiting)
    flow.running -= len(event.running)
    flow.suspended -= len(event.suspended)
    _close(flow, event, _IGNORE, event.at)
    _name(flow, event, event.by, event.reason or "cancelled")
    flow.finished_ms = event.at
    flow.cancelled = event
    flow.pause_said, flow.paused = True, None


def _paused(flow: FlowChange, event: FlowPaused) -> None:
    flow.pause_said, flow.paused = True, event


def _prioritised(flow: FlowChange, event: FlowPrioritised) -> None:
    flow.priority = event.priority


def _resumed(flow: FlowChange, _event: FlowResumed) -> None:
    flow.pause_said, flow.paused = True, None


def _suspend(flow: FlowChange, tasks: Iterable[int], at: int, error: TaskError) -> None:
    flow.suspended_ms = at
    for seq in tasks:
        flow.suspended += 1
        task = flow.task(seq)
        task.become(_SUSPEND)
        task.suspended_ms = at
        task.error = error


def _close(flow: FlowChange, tasks: Iterable[int], status: int, at: int) -> None:
    for seq in tasks:
        if status == _FINISH:
            flow.finished += 1
        else:
            flow.ignored += 1
        task = flow.task(seq)
        task.become(status)
        task.finished_ms = at


def _name(flow: FlowChange, tasks: Iterable[int], by: str, reason: str) -> None:
    """Who passed over the tasks, and why."""
    for seq in tasks:
        task = flow.task(seq)
        task.ignored_by = by
        task.ignore_reason = reason or None


def _reopen(flow: FlowChange, tasks: Iterable[int]) -> None:
    flow.reopened = True
    flow.finished_ms = flow.cancelled = None
    for seq in tasks:
        flow.waiting += 1
        task = flow.task(seq)
        task.become(_WAIT)
        task.lost = task.failures = 0
        task.error = None
        task.forget_error = True


_COUNT: dict[type, Callable[[FlowChange, Any], None]] = {
    FlowRegistered: _registered,
    TaskStarted: _started,
    TaskFinished: _finished,
    TaskSuspended: _suspended,
    TaskReturned: _returned,
    TaskLapsed: _lapsed,
    TaskRetrying: _retrying,
    TaskProgressed: _progressed,
    TaskOverdue: _overdue,
    FlowTimedOut: _timed_out,
    TaskIgnored: _ignored,
    TaskUnignored: _unignored,
    FlowRerun: _rerun,
    FlowCancelled: _cancelled,
    FlowPaused: _paused,
    FlowResumed: _resumed,
    FlowPrioritised: _prioritised,
}
