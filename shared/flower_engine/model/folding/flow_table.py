"""How the tasks of a flow stand, as rows, and which of them each event changes: for who shows a flow live.

It is the fold, with a note of what moved. Results and parameters are left out: who shows a flow asks for
those of the task that is looked at.
"""

from collections.abc import Iterable

import msgspec

from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.events.event_meaning import MEANINGS, named_tasks
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.folding.fold import fold_one
from flower_engine.model.tasks.end_kinds import GIVEN_UP, EndedAs
from flower_engine.model.tasks.status import Status

_SOME = b"null"  # in the place of a result: rules ask whether there is one
_MOST_WORDS = 300  # characters of a message or a note; the task itself has all of it


class TaskRow(msgspec.Struct, array_like=True, frozen=True):
    """A task at a moment. ``open``: dependencies that have not ended, of a task that waits for them; times in
    ms since the epoch. ``ended_as``: the letter of ``end_kinds.py``. ``awaiting``: what kind of wait for the
    world goes on, with ``until_ms`` (None: for ever) and how many have ``answered``. ``again_ms``: when its
    next round begins."""

    task: int
    status: int
    open: int
    attempt: int
    lost: int
    failures: int
    started_ms: int | None
    finished_ms: int | None
    suspended_ms: int | None
    retry_ms: int | None
    worker: str | None
    error: str | None
    message: str | None
    fraction: float | None
    note: str | None
    ignored_by: str | None
    ignore_reason: str | None
    priority: int
    ended_as: EndedAs
    gives_up_ms: int | None
    awaiting: str | None
    until_ms: int | None
    answered: int
    again_ms: int | None
    round: int


class FlowRow(msgspec.Struct, frozen=True, rename="camel"):
    """The flow at a moment, beside its tasks; ``given_up`` are among those ``suspended``."""

    status: int
    version: int
    waiting: int
    running: int
    suspended: int
    given_up: int
    finished: int
    ignored: int
    started_ms: int | None
    finished_ms: int | None
    suspended_ms: int | None
    paused_ms: int | None
    paused_by: str | None
    cancelled_ms: int | None
    cancelled_by: str | None
    ending_ms: int | None


class FlowPlan(msgspec.Struct, frozen=True, rename="camel"):
    """What of a flow stays as it is, but for a rerun with another version, and items of maps that come; lists
    by task. ``item_of``: of an item its map, else 0 (empty: there are no items); ``item_index``: its element,
    from 0 on; ``item_keys``: its key, "" where it has none (empty: none has one). A child has its ``parent``,
    the task of it that awaits it, and the ``trunk`` of their tree."""

    task_flow_id: str
    task_id: str
    registered_ms: int
    start_ms: int | None
    workflow_version: str | None
    names: list[str | None]
    programs: list[str]
    queues: list[str]
    depends_on: list[tuple[int, ...]]
    rules: list[str]
    on_failure: list[str]
    item_of: list[int] = []
    item_index: list[int] = []
    item_keys: list[str] = []
    parent: str | None = None
    parent_task: int | None = None
    trunk: str | None = None


class FlowTable:
    """A flow that goes on, event by event."""

    def __init__(self) -> None:
        self.state: FlowState | None = None
        self._flows: dict[str, FlowState] = {}
        self._changed: set[int] | None = None  # None: all of it

    def add(self, event: AnyEvent) -> None:
        """The flow's next event.

        Raises:
            FoldError, and what events that make no sense may raise: it does not follow from those before.
        """
        if not isinstance(event, FlowEvent):
            return
        known = self._flows.get(event.flow)
        fold_one(self._flows, event)
        self.state = state = self._flows[event.flow]
        touched = None if state is not known else touched_tasks(state, event)
        for seq in range(1, len(state.tasks) + 1) if touched is None else touched:
            task = state.tasks[seq - 1]
            if task.result is not None or task.blob is not None:
                task.result, task.blob = _SOME, None
        if touched is None or self._changed is None:
            self._changed = None
        else:
            self._changed |= touched

    def take(self) -> set[int] | None:
        """The tasks that may have changed since it was called last; None: all, and the plan, too."""
        changed, self._changed = self._changed, set()
        return changed

    @property
    def version(self) -> int:
        """Of the flow; 0 before its first event."""
        return 0 if self.state is None else self.state.version

    def rows(self, tasks: Iterable[int] | None = None) -> list[TaskRow]:
        """These tasks (all), in the order of their numbers."""
        if self.state is None:
            return []
        seqs = range(1, len(self.state.tasks) + 1) if tasks is None else sorted(tasks)
        return [_row(seq, self.state.tasks[seq - 1]) for seq in seqs]

    def flow(self) -> FlowRow:
        """The flow itself."""
        state = self.state
        assert state is not None
        counts, given_up = [0] * 10, 0
        started_ms: int | None = None
        for task in state.tasks:
            counts[task.status] += 1
            given_up += task.ended_as == GIVEN_UP
            if task.started_ms is not None and (started_ms is None or task.started_ms < started_ms):
                started_ms = task.started_ms
        return FlowRow(
            status=state.status,
            version=state.version,
            waiting=counts[0],
            running=counts[1],
            suspended=counts[2],
            given_up=given_up,
            finished=counts[3],
            ignored=counts[9],
            started_ms=started_ms,
            finished_ms=state.ended_ms,
            suspended_ms=state.suspended_ms,
            paused_ms=state.paused and state.paused.at,
            paused_by=state.paused and state.paused.by,
            cancelled_ms=state.cancelled and state.cancelled.at,
            cancelled_by=state.cancelled and state.cancelled.by,
            ending_ms=state.ending and state.ending.at,
        )

    def plan(self) -> FlowPlan:
        """What stays."""
        state = self.state
        assert state is not None
        planned = [task.planned for task in state.tasks]
        has_items = any(one.item for one in planned)
        return FlowPlan(
            task_flow_id=state.flow,
            task_id=state.workflow,
            registered_ms=state.registered_ms,
            start_ms=state.registered.start_ms or None,
            workflow_version=state.registered.definition or None,
            names=[one.task_name for one in planned],
            programs=[one.program for one in planned],
            queues=[one.queue for one in planned],
            depends_on=[one.own_dependencies for one in planned],
            rules=[one.rule for one in planned],
            on_failure=[one.on_failure for one in planned],
            item_of=[one.item[0] if one.item else 0 for one in planned] if has_items else [],
            item_index=[one.item[1] if one.item else 0 for one in planned] if has_items else [],
            item_keys=[one.item_key for one in planned] if any(one.item_key for one in planned) else [],
            parent=state.registered.parent or None,
            parent_task=state.registered.parent_task or None,
            trunk=state.registered.trunk or None,
        )


def touched_tasks(state: FlowState, event: AnyEvent) -> set[int] | None:
    """The tasks whose rows an event may have changed; None: all, and what is planned of them.

    ``state`` is that behind the event."""
    meaning = MEANINGS[type(event)]
    if meaning.about in ("registration", "snapshot") or meaning.of_all or meaning.items == "come":
        return None
    if any(fact == "body" and getattr(event, field) for field, fact in meaning.of_each.items()):
        return None
    touched: set[int] = set()
    for move in meaning.moves:
        opens = move.to is not None and (
            state.ruled or move.to.is_final or any(status.is_final for status in move.was)
        )
        for seq in named_tasks(event, move.tasks):
            touched.add(seq)
            if opens:
                touched.update(state.dependents[seq])
    return touched


def _row(seq: int, task: TaskState) -> TaskRow:
    error, progress = task.error, task.progress
    awaiting = task.awaiting if task.status is Status.WAIT else None
    return TaskRow(
        seq,
        task.status,
        0 if task.is_ready else task.open,
        task.attempt,
        task.lost,
        task.failures,
        task.started_ms,
        task.finished_ms,
        task.suspended_ms,
        task.retry_ms,
        task.worker or None,
        error and error.type,
        error and error.message[:_MOST_WORDS],
        progress and progress.fraction,
        (progress.note[:_MOST_WORDS] or None) if progress else None,
        task.ignored_by,
        task.ignore_reason,
        task.planned.priority,
        task.ended_as,
        task.gives_up_ms,
        awaiting and awaiting.kind,
        (awaiting.until_ms or None) if awaiting else None,
        len(task.votes or ()),
        task.again_ms,
        task.round,
    )
