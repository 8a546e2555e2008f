"""What the fold does of rules: it counts how the dependencies of each task stand, and refuses what a rule
does not say. Flows in which no task has a rule, and none says what follows its failure, never come here."""

from collections.abc import Iterator
from typing import Any

from flower_engine.model.decisions.decision_tasks import says_true
from flower_engine.model.definitions.task_rules import TaskRules, rule_in_force
from flower_engine.model.events.event_meaning import Meaning
from flower_engine.model.events.events import TasksPassed
from flower_engine.model.folding.flow_state import FlowState, FoldError, TaskState
from flower_engine.model.folding.kept_results import reads_of
from flower_engine.model.tasks.end_kinds import NOT_TAKEN, UNMET
from flower_engine.model.tasks.rules import PASS, Edge, Edges, decided_by_rule, is_picked, stands_as
from flower_engine.model.tasks.status import Status
from flower_engine.model.waits.wait_parameters import DECISION


def begin_rules(flow: FlowState) -> None:
    """Counts the edges of a whole flow, if it has rules."""
    flow.ruled = flow.ruled or any(TaskRules.of(task.planned) is not None for task in flow.tasks)
    if not flow.ruled:
        return
    for task in flow.tasks:
        count_edges_of(flow, task)
    for task in flow.tasks:
        if task.ended_as in (NOT_TAKEN, UNMET) and not _is_passed(task, task.ended_as):
            raise FoldError(f"flow {flow.flow} task {task.planned.seq} is passed over, and no rule says so")


def count_edges_of(flow: FlowState, task: TaskState) -> None:
    """Counts the edges of a task of a flow with rules, as its dependencies stand."""
    task.needs = frozenset(seq for seq, is_needed in reads_of(task.planned).items() if is_needed)
    task.edges = Edges.of(edges_of(flow, task))


def edges_of(flow: FlowState, task: TaskState) -> Iterator[Edge]:
    """The dependencies of a task as they stand."""
    for seq in task.planned.depends_on:
        yield _seen_by(task, seq, edge_to(flow.task(seq)))


def has_value(task: TaskState) -> bool:
    """Whether a task has a result for those that read it."""
    return task.result is not None or task.blob is not None


def gives_up_ms(task: TaskState, since_ms: int) -> int | None:
    """When a task that is held since then is given up; None: never."""
    rules = TaskRules.of(task.planned)
    return None if rules is None or rules.hold_ms is None else since_ms + rules.hold_ms


def edge_to(task: TaskState) -> Edge:
    """A task as those behind it see it, whatever they need."""
    return Edge(stands_as(task.status, task.ended_as), has_value=has_value(task), says=said_by(task))


def said_by(task: TaskState) -> bool | None:
    """What a decision came to; None: it is none, or has not."""
    return says_true(task.result) if task.planned.program == DECISION else None


def _seen_by(behind: TaskState, seq: int, edge: Edge) -> Edge:
    """A dependency as this task sees it."""
    when = behind.planned.when
    if when is not None and when[0] == seq:
        return edge.gate(when[1])
    return edge._replace(needs_value=seq in behind.needs)


def count_moved(flow: FlowState, task: TaskState, event: Any, before: Edge, meaning: Meaning) -> None:
    """A task has moved: what stands behind it knows."""
    seq = task.planned.seq
    task.gives_up_ms = gives_up_ms(task, event.at) if meaning.holds else None
    now = edge_to(task)
    is_open = now.stands == "open"
    if meaning.end == "over" and is_open:
        task.used = ()
    if now == before:
        return
    for number in flow.dependents[seq]:
        behind = flow.task(number)
        assert behind.edges is not None
        behind.edges.add(_seen_by(behind, seq, before), -1)
        behind.edges.add(_seen_by(behind, seq, now), 1)
        if is_open and seq in behind.used:
            if behind.status is Status.RUNNING:
                raise FoldError(f"flow {flow.flow} task {seq} is reopened under task {number}, which runs")
            if behind.status is Status.WAIT:
                behind.used = ()  # it has not begun any more


def count_given(flow: FlowState, event: Any) -> None:
    """Tasks were given other bodies or parameters: they may have other rules, and read other results."""
    if any(getattr(event, field) for field in ("bodies", "parameters")):
        begin_rules(flow)


def expect_used(flow: FlowState, task: TaskState, event: Any) -> None:
    """Refuses a start that picked other dependencies than its rule may."""
    rule, used = rule_in_force(task.planned), event.used
    if not rule.picks or task.used:
        fits = not used
    else:
        stand = [flow.task(seq) for seq in used]
        fits = (
            len(set(used)) == (rule.most or 1)
            and set(used) <= set(task.planned.depends_on)
            and all(is_picked(rule, stands_as(other.status, other.ended_as)) for other in stand)
        )
    if not fits:
        raise FoldError(
            f"flow {flow.flow} task {event.task}: started with {used} of its dependencies by rule"
            f" {task.planned.rule!r}, having begun with {task.used}"
        )


def expect_passed(flow: FlowState, event: TasksPassed) -> None:
    """Refuses that rules passed over tasks which they did not."""
    kinds: dict[int, str] = {
        **dict.fromkeys(event.tasks, NOT_TAKEN),
        **dict.fromkeys(event.unmet_tasks, UNMET),
    }
    passed = kinds.keys()
    if not flow.task(event.cause).has_ended:
        raise FoldError(f"flow {flow.flow}: event v{event.v} names task {event.cause}, which has not ended")
    from_here = passed | {event.cause}
    for seq in passed:
        task = flow.task(seq)
        if task.used or not _is_passed(task, kinds[seq]) or from_here.isdisjoint(task.planned.depends_on):
            raise FoldError(
                f"flow {flow.flow} task {seq}: event v{event.v} passes over it because of task {event.cause},"
                f" and its rule {task.planned.rule!r} does not, of {task.edges}"
            )


def _is_passed(task: TaskState, kind: str) -> bool:
    """Whether its rule, or its decision, passes over a task. Where both do, either may have been first."""
    if task.edges is None:
        return False
    if kind == UNMET:
        return task.edges.barred > 0
    return decided_by_rule(rule_in_force(task.planned), task.edges) is PASS
