"""The fields of a flow's hash that say how the dependencies of its tasks stand, where the flow has rules.

``lua/lib/edges.lua`` is where they are read. A flow in which no task has a rule, and none says what follows
its failure, has none of them.
"""

from collections.abc import Collection, Mapping, Sequence

from flower_engine.model.definitions.definition import PlannedTask, dependents_of
from flower_engine.model.definitions.task_rules import TaskRules, rule_in_force
from flower_engine.model.folding.kept_results import reads_of
from flower_engine.model.tasks.rules import (
    PASS,
    START,
    Decision,
    Edge,
    Edges,
    Standing,
    decide,
    is_picked,
    rule_of,
)
from flower_engine.transitions.loader import Arg

FLAG = "r"
CANCELS_FLAG = "o"
_NOTHING: Mapping[int, bool | None] = {}


def have_rules(tasks: Sequence[PlannedTask]) -> bool:
    """Whether a flow of these tasks has rules."""
    return any(TaskRules.of(task) is not None for task in tasks)


def cancel_others(tasks: Sequence[PlannedTask]) -> bool:
    """Whether a join of these tasks cancels what it alone needed, once it has enough."""
    return any(rule_of(task.rule).cancels for task in tasks)


def rule_flags(tasks: Sequence[PlannedTask]) -> str:
    """The flags of a flow of these tasks that say what rules it has."""
    return FLAG + CANCELS_FLAG * cancel_others(tasks) if have_rules(tasks) else ""


def edges_in(
    task: PlannedTask,
    stands: Mapping[int, Standing],
    with_value: Mapping[int, bool],
    says: Mapping[int, bool | None] = _NOTHING,
) -> list[Edge]:
    """The dependencies of a task; ``stands``: how they do (absent: they wait or run); ``says``: what
    decisions came to."""
    needs = reads_of(task)
    edges = [
        Edge(stands.get(seq, "open"), needs.get(seq, False), with_value.get(seq, False), says.get(seq))
        for seq in task.depends_on
    ]
    if task.when is None:
        return edges
    decision, wanted = task.when
    return [
        edge.gate(wanted) if seq == decision else edge
        for seq, edge in zip(task.depends_on, edges, strict=True)
    ]


def edges_text(task: PlannedTask, edges: Sequence[Edge], used: Sequence[int] = ()) -> str:
    """How they stand as the hash holds it; ``used``: those that its rule picked when it began."""
    counted, rule = Edges.of(edges), rule_in_force(task)
    held = counted.held if rule.word == "failed" else 0
    numbers = (counted.finished, counted.passed, counted.not_taken, counted.given_up, held, counted.missing)
    picked = "-"
    if used:
        picked = "!" + ",".join(map(str, used))
    elif rule.picks:
        fit = [seq for seq, edge in zip(task.depends_on, edges, strict=True) if is_picked(rule, edge.stands)]
        picked = ",".join(map(str, fit[: rule.most or 1])) or "-"
    gate = "" if task.when is None else "b" if counted.barred else "t" if counted.taken else "u"
    return f"{' '.join(map(str, numbers))} {gate}{picked}"


def edges_fields(
    tasks: Sequence[PlannedTask],
    stands: Mapping[int, Standing],
    with_value: Mapping[int, bool],
    used: Mapping[int, Sequence[int]],
    says: Mapping[int, bool | None] = _NOTHING,
) -> list[Arg]:
    """Names and values, flat, of branches, of tasks that began by a rule that picks, and of those of which
    some dependencies neither wait nor run any more; which tasks start because others fail; and, where joins
    cancel others, whom each task waits for."""
    fields: list[Arg] = []
    if cancel_others(tasks):
        for task in tasks:
            if before := task.own_dependencies if task.item is None else ():
                fields += (f"c{task.seq}", ",".join(map(str, before)))
    watchers: dict[int, list[int]] = {}
    for task in tasks:
        began_with = used.get(task.seq, ())  # told also where all of that was opened again
        if task.when is not None or began_with or (stands and not stands.keys().isdisjoint(task.depends_on)):
            text = edges_text(task, edges_in(task, stands, with_value, says), began_with)
            fields += (f"e{task.seq}", text)
        if rule_in_force(task).word == "failed":
            for seq in task.depends_on:
                watchers.setdefault(seq, []).append(task.seq)
    for seq, found in watchers.items():
        fields += (f"f{seq}", ",".join(map(str, found)))
    return fields


class Beginning:
    """Which tasks of a flow have ended when it begins, and which start."""

    def __init__(
        self,
        tasks: Sequence[PlannedTask],
        taken: Collection[int],
        ignored: Collection[int],
        stand_ins: Collection[int],
        passed: Collection[int],
        *,
        unmet: Collection[int] = (),
        says: Mapping[int, bool | None] = _NOTHING,
    ) -> None:
        """A fork begins with what it took over; whatever rules pass over then joins ``passed``, and what
        decisions do (``says``: what they came to) ``unmet``."""
        self._says = says
        self.unmet = set(unmet)
        self._tasks = tasks
        self.final = {*taken, *ignored, *passed, *unmet}
        self.passed = set(passed)
        self.unneeded: set[int] = set()
        """What led only to joins that have enough, and cancel others."""
        self.is_ruled = have_rules(tasks)
        self._stands: dict[int, Standing] = dict.fromkeys(taken, "finished")
        self._stands.update((seq, "passed") for seq in ignored)
        self._stands.update((seq, "not_taken") for seq in (*passed, *unmet))
        self._with_value = dict.fromkeys([*taken, *stand_ins], True)
        if self.is_ruled and self.final:
            self._pass_over()
            if cancel_others(tasks):
                self._leave_out()

    def _pass_over(self) -> None:
        """What rules pass over because of what has ended already."""
        dependents = dependents_of(self._tasks)
        left = [seq for done in self.final for seq in dependents[done]]
        while left:
            seq = left.pop()
            if seq not in self.final and self._decide(self._tasks[seq - 1]) is PASS:
                self.final.add(seq)
                edges = Edges.of(self._edges(self._tasks[seq - 1]))
                (self.unmet if edges.barred else self.passed).add(seq)
                self._stands[seq] = "not_taken"
                left += dependents[seq]

    def _leave_out(self) -> None:
        """What nobody needs, as ``folding/unneeded.py`` has it."""
        enough = {
            task.seq
            for task in self._tasks
            if rule_of(task.rule).cancels
            and self._stands.get(task.seq, "open") in ("open", "finished")
            and self._decide(task) is START
        }
        over, marks = self.final | enough, set(enough)
        dependents = dependents_of(self._tasks)
        left = [task.seq for task in self._tasks]
        while left:
            seq = left.pop()
            is_open = seq not in self.final and not self._tasks[seq - 1].finally_
            if is_open and over.issuperset(dependents[seq]) and not marks.isdisjoint(dependents[seq]):
                for found in (self.final, self.unneeded, over, marks):
                    found.add(seq)
                self._stands[seq] = "not_taken"
                left += self._tasks[seq - 1].depends_on

    def _decide(self, task: PlannedTask) -> Decision:
        return decide(task.rule, self._edges(task))

    def _edges(self, task: PlannedTask) -> list[Edge]:
        return edges_in(task, self._stands, self._with_value, self._says)

    def roots(self) -> list[int]:
        """The tasks that wait for nothing."""
        waiting = [task for task in self._tasks if task.seq not in self.final]
        if not self.is_ruled:
            return [task.seq for task in waiting if self.final.issuperset(task.depends_on)]
        return [task.seq for task in waiting if self._decide(task) is START]

    def fields(self) -> list[Arg]:
        """Those of the flow's hash that say how dependencies stand."""
        if not self.is_ruled:
            return []
        return edges_fields(self._tasks, self._stands, self._with_value, {}, self._says)
