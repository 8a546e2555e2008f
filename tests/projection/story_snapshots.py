"""How a task of a story stands, as Redis would say it in a snapshot."""

import msgspec

from flower_engine.model.definitions.task_message import SnapshotMessage
from flower_engine.model.events.event_base import NO_VALUE
from flower_engine.model.events.snapshot_events import SnapshotTask
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.folding.kept_results import is_read_by
from flower_engine.model.tasks.status import Status


def json_or_none(value: bytes) -> msgspec.Raw:
    """A field that is any JSON, or (b"") is not there."""
    return msgspec.Raw(value) if value else NO_VALUE


def found(state: FlowState, task: TaskState) -> SnapshotTask:
    """A task as Redis has it: no times or errors, and of results those that a task still reads."""
    planned = task.planned
    has_lease = task.status in (Status.RUNNING, Status.FINISH)
    readers = [state.task(seq) for seq in state.dependents[planned.seq]]
    is_read = any(is_read_by(one.planned, planned.seq) and not one.status.is_final for one in readers)
    progress = task.progress and {"fraction": task.progress.fraction, "note": task.progress.note}
    return SnapshotTask(
        message=SnapshotMessage(
            task_seq=planned.task_seq,
            program=planned.program,
            parameters=planned.parameters,
            definition=planned.definition,
            reads=planned.reads,
            refs=planned.refs,
            rule=planned.rule,
            on_failure=planned.on_failure,
            stand_in=planned.stand_in,
        ),
        queue=planned.queue,
        priority=planned.priority,
        dependents=tuple(state.dependents[planned.seq]),
        status=int(task.status),
        attempt=task.attempt,
        lost=task.lost,
        failures=task.failures,
        lease=task.lease if has_lease else "",
        worker=task.worker if task.status is Status.RUNNING else "",
        due_ms=task.retry_ms,
        progress=progress,
        result=json_or_none((is_read and task.result) or b""),
        blob=task.blob if is_read else None,
        awaiting="flow" if task.child else task.awaiting.kind if task.is_awaiting and task.awaiting else "",
        until_ms=task.awaiting.until_ms if task.is_awaiting and task.awaiting else 0,
        votes=(task.votes or ()) if task.is_awaiting else (),
        ended_as=task.ended_as,
        used=task.used,
        items=planned.items,
    )
