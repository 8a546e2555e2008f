"""The fold: what state a flow's events add up to. The oracle that the Lua scripts are tested against.

What each event means is said in ``event_meaning.py``; this applies it, and refuses what does not follow.
"""

from collections.abc import Iterable

from flower_engine.model.definitions.definition import dependents_of
from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.events.event_meaning import MEANINGS
from flower_engine.model.events.events import AnyEvent, AnyFlowEvent, FlowRegistered
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.folding.flow_state import FlowState, FoldError, TaskState
from flower_engine.model.folding.fold_rules import begin_rules, gives_up_ms
from flower_engine.model.folding.fold_steps import STEPS, close
from flower_engine.model.folding.snapshot_registration import (
    again_of,
    awaiting_of,
    due_of,
    ended_as,
    ending_of,
    error_of,
    pause_of,
    progress_of,
    registration_of,
    result_of,
    started_ms,
)
from flower_engine.model.tasks.status import Status


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
    known = flows.get(event.flow)
    if known is None or isinstance(event, FlowRegistered | FlowSnapshot):
        flows[event.flow] = _first(event, known)
        return
    if event.v != known.version + 1:
        raise FoldError(f"flow {known.flow}: event v{event.v} follows v{known.version}")
    if known.ended_ms is not None and MEANINGS[type(event)].end != "over":
        raise FoldError(f"flow {known.flow}: event v{event.v} comes after its end")
    known.version = event.v
    STEPS[type(event)](known, event)


def _first(event: AnyFlowEvent, known: FlowState | None) -> FlowState:
    """The flow that an event begins; ``known``: what was there before."""
    if isinstance(event, FlowSnapshot):
        return _snapshot(event, known)
    if not isinstance(event, FlowRegistered):
        raise FoldError(f"flow {event.flow} has an event v{event.v} before it is registered")
    if known is not None:
        raise FoldError(f"flow {event.flow} is registered twice")
    flow = _begin(event)
    STEPS[FlowRegistered](flow, event)
    begin_rules(flow)
    return flow


def _begin(registered: FlowRegistered) -> FlowState:
    """The flow with all of its tasks waiting."""
    refuse_odd_numbers(registered)
    flow = FlowState(
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
    for seq, items in registered.earlier.items():
        task = flow.task(seq)
        task.is_matched, task.earlier = True, items
    return flow


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


def _snapshot(event: FlowSnapshot, known: FlowState | None) -> FlowState:
    """The flow as it was found, with what was known of it before where that still holds."""
    flow = _begin(registration_of(event, known and known.registered))
    if event.paused:
        flow.paused = (known and known.paused) or pause_of(event)
    if event.ending:
        flow.ending = (known and known.ending) or ending_of(event)
        flow.cancelled = (known and known.cancelled) or (flow.ending and flow.ending.cancels)
    flow.signals = {signal.id: signal for signal in event.signals}
    flow.signal_ids = set(event.signal_ids)
    flow.rounds, flow.again = event.rounds, again_of(event)
    for seq, found in enumerate(event.tasks, start=1):
        task = flow.task(seq)
        task.status, task.attempt = Status(found.status), found.attempt
        task.ended_as, task.used = ended_as(found), found.used
        task.failures, task.lost = found.failures, found.lost
        task.lease, task.worker = found.lease, found.worker
        task.retry_ms, task.again_ms = due_of(found)
        task.round, task.given = found.round, bytes(found.given) or None
        task.started_ms, task.progress = started_ms(found), progress_of(event, seq)
        task.result, task.blob = result_of(found), found.blob
        task.awaiting = awaiting_of(event, seq) if task.status is Status.WAIT else None
        task.votes = found.votes or None
        task.is_matched, task.earlier = found.earlier is not None, found.earlier or ()
        before = known.task(seq) if known and seq <= len(known.tasks) else None
        if before and (before.status, before.attempt) == (task.status, task.attempt):
            _keep(task, before)
        if task.status is Status.SUSPEND:
            task.suspended_ms = task.suspended_ms or event.at
            task.error = task.error or error_of(found)
            flow.suspended += 1
            flow.suspended_ms = max(flow.suspended_ms or 0, task.suspended_ms)
            if task.is_held and task.gives_up_ms is None:
                task.gives_up_ms = gives_up_ms(task, task.suspended_ms)
        if task.has_ended:
            close(flow, seq)
    begin_rules(flow)
    return flow


def _keep(task: TaskState, before: TaskState) -> None:
    """What a snapshot does not say of a task that has not moved since."""
    task.worker = task.worker or before.worker
    task.started_ms = before.started_ms or task.started_ms
    task.finished_ms, task.suspended_ms = before.finished_ms, before.suspended_ms
    if task.result is None and task.blob is None:
        task.result, task.blob = before.result, before.blob
    task.error = before.error
    task.ignored_by, task.ignore_reason = before.ignored_by, before.ignore_reason
    task.progress = task.progress or before.progress
    task.gives_up_ms = before.gives_up_ms
    task.taken_from = before.taken_from
    task.earlier = task.earlier or before.earlier
