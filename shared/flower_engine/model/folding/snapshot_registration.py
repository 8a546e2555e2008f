"""A snapshot, read as a registration, a pause and progress: fold and projection know how to take those."""

import msgspec

from flower_engine.model.decisions.decision_tasks import LEAST_RESULTS
from flower_engine.model.definitions.child_flows import CHILD_SUSPENDED
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.definitions.task_message import carried_by
from flower_engine.model.events.attempt_events import FlowAgain, TaskProgressed
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.events.operator_events import FlowEnding, FlowPaused
from flower_engine.model.events.snapshot_events import FlowSnapshot, SnapshotTask
from flower_engine.model.events.wait_events import TaskAwaiting
from flower_engine.model.maps.map_items import numbers_of
from flower_engine.model.tasks.end_kinds import PASSED, EndedAs
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.tasks.task_policy import TaskPolicy
from flower_engine.model.values.ids import created_ms

LOST_ERROR = TaskError(type="Unknown", message="why it failed lies in the part of the history that is lost")


def registration_of(snapshot: FlowSnapshot, known: FlowRegistered | None = None) -> FlowRegistered:
    """The registration that would have led to a flow like this; ``known``: the one that did, where it is
    not lost. Of a lost one, the time is that of the flow's id.
    """
    registered = FlowRegistered(
        at=created_ms(snapshot.flow),
        flow=snapshot.flow,
        v=snapshot.v,
        workflow=snapshot.workflow,
        order=snapshot.order,
        tasks=_planned(snapshot.tasks),
        timeout_ms=snapshot.timeout_ms,
        cleanup_ms=snapshot.cleanup_ms,
        start_ms=snapshot.start_ms,
        key=snapshot.key,
        schedule=snapshot.schedule,
        slot=snapshot.slot,
        previous_slot=snapshot.previous_slot,
        next_slot=snapshot.next_slot,
        parent=snapshot.parent,
        parent_task=snapshot.parent_task,
        parent_attempt=snapshot.parent_attempt,
        trunk=snapshot.trunk,
        window=snapshot.window,
    )
    if known is None:
        return registered
    return msgspec.structs.replace(
        registered,
        at=known.at,
        by=known.by,
        key=known.key,
        forked_from=known.forked_from,
        start_ms=known.start_ms,
        parameters=known.parameters,
        definition=known.definition,
        parent_round=known.parent_round,
    )


def pause_of(snapshot: FlowSnapshot) -> FlowPaused:
    """The pause of a flow that was found paused; nobody knows by whom."""
    return FlowPaused(at=snapshot.at, flow=snapshot.flow, v=snapshot.v, by="")


def ending_of(snapshot: FlowSnapshot) -> FlowEnding | None:
    """What led to the cleanup of a flow that was found ending; nobody knows by whom, and since when."""
    if not snapshot.ending:
        return None
    return FlowEnding(
        at=snapshot.at,
        flow=snapshot.flow,
        v=snapshot.v,
        cause=snapshot.ending,
        by="",
        until_ms=snapshot.timeout_due_ms,
    )


def again_of(snapshot: FlowSnapshot) -> FlowAgain | None:
    """What a task of it asked for."""
    if snapshot.again is None:
        return None
    task, attempt, due_ms = snapshot.again
    return FlowAgain(
        at=snapshot.at,
        flow=snapshot.flow,
        v=snapshot.v,
        task=task,
        attempt=attempt,
        lease="",
        given=snapshot.again_given,
        due_ms=due_ms,
    )


def progress_of(snapshot: FlowSnapshot, seq: int) -> TaskProgressed | None:
    """What a task's program said of its progress, unless it has finished since."""
    task = snapshot.tasks[seq - 1]
    if task.progress is None or task.status == Status.FINISH:
        return None
    fraction, note = task.progress.get("fraction"), task.progress.get("note")
    return TaskProgressed(
        at=snapshot.at,
        flow=snapshot.flow,
        v=snapshot.v,
        task=seq,
        attempt=task.attempt,
        lease=task.lease,
        fraction=fraction if isinstance(fraction, int | float) else None,
        note=note if isinstance(note, str) else "",
    )


def due_of(task: SnapshotTask) -> tuple[int | None, int | None]:
    """When its retry is due, and when its next round begins: what waits for one has not failed in it."""
    return (task.due_ms, None) if task.failures else (None, task.due_ms)


def ended_as(task: SnapshotTask) -> EndedAs:
    """How it has ended; one that an earlier version wrote says nothing of what was passed over."""
    if task.ended_as in ("t", "f"):
        return ""
    return task.ended_as or (PASSED if task.status == Status.IGNORE else "")


def result_of(task: SnapshotTask) -> bytes | None:
    """Its result, where that is kept; of a decision at least what it came to."""
    if task.ended_as in ("t", "f") and not bytes(task.result):
        return LEAST_RESULTS[task.ended_as]
    return bytes(task.result) or None


def awaiting_of(snapshot: FlowSnapshot, seq: int) -> TaskAwaiting | None:
    """Since when and until when a task waits for the world, as far as that is known: since the snapshot."""
    task = snapshot.tasks[seq - 1]
    if not task.awaiting:
        return None
    return TaskAwaiting(
        at=snapshot.at,
        flow=snapshot.flow,
        v=snapshot.v,
        task=seq,
        attempt=task.attempt,
        kind=task.awaiting,
        until_ms=task.until_ms,
    )


def error_of(task: SnapshotTask) -> TaskError:
    """Why one that is held was suspended, as far as that is known."""
    if task.awaiting:
        return TaskError(type=CHILD_SUSPENDED, message="nothing went on in its child")
    return LOST_ERROR


def started_ms(task: SnapshotTask) -> int | None:
    """When its latest attempt began: a lease's id begins with that moment."""
    return int(task.lease.partition("-")[0]) if task.lease else None


def _planned(tasks: tuple[SnapshotTask, ...]) -> tuple[PlannedTask, ...]:
    depends_on: list[list[int]] = [[] for _ in range(len(tasks) + 1)]
    for seq, task in enumerate(tasks, start=1):
        for dependent in task.dependents:
            depends_on[dependent].append(seq)
    item_of = {
        number: (seq, index)
        for seq, task in enumerate(tasks, start=1)
        for index, number in enumerate(numbers_of(task.items))
    }
    return tuple(
        _task(seq, task, tuple(depends_on[seq]), item_of.get(seq)) for seq, task in enumerate(tasks, start=1)
    )


def _task(
    seq: int, task: SnapshotTask, depends_on: tuple[int, ...], item: tuple[int, int] | None
) -> PlannedTask:
    policy = TaskPolicy.of_numbers(task.policy)
    return PlannedTask(
        seq=seq,
        priority=task.priority,
        queue=task.queue,
        depends_on=depends_on,
        retry=policy and policy.retry(task.message.no_retry_on),
        timeout_ms=(policy and policy.timeout_ms) or None,
        queue_timeout_ms=(policy and policy.queue_timeout_ms) or None,
        units=task.units,
        fair_key=task.fair_key,
        workflow_key=task.workflow_key,
        program_key=task.program_key,
        window=task.window,
        items=task.items,
        along=task.along,
        item=item,
        **carried_by(task.message),
    )
