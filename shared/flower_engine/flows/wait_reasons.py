"""Why each task of a flow waits, as data: told from the flow's state and from what live workers serve."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from flower_engine.flows.item_counts import items_open, tell_items, what_of_items
from flower_engine.flows.task_ends import rule_of_task
from flower_engine.insight import obstacles
from flower_engine.insight.children_in_line import InLine
from flower_engine.insight.obstacles import Obstacle
from flower_engine.model.decisions.decision_tasks import condition_in_words
from flower_engine.model.definitions.child_flows import WORKFLOW
from flower_engine.model.definitions.map_tasks import limit_of_items, mapped_program, stops_items
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.flow_control.map_windows import Window
from flower_engine.model.parameters.references import known_value
from flower_engine.model.tasks.rules import FAILED, Rule, Standing, is_picked, stands_as
from flower_engine.model.tasks.status import Status
from flower_engine.model.waits.wait_programs import is_wait
from flower_engine.projection.read.end_views import letter_of
from flower_engine.projection.read.view_fields import moment
from flower_engine.projection.read.views import AwaitingView, FlowView, TaskView
from flower_engine.projection.read.wait_views import (
    Awaits,
    Behind,
    CannotStart,
    Delayed,
    DependenciesOpen,
    ItemsOpen,
    LimitReached,
    NoPlace,
    NoPlaceInMap,
    NoVersion,
    NoWorker,
    Paused,
    RateReached,
    Ready,
    RetryAt,
    RoundAt,
    RuleOpen,
    ScopePaused,
    Unknown,
    WaitReason,
)
from flower_engine.transitions.worker_transitions import WorkerInfo

_MOST_CHILDREN = 1_000  # tasks of a flow of which it is asked whether an earlier child of theirs goes on

Served = set[tuple[str, str]]
"""Pairs of queue and program that some live worker serves."""


Unable = Mapping[tuple[str, str], tuple[str, str]]
"""Of a queue and a program: a live worker that serves them, but cannot start the program now, and why."""


Versions = Mapping[tuple[str, str], set[str]]
"""Of a queue and a program: the versions that live workers have and say in their claims, by digest."""


class Seen(NamedTuple):
    """What Redis says at this moment: what live workers serve, what stops tasks of the flow, and engine time
    (ms), in which everything of the flow is due."""

    served: Served
    unable: Unable
    obstacles: Mapping[int, Obstacle]
    now_ms: int
    controls: Sequence[FlowControl] = ()
    versions: Versions = MappingProxyType({})
    children: Mapping[int, str] = MappingProxyType({})
    """Of tasks with children of several attempts those that are under way."""
    in_line: Mapping[int, InLine] = MappingProxyType({})
    """Of items of maps those whose children wait for a place."""


def ready_tasks(flow: FlowView) -> list[int]:
    """Those whose reason to wait only Redis can tell."""
    final = _final(flow)
    return [
        task.task_exec_seq
        for task in flow.tasks
        if _waits(task) and task.awaiting is None and _is_ready(flow, task, final)
    ]


def tasks_with_later_children(flow: FlowView) -> dict[int, int]:
    """The attempts of tasks that await a child which is not their first."""
    found = {
        task.task_exec_seq: task.attempt
        for task in flow.tasks
        if _waits(task) and task.attempt > 1 and task.awaiting is not None and task.awaiting.kind == "flow"
    }
    return dict(islice(found.items(), _MOST_CHILDREN))


def windows_of_children(flow: FlowView) -> list[Window]:
    """Those of maps of which an item awaits a child, where so many of these go on at once."""
    found: list[Window] = []
    for number in sorted(
        {
            task.item_of
            for task in flow.tasks
            if task.item_of and task.awaiting is not None and task.awaiting.kind == "flow"
        }
    ):
        map_ = flow.tasks[number - 1]
        said: Any = msgspec.json.decode(map_.parameters)
        most = limit_of_items(said)
        if most is not None:
            found.append(Window(most, stops_items(said, map_.on_failure), flow.task_flow_id, number))
    return found


def explain(flow: FlowView, seen: Seen | None) -> None:
    """Fills in the wait reason of each task in Wait; ``seen`` is None if Redis does not answer now."""
    now = datetime.now(UTC) if seen is None else moment(seen.now_ms)
    for task in _tell_dependencies(flow):
        child = "" if seen is None else seen.children.get(task.task_exec_seq, "")
        waits = None if seen is None else seen.in_line.get(task.task_exec_seq)
        if waits is not None and task.awaiting is not None and not child:
            task.wait_reason = _in_line(waits)
            continue
        task.wait_reason = _why_held(flow, task, now, child) or _why_ready(task, seen, flow.task_id)


def explain_then(flow: FlowView, then: datetime) -> None:
    """The same for a flow as it was at an earlier time."""
    for task in _tell_dependencies(flow):
        task.wait_reason = _why_held(flow, task, then) or Unknown(
            "it was ready; which workers and limits there were then is not kept"
        )


def served_by(workers: Iterable[WorkerInfo]) -> Served:
    """What these workers serve, and can start."""
    return {
        (queue, program)
        for worker in workers
        for queue in worker.queues
        for program in worker.programs
        if program not in worker.unable
    }


def versions_in(workers: Iterable[WorkerInfo]) -> Versions:
    """The versions of what workers serve, of those that say theirs when they claim."""
    found: dict[tuple[str, str], set[str]] = {}
    for worker in workers:
        for pair in served_by([worker]) if worker.tells_version else ():
            found.setdefault(pair, set()).add(worker.signatures)
    return found


def unable_in(workers: Iterable[WorkerInfo]) -> Unable:
    """What workers serve and cannot start."""
    return {
        (queue, program): (worker.worker, why)
        for worker in workers
        for program, why in worker.unable.items()
        for queue in worker.queues
    }


def _tell_dependencies(flow: FlowView) -> list[TaskView]:
    """Tells tasks that wait for others so; the other tasks in Wait."""
    tell_items(flow)
    final = _final(flow)
    ready: list[TaskView] = []
    for task in filter(_waits, flow.tasks):
        if _is_ready(flow, task, final):
            ready.append(task)
        else:
            task.wait_reason = _what_it_waits_for(flow, task, final)
    return ready


def _is_ready(flow: FlowView, task: TaskView, ended: set[int]) -> bool:
    """Whether its rule waits for nothing more; one that has begun keeps to what it began with."""
    if task.items is not None and items_open(task.items):
        return False
    rule = rule_of_task(task)
    if not rule.picks:
        return ended.issuperset(task.depends_on)
    if _have(flow, task, rule) >= (rule.most or 1):
        return True
    # What began by a failure goes on when that is passed over; else what was picked stands as it did.
    began = rule.word == FAILED and task.attempt > 0
    return began and any(_stands_as(flow.tasks[seq - 1]) == "passed" for seq in task.depends_on)


def _what_it_waits_for(
    flow: FlowView, task: TaskView, ended: set[int]
) -> DependenciesOpen | ItemsOpen | RuleOpen:
    if task.items is not None and items_open(task.items):
        return what_of_items(flow, task)
    rule = rule_of_task(task)
    open_ones = [seq for seq in task.depends_on if seq not in ended]
    if not rule.picks:
        return DependenciesOpen(open_ones)
    return RuleOpen(task.rule, open_ones, rule.most or 1, _have(flow, task, rule))


def _have(flow: FlowView, task: TaskView, rule: Rule) -> int:
    """How many of those before it stand as a rule that picks some wants them."""
    return sum(is_picked(rule, _stands_as(flow.tasks[seq - 1])) for seq in task.depends_on)


def _stands_as(task: TaskView) -> Standing:
    return stands_as(Status(task.exec_status), letter_of(task.ended_as))


def _why_held(flow: FlowView, task: TaskView, now: datetime, child: str = "") -> WaitReason | None:
    """What of the flow itself keeps a task from being ready now. ``child``: the one of its attempts that is
    under way, as far as that is known."""
    if task.awaiting is not None:  # whatever holds the flow, what it awaits may come
        return _awaits(task, task.awaiting, child)
    if flow.paused_ts is not None:
        return Paused(by=flow.paused_by or "")
    if flow.start_ts is not None and flow.start_ts > now:
        return Delayed(flow.start_ts)
    if task.retry_ts is not None and task.retry_ts > now:
        return RetryAt(task.retry_ts)
    if task.again_ts is not None and task.again_ts > now:
        return RoundAt(task.round, task.again_ts)
    return None


def _awaits(task: TaskView, awaiting: AwaitingView, child: str) -> Awaits:
    said: Any = msgspec.json.decode(task.parameters)
    if awaiting.kind == "when":
        return Awaits("when", condition_in_words(task.program, said), None)
    if awaiting.kind == "map":
        return Awaits("map", mapped_program(said), None)
    if awaiting.kind == "flow":
        kind = "flow" if awaiting.until is None else "childEnd"
        if kind == "flow" and child not in ("", task.child_flow_id):
            kind = "childBefore"
        return Awaits(kind, f"{said.get(WORKFLOW)}, flow {child or task.child_flow_id}", awaiting.until)
    names = ("name", "key") if awaiting.kind == "event" else ("title",)
    what = " ".join(str(one) for name in names if (one := known_value(said.get(name))))
    return Awaits(awaiting.kind, what, awaiting.until, awaiting.answered_by)


def _why_ready(task: TaskView, seen: Seen | None, workflow: str) -> WaitReason:
    if seen is None:
        return Unknown("Redis does not answer, so the live workers are not known")
    obstacle = seen.obstacles.get(task.task_exec_seq)
    if isinstance(obstacle, obstacles.Refused):
        pair = (task.queue, task.program)
        if pair in seen.served and seen.versions.get(pair, set()).issubset(obstacle.versions):
            return NoVersion(program=task.program, queue=task.queue)
        obstacle = None
    if obstacle is not None and not isinstance(obstacle, obstacles.Behind):
        return _stopped_by(obstacle, seen.controls, workflow)
    if is_wait(task.program):
        return Unknown("it is about to be asked")
    if (task.queue, task.program) not in seen.served:
        if (found := seen.unable.get((task.queue, task.program))) is not None:
            worker, why = found
            return CannotStart(program=task.program, queue=task.queue, worker=worker, detail=why)
        is_queue_served = any(queue == task.queue for queue, _ in seen.served)
        return NoWorker(program=task.program, queue=task.queue, is_queue_served=is_queue_served)
    if obstacle is not None:
        return Behind(obstacle.tasks, obstacle.at_least)
    return Ready()


def _stopped_by(
    obstacle: obstacles.NoPlace | InLine | obstacles.Full | obstacles.Slow | obstacles.Held,
    controls: Sequence[FlowControl],
    workflow: str,
) -> WaitReason:
    match obstacle:
        case obstacles.NoPlace(under_way, most, ahead):
            return NoPlace(under_way, most, ahead, _whole(controls, "workflow", workflow, "max_flows", most))
        case InLine():
            return _in_line(obstacle)
        case obstacles.Full(scope, name, key, running, most, held_by):
            field = "max_per_key" if key else "max_running"
            whole = _whole(controls, scope, name, field, most)
            return LimitReached(scope, name, key, running, most, list(held_by), whole)
        case obstacles.Slow(scope, name, rate, period_ms, until_ms):
            whole = _whole(controls, scope, name, "rate", rate)
            return RateReached(scope, name, rate, period_ms / 1000, moment(until_ms), whole)
        case obstacles.Held(scope, name):
            row = next((row for row in controls if (row.scope, row.name) == (scope, name)), None)
            return ScopePaused(scope, name, row.changed_by if row else "", row.reason if row else "")


def _in_line(waits: InLine) -> NoPlaceInMap:
    return NoPlaceInMap(waits.flow, waits.map, waits.inside, waits.most, waits.ahead)


def _whole(
    controls: Sequence[FlowControl], scope: str, name: str, field: str, share: int
) -> int | msgspec.UnsetType:
    """The limit, where a partition has but a share of it."""
    row = next((row for row in controls if (row.scope, row.name) == (scope, name)), None)
    whole: int | None = getattr(row, field, None)
    return msgspec.UNSET if whole is None or whole == share else whole


def _waits(task: TaskView) -> bool:
    return task.exec_status == Status.WAIT


def _final(flow: FlowView) -> set[int]:
    return {task.task_exec_seq for task in flow.tasks if task.has_ended}
