"""How a flow and its tasks stand at a moment, as the fold of its events has it."""

import msgspec

from flower_engine.model.definitions.child_flows import CHILD_ERRORS, ParentTask
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.definitions.task_rules import rule_in_force
from flower_engine.model.events.attempt_events import FlowAgain, TaskProgressed
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.events.operator_events import FlowCancelled, FlowEnding, FlowPaused
from flower_engine.model.events.snapshot_events import KeptSignal
from flower_engine.model.events.wait_events import TaskAwaiting, TaskLifted
from flower_engine.model.maps.earlier_items import EarlierItem
from flower_engine.model.tasks.end_kinds import CUT_OFF, GIVEN_UP, VANISHED, EndedAs
from flower_engine.model.tasks.rules import START, Edges, decided
from flower_engine.model.tasks.status import Status, flow_status
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.model.waits.wait_parameters import SUBFLOW


class FoldError(ValueError):
    """An event does not follow from the state before it: the log is damaged or the engine is wrong."""


class TaskState(msgspec.Struct, kw_only=True):
    """One task at a moment. Times are milliseconds; ``open`` counts dependencies that have not ended.

    ``failures`` and ``lost`` are counted since the task, or its round, last began from the start.
    ``retry_ms`` is when a retry is due, or was; it is told until the next attempt starts, as is ``again_ms``,
    when its next round begins. ``round`` counts the rounds that it asked for since it last began from the
    start, and ``given`` is the JSON of the parameters that hold in this one in place of its own.
    ``progress`` was last said by an attempt that did not finish. ``ignored_by`` and ``ignore_reason`` tell
    who passed over it, and why. What finished has its ``result``, or it lies in ``blob``; what was passed
    over has one if an operator gave it. ``awaiting`` says since when and until when it waits for the world,
    ``votes`` who has answered it so far; ``came_ms`` of an item when its map got it, ``taken_from`` the
    earlier item whose result it took over (0: it did not). ``earlier`` of a map are items that it had, whose
    results others may take over; ``is_matched``: those that it is to get will.

    Of a flow with rules: ``edges`` counts its dependencies (None: the flow has no rules), ``needs`` are those
    whose values it cannot do without, ``used`` those that its rule picked when it began (empty: it has not
    begun, or its rule picks none), and ``gives_up_ms`` is when it is given up if nobody decides.
    """

    planned: PlannedTask
    status: Status = Status.WAIT
    ended_as: EndedAs = ""
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
    again_ms: int | None = None
    round: int = 0
    given: bytes | None = None
    result: bytes | None = None
    blob: BlobRef | None = None
    error: TaskError | None = None
    progress: TaskProgressed | None = None
    ignored_by: str | None = None
    ignore_reason: str | None = None
    edges: Edges | None = None
    needs: frozenset[int] = frozenset()
    used: tuple[int, ...] = ()
    gives_up_ms: int | None = None
    awaiting: TaskAwaiting | TaskLifted | None = None
    came_ms: int | None = None
    votes: tuple[str, ...] | None = None
    taken_from: int = 0
    earlier: tuple[EarlierItem, ...] = ()
    is_matched: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether it waits for nothing but a worker, the time of its retry or its round, or the world."""
        if self.status is not Status.WAIT:
            return False
        if self.awaits_flow:
            return True
        if self.edges is None:
            return self.open == 0
        return bool(self.used) or decided(rule_in_force(self.planned), self.edges) is START

    @property
    def has_ended(self) -> bool:
        """Whether dependents may go on and the flow may end."""
        return self.status.is_final or self.ended_as == GIVEN_UP

    @property
    def is_item(self) -> bool:
        """Whether it is an item of a map, or was one: after a snapshot nobody knows of which."""
        return self.planned.item is not None or self.ended_as == VANISHED

    @property
    def is_held(self) -> bool:
        """Whether somebody must decide."""
        return self.status is Status.SUSPEND and self.ended_as != GIVEN_UP

    @property
    def is_held_for_child(self) -> bool:
        """Whether it is held because of its child, which it awaits again when that goes on."""
        return (
            self.is_held
            and self.planned.program == SUBFLOW
            and self.error is not None
            and self.error.type in CHILD_ERRORS
        )

    @property
    def child(self) -> int:
        """The attempt whose child it awaits, or is held for; 0: none."""
        if self.planned.program != SUBFLOW:
            return 0
        awaits = self.is_awaiting and not self.awaits_end
        return self.attempt if awaits or self.is_held_for_child else 0

    @property
    def awaits_flow(self) -> bool:
        """Whether it awaits its child, or the end of that: also where what it follows was opened again while
        it was held for the child."""
        is_so = self.planned.program == SUBFLOW and self.awaiting is not None
        return is_so and self.status is Status.WAIT

    @property
    def awaits_end(self) -> bool:
        """Whether its flow is ending, and it waits for the end of its child alone."""
        return self.awaits_flow and self.awaiting is not None and self.awaiting.until_ms > 0

    @property
    def is_awaiting(self) -> bool:
        """Whether it waits for the world now."""
        return self.awaiting is not None and self.is_ready


class FlowState(msgspec.Struct, kw_only=True):
    """One flow at a moment; ``tasks[seq - 1]`` is task ``seq``; ``left`` counts tasks that have not
    ended, ``suspended`` those in Suspend; ``suspended_ms`` is when a task was last suspended, None while none
    is. ``cancelled`` is the cancel that ended it, or is ending it; ``ending`` what its cleanup began with,
    also when that is over. ``ruled``: its tasks have rules, or say what follows a failure (see
    ``fold_rules.py``).
    ``rounds`` are those of all its loops, however often it ran again. ``again``: a task of it has asked for
    another round of the flow, and has not run again, or been passed over, since.
    ``signals`` are those that it keeps, by id, oldest first; ``signal_ids`` those of all that it ever got.
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
    cancelled: FlowCancelled | FlowEnding | None = None
    ending: FlowEnding | None = None
    paused: FlowPaused | None = None
    ruled: bool = False
    rounds: int = 0
    again: FlowAgain | None = None
    signals: dict[str, KeptSignal] = msgspec.field(default_factory=dict[str, KeptSignal])
    signal_ids: set[str] = msgspec.field(default_factory=set[str])

    @property
    def may_be_parked(self) -> bool:
        """Whether nothing of it goes on before an operator acts, so that it may have left Redis."""
        return (
            self.parent is None
            and any(task.is_held for task in self.tasks)
            and not any(
                task.status is Status.RUNNING or task.is_ready or task.child or task.gives_up_ms is not None
                for task in self.tasks
            )
        )

    @property
    def parent(self) -> ParentTask | None:
        """Whose child it is."""
        registered = self.registered
        if not registered.parent:
            return None
        return ParentTask(
            registered.parent,
            registered.parent_task,
            registered.parent_attempt,
            registered.trunk,
            registered.window,
        )

    @property
    def is_ending(self) -> bool:
        """Whether all that is left of it is its cleanup."""
        return self.ending is not None and self.ended_ms is None

    @property
    def cut_off(self) -> tuple[int, ...]:
        """The tasks that a cancel, or a timeout with a cleanup, cut off, and that stand so still."""
        if self.cancelled is None and self.ending is None:
            return ()
        return tuple(task.planned.seq for task in self.tasks if task.ended_as == CUT_OFF)

    def task(self, seq: int) -> TaskState:
        """Task ``seq`` (1..n)."""
        if not 1 <= seq <= len(self.tasks):
            raise FoldError(f"flow {self.flow} has no task {seq}; its tasks are 1 to {len(self.tasks)}")
        return self.tasks[seq - 1]

    @property
    def done(self) -> int:
        """How many tasks have ended."""
        return len(self.tasks) - self.left

    @property
    def defined(self) -> int:
        """With how many tasks it was registered; the others are items of its maps."""
        return sum(not task.is_item for task in self.tasks)

    @property
    def steps(self) -> int:
        """How far ahead it is: its tasks that have ended, of which a map is one and its items are none."""
        return sum(task.has_ended and not task.is_item for task in self.tasks)

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
