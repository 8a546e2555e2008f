"""Why tasks wait, as data: what can be told from a flow itself and from the workers that are alive."""

from collections.abc import Iterable
from datetime import UTC, datetime

from flower_engine.log.working import WorkerInfo
from flower_engine.model.status import Status
from flower_engine.projection.views import (
    Delayed,
    DependenciesOpen,
    FlowView,
    NoWorker,
    Paused,
    Ready,
    RetryAt,
    TaskView,
    Unknown,
    WaitReason,
)

Served = set[tuple[str, str]]
"""Pairs of queue and program that some live worker serves."""


def has_ready_tasks(flow: FlowView) -> bool:
    """Whether it takes a look at the workers to tell why its tasks wait."""
    final = _final(flow)
    return any(_waits(task) and final.issuperset(task.depends_on) for task in flow.tasks)


def explain(flow: FlowView, served: Served | None) -> None:
    """Fills in the wait reason of each task in Wait; ``served`` is None if the workers cannot be seen now."""
    final = _final(flow)
    for task in flow.tasks:
        if _waits(task):
            open_ones = [seq for seq in task.depends_on if seq not in final]
            task.wait_reason = DependenciesOpen(open_ones) if open_ones else _why_ready(flow, task, served)


def served_by(workers: Iterable[WorkerInfo]) -> Served:
    """What these workers serve."""
    return {(queue, program) for worker in workers for queue in worker.queues for program in worker.programs}


def _why_ready(flow: FlowView, task: TaskView, served: Served | None) -> WaitReason:
    if flow.paused_ts is not None:
        return Paused(by=flow.paused_by or "")
    now = datetime.now(UTC)
    if flow.start_ts is not None and flow.start_ts > now:
        return Delayed(flow.start_ts)
    if task.retry_ts is not None and task.retry_ts > now:
        return RetryAt(task.retry_ts)
    if served is None:
        return Unknown("Redis does not answer, so the live workers are not known")
    if (task.queue, task.program) in served:
        return Ready()
    return NoWorker(program=task.program, queue=task.queue)


def _waits(task: TaskView) -> bool:
    return task.exec_status == Status.WAIT


def _final(flow: FlowView) -> set[int]:
    return {task.task_exec_seq for task in flow.tasks if Status(task.exec_status).is_final}
