"""What a rerun runs again, found from a flow's state as ``operator/rerun.lua`` finds it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NoReturn

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.definitions.task_rules import TaskRules
from flower_engine.model.folding.cleanup import spared_tasks
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.folding.fold_rules import edges_of
from flower_engine.model.folding.kept_results import is_read_by
from flower_engine.model.folding.unneeded import cancels_others, has_enough
from flower_engine.model.maps.map_items import numbers_of
from flower_engine.model.tasks.end_kinds import GIVEN_UP, NOT_TAKEN, UNMET, UNNEEDED, VANISHED
from flower_engine.model.tasks.rules import FAILED, PASS, START, Edge, decide, rule_of
from flower_engine.model.tasks.status import Status
from flower_engine.model.waits.wait_parameters import MAP, PROGRAMS
from flower_engine.transitions.operator_transitions import Scope, refusal

Selection = Sequence[int] | Literal["failed", "all"]


class Again:
    """What runs again, found as the transition finds it."""

    def __init__(
        self,
        flow: FlowState,
        scope: Scope,
        changed: set[int],
        now_ms: int,
        *,
        keep_answers: bool,
        bodies: Mapping[int, PlannedTask] | None = None,
    ) -> None:
        """``changed``: tasks that have other parameters, or another body, from then on; ``bodies``: these."""
        self._flow = flow
        self._scope = scope
        self._changed = changed
        self._bodies = bodies or {}
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
            self._add(task.planned.seq for task in flow.tasks if not self._keeps_its_answer(task))
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
            is_over = seq in self._again and flow.task(seq).ended_as in (NOT_TAKEN, UNMET)
            if is_over and self._is_passed(flow.task(seq)):
                cause = next((one for one in flow.task(seq).planned.depends_on if self._stays(one)), 0)
                self._refuse("not-taken", str(seq), str(cause))
        self._refuse_behind_given_up()
        if flow.is_ending and (others := sorted(self._again.keys() - self._spared)):
            self._refuse("ending", str(others[0]))
        self._refuse_unneeded()
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

    def _refuse_unneeded(self) -> None:
        """What would be cancelled at once: joins that cancel others have enough without it."""
        if not cancels_others(self._flow):
            return
        for seq in sorted(self._again):
            join = 0
            for dependent in self._flow.dependents[seq]:
                behind = self._flow.task(dependent)
                is_opened = dependent in self._again
                if (
                    seq in behind.used and not is_opened and behind.ended_as != UNNEEDED
                ):  # it began with this one
                    if not behind.has_ended:
                        break
                elif self._has_enough(behind):
                    join = join or dependent
                elif not behind.has_ended or is_opened:
                    break
            else:
                if join and not self._flow.task(seq).planned.finally_:
                    self._refuse("unneeded", str(seq), str(join))

    def _has_enough(self, task: TaskState) -> bool:
        """Whether a join has enough, or was not needed itself, when all of these are open."""
        if task.planned.seq not in self._again and (task.ended_as == UNNEEDED or self._has_begun(task)):
            return task.ended_as == UNNEEDED or has_enough(task)
        is_over = task.status is Status.IGNORE and task.planned.seq not in self._again
        return (
            not is_over
            and rule_of(task.planned.rule).cancels
            and decide(task.planned.rule, self._edges_now(task)) is START
        )

    def _has_begun(self, task: TaskState) -> bool:
        """Whether a join has begun with some, and has so still when all of these are open."""
        return bool(task.used) and (
            task.status is not Status.WAIT or self._again.keys().isdisjoint(task.used)
        )

    def _refuse_behind_given_up(self) -> None:
        """In a flow without rules no rule passes over what is behind a task that stays given up."""
        changes = {*self._again, *self.gone}
        bodies = (self._bodies[seq] for seq in self._again if seq in self._bodies)
        is_ruled = self._flow.ruled or any(TaskRules.of(body) is not None for body in bodies)
        for task in self._flow.tasks if not is_ruled else ():
            seq = task.planned.seq
            if task.ended_as == GIVEN_UP and seq not in changes:
                for behind in self._flow.dependents[seq]:
                    if behind in self._again:
                        self._refuse("not-taken", str(behind), str(seq))

    def matched(self, ran: Iterable[int]) -> list[int]:
        """The maps among these that are to be expanded, and matched with the items that they had."""
        found = (self._flow.task(seq).planned for seq in ran if self._scope == "changed")
        maps = (one for one in found if one.program == MAP)
        return [one.seq for one in maps if one.items is None or one.seq in self._anew]

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
        return is_away(task, self._now_ms)

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
                    self._scope in ("", "changed")
                    and uses(behind, seq)
                    and self._is_followed(flow.task(seq), behind)
                )
                if self._scope != "dependents" and not follows:
                    continue
                if not self._keeps_its_answer(behind):
                    self._add([dependent])
                elif dependent not in self._kept:
                    self._kept.add(dependent)
                    self._stack += [dependent] if self._scope == "dependents" else []

    def _is_followed(self, task: TaskState, behind: TaskState) -> bool:
        """Whether what has run behind a task read what goes of it, cleaned up, or failed in its branch."""
        seq, has_run = task.planned.seq, behind.status in (Status.FINISH, Status.SUSPEND)
        if behind.status is Status.SUSPEND and behind.planned.is_branch_of(seq):
            return True
        if task.has_ended and is_read_by(behind.planned, seq) and (has_run or began_with(behind, seq)):
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
                    if self._is_away(behind) and uses(behind, seq):
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
        return decide(task.planned.rule, self._edges_now(task)) is PASS

    def _edges_now(self, task: TaskState) -> list[Edge]:
        edges = zip(task.planned.depends_on, edges_of(self._flow, task), strict=True)
        return [edge if self._stays(seq) else edge.opened() for seq, edge in edges]

    def _stays(self, seq: int) -> bool:
        return seq not in self._again

    def _began_on_failure(self, task: TaskState) -> bool:
        if task.planned.rule != FAILED or task.status not in (Status.FINISH, Status.SUSPEND):
            return False
        return any(seq in self._again and self._flow.task(seq).status is Status.SUSPEND for seq in task.used)

    def _refuse_started(self, seq: int) -> None:
        for dependent in self._flow.dependents[seq]:
            behind = self._flow.task(dependent)
            if dependent in self._again or not uses(behind, seq) or behind.planned.along == seq:
                continue
            if behind.status is Status.RUNNING:
                self._refuse("dependent-running", str(seq), str(dependent))
            if behind.status is Status.FINISH and self._scope == "" and dependent not in self._kept:
                self._refuse("dependent-started", str(seq), str(dependent))

    def _refuse(self, reason: str, *words: str) -> NoReturn:
        raise refusal(self._flow.flow, reason, *words)


def is_away(task: TaskState, now_ms: int) -> bool:
    """Whether it waits for the time of its retry or its round, or for the world."""
    if task.status is not Status.WAIT:
        return False
    due_ms = task.again_ms if task.retry_ms is None else task.retry_ms
    return task.awaiting is not None or (due_ms is not None and due_ms > now_ms)


def began_with(behind: TaskState, seq: int) -> bool:
    """Whether a map that waits began on the result of this task: it has its items."""
    items = behind.planned.items
    has_begun = items is not None and behind.status is Status.WAIT
    return has_begun and seq not in numbers_of(items) and seq != behind.planned.along


def uses(behind: TaskState, seq: int) -> bool:
    """Whether a task that has begun did so with this dependency; with its decision in any case."""
    return not behind.used or seq in behind.used or behind.planned.is_branch_of(seq)
