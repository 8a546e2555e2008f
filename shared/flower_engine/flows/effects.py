"""What becomes of the tasks of a flow because of an operation, and what rules make of it then."""

import msgspec

from flower_engine.errors import MovedError, RefusedError
from flower_engine.model.definitions.task_rules import rule_in_force
from flower_engine.model.events.events import TasksPassed, TasksUnneeded
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold_steps import STEPS
from flower_engine.model.folding.unneeded import unneeded_in
from flower_engine.model.tasks.rules import PASS, decided
from flower_engine.model.tasks.status import Status

BY = "dry run"


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
    ends: bool = False

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
        return Effect(
            version=self._version,
            passed_over=passed_over,
            cut_off=unneeded,
            kept=sorted(self._ended & ended - set(passed_over)),
            ready=sorted(ready - self._ready),
            withdrawn=sorted(seq for seq in self._ready - ready if flow.task(seq).status is Status.WAIT),
            ends=flow.ended_ms is not None,
        )


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
