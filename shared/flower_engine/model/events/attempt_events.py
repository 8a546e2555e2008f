"""Events of attempts: a worker takes a task, and what comes of it."""

import msgspec

from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.values.blob_ref import BlobRef


class TaskEvent(FlowEvent, frozen=True):
    """What every event of an attempt carries; ``lease`` is the work entry's id."""

    task: int
    attempt: int
    lease: str


class TaskStarted(TaskEvent, frozen=True, tag="task.started"):
    """A worker claimed the task: Wait -> Running. ``used``: the dependencies that its rule picked, where it
    picks some (``any``, ``at_least``, ``failed``); later attempts keep them, and their starts say nothing."""

    worker: str
    used: tuple[int, ...] = ()


class TaskFinished(TaskEvent, frozen=True, tag="task.finished"):
    """Running -> Finish. ``ends`` says that it was the last open task of its flow. A result that lies in a
    blob is told by ``blob``, and ``result`` is nothing then."""

    result: msgspec.Raw = msgspec.Raw(b"null")
    blob: BlobRef | None = None
    ends: bool = False


class TaskSuspended(TaskEvent, frozen=True, tag="task.suspended"):
    """Failed for good, or lost too many workers (then ``lost`` counts them): Running -> Suspend."""

    error: TaskError
    lost: int = 0


class TaskReturned(TaskEvent, frozen=True, tag="task.returned"):
    """A worker handed the attempt back, because it stops, or because its version of the program does not take
    the task's parameters, which another live one may: Running -> Wait.

    ``unfit``: versions that refuse it, by the digest of what their workers publish; ``error`` says why.
    """

    unfit: tuple[str, ...] = ()
    error: TaskError | None = None


class TaskLapsed(TaskEvent, frozen=True, tag="task.lapsed"):
    """The worker, or the process that ran the program, was lost: Running -> Wait.

    ``lost`` counts those lost on this task so far; ``error`` says how (None: written by an earlier version).
    """

    worker: str
    lost: int
    error: TaskError | None = None


class TaskRetrying(TaskEvent, frozen=True, tag="task.retrying"):
    """Failed, and is to be tried again: Running -> Wait, until ``due_ms``. ``failures`` counts the failures
    since the task last began from the start."""

    error: TaskError
    failures: int
    due_ms: int


class TaskAgain(TaskEvent, frozen=True, tag="task.again"):
    """Its program asked for another round of the task: Running -> Wait, until ``due_ms`` (0: at once).

    ``round`` counts them since the task last began from the start, ``rounds`` those of all tasks of the flow.
    ``given`` are the parameters that hold in it in place of those of these names that it was planned with.
    ``was`` 0: another flow does the task, and that has ended and asked for it (``flow.again``): Wait -> Wait,
    it does not await that any more; it has no ``lease``.
    """

    round: int
    rounds: int
    given: msgspec.Raw = msgspec.Raw(b"{}")
    due_ms: int = 0
    was: int = 1


class FlowAgain(TaskEvent, frozen=True, tag="flow.again"):
    """The program of a task of a child asked for another round of its flow: Running -> Wait, until the round
    that it is of ends (``flow.ending``), which is next. The task of the parent begins the other one when the
    flow has ended, not before ``due_ms`` (0: at once). ``given`` are the parameters that it gives its child
    then in place of its own of these names."""

    given: msgspec.Raw = msgspec.Raw(b"{}")
    due_ms: int = 0


class TaskProgressed(TaskEvent, frozen=True, tag="task.progressed"):
    """What a running program said of its progress: a share of the whole (0..1) and a note."""

    fraction: float | None = None
    note: str = ""


AnyTaskEvent = (
    TaskStarted
    | TaskFinished
    | TaskSuspended
    | TaskReturned
    | TaskLapsed
    | TaskRetrying
    | TaskAgain
    | FlowAgain
    | TaskProgressed
)
