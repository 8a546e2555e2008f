"""What a fork takes over of a flow with rules, beside those that wait behind what is to run anew."""

from collections.abc import Set

from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.tasks.end_kinds import NOT_TAKEN, UNMET
from flower_engine.model.tasks.status import Status


def taken_over(state: FlowState, runs: Set[int]) -> list[TaskState]:
    """The tasks that a fork takes over; ``runs``: those that it runs anew, and all behind them.

    Of a flow with rules nothing that is given up, and nothing that began with what is not taken over. What
    rules passed over is not among these: those of the fork decide that anew.
    """
    kept = [task for task in state.tasks if task.planned.seq not in runs]
    if not state.ruled:
        return kept
    kept = [task for task in kept if task.has_ended and task.ended_as in ("", "p", "c")]
    seqs = {task.planned.seq for task in kept}
    while True:
        stale = {task.planned.seq for task in kept if not _stands(state, task, seqs)}
        if not stale:
            return kept
        seqs -= stale
        kept = [task for task in kept if task.planned.seq in seqs]


def _stands(state: FlowState, task: TaskState, kept: set[int]) -> bool:
    """Whether what a task began with is taken over, or passed over by rules in the fork, too."""
    if task.status is not Status.FINISH:
        return True  # somebody passed over it, whatever was before it
    before = task.used or task.planned.depends_on
    return all(seq in kept or _is_passed_again(state, seq, kept) for seq in before)


def _is_passed_again(state: FlowState, seq: int, kept: set[int]) -> bool:
    task = state.task(seq)
    if task.ended_as not in (NOT_TAKEN, UNMET):
        return False
    by_decision = task.ended_as == UNMET and task.planned.when
    before = (by_decision[0],) if by_decision else task.planned.depends_on
    return all(other in kept or _is_passed_again(state, other, kept) for other in before)
