"""Events of operations: what people do to flows and tasks, or have said before that is to be done."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Literal

import msgspec

from flower_engine.model.definitions.definition import PlannedTask, TaskKeys
from flower_engine.model.events.event_base import NO_VALUE, FlowEvent, Ranges, numbers_in
from flower_engine.model.events.wait_events import TaskAwaiting
from flower_engine.model.tasks.task_error import TaskError


class TaskIgnored(FlowEvent, frozen=True, tag="task.ignored"):
    """An operator passed over the task, or what its definition says of its failure (``by`` is ``on_failure``
    then): ``was`` (Wait, Suspend or Running) -> Ignore. Its dependents go on; those that take its result get
    ``result``, if there is one. ``error`` is that of an attempt which failed, ``lost`` as ``task.suspended``
    has it."""

    task: int
    was: int
    by: str
    reason: str = ""
    result: msgspec.Raw = NO_VALUE
    error: TaskError | None = None
    lost: int = 0
    ends: bool = False


class TasksIgnored(FlowEvent, frozen=True, tag="tasks.ignored"):
    """An operator passed over several tasks at once, as ``task.ignored`` says it of one. ``ranges``: first
    and last of each run of numbers of those that waited, ``held``: the same of those in Suspend."""

    by: str
    reason: str = ""
    ranges: Ranges = ()
    held: Ranges = ()
    result: msgspec.Raw = NO_VALUE
    ends: bool = False

    @property
    def waiting(self) -> Iterator[int]:
        """Every task that waited, by number."""
        return numbers_in(self.ranges)

    @property
    def suspended(self) -> Iterator[int]:
        """Every task that was held, by number."""
        return numbers_in(self.held)

    def __iter__(self) -> Iterator[int]:
        """Every task that was passed over."""
        return chain(self.waiting, self.suspended)


class TaskUnignored(FlowEvent, frozen=True, tag="task.unignored"):
    """Ignore -> Wait, before anything that depends on it has started; the flow is under way (again).
    ``behind``: tasks that their rules had passed over because of it, or that joins which counted on it had
    cancelled, which wait again, too. ``ending``: the flow is ending, and goes on with that."""

    task: int
    by: str
    behind: tuple[int, ...] = ()
    ending: bool = False


class FlowRerun(FlowEvent, frozen=True, tag="flow.rerun"):
    """These tasks run again from the start, named by where they stood: -> Wait. A flow that had ended is
    under way again. ``bodies`` holds, whole, those of them that are of another version of the workflow from
    here on. ``parameters`` holds all parameters of tasks whose parameters were changed, ``keys`` the keys of
    those that wait by other ones from here on. Of maps that are to be expanded anew, ``gone_...`` are the
    items that they had, by where these stood: -> Ignore. ``matches`` are maps that are to be expanded, and
    whose items then take over what the same ones came to that they had before. ``ending``: the flow is
    ending, and goes on with that."""

    by: str
    finished: tuple[int, ...] = ()
    ignored: tuple[int, ...] = ()
    suspended: tuple[int, ...] = ()
    waiting: tuple[int, ...] = ()
    bodies: dict[int, PlannedTask] = msgspec.field(default_factory=dict)
    parameters: dict[int, dict[str, Any]] = msgspec.field(default_factory=dict)
    keys: dict[int, TaskKeys] = msgspec.field(default_factory=dict)
    gone_finished: tuple[int, ...] = ()
    gone_ignored: tuple[int, ...] = ()
    gone_suspended: tuple[int, ...] = ()
    gone_waiting: tuple[int, ...] = ()
    matches: tuple[int, ...] = ()
    ending: bool = False

    @property
    def gone(self) -> Iterator[int]:
        """Every item that goes."""
        return chain(self.gone_finished, self.gone_ignored, self.gone_suspended, self.gone_waiting)

    def __iter__(self) -> Iterator[int]:
        """Every task that runs again."""
        return chain(self.finished, self.ignored, self.suspended, self.waiting)


class FlowCancelled(FlowEvent, frozen=True, tag="flow.cancelled"):
    """Everything not final -> Ignore, named by where it stood; the flow has ended."""

    by: str
    reason: str = ""
    waiting: tuple[int, ...] = ()
    running: tuple[int, ...] = ()
    suspended: tuple[int, ...] = ()

    def __iter__(self) -> Iterator[int]:
        """Every task that was cut off."""
        return chain(self.waiting, self.running, self.suspended)


class FlowEnding(FlowEvent, frozen=True, tag="flow.ending"):
    """The flow ends, but for the tasks that clean up (``cleanup.py``), which go on until ``until_ms`` at
    most. ``cause``: ``cancel``, by whom and why; ``timeout``: it took too long, or its cleanup did, which
    ``ends`` says; or ``again``: a task asked for another round of it (``flow.again``), so this one is over.
    Named by where they stood: everything else that has not ended -> Ignore, but what is ``given_up``, unless
    because of a cancel: it stays Suspend, and has ended; and ``children`` and ``held_children``
    (Suspend -> Wait), which wait for the end of their children alone from here on. ``goes_on``: the flow is
    ending already, and the child of a task that it names has ended."""

    cause: Literal["cancel", "timeout", "again"]
    by: str
    reason: str = ""
    until_ms: int = 0
    waiting: tuple[int, ...] = ()
    running: tuple[int, ...] = ()
    suspended: tuple[int, ...] = ()
    given_up: tuple[int, ...] = ()
    children: tuple[int, ...] = ()
    held_children: tuple[int, ...] = ()
    goes_on: bool = False
    ends: bool = False

    @property
    def cancels(self) -> "FlowEnding | None":
        """The event itself, if it is that of a cancel."""
        return self if self.cause == "cancel" and not self.goes_on else None

    @property
    def begins(self) -> "FlowEnding | None":
        """The event itself, if a cleanup begins with it."""
        return None if self.ends or self.goes_on else self

    @property
    def awaited(self) -> TaskAwaiting:
        """What those of ``children`` await."""
        return TaskAwaiting(
            at=self.at, flow=self.flow, v=self.v, task=0, attempt=0, kind="flow", until_ms=self.until_ms
        )

    def __iter__(self) -> Iterator[int]:
        """Every task that it ends."""
        return chain(self.waiting, self.running, self.suspended, self.given_up)


ENDING_FLAGS: Mapping[str, str] = {"cancel": "e", "timeout": "E", "again": "g"}
"""By why a flow is ending, its flag in Redis (``lua/lib/flow_fields.lua``)."""


class FlowPaused(FlowEvent, frozen=True, tag="flow.paused"):
    """Nothing of the flow starts from here on; what runs may end."""

    by: str
    reason: str = ""


class FlowResumed(FlowEvent, frozen=True, tag="flow.resumed"):
    """The pause is over."""

    by: str


class FlowPrioritised(FlowEvent, frozen=True, tag="flow.prioritised"):
    """All tasks of the flow have this priority from here on."""

    by: str
    priority: int


AnyOperatorEvent = (
    TaskIgnored
    | TasksIgnored
    | TaskUnignored
    | FlowRerun
    | FlowCancelled
    | FlowEnding
    | FlowPaused
    | FlowResumed
    | FlowPrioritised
)
