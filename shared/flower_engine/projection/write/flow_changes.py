"""How flows and their tasks stand after a batch, as far as its events tell; the rest the tables hold."""

from typing import Any

import msgspec

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.attempt_events import TaskProgressed
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.events.operator_events import FlowCancelled, FlowEnding, FlowPaused
from flower_engine.model.events.wait_events import TaskAwaiting, TaskExpanded, TaskLifted
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.values.blob_ref import BlobRef


class TaskChange(msgspec.Struct, gc=False):
    """How a task stands after the batch; None: the batch does not say.

    What follows from the status alone is said with it: where there is one, a time, result or name that is
    None is none; ``ended_as`` says how the task has ended (``end_kinds.py``). ``forget_error`` and
    ``forget_progress``: what the tables hold of them is over. ``body``: the task as it is planned from here
    on; ``priority``: its own, unless the flow was given one since.
    """

    status: int | None = None
    ended_as: str = ""
    attempt: int | None = None
    worker: str | None = None
    lost: int | None = None
    failures: int | None = None
    started_ms: int | None = None
    finished_ms: int | None = None
    suspended_ms: int | None = None
    retry_ms: int | None = None
    again_ms: int | None = None
    round: int | None = None
    given: bytes | None = None
    result: bytes | None = None
    blob: BlobRef | None = None
    ignored_by: str | None = None
    ignore_reason: str | None = None
    error: TaskError | None = None
    forget_error: bool = False
    progress: TaskProgressed | None = None
    forget_progress: bool = False
    body: PlannedTask | None = None
    priority: int | None = None
    parameters: dict[str, Any] | None = None
    awaiting: TaskAwaiting | TaskLifted | None = None
    votes: tuple[str, ...] | None = None
    taken_from: int | None = None


class FlowChange(msgspec.Struct, gc=False):
    """What the batch changes of a flow.

    Counts are differences; where the flow is registered in this batch (``registered``) they start at 0 and
    so are the counts themselves. ``started_ms`` is the first start, the other times the last. ``reopened``:
    an end that the tables hold is over. ``pause_said``: ``paused`` says whether it is paused. ``priority``:
    that of all its tasks but those that have their own since, if it was changed. ``replaces``: it says all
    that the flow is, so what the tables hold of it goes. ``expanded``: maps of it got items, ``added`` is
    how many of these there are. ``rounds``: of all its loops, if there was one more.
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
    ended_ms: int | None = None
    suspended_ms: int | None = None
    reopened: bool = False
    cancelled: FlowCancelled | FlowEnding | None = None
    ending: FlowEnding | None = None
    pause_said: bool = False
    paused: FlowPaused | None = None
    rounds: int | None = None
    priority: int | None = None
    replaces: bool = False
    expanded: tuple[TaskExpanded, ...] = ()
    added: int = 0
    tasks: dict[int, TaskChange] = {}

    def task(self, seq: int) -> TaskChange:
        """The change of a task."""
        task = self.tasks.get(seq)
        if task is None:
            task = self.tasks[seq] = TaskChange()
        return task
