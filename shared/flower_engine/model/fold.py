"""The fold: what state a flow's events add up to. The oracle that the Lua scripts are tested against."""

from collections.abc import Iterable

import msgspec

from flower_engine.model.definition import PlannedTask, dependents_of
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
from flower_engine.model.status import Status, flow_status


class FoldError(ValueError):
    """An event does not follow from the state before it: the log is damaged or the engine is wrong."""


class TaskState(msgspec.Struct, kw_only=True):
    """One task at a moment. Times are milliseconds; ``open`` counts dependencies not yet final."""

    planned: PlannedTask
    status: Status = Status.WAIT
    open: int = 0
    attempt: int = 0
    lost: int = 0
    lease: str = ""
    worker: str = ""
    started_ms: int | None = None
    finished_ms: int | None = None
    suspended_ms: int | None = None
    result: bytes | None = None
    error: TaskError | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it waits for nothing but a worker."""
        return self.status is Status.WAIT and self.open == 0


class FlowState(msgspec.Struct, kw_only=True):
    """One flow at a moment; ``tasks[seq - 1]`` is task ``seq``; ``left`` counts tasks not yet final."""

    flow: str
    workflow: str
    order: int
    registered_ms: int
    tasks: list[TaskState]
    dependents: list[list[int]]
    version: int = 1
    left: int = 0
    ended_ms: int | None = None

    def task(self, seq: int) -> TaskState:
        """Task ``seq`` (1..n)."""
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
        )


def fold(events: Iterable[AnyEvent]) -> dict[str, FlowState]:
    """The flows that these events, in log order, add up to, by flow id.

    Raises:
        FoldError: an event contradicts those before it; names flow, task and both facts.
    """
    flows: dict[str, FlowState] = {}
    for event in events:
        if isinstance(event, LogOpened | OutcomeRefused):
            continue
        if isinstance(event, FlowRegistered):
            if event.flow in flows:
                raise FoldError(f"flow {event.flow} is registered twice")
            flows[event.flow] = _registered(event)
        elif event.flow not in flows:
            raise FoldError(f"flow {event.flow} has an event v{event.v} before it is registered")
        else:
            _apply(flows[event.flow], event)
    return flows


def _registered(event: FlowRegistered) -> FlowState:
    return FlowState(
        flow=event.flow,
        workflow=event.workflow,
        order=event.order,
        registered_ms=event.at,
        tasks=[TaskState(planned=task, open=len(task.depends_on)) for task in event.tasks],
        dependents=dependents_of(event.tasks),
        left=len(event.tasks),
    )


def _apply(
    flow: FlowState, event: TaskStarted | TaskFinished | TaskSuspended | TaskReturned | TaskLapsed
) -> None:
    if event.v != flow.version + 1:
        raise FoldError(f"flow {flow.flow}: event v{event.v} follows v{flow.version}")
    if flow.ended_ms is not None:
        raise FoldError(f"flow {flow.flow}: event v{event.v} comes after its end")
    flow.version = event.v
    task = flow.task(event.task)
    if isinstance(event, TaskStarted):
        _start(flow, task, event)
        return
    if task.status is not Status.RUNNING or task.lease != event.lease or task.attempt != event.attempt:
        raise FoldError(
            f"flow {flow.flow} task {event.task}: event v{event.v} is of attempt {event.attempt}, lease"
            f" {event.lease}; the task is {task.status.word}, attempt {task.attempt}, lease {task.lease}"
        )
    match event:
        case TaskFinished():
            _finish(flow, task, event)
        case TaskSuspended():
            task.status = Status.SUSPEND
            task.suspended_ms = event.at
            task.error = event.error
            task.lost = event.lost or task.lost
        case TaskReturned():
            task.status = Status.WAIT
        case TaskLapsed():
            task.status = Status.WAIT
            task.lost = event.lost


def _start(flow: FlowState, task: TaskState, event: TaskStarted) -> None:
    if not task.is_ready or event.attempt != task.attempt + 1:
        raise FoldError(
            f"flow {flow.flow} task {event.task}: started as attempt {event.attempt} while it is"
            f" {task.status.word}, attempt {task.attempt}, with {task.open} open dependencies"
        )
    task.status = Status.RUNNING
    task.attempt = event.attempt
    task.lease = event.lease
    task.worker = event.worker
    task.started_ms = event.at


def _finish(flow: FlowState, task: TaskState, event: TaskFinished) -> None:
    task.status = Status.FINISH
    task.finished_ms = event.at
    task.result = bytes(event.result)
    for dependent in flow.dependents[event.task]:
        flow.task(dependent).open -= 1
    flow.left -= 1
    if event.ends != (flow.left == 0):
        raise FoldError(
            f"flow {flow.flow}: event v{event.v} has ends={event.ends} with {flow.left} tasks open"
        )
    if event.ends:
        flow.ended_ms = event.at
