"""What an operation would do to a flow, told from its state before anything is done.

What is taken and refused is what the transitions take and refuse (``operator/rerun.lua``, ``ignore.lua``,
``cancel.lua``); their event is made up, the fold adds it, and what rules make of it follows.
``tests/scripts/test_operation_effects.py`` holds them against each other.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, NoReturn

import msgspec

from flower_engine.errors import RefusedError
from flower_engine.model.definitions.task_rules import rule_in_force
from flower_engine.model.events.events import TasksPassed
from flower_engine.model.events.operator_events import FlowCancelled, FlowEnding, FlowRerun, TaskIgnored
from flower_engine.model.events.wait_events import TaskLifted
from flower_engine.model.folding.cleanup import cleanup_of, spared_tasks
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.folding.fold_rules import edges_of
from flower_engine.model.folding.fold_steps import STEPS
from flower_engine.model.folding.kept_results import is_read_by, reads_of
from flower_engine.model.maps.map_items import numbers_of
from flower_engine.model.tasks.end_kinds import NOT_TAKEN, UNMET, VANISHED
from flower_engine.model.tasks.rules import FAILED, PASS, decide, decided
from flower_engine.model.tasks.status import Status
from flower_engine.model.waits.wait_parameters import PROGRAMS
from flower_engine.transitions.operator_transitions import Scope, refusal

_MOST_NAMED = 10  # of those that need a result
_BY = "dry run"

Selection = Sequence[int] | Literal["failed", "all"]


class Effect(msgspec.Struct, kw_only=True):
    """What becomes of the tasks of a flow, by number. Those that are in no list wait or run, as they did.

    ``runs``: they run again from the start; ``reopens``: they were passed over, were not asked for, and wait
    again; ``asked_again``: of both, those that ask the world anew; ``passed_over``: because somebody says so,
    or by their rules; ``vanished``: items of maps that are expanded anew; ``cut_off``: by a cancel;
    ``within``: they go on with the children that they have, in which tasks run again;
    ``cleanup``: it spares these, and they run, or wait (for the end of their children, too), before the flow
    ends; ``kept``: they have ended, and stay so; ``ready``: they may start at once then. ``ends``: the flow
    does. ``version``: the flow's, which it was told for."""

    version: int
    runs: list[int] = []
    reopens: list[int] = []
    asked_again: list[int] = []
    passed_over: list[int] = []
    vanished: list[int] = []
    cut_off: list[int] = []
    cleanup: list[int] = []
    within: list[int] = []
    kept: list[int] = []
    ready: list[int] = []
    ends: bool = False

    @property
    def concerned(self) -> tuple[int, ...]:
        """Every task that moves because of it."""
        return tuple(sorted({*self.runs, *self.reopens, *self.within, *self.cut_off, *self.passed_over}))


def effect_of_rerun(
    flow: FlowState,
    selection: Selection,
    scope: Scope,
    *,
    changed: Iterable[int] = (),
    now_ms: int = 0,
    keep_answers: bool = False,
    within: Collection[int] = (),
    is_up: bool = False,
) -> Effect:
    """Of a rerun; the state is changed. ``changed``: tasks that have other parameters, or another body, from
    then on; ``now_ms``: engine time, by which retries are due; ``keep_answers``: see
    ``transitions/operator_transitions.py``. ``within``: tasks that are held for children in which tasks run
    again, instead of them; ``is_up``: the one task that is selected awaits the child that it had.

    Raises:
        RefusedError: it would be refused.
    """
    before = _Before(flow)
    if within:
        _lift(flow, within)
        others = _others(flow, selection, within)
        if not others:
            effect = before.effect(flow, _pass_over(flow))
            effect.within = sorted(within)
            return effect
        selection = others
    again = _Again(flow, scope, set(changed), now_ms, keep_answers)
    again.select(selection)
    ran = again.checked(selection)
    chosen = set(ran if isinstance(selection, str) else selection)
    by_status = {status: tuple(seq for seq in ran if flow.task(seq).status is status) for status in Status}
    reopens = [seq for seq in by_status[Status.IGNORE] if seq not in chosen or isinstance(selection, str)]
    if selection == "all":
        reopens = []
    gone = again.gone
    event = FlowRerun(
        at=0,
        flow=flow.flow,
        v=flow.version + 1,
        by=_BY,
        finished=by_status[Status.FINISH],
        ignored=by_status[Status.IGNORE],
        suspended=by_status[Status.SUSPEND],
        waiting=by_status[Status.WAIT],
        gone_finished=tuple(seq for seq in gone if flow.task(seq).status is Status.FINISH),
        gone_ignored=tuple(seq for seq in gone if flow.task(seq).status is Status.IGNORE),
        gone_suspended=tuple(seq for seq in gone if flow.task(seq).status is Status.SUSPEND),
        gone_waiting=tuple(seq for seq in gone if flow.task(seq).status is Status.WAIT),
        ending=flow.is_ending,
    )
    STEPS[FlowRerun](flow, event)
    effect = before.effect(flow, _pass_over(flow))
    effect.reopens = reopens
    effect.vanished = gone
    effect.kept = sorted(set(effect.kept) - set(gone))
    effect.runs = [seq for seq in ran if seq not in set(reopens)]
    effect.asked_again = [seq for seq in ran if flow.task(seq).planned.program in PROGRAMS]
    effect.within = sorted(within)
    if is_up:
        effect.within = [seq for seq in ran if seq in chosen]
        for told in (effect.runs, effect.asked_again, effect.ready):
            told[:] = [seq for seq in told if seq not in effect.within]
    return effect


def _lift(flow: FlowState, tasks: Iterable[int]) -> None:
    for seq in tasks:
        attempt = flow.task(seq).attempt
        event = TaskLifted(at=0, flow=flow.flow, v=flow.version + 1, task=seq, attempt=attempt)
        STEPS[TaskLifted](flow, event)


def _others(flow: FlowState, selection: Selection, within: Collection[int]) -> Selection:
    if not isinstance(selection, str):
        return [seq for seq in selection if seq not in within]
    has_more = any(task.status is Status.SUSPEND for task in flow.tasks)
    return selection if selection != "failed" or has_more else ()


def effect_of_ignore(flow: FlowState, tasks: Sequence[int], *, has_result: bool = False) -> Effect:
    """Of passing over tasks; the state is changed.

    Raises:
        RefusedError: it would be refused.
    """
    _refuse_ended(flow)
    chosen = list(dict.fromkeys(tasks))
    for seq in chosen:
        _refuse_final(flow, seq)
    for seq in chosen if not has_result else ():
        if needing := in_need_of(flow, seq, set(chosen)):
            named = ", ".join(map(str, needing[:_MOST_NAMED])) + (
                ", ..." if len(needing) > _MOST_NAMED else ""
            )
            raise refusal(flow.flow, "needed", str(seq), named)
    before = _Before(flow)
    for seq in chosen:
        event = TaskIgnored(
            at=0,
            flow=flow.flow,
            v=flow.version + 1,
            task=seq,
            was=int(flow.task(seq).status),
            by=_BY,
            result=msgspec.Raw(b"null") if has_result else msgspec.Raw(),
            ends=flow.left == 1,
        )
        STEPS[TaskIgnored](flow, event)
    return before.effect(flow, sorted([*chosen, *_pass_over(flow)]))


def effect_of_cancel(flow: FlowState, parents: Collection[int] = ()) -> Effect:
    """Of a cancel; the state is changed. ``parents``: the tasks whose children are under way.

    Raises:
        RefusedError: it would be refused.
    """
    _refuse_ended(flow)
    before, spared = _Before(flow), cleanup_of(flow)
    left = () if flow.is_ending else [seq for seq in parents if seq not in spared]
    open_tasks = {
        status: tuple(
            task.planned.seq
            for task in flow.tasks
            if task.status is status
            and not task.has_ended
            and task.planned.seq not in spared
            and task.planned.seq not in left
        )
        for status in (Status.WAIT, Status.RUNNING, Status.SUSPEND)
    }
    if spared or left:
        return _effect_of_ending(flow, open_tasks, before, left)
    event = FlowCancelled(
        at=0,
        flow=flow.flow,
        v=flow.version + 1,
        by=_BY,
        waiting=open_tasks[Status.WAIT],
        running=open_tasks[Status.RUNNING],
        suspended=open_tasks[Status.SUSPEND],
    )
    STEPS[FlowCancelled](flow, event)
    effect = before.effect(flow, [])
    effect.cut_off = sorted(event)
    return effect


def _effect_of_ending(
    flow: FlowState, open_tasks: Mapping[Status, tuple[int, ...]], before: "_Before", parents: Sequence[int]
) -> Effect:
    event = FlowEnding(
        at=0,
        flow=flow.flow,
        v=flow.version + 1,
        by=_BY,
        cause="cancel",
        waiting=open_tasks[Status.WAIT],
        running=open_tasks[Status.RUNNING],
        suspended=open_tasks[Status.SUSPEND],
        children=tuple(seq for seq in parents if flow.task(seq).status is Status.WAIT),
        held_children=tuple(seq for seq in parents if flow.task(seq).status is Status.SUSPEND),
        until_ms=1,  # whenever that is
    )
    STEPS[FlowEnding](flow, event)
    effect = before.effect(flow, _pass_over(flow))
    effect.cut_off = sorted(event)
    effect.cleanup = [task.planned.seq for task in flow.tasks if not task.has_ended]
    return effect


def in_need_of(flow: FlowState, seq: int, but: set[int]) -> list[int]:
    """The tasks that have not ended, and cannot do without the result of this one; ``but`` these."""
    found: list[int] = []
    for dependent in flow.dependents[seq]:
        behind = flow.task(dependent)
        if dependent not in but and not behind.has_ended and reads_of(behind.planned).get(seq):
            found.append(dependent)
    return found


def with_those_in_need(flow: FlowState, tasks: Sequence[int]) -> list[int]:
    """These tasks, and all that cannot do without a result of one of them; in order, each once."""
    found, left = set(tasks), list(tasks)
    while left:
        seq = left.pop()
        if 1 <= seq <= len(flow.tasks):
            more = in_need_of(flow, seq, found)
            found.update(more)
            left += more
    return sorted(found)


class _Before:
    """How the tasks stood before."""

    def __init__(self, flow: FlowState) -> None:
        self._version = flow.version
        self._ended = {task.planned.seq for task in flow.tasks if task.has_ended}
        self._ready = {task.planned.seq for task in flow.tasks if task.is_ready}

    def effect(self, flow: FlowState, passed_over: list[int]) -> Effect:
        ended = {task.planned.seq for task in flow.tasks if task.has_ended}
        ready = {task.planned.seq for task in flow.tasks if task.is_ready}
        return Effect(
            version=self._version,
            passed_over=passed_over,
            kept=sorted(self._ended & ended - set(passed_over)),
            ready=sorted(ready - self._ready),
            ends=flow.ended_ms is not None,
        )


class _Again:
    """What runs again, found as the transition finds it."""

    def __init__(
        self, flow: FlowState, scope: Scope, changed: set[int], now_ms: int, keep_answers: bool
    ) -> None:
        self._flow = flow
        self._scope = scope
        self._changed = changed
        self._now_ms = now_ms
        self._keeps_answers = keep_answers
        self._kept: set[int] = set()
        self.gone: list[int] = []
        """Items of maps that are expanded anew."""
        self._anew: set[int] = set()
        self._spared = spared_tasks([task.planned for task in flow.tasks]) if flow.ruled else frozenset[int]()
        self._again: dict[int, None] = {}
        self._stack: list[int] = []

    def select(self, selection: Selection) -> None:
        """The tasks that are asked for, and what follows by the scope and by rules."""
        flow = self._flow
        if selection == "all":
            self._add(range(1, len(flow.tasks) + 1))
        elif selection == "failed":
            self._add(task.planned.seq for task in flow.tasks if task.status is Status.SUSPEND)
            cut_off = flow.cut_off if flow.ended_ms is not None else ()
            self._add(seq for seq in cut_off if flow.task(seq).status is Status.IGNORE)
        else:
            for seq in selection:
                self._select_one(int(seq))
        if not self._stack:
            self._refuse("nothing", str(selection) if isinstance(selection, str) else "tasks")
        self._walk_on()
        self._add_away()
        while (self._flow.ruled and self._open_behind()) or self._add_along(selection):
            self._walk_on()
            self._add_away()

    def checked(self, selection: Selection) -> list[int]:
        """What runs again, in order; refused as the transition refuses."""
        flow, ran = self._flow, list[int]()
        self._take_items()
        for seq in selection if flow.ruled and not isinstance(selection, str) else ():
            if flow.task(seq).ended_as in (NOT_TAKEN, UNMET) and self._is_passed(flow.task(seq)):
                cause = next((one for one in flow.task(seq).planned.depends_on if self._stays(one)), 0)
                self._refuse("not-taken", str(seq), str(cause))
        if flow.is_ending and (others := sorted(self._again.keys() - self._spared)):
            self._refuse("ending", str(others[0]))
        for seq in sorted(self._again):
            task = flow.task(seq)
            if task.status is Status.RUNNING:
                self._refuse("running", str(seq))
            if self._is_heard_of(task):
                self._refuse_started(seq)
            is_same = seq not in self._changed and seq not in self._anew
            if task.status is Status.WAIT and not task.attempt and is_same:
                continue  # it waits as it did
            ran.append(seq)
        if not ran:
            self._refuse("nothing", str(selection) if isinstance(selection, str) else "tasks")
        return ran

    def _take_items(self) -> None:
        """The items of maps that are expanded anew go."""
        flow = self._flow
        for seq in sorted(self._anew):
            for item in numbers_of(flow.task(seq).planned.items):
                if flow.task(item).status is Status.RUNNING:
                    self._refuse("dependent-running", str(seq), str(item))
                self._again.pop(item, None)
                self.gone.append(item)
        self.gone.sort()

    def _add_along(self, selection: Selection) -> bool:
        """Maps are expanded anew that are asked for, or behind others than their items, and those that go
        along such a map; True: that led to more."""
        tasks = [self._flow.task(seq).planned for seq in self._again]
        asked = self._again if selection == "all" else () if selection == "failed" else selection
        for one in tasks:
            items = numbers_of(one.items)
            before = (seq for seq in one.depends_on if seq not in items and seq != one.along)
            if one.items is not None and (
                (one.seq in asked and not one.along)
                or one.seq in self._changed
                or any(seq in self._again for seq in before)
            ):
                self._anew.add(one.seq)
        along = [task.planned for task in self._flow.tasks if task.planned.along]
        while more := {one.seq for one in along if one.along in self._anew} - self._anew:
            self._anew |= more
        self._add(sorted(self._anew))
        return bool(self._stack)

    def _select_one(self, seq: int) -> None:
        if not 1 <= seq <= len(self._flow.tasks):
            self._refuse("unknown", str(seq))
        task = self._flow.task(seq)
        if task.ended_as == VANISHED:
            self._refuse("vanished", str(seq))
        is_away = self._is_away(task) or task.planned.items is not None
        if task.status is Status.WAIT and not is_away and seq not in self._changed:
            self._refuse("waits", str(seq))
        if task.planned.along and seq not in self._changed:
            self._add(numbers_of(task.planned.items))
        self._add([seq])

    def _add(self, tasks: Iterable[int]) -> None:
        for seq in tasks:
            if seq not in self._again and self._flow.task(seq).ended_as != VANISHED:
                self._again[seq] = None
                self._stack.append(seq)

    def _is_away(self, task: TaskState) -> bool:
        """Whether it waits for the time of its retry or its round, or for the world."""
        if task.status is not Status.WAIT:
            return False
        due_ms = task.again_ms if task.retry_ms is None else task.retry_ms
        return task.awaiting is not None or (due_ms is not None and due_ms > self._now_ms)

    def _is_heard_of(self, task: TaskState) -> bool:
        """Whether tasks behind it may have gone on because of how it stands."""
        return task.status.is_final or (self._flow.ruled and task.status is Status.SUSPEND)

    def _walk_on(self) -> None:
        """By the scope: all behind them, or what read a result that goes."""
        flow = self._flow
        while self._stack:
            seq = self._stack.pop()
            for dependent in flow.dependents[seq]:
                behind = flow.task(dependent)
                follows = (
                    self._scope == "" and _uses(behind, seq) and self._is_followed(flow.task(seq), behind)
                )
                if self._scope != "dependents" and not follows:
                    continue
                if not self._keeps_its_answer(behind):
                    self._add([dependent])
                elif dependent not in self._kept:
                    self._kept.add(dependent)
                    self._stack += [dependent] if self._scope == "dependents" else []

    def _is_followed(self, task: TaskState, behind: TaskState) -> bool:
        """Whether what has run behind a task read what goes of it, or cleaned up."""
        seq, has_run = task.planned.seq, behind.status in (Status.FINISH, Status.SUSPEND)
        if task.has_ended and is_read_by(behind.planned, seq) and (has_run or _began_with(behind, seq)):
            return True
        return task.has_ended and has_run and behind.planned.seq in self._spared

    def _keeps_its_answer(self, task: TaskState) -> bool:
        """Whether it has waited for the world, and what came of it stays; decisions are made anew."""
        is_wait_over = task.status is Status.FINISH and task.planned.program in PROGRAMS
        return self._keeps_answers and is_wait_over and task.planned.seq not in self._again

    def _add_away(self) -> None:
        """A dependent that waits for its retry, or the world, began on a result that goes."""
        for seq in list(self._again):
            if self._is_heard_of(self._flow.task(seq)):
                for dependent in self._flow.dependents[seq]:
                    behind = self._flow.task(dependent)
                    if self._is_away(behind) and _uses(behind, seq):
                        self._again.setdefault(dependent)

    def _open_behind(self) -> bool:
        """What rules had passed over because of these, and what began because they failed; True: there is
        more."""
        found = False
        for task in self._flow.tasks:
            seq = task.planned.seq
            if seq in self._again or self._again.keys().isdisjoint(task.planned.depends_on):
                continue
            is_over = task.ended_as in (NOT_TAKEN, UNMET) and not self._is_passed(task)
            if is_over or self._began_on_failure(task):
                self._add([seq])
                found = True
        return found

    def _is_passed(self, task: TaskState) -> bool:
        """Whether its rule passes over a task while all of these are open."""
        edges = zip(task.planned.depends_on, edges_of(self._flow, task), strict=True)
        now = [edge if self._stays(seq) else edge.opened() for seq, edge in edges]
        return decide(task.planned.rule, now) is PASS

    def _stays(self, seq: int) -> bool:
        return seq not in self._again

    def _began_on_failure(self, task: TaskState) -> bool:
        if task.planned.rule != FAILED or task.status not in (Status.FINISH, Status.SUSPEND):
            return False
        return any(seq in self._again and self._flow.task(seq).status is Status.SUSPEND for seq in task.used)

    def _refuse_started(self, seq: int) -> None:
        for dependent in self._flow.dependents[seq]:
            behind = self._flow.task(dependent)
            if dependent in self._again or not _uses(behind, seq) or behind.planned.along == seq:
                continue
            if behind.status is Status.RUNNING:
                self._refuse("dependent-running", str(seq), str(dependent))
            if behind.status is Status.FINISH and self._scope == "" and dependent not in self._kept:
                self._refuse("dependent-started", str(seq), str(dependent))

    def _refuse(self, reason: str, *words: str) -> NoReturn:
        raise refusal(self._flow.flow, reason, *words)


def _began_with(behind: TaskState, seq: int) -> bool:
    """Whether a map that waits began on the result of this task: it has its items."""
    items = behind.planned.items
    has_begun = items is not None and behind.status is Status.WAIT
    return has_begun and seq not in numbers_of(items) and seq != behind.planned.along


def _uses(behind: TaskState, seq: int) -> bool:
    """Whether a task that has begun did so with this dependency; with its decision in any case."""
    return not behind.used or seq in behind.used or behind.planned.is_branch_of(seq)


def _pass_over(flow: FlowState) -> list[int]:
    """What rules pass over now, and after that; the state has it then."""
    passed: list[int] = []
    left = list(range(1, len(flow.tasks) + 1)) if flow.ruled else []
    while left:
        seq = left.pop()
        task = flow.task(seq)
        if task.edges is None or task.status is not Status.WAIT or task.used:
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


def _refuse_ended(flow: FlowState) -> None:
    if flow.ended_ms is not None:
        raise RefusedError(
            f"flow {flow.flow}: it has ended ({flow.status.word}); rerun it, or fork it, to do anything more"
            " with it",
            "ended",
        )


def _refuse_final(flow: FlowState, seq: int) -> None:
    if not 1 <= seq <= len(flow.tasks):
        raise refusal(flow.flow, "unknown", str(seq))
    task = flow.task(seq)
    if task.status is Status.RUNNING:
        raise refusal(flow.flow, "ignore-running", str(seq))
    if task.has_ended:
        how = {Status.FINISH: "finished", Status.IGNORE: "ignored"}.get(task.status, "given up")
        raise refusal(flow.flow, "final", str(seq), how)
