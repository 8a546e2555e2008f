"""The fold: what state a flow's events add up to. The oracle that the Lua scripts are tested against.

What each event means is said in ``event_meaning.py``; this applies it, and refuses what does not follow.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from flower_engine.model.definition import dependents_of
from flower_engine.model.event_meaning import MEANINGS, Meaning, Move, named_tasks
from flower_engine.model.events import AnyEvent, AnyFlowEvent, FlowEvent, FlowRegistered, FlowSnapshot
from flower_engine.model.fact_writers import Writer, fact_writer
from flower_engine.model.flow_state import FlowState, FoldError, TaskState
from flower_engine.model.snapshot_registration import (
    LOST_ERROR,
    pause_of,
    progress_of,
    registration_of,
    started_ms,
)
from flower_engine.model.status import Status

_WRITERS: dict[type[AnyEvent], list[tuple[Move, Writer]]] = {
    kind: [(move, fact_writer(meaning, move, TaskState)) for move in meaning.moves]
    for kind, meaning in MEANINGS.items()
}
_HELD_IN_PLAN = ("priority", "parameters")


def fold(events: Iterable[AnyEvent]) -> dict[str, FlowState]:
    """The flows that these events, in log order, add up to, by flow id.

    Raises:
        FoldError: an event contradicts those before it; names flow, task and both facts.
    """
    flows: dict[str, FlowState] = {}
    for event in events:
        fold_one(flows, event)
    return flows


def fold_one(flows: dict[str, FlowState], event: AnyEvent) -> None:
    """Adds the next event of the log to the flows of those before it; raises as :func:`fold` does."""
    if not isinstance(event, FlowEvent):
        return
    meaning = MEANINGS[type(event)]
    known = flows.get(event.flow)
    if isinstance(event, FlowSnapshot):
        flows[event.flow] = _snapshot(event, known)
    elif isinstance(event, FlowRegistered):
        if known is not None:
            raise FoldError(f"flow {event.flow} is registered twice")
        flows[event.flow] = flow = _begin(event)
        _apply(flow, event, meaning)
    elif known is None:
        raise FoldError(f"flow {event.flow} has an event v{event.v} before it is registered")
    else:
        if event.v != known.version + 1:
            raise FoldError(f"flow {known.flow}: event v{event.v} follows v{known.version}")
        if known.ended_ms is not None and meaning.end != "over":
            raise FoldError(f"flow {known.flow}: event v{event.v} comes after its end")
        _apply(known, event, meaning)


def _begin(registered: FlowRegistered) -> FlowState:
    """The flow with all of its tasks waiting."""
    refuse_odd_numbers(registered)
    return FlowState(
        flow=registered.flow,
        workflow=registered.workflow,
        order=registered.order,
        registered_ms=registered.at,
        tasks=[TaskState(planned=task, open=len(task.depends_on)) for task in registered.tasks],
        dependents=dependents_of(registered.tasks),
        registered=registered,
        version=registered.v,
        left=len(registered.tasks),
    )


def refuse_odd_numbers(registered: FlowRegistered) -> None:
    """For a registration whose tasks are not numbered 1..n, or depend on others than these.

    Raises:
        FoldError: it is one.
    """
    count = len(registered.tasks)
    for seq, task in enumerate(registered.tasks, start=1):
        if task.seq != seq:
            raise FoldError(f"flow {registered.flow}: its task {seq} is numbered {task.seq}")
        if task.depends_on and not 1 <= min(task.depends_on) <= max(task.depends_on) <= count:
            raise FoldError(
                f"flow {registered.flow} task {seq} depends on {task.depends_on}, of {count} tasks"
            )


def _apply(flow: FlowState, event: AnyFlowEvent, meaning: Meaning) -> None:
    flow.version = event.v
    writers = _WRITERS[type(event)]
    for move, _ in writers:
        for seq in named_tasks(event, move.tasks):
            _expect(flow, flow.task(seq), event, move)
    for move, write in writers:
        for seq in named_tasks(event, move.tasks):
            task = flow.task(seq)
            if move.to is not None:
                _leave(flow, task, move.to)
            write(task, event)
            if move.to is not None:
                _arrive(flow, task, event.at)
    for fact, field in meaning.of_each.items():
        for seq, value in getattr(event, field).items():
            _give(flow.task(seq), fact, value)
    for fact, field in meaning.of_all.items():
        for task in flow.tasks:
            _give(task, fact, getattr(event, field))
    for fact in meaning.flow_sets:
        setattr(flow, fact, event)
    for fact in meaning.flow_forgets:
        setattr(flow, fact, None)
    _end(flow, event, meaning)


def _expect(flow: FlowState, task: TaskState, event: Any, move: Move) -> None:
    """Refuses an event of a task that does not stand where the event takes it from."""
    where = f"flow {flow.flow} task {task.planned.seq}"
    if move.by_lease:
        if task.status not in move.was or task.lease != event.lease or task.attempt != event.attempt:
            raise FoldError(
                f"{where}: event v{event.v} is of attempt {event.attempt}, lease {event.lease}; the task is"
                f" {task.status.word}, attempt {task.attempt}, lease {task.lease}"
            )
    elif move.to is Status.RUNNING:
        if not task.is_ready or event.attempt != task.attempt + 1:
            raise FoldError(
                f"{where}: started as attempt {event.attempt} while it is {task.status.word}, attempt"
                f" {task.attempt}, with {task.open} open dependencies"
            )
        if flow.paused is not None:  # times are not compared: a history is as good if a clock went back in it
            raise FoldError(f"{where}: started at {event.at} while its flow is paused")
    else:
        was = Status(getattr(event, move.said_in)) if move.said_in else move.was[0]
        if task.status is not was or was not in move.was:
            raise FoldError(
                f"{where}: event v{event.v} says that it was {was.word}, it is {task.status.word}"
            )


def _leave(flow: FlowState, task: TaskState, to: Status) -> None:
    """The task is about to stand elsewhere. Where it was final, what waits behind it waits for it, too."""
    if task.status is Status.SUSPEND:
        flow.suspended -= 1
        if not flow.suspended:
            flow.suspended_ms = None
    if task.status.is_final and not to.is_final:
        flow.left += 1
        for behind in _behind(flow, task):
            if behind.status is Status.RUNNING:
                raise FoldError(
                    f"flow {flow.flow} task {task.planned.seq} is reopened under task {behind.planned.seq},"
                    " which runs"
                )
            behind.open += 1


def _arrive(flow: FlowState, task: TaskState, at: int) -> None:
    """The task stands where its event took it. If it is final, its dependents may go on."""
    if task.status is Status.SUSPEND:
        flow.suspended += 1
        flow.suspended_ms = at
    elif task.status.is_final:
        flow.left -= 1
        for behind in _behind(flow, task):
            behind.open -= 1


def _behind(flow: FlowState, task: TaskState) -> Iterator[TaskState]:
    return map(flow.task, flow.dependents[task.planned.seq])


def _give(task: TaskState, fact: str, value: Any) -> None:
    if fact in _HELD_IN_PLAN:
        task.planned = msgspec.structs.replace(task.planned, **{fact: value})
    else:
        setattr(task, fact, bytes(value))


def _end(flow: FlowState, event: Any, meaning: Meaning) -> None:
    if meaning.end == "over":
        flow.ended_ms = flow.cancelled = None
    elif meaning.end:
        ends = meaning.end == "always" or event.ends
        if ends != (flow.left == 0):
            raise FoldError(f"flow {flow.flow}: event v{event.v} has ends={ends} with {flow.left} tasks open")
        if ends:
            flow.ended_ms = event.at


def _snapshot(event: FlowSnapshot, known: FlowState | None) -> FlowState:
    """The flow as it was found, with what was known of it before where that still holds."""
    flow = _begin(registration_of(event, known and known.registered))
    if event.paused:
        flow.paused = (known and known.paused) or pause_of(event)
    for seq, found in enumerate(event.tasks, start=1):
        task = flow.task(seq)
        task.status, task.attempt = Status(found.status), found.attempt
        task.failures, task.lost = found.failures, found.lost
        task.lease, task.worker, task.retry_ms = found.lease, found.worker, found.due_ms
        task.started_ms, task.progress = started_ms(found), progress_of(event, seq)
        before = known.task(seq) if known and seq <= len(known.tasks) else None
        if before and (before.status, before.attempt) == (task.status, task.attempt):
            _keep(task, before)
        if task.status is Status.SUSPEND:
            task.suspended_ms = task.suspended_ms or event.at
            task.error = task.error or LOST_ERROR
            flow.suspended += 1
            flow.suspended_ms = max(flow.suspended_ms or 0, task.suspended_ms)
        if task.status.is_final:
            flow.left -= 1
            for behind in _behind(flow, task):
                behind.open -= 1
    return flow


def _keep(task: TaskState, before: TaskState) -> None:
    """What a snapshot does not say of a task that has not moved since."""
    task.worker = task.worker or before.worker
    task.started_ms = before.started_ms or task.started_ms
    task.finished_ms, task.suspended_ms = before.finished_ms, before.suspended_ms
    task.result, task.error = before.result, before.error
    task.ignored_by, task.ignore_reason = before.ignored_by, before.ignore_reason
    task.progress = task.progress or before.progress
