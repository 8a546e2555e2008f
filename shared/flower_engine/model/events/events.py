"""Events: what happened, as it stands in the log; frozen structs in a union tagged by ``type``.

The Lua scripts write them as JSON; these are how Python reads them. A new field has a default; a
changed meaning is a new tag. ``tests/golden/`` holds bytes of every event ever written.

``at`` is Redis TIME in milliseconds. ``v`` is the flow's version: it counts the flow's events from 1.
Those of attempts, waits, operations, snapshots and schedules are in files of their own beside this one.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any, get_args

import msgspec

from flower_engine.errors import NewerEventError
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.attempt_events import AnyTaskEvent
from flower_engine.model.events.event_base import Event, FlowEvent, Ranges, numbers_in
from flower_engine.model.events.operator_events import AnyOperatorEvent
from flower_engine.model.events.schedule_events import AnyScheduleEvent
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.events.wait_events import AnyWaitEvent
from flower_engine.model.maps.earlier_items import EarlierItem
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.own_version import UPGRADE_OR_GO_BACK, own_version


class LogOpened(Event, frozen=True, tag="log.opened"):
    """The first event of a partition's log, and the first one after each recovery."""

    installation: str
    generation: int
    partition: int


class FlowRegistered(FlowEvent, frozen=True, tag="flow.registered"):
    """A flow exists; its tasks wait, but for those that a fork took over from another flow.

    ``order`` places the flow's tasks behind those registered before it in their lanes. ``key`` is the
    idempotency key, ``start_ms`` the time before which nothing starts, ``timeout_ms`` how long the flow may
    take from then on, ``cleanup_ms`` how long its cleanup may (0: as ``cleanup.py`` has it).
    Of ``forked_from`` the tasks in ``taken`` are Finish with these results, those in
    ``blobs`` are Finish with results that lie there, those in ``ignored`` are Ignore, with the results in
    ``stand_ins`` if an operator gave any, and those in ``passed`` are Ignore, passed over by their rule
    (``unmet``: by their decision; ``unneeded``: as joins went on without them).
    ``parameters`` are the flow's own, where its workflow says what it takes; ``definition`` is the hash of
    the workflow's version. One that a schedule fired has its uid, the slot and those before and behind it, in
    milliseconds (0: there is none). ``traceparent``: in which trace it was asked for (W3C Trace Context).
    ``earlier`` are items that maps had in ``forked_from`` (each under its number there, below 0): those that
    they are to get take over what the same ones came to.
    A child has its parent's flow, the task and the attempt that await it, the ``trunk`` of their tree,
    which round of that task it is, and the ``window`` of a map in which it needs a place ("": it needs none).
    """

    workflow: str
    order: int
    tasks: tuple[PlannedTask, ...]
    timeout_ms: int = 0
    cleanup_ms: int = 0
    forked_from: str = ""
    taken: dict[int, msgspec.Raw] = msgspec.field(default_factory=dict)
    blobs: dict[int, BlobRef] = msgspec.field(default_factory=dict)
    ignored: tuple[int, ...] = ()
    stand_ins: dict[int, msgspec.Raw] = msgspec.field(default_factory=dict)
    passed: tuple[int, ...] = ()
    unmet: tuple[int, ...] = ()
    unneeded: tuple[int, ...] = ()
    earlier: dict[int, tuple[EarlierItem, ...]] = msgspec.field(default_factory=dict)
    by: str = ""
    key: str = ""
    start_ms: int = 0
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    definition: str = ""
    schedule: str = ""
    slot: int = 0
    previous_slot: int = 0
    next_slot: int = 0
    traceparent: str = ""
    parent: str = ""
    parent_task: int = 0
    parent_attempt: int = 0
    parent_round: int = 0
    trunk: str = ""
    window: str = ""

    @property
    def due_ms(self) -> int:
        """When the flow has taken too long, if it has a timeout."""
        return max(self.at, self.start_ms) + self.timeout_ms


class TaskOverdue(FlowEvent, frozen=True, tag="task.overdue"):
    """No worker took the ready task in time, or what it awaited did not come in time, or its child cannot
    begin, or go on: Wait -> Suspend."""

    task: int
    error: TaskError


class TaskGivenUp(FlowEvent, frozen=True, tag="task.given_up"):
    """Nobody is waited for any more: ``was`` (Running or Suspend) -> Suspend, and the task has ended.

    ``by``: ``on_failure`` (its definition says so) or ``hold`` (nobody decided in time). Of one that ran,
    ``attempt`` and ``lease`` are those that failed; ``error`` and ``lost`` are as in ``task.suspended``.
    """

    task: int
    was: int
    by: str
    attempt: int = 0
    lease: str = ""
    error: TaskError | None = None
    lost: int = 0
    ends: bool = False


class TasksPassed(FlowEvent, frozen=True, tag="tasks.passed"):
    """Their rules pass over these tasks: Wait -> Ignore. ``ranges``: first and last of each run of numbers.
    ``unmet``: the same of branches that a decision did not take, or never will. ``cause``: the task whose end
    decided it, directly or through others of these. One event is one step; a wide or deep passing-over takes
    several."""

    ranges: Ranges
    cause: int
    unmet: Ranges = ()
    ends: bool = False

    @property
    def tasks(self) -> Iterator[int]:
        """Every task that its rule passed over, by number."""
        return numbers_in(self.ranges)

    @property
    def unmet_tasks(self) -> Iterator[int]:
        """Every branch that was not taken, by number."""
        return numbers_in(self.unmet)


class TasksUnneeded(FlowEvent, frozen=True, tag="tasks.unneeded"):
    """Nobody needs what these tasks would come to: they led only to joins that went on without them, as their
    rules say: -> Ignore, and what runs of them is stopped. ``ranges``: first and last of each run of numbers
    of those that waited, ``ran``: the same of those that ran, ``held``: of those in Suspend. ``cause``: the
    task with which it began, which has gone on, or has ended. One event is one step."""

    cause: int
    ranges: Ranges = ()
    ran: Ranges = ()
    held: Ranges = ()
    ends: bool = False

    @property
    def waiting(self) -> Iterator[int]:
        """Every task that waited, by number."""
        return numbers_in(self.ranges)

    @property
    def running(self) -> Iterator[int]:
        """Every task that ran, by number."""
        return numbers_in(self.ran)

    @property
    def suspended(self) -> Iterator[int]:
        """Every task that was held, by number."""
        return numbers_in(self.held)

    def __iter__(self) -> Iterator[int]:
        """Every task that is not needed."""
        return chain(self.waiting, self.running, self.suspended)


class FlowTimedOut(FlowEvent, frozen=True, tag="flow.timed_out"):
    """The flow took too long: what ran or was ready -> Suspend, so that nothing more starts."""

    error: TaskError
    running: tuple[int, ...] = ()
    waiting: tuple[int, ...] = ()

    def __iter__(self) -> Iterator[int]:
        """Every task that was suspended."""
        return chain(self.running, self.waiting)


class ControlChanged(Event, frozen=True, tag="control.changed"):
    """A limit, pause, weight or strike of the partition is set, or (``settings`` None) gone. ``name`` as
    ``lua/lib/limits.lua`` has it."""

    name: str
    settings: dict[str, Any] | None = None
    by: str = ""


class OutcomeRefused(Event, frozen=True, tag="outcome.refused"):
    """A late outcome of a lease that is not the current one; it changes nothing."""

    flow: str
    task: int
    lease: str
    worker: str
    outcome: str


AnyRuleEvent = TaskGivenUp | TasksPassed | TasksUnneeded


AnyFlowEvent = (
    FlowRegistered
    | FlowSnapshot
    | AnyTaskEvent
    | TaskOverdue
    | AnyWaitEvent
    | FlowTimedOut
    | AnyRuleEvent
    | AnyOperatorEvent
)


AnyEvent = LogOpened | AnyFlowEvent | OutcomeRefused | ControlChanged | AnyScheduleEvent


_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


_encoder = msgspec.json.Encoder()


EVENT_TYPES = frozenset(str(struct.__struct_config__.tag) for struct in get_args(AnyEvent))
"""Every type of event that this version knows."""


class _Tag(msgspec.Struct):
    type: Any = None


def decode_event(raw: bytes) -> AnyEvent:
    """The event that these JSON bytes hold.

    Raises:
        NewerEventError: its ``type`` is unknown here, so a newer version wrote it.
        msgspec.DecodeError: it is not an event at all (msgspec.ValidationError: a field is wrong).
    """
    try:
        return _decoder.decode(raw)
    except msgspec.ValidationError:
        tag = msgspec.json.decode(raw, type=_Tag).type
        if isinstance(tag, str) and tag not in EVENT_TYPES:
            raise NewerEventError(
                f"event type {tag!r} is unknown to {own_version()}: a newer version wrote it."
                f" {UPGRADE_OR_GO_BACK}"
            ) from None
        raise


def encode_event(event: AnyEvent) -> bytes:
    """The event as JSON bytes; for tests and recovery (the scripts write their own)."""
    return _encoder.encode(event)
