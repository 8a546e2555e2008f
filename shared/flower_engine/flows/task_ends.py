"""Why rules passed over tasks of a flow, which joins went on without others, and when tasks that are held are
given up: told as it stands."""

from collections import Counter, defaultdict, deque
from datetime import timedelta
from typing import Any, NamedTuple, cast

import msgspec

from flower_engine.model.decisions.decision_tasks import condition_in_words
from flower_engine.model.parameters.references import scan_parameters
from flower_engine.model.tasks.rule_texts import hold_ms, known_rule
from flower_engine.model.tasks.rules import AT_LEAST, FAILED, FINISHED, READY, Rule, rule_of
from flower_engine.model.tasks.status import Status
from flower_engine.projection.read.end_views import Because, NotTaken
from flower_engine.projection.read.views import FlowView, TaskView

_MOST_NAMED = 10
_TIMED_OUT = "FlowTimeout"  # what the flow's own timeout suspends is held until somebody decides


class _Cause(NamedTuple):
    because: Because
    tasks: list[int]
    needed: int | None = None


def explain_ends(flow: FlowView) -> None:
    """Fills in why tasks were not taken or are not needed, and when those that are held are given up."""
    if any(task.ended_as == "unneeded" for task in flow.tasks):
        _tell_who_needs_them_no_more(flow)
    by_name: dict[str, TaskView] = {}
    for task in flow.tasks:
        if task.ended_as == "notTaken":
            if not by_name:
                by_name = flow.referred_to()
            task.not_taken = _why(flow, task, by_name)
        elif task.exec_status == Status.SUSPEND and task.ended_as is None:
            _tell_when_it_is_given_up(task)


def stands_as(task: TaskView) -> str:
    """How a task stands for those behind it: as in ``ends``, or the word of its status."""
    if task.ended_as is not None:
        return task.ended_as
    return "finished" if task.exec_status == Status.FINISH else task.status.lower()


def rule_of_task(task: TaskView) -> Rule:
    """Its rule; ``ready`` where what the tables say is none."""
    return known_rule(task.rule) or rule_of(READY)


def _why(flow: FlowView, task: TaskView, by_name: dict[str, TaskView]) -> NotTaken:
    barring = _barring(flow, task)
    if barring is not None:
        seq = barring.task_exec_seq
        ends = {stands_as(barring): 1}
        return NotTaken(task.rule, "branch", [seq], 1, ends, decision=_came_to(barring))
    decision = task.when_is[0] if task.when_is else 0
    before = [flow.tasks[seq - 1] for seq in task.depends_on if seq != decision]
    because, tasks, needed = _cause(task, before, by_name)
    ends = Counter(map(stands_as, before))
    return NotTaken(task.rule, because, tasks[:_MOST_NAMED], len(tasks), dict(ends), needed)


def _barring(flow: FlowView, task: TaskView) -> TaskView | None:
    """The decision that does not take this branch, if that is why."""
    if task.when_is is None:
        return None
    decision = flow.tasks[task.when_is[0] - 1]
    if not decision.has_ended or (
        decision.exec_status == Status.FINISH and _result(decision).get("is") is task.when_is[1]
    ):
        return None
    return decision


def _result(decision: TaskView) -> dict[str, Any]:
    try:
        found: Any = msgspec.json.decode(decision.result)
    except msgspec.DecodeError:
        found = None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _came_to(decision: TaskView) -> str:
    """What a decision came to, and of what: ``big is false: total.bad > 50, with total.bad = 3``."""
    name = decision.task_name or f"task {decision.task_exec_seq}"
    said = _result(decision)
    if decision.exec_status != Status.FINISH or "is" not in said:
        return f"its decision {name} came to nothing"
    condition = condition_in_words(decision.program, msgspec.json.decode(decision.parameters))
    saw = ", ".join(
        f"{what} = {msgspec.json.encode(value).decode()}" for what, value in said.get("values", {}).items()
    )
    text = f"{name} is {str(said['is']).lower()}: {condition}"
    return f"{text}, with {saw}" if saw else text


def _cause(task: TaskView, before: list[TaskView], by_name: dict[str, TaskView]) -> _Cause:
    rule = rule_of_task(task)
    match rule.word:
        case word if word == READY:
            if given_up := _seqs(before, "givenUp"):
                return _Cause("givenUp", given_up)
            if missing := _missing(task, before, by_name):
                return _Cause("missingValue", missing)
            return _Cause("noneTaken", [one.task_exec_seq for one in before])
        case word if word == FINISHED:
            return _Cause(
                "notFinished", _seqs(before, "passedOver", "notTaken", "cancelled", "unneeded", "givenUp")
            )
        case word if word == AT_LEAST:
            return _Cause("tooFew", _seqs(before, "notTaken", "unneeded", "givenUp"), rule.most)
        case word if word == FAILED:
            return _Cause("noFailure", [one.task_exec_seq for one in before])
        case _:
            return _Cause("unknown", [])  # of a newer Flower


def _seqs(tasks: list[TaskView], *ends: str) -> list[int]:
    return [task.task_exec_seq for task in tasks if task.ended_as in ends]


def _missing(task: TaskView, before: list[TaskView], by_name: dict[str, TaskView]) -> list[int]:
    """Those before it that have ended without the value that it cannot do without."""
    parameters: dict[str, Any] = msgspec.json.decode(task.parameters) or {}
    named = [use.form.name for use in scan_parameters(parameters).uses if use.form.is_needed]
    if task.item_of is None:
        needed = {by_name[name].task_exec_seq for name in named if name in by_name}
    else:  # of a map that goes along another one: what is called as that is the item before it
        needed = {one.task_exec_seq for one in before if named}
    return [
        one.task_exec_seq
        for one in before
        if one.task_exec_seq in needed
        and one.has_ended
        and not (one.exec_status == Status.FINISH or one.has_stand_in)
    ]


def _tell_when_it_is_given_up(task: TaskView) -> None:
    ms = hold_ms(task.on_failure)
    if ms is None or task.suspended_ts is None or (task.error and task.error.type == _TIMED_OUT):
        return
    task.gives_up_ts = task.suspended_ts + timedelta(milliseconds=ms)


def _tell_who_needs_them_no_more(flow: FlowView) -> None:
    """Names the joins that went on without tasks: those right behind them, or else those that were named of
    what is behind them, or of their map. Each task is looked at once, with what is before it."""
    items: defaultdict[int, list[TaskView]] = defaultdict(list)
    for task in flow.tasks:
        if task.item_of is not None and task.ended_as == "unneeded":
            items[task.item_of].append(task)
    todo: deque[TaskView] = deque()
    for join in flow.tasks:
        for seq in join.depends_on if _went_on(flow, join) else ():
            task = flow.tasks[seq - 1]
            if task.ended_as == "unneeded":
                if task.not_needed_by is None:
                    task.not_needed_by = []
                    todo.append(task)
                if len(task.not_needed_by) < _MOST_NAMED:
                    task.not_needed_by.append(join.task_exec_seq)
    while todo:
        task = todo.popleft()
        for one in (*(flow.tasks[seq - 1] for seq in task.depends_on), *items[task.task_exec_seq]):
            if one.ended_as == "unneeded" and one.not_needed_by is None:
                one.not_needed_by = task.not_needed_by
                todo.append(one)


def _went_on(flow: FlowView, join: TaskView) -> bool:
    """Whether it cancels the others, and has begun, or could."""
    rule = rule_of_task(join)
    if not rule.cancels or join.exec_status == Status.IGNORE:
        return False
    if join.exec_status != Status.WAIT:
        return True
    used = ("finished", "passedOver", "cancelled")
    return sum(stands_as(flow.tasks[seq - 1]) in used for seq in join.depends_on) >= rule.most
