"""How flows and their tasks stand after a batch, as far as its events tell; the rest the tables hold."""

from typing import Any

import msgspec

from flower_engine.model.events import FlowCancelled, FlowPaused, FlowRegistered, TaskError, TaskProgressed
from flower_engine.model.snapshot_registration import LOST_ERROR


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
    ended_ms: int | None = None
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
