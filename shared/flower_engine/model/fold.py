"""The fold: what state a flow's events add up to. The oracle that the Lua scripts are tested against."""

from collections.abc import Iterable

import msgspec

from flower_engine.model.definition import PlannedTask, dependents_of
from flower_engine.model.events import (
    AnyEvent,
    AnyFlowEvent,
    AnyOperatorEvent,
    ControlChanged,
    FlowCancelled,
    FlowPaused,
    FlowPrioritised,
    FlowRegistered,
    FlowRerun,
    FlowResumed,
    FlowSnapshot,
    FlowTimedOut,
    LogOpened,
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
from flower_engine.model.status import Status, flow_status


class FoldError(ValueError):
    """An event does not follow from the state before it: the log is damaged or the engine is wrong."""


class Passed(msgspec.Struct, frozen=True):
    """Who passed over a task, and why."""

    by: str
    reason: str


class TaskState(msgspec.Struct, kw_only=True):
    """One task at a moment. Times are milliseconds; ``open`` counts dependencies not yet final.

    ``failures`` and ``lost`` are counted since the task last began from the start. ``retry_ms`` is when a
    retry is due, or was due if it became ready since. ``progress`` is the last said by an attempt that did
    not finish.
    """

    planned: PlannedTask
    status: Status = Status.WAIT
    open: int = 0
    attempt: int = 0
    failures: int = 0
    lost: int = 0
    lease: str = ""
    worker: str = ""
    started_ms: int | None = None
    finished_ms: int | None = None
    suspended_ms: int | None = None
    retry_ms: int | None = None
    result: bytes | None = None
    error: TaskError | None = None
    progress: TaskProgressed | None = None
    passed: Passed | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it waits for nothing but a worker, or for the time of its retry."""
        return self.status is Status.WAIT and self.open == 0


class FlowState(msgspec.Struct, kw_only=True):
    """One flow at a moment; ``tasks[seq - 1]`` is task ``seq``; ``left`` counts tasks not yet final,
    ``suspended`` those in Suspend; ``suspended_ms`` is when a task was last suspended, None while none is.
    """

    flow: str
    workflow: str
    order: int
    registered_ms: int
    tasks: list[TaskState]
    dependents: list[list[int]]
    registered: FlowRegistered
    version: int = 1
    left: int = 0
    suspended: int = 0
    ended_ms: int | None = None
    suspended_ms: int | None = None
    cancelled: FlowCancelled | None = None
    paused: FlowPaused | None = None

    @property
    def may_be_parked(self) -> bool:
        """Whether nothing of it goes on before an operator acts, so that it may have left Redis."""
        return any(task.status is Status.SUSPEND for task in self.tasks) and not any(
            task.status is Status.RUNNING or task.is_ready for task in self.tasks
        )

    def task(self, seq: int) -> TaskState:
        """Task ``seq`` (1..n)."""
        if not 1 <= seq <= len(self.tasks):
            raise FoldError(f"flow {self.flow} has no task {seq}; its tasks are 1 to {len(self.tasks)}")
        return self.tasks[seq - 1]

    @property
    def done(self) -> int:
        """How many tasks are Finish or Ignore."""
        return len(self.tasks) - self.left

    @property
    def status(self) -> Status:
        """The status of the whole flow."""
        count = [task.status for task in self.tasks].count
        return flow_status(
            tasks=len(self.tasks),
            waiting=count(Status.WAIT),
            running=count(Status.RUNNING),
            suspended=count(Status.SUSPEND),
            cancelled=self.cancelled is not None,
        )


def fold(events: Iterable[AnyEvent]) -> dict[str, FlowState]:
    """The flows that these events, in log order, add up to, by flow id.

    Raises:
        FoldError: an event contradicts those before it; names flow, task and both facts.
    """
    flows: dict[str, FlowState] = {}
    for event in events:
        fold_one(flows, event)
    return flows


def fold_one(flows: dict[str, FlowState], event: AnyEvent) -> None:
    """Adds the next event of the log to the flows of those before it; raises as :func:`fold` does."""
    if isinstance(event, LogOpened | OutcomeRefused | ControlChanged):
        return
    if isinstance(event, FlowRegistered):
        if event.flow in flows:
            raise FoldError(f"flow {event.flow} is registered twice")
        flows[event.flow] = _registered(event)
    elif isinstance(event, FlowSnapshot):
        flows[event.flow] = _snapshot(event, flows.get(event.flow))
    elif event.flow not in flows:
        raise FoldError(f"flow {event.flow} has an event v{event.v} before it is registered")
    else:
        _apply(flows[event.flow], event)


def _begin(registered: FlowRegistered) -> FlowState:
    """The flow with all of its tasks waiting."""
    refuse_odd_numbers(registered)
    return FlowState(
        flow=registered.flow,
        workflow=registered.workflow,
        order=registered.order,
        registered_ms=registered.at,
        tasks=[TaskState(planned=task, open=len(task.depends_on)) for task in registered.tasks],
        dependents=dependents_of(registered.tasks),
        registered=registered,
        version=registered.v,
        left=len(registered.tasks),
    )


def refuse_odd_numbers(registered: FlowRegistered) -> None:
    """For a registration whose tasks are not numbered 1..n, or depend on others than these.

    Raises:
        FoldError: it is one.
    """
    count = len(registered.tasks)
    for seq, task in enumerate(registered.tasks, start=1):
        if task.seq != seq:
            raise FoldError(f"flow {registered.flow}: its task {seq} is numbered {task.seq}")
        if task.depends_on and not 1 <= min(task.depends_on) <= max(task.depends_on) <= count:
            raise FoldError(
                f"flow {registered.flow} task {seq} depends on {task.depends_on}, of {count} tasks"
            )


def _registered(event: FlowRegistered) -> FlowState:
    flow = _begin(event)
    for seq, result in event.taken.items():
        _close(flow, seq, Status.FINISH, event.at)
        flow.task(seq).result = bytes(result)
    for seq in event.ignored:
        _close(flow, seq, Status.IGNORE, event.at)
    return flow


def _snapshot(event: FlowSnapshot, known: FlowState | None) -> FlowState:
    """The flow as it was found, with what was known of it before where that still holds."""
    flow = _begin(registration_of(event, known and known.registered))
    if event.paused:
        flow.paused = (known and known.paused) or pause_of(event)
    for seq, found in enumerate(event.tasks, start=1):
        task = flow.task(seq)
        task.status, task.attempt = Status(found.status), found.attempt
        task.failures, task.lost = found.failures, found.lost
        task.lease, task.worker, task.retry_ms = found.lease, found.worker, found.due_ms
        task.started_ms, task.progress = started_ms(found), progress_of(event, seq)
        before = known.task(seq) if known and seq <= len(known.tasks) else None
        if before and (before.status, before.attempt) == (task.status, task.attempt):
            _keep(task, before)
        if task.status is Status.SUSPEND:
            task.suspended_ms = task.suspended_ms or event.at
            task.error = task.error or LOST_ERROR
            flow.suspended += 1
            flow.suspended_ms = max(flow.suspended_ms or 0, task.suspended_ms)
        if task.status.is_final:
            flow.left -= 1
            for dependent in flow.dependents[seq]:
                flow.task(dependent).open -= 1
    return flow


def _keep(task: TaskState, before: TaskState) -> None:
    """What a snapshot does not say of a task that has not moved since."""
    task.worker = task.worker or before.worker
    task.started_ms = before.started_ms or task.started_ms
    task.finished_ms, task.suspended_ms = before.finished_ms, before.suspended_ms
    task.result, task.error, task.passed = before.result, before.error, before.passed
    task.progress = task.progress or before.progress


def _apply(flow: FlowState, event: AnyFlowEvent) -> None:
    if event.v != flow.version + 1:
        raise FoldError(f"flow {flow.flow}: event v{event.v} follows v{flow.version}")
    if flow.ended_ms is not None and not isinstance(event, FlowRerun | TaskUnignored):
        raise FoldError(f"flow {flow.flow}: event v{event.v} comes after its end")
    flow.version = event.v
    match event:
        case TaskStarted():
            _start(flow, event)
        case TaskOverdue():
            _expect(flow, event, [event.task], Status.WAIT)
            _suspend(flow, event.task, event.at, event.error)
        case FlowTimedOut():
            _expect(flow, event, event.running, Status.RUNNING)
            _expect(flow, event, event.waiting, Status.WAIT)
            for seq in event:
                _suspend(flow, seq, event.at, event.error)
        case FlowRegistered() | FlowSnapshot():
            raise AssertionError(f"flow {flow.flow}: event v{event.v} begins a state")
        case (
            TaskIgnored()
            | TaskUnignored()
            | FlowRerun()
            | FlowCancelled()
            | FlowPaused()
            | FlowResumed()
            | FlowPrioritised()
        ):
            _operate(flow, event)
        case _:
            _end_attempt(flow, event)


def _operate(flow: FlowState, event: AnyOperatorEvent) -> None:
    match event:
        case TaskIgnored():
            _expect(flow, event, [event.task], Status(event.was))
            _pass_over(flow, event.task, event.at, Passed(event.by, event.reason))
            _note_end(flow, event, event.ends)
        case TaskUnignored():
            _expect(flow, event, [event.task], Status.IGNORE)
            _reopen(flow, event.task)
        case FlowRerun():
            _rerun(flow, event)
        case FlowCancelled():
            _cancel(flow, event)
        case FlowPaused():
            flow.paused = event
        case FlowResumed():
            flow.paused = None
        case FlowPrioritised():
            for task in flow.tasks:
                task.planned = msgspec.structs.replace(task.planned, priority=event.priority)


def _end_attempt(
    flow: FlowState,
    event: TaskFinished | TaskSuspended | TaskReturned | TaskLapsed | TaskRetrying | TaskProgressed,
) -> None:
    task = flow.task(event.task)
    if task.status is not Status.RUNNING or task.lease != event.lease or task.attempt != event.attempt:
        raise FoldError(
            f"flow {flow.flow} task {event.task}: event v{event.v} is of attempt {event.attempt}, lease"
            f" {event.lease}; the task is {task.status.word}, attempt {task.attempt}, lease {task.lease}"
        )
    match event:
        case TaskFinished():
            task.result = bytes(event.result)
            task.progress = task.error = None  # what it says of itself is the attempt that finished
            _close(flow, event.task, Status.FINISH, event.at)
            _note_end(flow, event, event.ends)
        case TaskSuspended():
            _suspend(flow, event.task, event.at, event.error)
            task.lost = event.lost or task.lost
        case TaskReturned():
            task.status = Status.WAIT
        case TaskLapsed():
            task.status = Status.WAIT
            task.lost = event.lost
            task.error = event.error or task.error
        case TaskRetrying():
            task.status = Status.WAIT
            task.failures = event.failures
            task.retry_ms = event.due_ms
            task.error = event.error
        case TaskProgressed():
            task.progress = event


def _start(flow: FlowState, event: TaskStarted) -> None:
    task = flow.task(event.task)
    if not task.is_ready or event.attempt != task.attempt + 1:
        raise FoldError(
            f"flow {flow.flow} task {event.task}: started as attempt {event.attempt} while it is"
            f" {task.status.word}, attempt {task.attempt}, with {task.open} open dependencies"
        )
    if flow.paused is not None:  # times are not compared: a history is as good if a clock went back in it
        raise FoldError(f"flow {flow.flow} task {event.task}: started at {event.at} while its flow is paused")
    task.status = Status.RUNNING
    task.attempt = event.attempt
    task.lease = event.lease
    task.worker = event.worker
    task.started_ms = event.at
    task.retry_ms = None


def _suspend(flow: FlowState, seq: int, at: int, error: TaskError) -> None:
    task = flow.task(seq)
    task.status = Status.SUSPEND
    task.suspended_ms = at
    task.retry_ms = None
    task.error = error
    flow.suspended += 1
    flow.suspended_ms = at


def _unsuspend(flow: FlowState, task: TaskState) -> None:
    if task.status is Status.SUSPEND:
        task.suspended_ms = None
        flow.suspended -= 1
        if not flow.suspended:
            flow.suspended_ms = None


def _close(flow: FlowState, seq: int, status: Status, at: int) -> None:
    """The task becomes final; its dependents may go on."""
    task = flow.task(seq)
    _unsuspend(flow, task)
    task.status = status
    task.finished_ms = at
    task.retry_ms = None
    for dependent in flow.dependents[seq]:
        flow.task(dependent).open -= 1
    flow.left -= 1


def _pass_over(flow: FlowState, seq: int, at: int, passed: Passed) -> None:
    _close(flow, seq, Status.IGNORE, at)
    flow.task(seq).passed = passed


def _note_end(flow: FlowState, event: TaskFinished | TaskIgnored | FlowCancelled, ends: bool) -> None:
    if ends != (flow.left == 0):
        raise FoldError(f"flow {flow.flow}: event v{event.v} has ends={ends} with {flow.left} tasks open")
    if ends:
        flow.ended_ms = event.at


def _reopen(flow: FlowState, seq: int) -> None:
    """The task waits again; what waits behind it, for it, too. The flow is under way."""
    task = flow.task(seq)
    if task.status.is_final:
        flow.left += 1
        for dependent in flow.dependents[seq]:
            behind = flow.task(dependent)
            if behind.status is Status.RUNNING:
                raise FoldError(f"flow {flow.flow} task {seq} is reopened under task {dependent}, which runs")
            behind.open += 1
            behind.retry_ms = None
    _unsuspend(flow, task)
    task.status = Status.WAIT
    task.failures = task.lost = 0
    task.finished_ms = task.retry_ms = None
    task.result = task.error = task.passed = None
    flow.ended_ms = None
    flow.cancelled = None


def _rerun(flow: FlowState, event: FlowRerun) -> None:
    _expect(flow, event, event.finished, Status.FINISH)
    _expect(flow, event, event.ignored, Status.IGNORE)
    _expect(flow, event, event.suspended, Status.SUSPEND)
    _expect(flow, event, event.waiting, Status.WAIT)
    for seq in event:
        _reopen(flow, seq)
    for seq, parameters in event.parameters.items():
        task = flow.task(seq)
        task.planned = msgspec.structs.replace(task.planned, parameters=parameters)


def _cancel(flow: FlowState, event: FlowCancelled) -> None:
    _expect(flow, event, event.waiting, Status.WAIT)
    _expect(flow, event, event.running, Status.RUNNING)
    _expect(flow, event, event.suspended, Status.SUSPEND)
    for seq in event:
        _pass_over(flow, seq, event.at, Passed(event.by, event.reason or "cancelled"))
    flow.cancelled = event
    flow.paused = None
    _note_end(flow, event, ends=True)


def _expect(flow: FlowState, event: AnyFlowEvent, tasks: Iterable[int], status: Status) -> None:
    for seq in tasks:
        found = flow.task(seq).status
        if found is not status:
            raise FoldError(
                f"flow {flow.flow} task {seq}: event v{event.v} says that it was {status.word}, it is"
                f" {found.word}"
            )
