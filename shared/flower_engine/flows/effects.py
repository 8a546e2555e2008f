"""What becomes of the tasks of a flow because of an operation, and what rules make of it then."""

from collections.abc import Iterable

import msgspec

from flower_engine.errors import MovedError, RefusedError
from flower_engine.model.definitions.task_rules import rule_in_force
from flower_engine.model.events.events import TasksPassed, TasksUnneeded
from flower_engine.model.flow_control.lanes import lane_of
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold_steps import STEPS
from flower_engine.model.folding.unneeded import unneeded_in
from flower_engine.model.tasks.rules import PASS, decided
from flower_engine.model.tasks.status import Status
from flower_engine.projection.read.wait_views import WaitReason

BY = "dry run"


class HeldUp(msgspec.Struct, frozen=True):
    """Tasks that would be ready, and do not start as something beside their flow holds them: a place that it
    waits for, or a pause of everything, their queue, workflow, program or map."""

    tasks: list[int]
    reason: WaitReason


class Line(msgspec.Struct, frozen=True):
    """What says of a flow which places it needs, and where in the line for them it stands: the one of its
    workflow by priority and order, that in the window of a map (``window``; "": it needs none) by the number
    of its item. One that is ending waits for none. ``paused_by``: who holds it; None: nobody does."""

    workflow: str
    priority: int
    order: int
    window: str
    item: int
    is_ending: bool
    paused_by: str | None

    @classmethod
    def of(cls, flow: FlowState) -> "Line":
        registered, parent = flow.registered, flow.parent
        item = 0 if parent is None else parent.task
        priority = flow.task(1).planned.priority
        by = None if flow.paused is None else flow.paused.by
        return cls(flow.workflow, priority, flow.order, registered.window, item, flow.is_ending, by)


class Effect(msgspec.Struct, kw_only=True):
    """What becomes of the tasks of a flow, by number. Those that are in no list wait or run, as they did.

    ``runs``: they run again from the start; ``reopens``: they were passed over, were not asked for, and wait
    again; ``asked_again``: of both, those that ask the world anew; ``passed_over``: because somebody says so,
    or by their rules; ``vanished``: items of maps that are expanded anew; ``matched``: maps whose items
    then take over what the same ones came to before (which these are is known when they have their list);
    ``withdrawn``: they might start, and cannot then, because of what is opened before them, or of a pause;
    ``runs_on``: of a pause, they run, and may end; ``awaits``: what they await of the world, of time or of
    their child counts in a pause, too; ``prioritised``: they have not ended, and have another priority;
    ``moved``: of these, they wait for a worker, and at once as the new one says;
    ``held``, ``given_up``: because of a child, which they awaited, as their ``on_failure`` says;
    ``cut_off``: by a cancel, or because joins go on without them and nobody else needs them;
    ``within``: they go on with the children that they have, in which tasks run again;
    ``cleanup``: it spares these, and they run, or wait (for the end of their children, too), before the flow
    ends; ``kept``: they have ended, and stay so, or a fork takes them over as they are; ``ready``: they may
    start at once then. ``ends``: the flow does. ``version``: the flow's, which it was told for."""

    version: int
    runs: list[int] = []
    reopens: list[int] = []
    asked_again: list[int] = []
    passed_over: list[int] = []
    vanished: list[int] = []
    matched: list[int] = []
    cut_off: list[int] = []
    cleanup: list[int] = []
    within: list[int] = []
    kept: list[int] = []
    ready: list[int] = []
    withdrawn: list[int] = []
    runs_on: list[int] = []
    awaits: list[int] = []
    prioritised: list[int] = []
    moved: list[int] = []
    held: list[int] = []
    given_up: list[int] = []
    held_up: list[HeldUp] = []
    ends: bool = False
    line: Line | None = None
    lanes: dict[str, list[int]] = {}

    @property
    def concerned(self) -> tuple[int, ...]:
        """Every task that moves because of it."""
        return tuple(sorted({*self.runs, *self.reopens, *self.within, *self.cut_off, *self.passed_over}))


class Before:
    """How the tasks stood before."""

    def __init__(self, flow: FlowState) -> None:
        self._version = flow.version
        self._ended = {task.planned.seq for task in flow.tasks if task.has_ended}
        self._ready = {task.planned.seq for task in flow.tasks if task.is_ready}

    def effect(self, flow: FlowState, passed_over: list[int], unneeded: list[int]) -> Effect:
        ended = {task.planned.seq for task in flow.tasks if task.has_ended}
        ready = {task.planned.seq for task in flow.tasks if task.is_ready}
        new = sorted(ready - self._ready)
        return Effect(
            version=self._version,
            passed_over=passed_over,
            cut_off=unneeded,
            kept=sorted(self._ended & ended - set(passed_over)),
            ready=new,
            withdrawn=sorted(seq for seq in self._ready - ready if flow.task(seq).status is Status.WAIT),
            ends=flow.ended_ms is not None,
            line=Line.of(flow),
            lanes=lanes_of(flow, new),
        )


def lanes_of(flow: FlowState, tasks: Iterable[int]) -> dict[str, list[int]]:
    """In which lanes these tasks wait, once they are ready."""
    lanes: dict[str, list[int]] = {}
    for seq in tasks:
        lanes.setdefault(lane_of(flow.workflow, flow.task(seq).planned), []).append(seq)
    return lanes


def follow(flow: FlowState) -> tuple[list[int], list[int]]:
    """What rules pass over now, and after that, and what nobody needs any more; the state has it then."""
    passed, unneeded = _pass_over(flow), list[int]()
    while found := unneeded_in(flow):
        held = {seq for seq in found if flow.task(seq).status is Status.SUSPEND}
        ran = {seq for seq in found if flow.task(seq).status is Status.RUNNING}
        item = flow.task(found[0]).planned.item
        event = TasksUnneeded(
            at=0,
            flow=flow.flow,
            v=flow.version + 1,
            cause=item[0] if item else flow.dependents[found[0]][0],
            ranges=tuple((seq, seq) for seq in found if seq not in held and seq not in ran),
            ran=tuple((seq, seq) for seq in ran),
            held=tuple((seq, seq) for seq in held),
            ends=flow.left == len(found),
        )
        STEPS[TasksUnneeded](flow, event)
        unneeded += found
        passed += _pass_over(flow)
    return sorted(passed), sorted(unneeded)


def _pass_over(flow: FlowState) -> list[int]:
    """What rules pass over now, and after that; the state has it then."""
    passed: list[int] = []
    left = list(range(1, len(flow.tasks) + 1)) if flow.ruled else []
    while left:
        seq = left.pop()
        task = flow.task(seq)
        if task.edges is None or task.status is not Status.WAIT or task.used or task.awaits_flow:
            continue
        if decided(rule_in_force(task.planned), task.edges) is PASS:
            cause = next(one for one in task.planned.depends_on if flow.task(one).has_ended)
            ends = flow.left == 1
            ranges, unmet = ((), ((seq, seq),)) if task.edges.barred else (((seq, seq),), ())
            event = TasksPassed(
                at=0,
                flow=flow.flow,
                v=flow.version + 1,
                ranges=ranges,
                cause=cause,
                unmet=unmet,
                ends=ends,
            )
            STEPS[TasksPassed](flow, event)
            passed.append(seq)
            left += flow.dependents[seq]
    return sorted(passed)


def refuse_ended(flow: FlowState) -> None:
    if flow.ended_ms is not None:
        raise RefusedError(
            f"flow {flow.flow}: it has ended ({flow.status.word}); rerun it, or fork it, to do anything more"
            " with it",
            "ended",
        )


def moved_on(flow: FlowState) -> MovedError:
    """The flow is not of the version that somebody has seen."""
    return MovedError(
        f"flow {flow.flow} has moved on: it is at version {flow.version} now. Look at it again, then decide",
        "moved",
    )
