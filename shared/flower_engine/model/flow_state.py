"""How a flow and its tasks stand at a moment, as the fold of its events has it."""

import msgspec

from flower_engine.model.blob_ref import BlobRef
from flower_engine.model.definition import PlannedTask
from flower_engine.model.events import FlowCancelled, FlowPaused, FlowRegistered, TaskError, TaskProgressed
from flower_engine.model.status import Status, flow_status


class FoldError(ValueError):
    """An event does not follow from the state before it: the log is damaged or the engine is wrong."""


class TaskState(msgspec.Struct, kw_only=True):
    """One task at a moment. Times are milliseconds; ``open`` counts dependencies not yet final.

    ``failures`` and ``lost`` are counted since the task last began from the start. ``retry_ms`` is when a
    retry is due, or was; it is told until the next attempt starts. ``progress`` was last said by an attempt
    that did not finish. ``ignored_by`` and ``ignore_reason`` tell who passed over it, and why. What
    finished has its ``result``, or it lies in ``blob``; what was passed over has one if an operator gave it.
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
    blob: BlobRef | None = None
    error: TaskError | None = None
    progress: TaskProgressed | None = None
    ignored_by: str | None = None
    ignore_reason: str | None = None

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
