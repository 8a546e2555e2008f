"""A small flow as the pure fold has it, moved on by the events that the model itself says come next."""

from collections.abc import Collection, Iterable
from copy import copy
from typing import Any

import msgspec

from flower_engine.model.decisions.decision_tasks import says_true
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.definitions.task_rules import rule_in_force
from flower_engine.model.events.attempt_events import TaskFinished, TaskStarted, TaskSuspended
from flower_engine.model.events.event_base import NO_VALUE, FlowEvent, Ranges
from flower_engine.model.events.events import (
    FlowRegistered,
    FlowTimedOut,
    TaskGivenUp,
    TaskOverdue,
    TasksPassed,
    TasksUnneeded,
)
from flower_engine.model.events.operator_events import FlowCancelled, FlowEnding, TaskIgnored
from flower_engine.model.events.wait_events import TaskAnswered, TaskAwaiting
from flower_engine.model.folding.cleanup import cleanup_of
from flower_engine.model.folding.flow_state import FlowState, FoldError, TaskState
from flower_engine.model.folding.fold import fold_one
from flower_engine.model.folding.fold_rules import edges_of
from flower_engine.model.folding.unneeded import has_enough, unneeded_in
from flower_engine.model.tasks.rules import PASS, Edges, decided, is_picked, stands_as
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.waits.wait_parameters import DECISION
from rules_oracle import World

ERROR = TaskError(type="ValueError", message="no")
RESULT = msgspec.Raw(b"[1]")
STAND_IN = msgspec.Raw(b"[2]")
SAYS = {"T": msgspec.Raw(b'{"is":true,"values":{}}'), "E": msgspec.Raw(b'{"is":false,"values":{}}')}
SHOWN = {
    (Status.RUNNING, ""): "!",
    (Status.FINISH, ""): "F",
    (Status.IGNORE, "n"): "N",
    (Status.IGNORE, "w"): "W",
    (Status.IGNORE, "c"): "C",
    (Status.IGNORE, "u"): "U",
    (Status.SUSPEND, ""): "S",
    (Status.SUSPEND, "x"): "X",
}


class Folded:
    """A flow and what has become of it. ``at_once``: whatever may start does so, as if there were workers
    enough; else it starts when it ends, as the last one of many does."""

    def __init__(self, world: World, *, ruled: bool = True, at_once: bool = True) -> None:
        tasks = [
            PlannedTask(
                seq=seq,
                task_seq=seq,
                program=DECISION if node.decides else "A",
                depends_on=node.after,
                rule=node.rule,
                # One that says what follows its failure makes it a flow with rules.
                on_failure="give_up" if ruled else "hold",
                parameters={f"p{other}": {"$from": other} for other in node.needs},
                reads={str(other): other for other in node.needs},
                refs=bool(node.needs),
                when=node.when,
                finally_=node.cleans_up,
            )
            for seq, node in enumerate(world, start=1)
        ]
        self.at_once = at_once
        self.flows: dict[str, FlowState] = {}
        fold_one(
            self.flows, FlowRegistered(at=1, flow="f", v=1, workflow="small", order=0, tasks=tuple(tasks))
        )
        self._follow()

    def copied(self) -> "Folded":
        """Another one, which stands as this one does."""
        other, flow = Folded.__new__(Folded), copy(self.flow)
        flow.tasks = [copy(task) for task in flow.tasks]
        for task in flow.tasks:
            if task.edges is not None:
                task.edges = copy(task.edges)
        other.at_once, other.flows = self.at_once, {flow.flow: flow}
        return other

    @property
    def flow(self) -> FlowState:
        return self.flows["f"]

    @property
    def begun_with(self) -> tuple[tuple[int, ...], ...]:
        """What each task began with, of what its rule picks."""
        return tuple(task.used for task in self.flow.tasks)

    def shown(self) -> dict[int, str]:
        """How the tasks stand, as the oracle has it."""
        return {task.planned.seq: _shown(task) for task in self.flow.tasks}

    def miscounted(self) -> list[int]:
        """Tasks whose dependencies stand otherwise than the fold has counted them, one by one."""
        return [
            task.planned.seq
            for task in self.flow.tasks
            if task.edges is not None and task.edges != Edges.of(edges_of(self.flow, task))
        ]

    def end(self, seq: int, becomes: str) -> None:
        """A task that runs, or may, ends so."""
        self._start(self.flow.task(seq))
        task = self.flow.task(seq)
        if becomes in SAYS:
            self._say(
                TaskAnswered,
                task=seq,
                attempt=1,
                by="w",
                result=SAYS[becomes],
                ends=self._is_last(),
            )
        elif task.planned.program == DECISION:
            self._say(TaskOverdue, task=seq, error=ERROR)
            if becomes != "S":
                self._let_go(seq, becomes)
        elif becomes == "F":
            self._say(
                TaskFinished,
                task=seq,
                attempt=1,
                lease=task.lease,
                result=RESULT,
                ends=self._is_last(),
            )
        elif becomes == "S":
            self._say(TaskSuspended, task=seq, attempt=1, lease=task.lease, error=ERROR)
        else:
            self._let_go(seq, becomes)
        self._follow()

    def let_go(self, seq: int, becomes: str) -> None:
        """A held task is given up, as nobody decided in time, or passed over."""
        self._let_go(seq, becomes)
        self._follow()

    def cancel(self) -> None:
        """All of it, but what cleans up."""
        spared = cleanup_of(self.flow)
        stand = self._open_by_status(spared)
        if spared:
            self._say(FlowEnding, cause="cancel", by="ann", until_ms=1, **stand)
            self._follow()
        else:
            self._say(FlowCancelled, by="ann", **stand)

    def time_out(self) -> None:
        """It takes too long: what ran, or might have, is held; where something cleans up, given up."""
        spared, flow = cleanup_of(self.flow), self.flow
        late = [task for task in flow.tasks if task.planned.seq not in spared and not task.has_ended]
        running = _numbers(task for task in late if task.status is Status.RUNNING)
        waiting = _numbers(task for task in late if task.is_ready)
        if running or waiting:
            self._say(FlowTimedOut, error=ERROR, running=running, waiting=waiting)
        if spared:
            stand = self._open_by_status(spared)
            given_up = stand.pop("suspended")
            self._say(FlowEnding, cause="timeout", by="timeout", until_ms=1, given_up=given_up, **stand)
        self._follow()

    def refuses(self, event: type[FlowEvent], /, **fields: Any) -> bool:
        """Whether the fold does not take this event next."""
        try:
            self.copied()._say(event, **fields)
        except FoldError:
            return True
        return False

    def _say(self, event: type[FlowEvent], /, **fields: Any) -> None:
        fold_one(self.flows, event(at=1, flow="f", v=self.flow.version + 1, **fields))  # pyright: ignore[reportArgumentType]

    def _is_last(self, ending: int = 1) -> bool:
        return self.flow.left == ending

    def _let_go(self, seq: int, becomes: str) -> None:
        task = self.flow.task(seq)
        fields: dict[str, Any] = {"task": seq, "was": int(task.status), "by": "on_failure"}
        if becomes == "X":
            is_running = task.status is Status.RUNNING
            run = {"attempt": task.attempt, "lease": task.lease, "error": ERROR} if is_running else {}
            self._say(TaskGivenUp, **fields, **run, ends=self._is_last())
        else:
            stand_in = STAND_IN if becomes == "p" else NO_VALUE
            self._say(TaskIgnored, **fields, result=stand_in, ends=self._is_last())

    def _start(self, task: TaskState) -> None:
        if task.status is Status.RUNNING or task.is_awaiting:
            return
        rule, used = rule_in_force(task.planned), list[int]()
        if rule.picks:
            stand = [(seq, self.flow.task(seq)) for seq in task.planned.depends_on]
            used = [seq for seq, one in stand if is_picked(rule, stands_as(one.status, one.ended_as))]
        fields: dict[str, Any] = {
            "task": task.planned.seq,
            "attempt": 1,
            "used": tuple(used[: rule.most or 1]),
        }
        if task.planned.program == DECISION:
            self._say(TaskAwaiting, kind="when", lease="~", **fields)
        else:
            self._say(TaskStarted, lease="1-1", worker="w", **fields)

    def _follow(self) -> None:
        """Whatever rules make of how the tasks stand, until nothing more follows."""
        while self._pass_over() or self._cancel_unneeded():
            pass
        if self.at_once:
            for task in self.flow.tasks:
                if task.is_ready:
                    self._start(task)

    def _pass_over(self) -> bool:
        flow, has_moved = self.flow, False
        for task in flow.tasks:
            if task.status is not Status.WAIT or task.used or task.is_awaiting or task.edges is None:
                continue
            if decided(rule_in_force(task.planned), task.edges) is PASS:
                seq, ends = task.planned.seq, flow.left == 1
                cause = next(other for other in task.planned.depends_on if flow.task(other).has_ended)
                if task.edges.barred:
                    self._say(TasksPassed, ranges=(), unmet=((seq, seq),), cause=cause, ends=ends)
                else:
                    self._say(TasksPassed, ranges=((seq, seq),), cause=cause, ends=ends)
                has_moved = True
        return has_moved

    def _cancel_unneeded(self) -> bool:
        flow = self.flow
        found = sorted(unneeded_in(flow))
        if not found:
            return False
        behind = [other for seq in found for other in flow.dependents[seq] if other not in found]
        cause = next(seq for seq in behind if flow.task(seq).has_ended or has_enough(flow.task(seq)))
        stand = {seq: flow.task(seq).status for seq in found}
        self._say(
            TasksUnneeded,
            cause=cause,
            ranges=_ranges(stand, Status.WAIT),
            ran=_ranges(stand, Status.RUNNING),
            held=_ranges(stand, Status.SUSPEND),
            ends=flow.left == len(found),
        )
        return True

    def _open_by_status(self, spared: Collection[int]) -> dict[str, tuple[int, ...]]:
        found = [task for task in self.flow.tasks if task.planned.seq not in spared and not task.has_ended]
        return {
            word: _numbers(task for task in found if task.status is status)
            for word, status in (
                ("waiting", Status.WAIT),
                ("running", Status.RUNNING),
                ("suspended", Status.SUSPEND),
            )
        }


def _numbers(tasks: Iterable[TaskState]) -> tuple[int, ...]:
    return tuple(task.planned.seq for task in tasks)


def _ranges(stand: dict[int, Status], status: Status) -> Ranges:
    return tuple((seq, seq) for seq, found in stand.items() if found is status)


def _shown(task: TaskState) -> str:
    if task.status is Status.WAIT:
        return "!" if task.is_ready else "."
    if task.status is Status.IGNORE and task.ended_as == "p":
        return "P" if task.result is None else "p"
    if task.status is Status.FINISH and task.planned.program == DECISION:
        return "T" if says_true(task.result) else "E"
    return SHOWN[task.status, task.ended_as]
