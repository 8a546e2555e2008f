"""Which tasks of a flow nobody needs any more: those that led only to joins which went on without them.

A join cancels the others (``any:cancel``, ``at_least:2:cancel``) once it has what its rule needs. What leads
to it alone is not needed then, nor what leads to that alone; what somebody else waits for is, until that
needs it no more, either. What cleans up is always done. So it is decided by how the tasks stand, whatever
led there: a task that waits, runs or is held, and that this page calls unneeded, is about to be cancelled.
"""

from collections.abc import Collection

from flower_engine.model.definitions.task_rules import rule_in_force
from flower_engine.model.events.events import TasksUnneeded
from flower_engine.model.folding.flow_state import FlowState, FoldError, TaskState
from flower_engine.model.tasks.end_kinds import UNNEEDED
from flower_engine.model.tasks.rules import START, decided, rule_of
from flower_engine.model.tasks.status import Status


def cancels_others(flow: FlowState) -> bool:
    """Whether a join of the flow cancels what it alone needed."""
    return flow.ruled and any(rule_of(task.planned.rule).cancels for task in flow.tasks)


def has_enough(task: TaskState) -> bool:
    """Whether it is a join that cancels the others, and has what its rule needs."""
    if task.edges is None or task.status is Status.IGNORE or not rule_of(task.planned.rule).cancels:
        return False
    return bool(task.used) or decided(rule_in_force(task.planned), task.edges) is START


def is_unneeded(flow: FlowState, task: TaskState, with_these: Collection[int] = ()) -> bool:
    """Whether nobody needs the task any more, which has not ended; ``with_these``: they are about to be
    cancelled, too."""
    if task.has_ended or task.planned.finally_:
        return False
    if task.planned.item is not None:  # it goes with its map
        seq = task.planned.item[0]
        return seq in with_these or flow.task(seq).ended_as == UNNEEDED
    is_one = False
    for seq in flow.dependents[task.planned.seq]:
        behind = flow.task(seq)
        if seq in with_these or behind.ended_as == UNNEEDED:
            is_one = True
        elif task.planned.seq in behind.used:  # it began with this one, which runs again
            if not behind.has_ended:
                return False
        elif has_enough(behind):
            is_one = True
        elif not behind.has_ended:
            return False
    return is_one


def unneeded_in(flow: FlowState) -> list[int]:
    """All that nobody needs any more and that has not ended, also what only that leads to; in the order in
    which it is found. Cost is linear in tasks and edges."""
    if not cancels_others(flow):
        return []
    found: dict[int, None] = {}
    left = [task.planned.seq for task in flow.tasks]
    while left:
        task = flow.task(left.pop())
        if task.planned.seq not in found and is_unneeded(flow, task, found):
            found[task.planned.seq] = None
            left += task.planned.depends_on
    return list(found)


def expect_unneeded(flow: FlowState, event: TasksUnneeded) -> None:
    """Refuses an event that cancels what is needed; the tasks have not moved yet.

    Raises:
        FoldError: it does.
    """
    cause, these = flow.task(event.cause), set(event)
    if not cause.has_ended and not has_enough(cause):
        raise FoldError(
            f"flow {flow.flow}: event v{event.v} cancels what task {event.cause} does not need, which has"
            " neither ended nor what its rule needs"
        )
    for seq in these:
        task = flow.task(seq)
        if not task.has_ended and not is_unneeded(flow, task, these):
            raise FoldError(f"flow {flow.flow} task {seq}: event v{event.v} cancels it, and it is needed")
