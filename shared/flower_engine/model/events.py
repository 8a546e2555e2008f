"""Events: what happened, as it stands in the log; frozen structs in a union tagged by ``type``.

The Lua scripts write them as JSON; this file is how Python reads them. A new field has a default; a
changed meaning is a new tag. ``tests/golden/`` holds bytes of every event ever written.

``at`` is Redis TIME in milliseconds. ``v`` is the flow's version: it counts the flow's events from 1.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any, Literal, get_args

import msgspec

from flower_engine.errors import NewerEventError
from flower_engine.model.blob_ref import BlobRef
from flower_engine.model.definition import PlannedTask, TaskKeys
from flower_engine.model.end_kinds import EndedAs
from flower_engine.model.map_items import Given, items_of
from flower_engine.model.schedule_events import AnyScheduleEvent
from flower_engine.model.task_message import SnapshotMessage
from flower_engine.own_version import UPGRADE_OR_GO_BACK, own_version

NO_VALUE = msgspec.Raw(b"")
"""Of a field that holds any JSON: it is not there. Only this object is left out when an event is written."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What every event carries."""

    at: int


class LogOpened(Event, frozen=True, tag="log.opened"):
    """The first event of a partition's log, and the first one after each recovery."""

    installation: str
    generation: int
    partition: int


class FlowEvent(Event, frozen=True):
    """What every event of a flow carries."""

    flow: str
    v: int


class FlowRegistered(FlowEvent, frozen=True, tag="flow.registered"):
    """A flow exists; its tasks wait, but for those that a fork took over from another flow.

    ``order`` places the flow's tasks behind those registered before it in their lanes. ``key`` is the
    idempotency key, ``start_ms`` the time before which nothing starts, ``timeout_ms`` how long the flow may
    take from then on, ``cleanup_ms`` how long its cleanup may (0: as ``cleanup.py`` has it).
    Of ``forked_from`` the tasks in ``taken`` are Finish with these results, those in
    ``blobs`` are Finish with results that lie there, those in ``ignored`` are Ignore, with the results in
    ``stand_ins`` if an operator gave any, and those in ``passed`` are Ignore, passed over by their rule
    (``unmet``: by their decision).
    ``parameters`` are the flow's own, where its workflow says what it takes; ``definition`` is the hash of
    the workflow's version. One that a schedule fired has its uid, the slot and those before and behind it, in
    milliseconds (0: there is none). ``traceparent``: in which trace it was asked for (W3C Trace Context).
    A child has its parent's flow, the task and the attempt that await it, and the ``trunk`` of their tree.
    """

    workflow: str
    order: int
    tasks: tuple[PlannedTask, ...]
    timeout_ms: int = 0
    cleanup_ms: int = 0
    forked_from: str = ""
    taken: dict[int, msgspec.Raw] = {}
    blobs: dict[int, BlobRef] = {}
    ignored: tuple[int, ...] = ()
    stand_ins: dict[int, msgspec.Raw] = {}
    passed: tuple[int, ...] = ()
    unmet: tuple[int, ...] = ()
    by: str = ""
    key: str = ""
    start_ms: int = 0
    parameters: dict[str, Any] = {}
    definition: str = ""
    schedule: str = ""
    slot: int = 0
    previous_slot: int = 0
    next_slot: int = 0
    traceparent: str = ""
    parent: str = ""
    parent_task: int = 0
    parent_attempt: int = 0
    trunk: str = ""

    @property
    def due_ms(self) -> int:
        """When the flow has taken too long, if it has a timeout."""
        return max(self.at, self.start_ms) + self.timeout_ms


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


class TaskError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an attempt failed."""

    type: str
    message: str
    traceback: str = ""


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
    """

    round: int
    rounds: int
    given: msgspec.Raw = msgspec.Raw(b"{}")
    due_ms: int = 0


class TaskProgressed(TaskEvent, frozen=True, tag="task.progressed"):
    """What a running program said of its progress: a share of the whole (0..1) and a note."""

    fraction: float | None = None
    note: str = ""


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


def _numbers(ranges: tuple[tuple[int, int], ...]) -> Iterator[int]:
    return chain.from_iterable(range(first, last + 1) for first, last in ranges)


class TasksPassed(FlowEvent, frozen=True, tag="tasks.passed"):
    """Their rules pass over these tasks: Wait -> Ignore. ``ranges``: first and last of each run of numbers.
    ``unmet``: the same of branches that a decision did not take, or never will. ``cause``: the task whose end
    decided it, directly or through others of these. One event is one step; a wide or deep passing-over takes
    several."""

    ranges: tuple[tuple[int, int], ...]
    cause: int
    unmet: tuple[tuple[int, int], ...] = ()
    ends: bool = False

    @property
    def tasks(self) -> Iterator[int]:
        """Every task that its rule passed over, by number."""
        return _numbers(self.ranges)

    @property
    def unmet_tasks(self) -> Iterator[int]:
        """Every branch that was not taken, by number."""
        return _numbers(self.unmet)


class TaskAwaiting(FlowEvent, frozen=True, tag="task.awaiting"):
    """A task without a worker waits for the world from here on, as its next attempt: it stays in Wait.

    ``kind``: sleep, event, approval, when, flow or returns. ``until_ms``: when a sleep is over, or when it
    has waited too long (0: never). It has no lease, as it has no worker. ``used``: as in ``task.started``.
    """

    task: int
    attempt: int
    kind: str
    until_ms: int = 0
    lease: str = ""
    used: tuple[int, ...] = ()


class TaskVoted(FlowEvent, frozen=True, tag="task.voted"):
    """One of the names that an approval needs has answered it, and more are needed. ``names``: all who have
    answered so far, ``by`` the last of them."""

    task: int
    attempt: int
    by: str
    names: tuple[str, ...]
    answer: msgspec.Raw = msgspec.Raw(b"null")


class TaskAnswered(FlowEvent, frozen=True, tag="task.answered"):
    """What a task awaited has come: Wait -> Finish. ``by``: who answered or sent the signal; ``time``: a
    sleep is over; ``timeout``: it has waited too long, and ends with its default. ``signal``: the id of the
    signal that it takes, which no other task gets. ``blob``: as in ``task.finished``."""

    task: int
    attempt: int
    by: str
    signal: str = ""
    result: msgspec.Raw = msgspec.Raw(b"null")
    blob: BlobRef | None = None
    ends: bool = False


class TaskExpanded(FlowEvent, frozen=True, tag="task.expanded"):
    """A map has its items: so many tasks more of the flow, numbered from ``first`` on, for which it waits
    from here on. Each is as ``item`` says (which has no number), and is given one of ``values`` as the
    parameter ``name``. ``keys``: those of each, where they have any; else empty; ``item_keys``: by which
    they are told apart, where the map says that."""

    task: int
    attempt: int
    by: str
    workflow: str
    first: int
    name: str
    item: PlannedTask
    values: tuple[msgspec.Raw, ...]
    keys: tuple[TaskKeys, ...] = ()
    item_keys: tuple[str, ...] = ()

    @property
    def tasks(self) -> Iterator[PlannedTask]:
        """The items, as they are planned."""
        given = Given(self.name, self.values, self.keys, self.item_keys)
        return items_of(self.task, self.first, self.item, given)


class TaskLifted(FlowEvent, frozen=True, tag="task.lifted"):
    """A task that was held because nothing went on in its child awaits that again: Suspend -> Wait, in the
    same attempt. ``was`` 0: Wait -> Wait, as it had ended, and was opened again for what it does with its
    child."""

    task: int
    attempt: int
    was: int = 2
    kind: str = "flow"
    until_ms: int = 0


class FlowSignalled(FlowEvent, frozen=True, tag="flow.signalled"):
    """A signal for the flow, once for each ``id``. It is kept until a task that awaits ``name`` (and ``key``,
    if it says one) takes it."""

    name: str
    id: str
    by: str
    key: str = ""
    payload: msgspec.Raw = msgspec.Raw(b"null")


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


class TaskUnignored(FlowEvent, frozen=True, tag="task.unignored"):
    """Ignore -> Wait, before anything that depends on it has started; the flow is under way (again).
    ``behind``: tasks that their rules had passed over because of it, which wait again, too. ``ending``: the
    flow is ending, and goes on with that."""

    task: int
    by: str
    behind: tuple[int, ...] = ()
    ending: bool = False


class FlowRerun(FlowEvent, frozen=True, tag="flow.rerun"):
    """These tasks run again from the start, named by where they stood: -> Wait. A flow that had ended is
    under way again. ``bodies`` holds, whole, those of them that are of another version of the workflow from
    here on. ``parameters`` holds all parameters of tasks whose parameters were changed, ``keys`` the keys of
    those that wait by other ones from here on. Of maps that are to be expanded anew, ``gone_...`` are the
    items that they had, by where these stood: -> Ignore. ``ending``: the flow is ending, and goes on with
    that."""

    by: str
    finished: tuple[int, ...] = ()
    ignored: tuple[int, ...] = ()
    suspended: tuple[int, ...] = ()
    waiting: tuple[int, ...] = ()
    bodies: dict[int, PlannedTask] = {}
    parameters: dict[int, dict[str, Any]] = {}
    keys: dict[int, TaskKeys] = {}
    gone_finished: tuple[int, ...] = ()
    gone_ignored: tuple[int, ...] = ()
    gone_suspended: tuple[int, ...] = ()
    gone_waiting: tuple[int, ...] = ()
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
    most. ``cause``: ``cancel``, by whom and why; or ``timeout``: it took too long, or its cleanup did, which
    ``ends`` says. Named by where they stood: everything else that has not ended -> Ignore, but what is
    ``given_up`` because of a timeout: it stays Suspend, and has ended."""

    cause: Literal["cancel", "timeout"]
    by: str
    reason: str = ""
    until_ms: int = 0
    waiting: tuple[int, ...] = ()
    running: tuple[int, ...] = ()
    suspended: tuple[int, ...] = ()
    given_up: tuple[int, ...] = ()
    ends: bool = False

    @property
    def cancels(self) -> "FlowEnding | None":
        """The event itself, if it is of a cancel."""
        return self if self.cause == "cancel" else None

    @property
    def begins(self) -> "FlowEnding | None":
        """The event itself, if a cleanup begins with it."""
        return None if self.ends else self

    def __iter__(self) -> Iterator[int]:
        """Every task that it ends."""
        return chain(self.waiting, self.running, self.suspended, self.given_up)


class FlowTimedOut(FlowEvent, frozen=True, tag="flow.timed_out"):
    """The flow took too long: what ran or was ready -> Suspend, so that nothing more starts."""

    error: TaskError
    running: tuple[int, ...] = ()
    waiting: tuple[int, ...] = ()

    def __iter__(self) -> Iterator[int]:
        """Every task that was suspended."""
        return chain(self.running, self.waiting)


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


class SnapshotTask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task as a snapshot found it in Redis, which keeps no times or errors, and of results only those that
    tasks still take: ``result``, or ``blob``.

    ``policy`` holds the numbers of a ``TaskPolicy``. ``progress`` is what a worker said of it. ``ended_as``
    says how it has ended (``end_kinds.py``; "t" and "f": what a decision came to), ``used`` which
    dependencies its rule picked. ``awaiting``, ``until_ms`` and ``votes`` are those of a task that waits for
    the world, ``items`` the first of a map's items and how many they are, ``window`` what bounds an item.
    """

    message: SnapshotMessage
    queue: str
    priority: int
    dependents: tuple[int, ...] = ()
    status: int = 0
    attempt: int = 0
    lost: int = 0
    failures: int = 0
    lease: str = ""
    worker: str = ""
    due_ms: int | None = None
    units: int = 1
    fair_key: str = ""
    workflow_key: str = ""
    program_key: str = ""
    window: str = ""
    policy: tuple[float, ...] = ()
    progress: dict[str, Any] | None = None
    result: msgspec.Raw = NO_VALUE
    blob: BlobRef | None = None
    ended_as: EndedAs | Literal["t", "f"] = ""
    used: tuple[int, ...] = ()
    awaiting: str = ""
    until_ms: int = 0
    votes: tuple[str, ...] = ()
    items: tuple[int, int] | None = None
    round: int = 0
    given: msgspec.Raw = NO_VALUE


class KeptSignal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A signal that nobody has taken yet, as a snapshot found it."""

    name: str
    key: str = ""
    id: str
    by: str
    payload: msgspec.Raw = msgspec.Raw(b"null")


class FlowSnapshot(FlowEvent, frozen=True, tag="flow.snapshot"):
    """A flow under way as it stands; what led there, or a part of it, is lost. ``tasks[seq - 1]`` is task
    ``seq``; ``timeout_due_ms`` is when it will have taken too long, 0: never, or not from now on; of one that
    is ``ending`` (because of what), when its cleanup has. ``signals``
    are those that it keeps, ``signal_ids`` those of all that it ever got. A child has its ``parent``.
    ``rounds``: of all its loops."""

    workflow: str
    order: int
    tasks: tuple[SnapshotTask, ...]
    timeout_ms: int = 0
    timeout_due_ms: int = 0
    start_ms: int = 0
    paused: bool = False
    ending: Literal["", "cancel", "timeout"] = ""
    cleanup_ms: int = 0
    key: str = ""
    schedule: str = ""
    slot: int = 0
    previous_slot: int = 0
    next_slot: int = 0
    signals: tuple[KeptSignal, ...] = ()
    signal_ids: tuple[str, ...] = ()
    parent: str = ""
    parent_task: int = 0
    parent_attempt: int = 0
    trunk: str = ""
    rounds: int = 0

    @property
    def due_ms(self) -> int | None:
        """When the flow has taken too long; None: never, or that was said already."""
        return self.timeout_due_ms or None


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


AnyTaskEvent = (
    TaskStarted
    | TaskFinished
    | TaskSuspended
    | TaskReturned
    | TaskLapsed
    | TaskRetrying
    | TaskAgain
    | TaskProgressed
)
AnyWaitEvent = TaskAwaiting | TaskVoted | TaskAnswered | TaskExpanded | TaskLifted | FlowSignalled
AnyOperatorEvent = (
    TaskIgnored
    | TaskUnignored
    | FlowRerun
    | FlowCancelled
    | FlowEnding
    | FlowPaused
    | FlowResumed
    | FlowPrioritised
)
AnyRuleEvent = TaskGivenUp | TasksPassed
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
