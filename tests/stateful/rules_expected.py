"""What rules make of tasks that are opened again, from the state of a flow alone."""

from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.folding.fold_rules import edges_of
from flower_engine.model.tasks.rules import PASS, Edge, decide
from flower_engine.model.tasks.status import Status


def uses(flow: FlowState, behind: int, seq: int) -> bool:
    """Whether a task that has begun did so with this dependency."""
    used, when = flow.task(behind).used, flow.task(behind).planned.when
    return not used or seq in used or (when is not None and when[0] == seq)


def _decided_without(flow: FlowState, task: TaskState, open_again: set[int]) -> bool:
    """Whether rules still pass over a task while these are open."""
    edges = zip(task.planned.depends_on, edges_of(flow, task), strict=True)
    decision = task.planned.when[0] if task.planned.when else 0
    now = [
        (Edge("undecided") if seq == decision else Edge("open", edge.needs_value))
        if seq in open_again
        else edge
        for seq, edge in edges
    ]
    return decide(task.planned.rule, now) is PASS


def opened(flow: FlowState, again: set[int]) -> set[int]:
    """What waits again because these do, beside them."""
    if not flow.ruled:
        return set()
    all_open = set(again)
    is_more = True
    while is_more:
        more = {
            task.planned.seq
            for task in flow.tasks
            if task.planned.seq not in all_open
            and all_open.intersection(task.planned.depends_on)
            and (_is_over(flow, task, all_open) or _began_on_failure(flow, task, all_open))
        }
        all_open |= more
        is_more = bool(more)
    return all_open - again


def _is_over(flow: FlowState, task: TaskState, all_open: set[int]) -> bool:
    return task.ended_as in ("n", "w") and not _decided_without(flow, task, all_open)


def _began_on_failure(flow: FlowState, task: TaskState, all_open: set[int]) -> bool:
    failed = [seq for seq in task.used if seq in all_open and flow.task(seq).status is Status.SUSPEND]
    has_begun = task.status in (Status.FINISH, Status.SUSPEND)
    return task.planned.rule == "failed" and has_begun and bool(failed)


def would_pass(flow: FlowState, again: set[int]) -> set[int]:
    """Those that rules passed over, and would pass over at once again."""
    if not flow.ruled:
        return set()
    return {
        seq
        for seq in again
        if flow.task(seq).ended_as in ("n", "w") and _decided_without(flow, flow.task(seq), again)
    }


def spared(flow: FlowState) -> set[int]:
    """What cleans up, and what only that leads to: asked for each task by itself."""
    known: dict[int, bool] = {}

    def is_spared(seq: int) -> bool:
        if seq not in known:
            planned = flow.task(seq).planned
            before = planned.own_dependencies if planned.item is None else (planned.item[0],)
            known[seq] = planned.finally_ or (bool(before) and all(map(is_spared, before)))
        return known[seq]

    return {task.planned.seq for task in flow.tasks if is_spared(task.planned.seq)}


def cleanup(flow: FlowState) -> set[int]:
    """What a cancel spares now."""
    found = spared(flow)
    has_begun = any(task.attempt for task in flow.tasks)
    is_left = any(not flow.task(seq).has_ended for seq in found)
    return found if has_begun and is_left and not flow.is_ending else set()


def cleaned_up_behind(flow: FlowState, dependent: int, seq: int) -> bool:
    """Whether the dependent cleaned up behind this task, which has ended."""
    has_run = flow.task(dependent).status in (Status.FINISH, Status.SUSPEND)
    return has_run and flow.task(seq).has_ended and dependent in spared(flow) and uses(flow, dependent, seq)


def failed_in_branch_of(flow: FlowState, dependent: int, seq: int) -> bool:
    """Whether the dependent failed in a branch that this decision led to, which is made anew."""
    when = flow.task(dependent).planned.when
    return flow.task(dependent).status is Status.SUSPEND and when is not None and when[0] == seq


def opened_by_unignore(flow: FlowState, chosen: set[int]) -> set[int]:
    """What waits again because these are not ignored any more, beside them: also what was cancelled for a
    join that had enough, and has not any more; and what only that had led to."""
    all_open = chosen | opened(flow, chosen)
    may_open = spared(flow) if flow.is_ending else {task.planned.seq for task in flow.tasks}
    is_more = flow.ruled
    while is_more:
        more = {
            seq
            for seq in may_open - all_open
            if flow.task(seq).ended_as == "u"
            and any(
                _does_without(flow, flow.task(other), seq, set()) == "enough"
                and not _does_without(flow, flow.task(other), seq, all_open)
                for other in flow.dependents[seq]
            )
        }
        all_open |= more | opened(flow, all_open | more)
        is_more = bool(more)
    return all_open - chosen


def not_needed(flow: FlowState, again: set[int]) -> set[int]:
    """Of those that are opened what nobody would need, as joins that cancel the others have enough."""
    return {
        seq
        for seq in again
        if not flow.task(seq).planned.finally_
        and (behind := [flow.task(other) for other in flow.dependents[seq]])
        and all(_does_without(flow, other, seq, again) for other in behind)
        and any(_does_without(flow, other, seq, again) == "enough" for other in behind)
    }


def _does_without(flow: FlowState, task: TaskState, seq: int, again: set[int]) -> str:
    """ "enough": it is a join that has it, or nobody needs it; "ended": it has; "": it does not."""
    is_opened = task.planned.seq in again
    if task.ended_as == "u" and not is_opened:
        return "enough"
    if seq in task.used and not is_opened:
        return "ended" if task.has_ended else ""
    if task.planned.rule.endswith(":cancel") and (is_opened or task.status is not Status.IGNORE):
        edges = zip(task.planned.depends_on, edges_of(flow, task), strict=True)
        ends = ["open" if other in again else edge.stands for other, edge in edges]
        most = int(task.planned.rule.split(":")[1]) if task.planned.rule.startswith("at_least") else 1
        has_begun = task.used and (task.status is not Status.WAIT or again.isdisjoint(task.used))
        if (has_begun and not is_opened) or sum(end in ("finished", "passed") for end in ends) >= most:
            return "enough"
    return "ended" if task.has_ended and not is_opened else ""
