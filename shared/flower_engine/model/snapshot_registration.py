"""What a snapshot says, in the words of registrations: for the fold, and for the projection."""

import msgspec

from flower_engine.model.definition import PlannedTask, RetryPolicy
from flower_engine.model.events import (
    FlowPaused,
    FlowRegistered,
    FlowSnapshot,
    SnapshotTask,
    TaskError,
    TaskProgressed,
)
from flower_engine.model.ids import created_ms
from flower_engine.model.status import Status

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
        start_ms=snapshot.start_ms,
        key=snapshot.key,
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
    )


def pause_of(snapshot: FlowSnapshot) -> FlowPaused:
    """The pause of a flow that was found paused; nobody knows by whom."""
    return FlowPaused(at=snapshot.at, flow=snapshot.flow, v=snapshot.v, by="")


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


def started_ms(task: SnapshotTask) -> int | None:
    """When its latest attempt began: a lease's id begins with that moment."""
    return int(task.lease.partition("-")[0]) if task.lease else None


def _planned(tasks: tuple[SnapshotTask, ...]) -> tuple[PlannedTask, ...]:
    depends_on: list[list[int]] = [[] for _ in range(len(tasks) + 1)]
    for seq, task in enumerate(tasks, start=1):
        for dependent in task.dependents:
            depends_on[dependent].append(seq)
    return tuple(
        PlannedTask(
            seq=seq,
            task_seq=task.message.task_seq,
            program=task.message.program,
            priority=task.priority,
            queue=task.queue,
            depends_on=tuple(depends_on[seq]),
            parameters=task.message.parameters,
            retry=_retry_of(task),
            timeout_ms=int(task.policy[5]) or None if task.policy else None,
            queue_timeout_ms=int(task.policy[6]) or None if task.policy else None,
            units=task.units,
            fair_key=task.fair_key,
            workflow_key=task.workflow_key,
            program_key=task.program_key,
        )
        for seq, task in enumerate(tasks, start=1)
    )


def _retry_of(task: SnapshotTask) -> RetryPolicy | None:
    if not task.policy or not task.policy[0]:
        return None
    attempts, delay_ms, backoff, max_delay_ms, jitter = task.policy[:5]
    return RetryPolicy(
        max_attempts=int(attempts),
        delay_ms=int(delay_ms),
        backoff=backoff,
        max_delay_ms=int(max_delay_ms),
        jitter=jitter,
        no_retry_on=task.message.no_retry_on,
    )
