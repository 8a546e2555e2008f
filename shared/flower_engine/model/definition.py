"""Workflow definitions: what a person writes, and the plan of a flow that follows from it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from flower_engine.errors import DefinitionError, TooLargeError

MAX_TASKS = 10_000
MAX_EDGES = 100_000
MAX_NAME_LENGTH = 256
MIN_PRIORITY, MAX_PRIORITY = -20, 19
DEFAULT_QUEUE = "default"


class TaskDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """One row of ``ms_task_definition``: a node of the DAG.

    ``depends_on`` holds task_seqs; None means the previous task_seq (the seed's rule), () no dependency.
    """

    seq: int
    program: str
    priority: int = 0
    parameters: dict[str, Any] = {}
    depends_on: tuple[int, ...] | None = None
    queue: str = DEFAULT_QUEUE


class WorkflowDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A named DAG of task definitions, in any order."""

    name: str
    tasks: tuple[TaskDefinition, ...]


class PlannedTask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One node of a flow, as its first event carries it; ``seq`` and ``depends_on`` count 1..n."""

    seq: int
    task_seq: int
    program: str
    priority: int = 0
    queue: str = DEFAULT_QUEUE
    depends_on: tuple[int, ...] = ()
    parameters: dict[str, Any] = {}


def plan_flow(definition: WorkflowDefinition) -> tuple[PlannedTask, ...]:
    """The tasks of a flow of this workflow, numbered 1..n in task_seq order.

    Cost is linear in tasks plus edges (and a sort of the tasks).

    Raises:
        TooLargeError: more than ``MAX_TASKS`` tasks or ``MAX_EDGES`` edges.
        DefinitionError: every problem found, each naming its row.
    """
    name, tasks = definition.name, sorted(definition.tasks, key=lambda task: task.seq)
    if not tasks:
        raise DefinitionError(name, ["it has no tasks"])
    if len(tasks) > MAX_TASKS:
        raise TooLargeError(name, [f"it has {len(tasks)} tasks; a flow may have {MAX_TASKS}"])
    edges = sum(len(task.depends_on or ()) for task in tasks)
    if edges > MAX_EDGES:
        raise TooLargeError(name, [f"it has {edges} dependencies; a flow may have {MAX_EDGES}"])
    problems = _problems_of_rows(name, tasks)
    if problems:
        raise DefinitionError(name, problems)
    number = {task.seq: index for index, task in enumerate(tasks, start=1)}
    planned = tuple(_planned(task, number) for task in tasks)
    _refuse_cycles(name, planned)
    return planned


def dependents_of(tasks: Sequence[PlannedTask]) -> list[list[int]]:
    """For each task 1..n (index 0 is unused) the tasks that wait for it, ascending."""
    dependents: list[list[int]] = [[] for _ in range(len(tasks) + 1)]
    for task in tasks:
        for dependency in task.depends_on:
            dependents[dependency].append(task.seq)
    return dependents


def _planned(task: TaskDefinition, number: dict[int, int]) -> PlannedTask:
    seq = number[task.seq]
    if task.depends_on is None:
        depends_on = (seq - 1,) if seq > 1 else ()
    else:
        depends_on = tuple(sorted(number[other] for other in task.depends_on))
    return PlannedTask(
        seq=seq,
        task_seq=task.seq,
        program=task.program,
        priority=task.priority,
        queue=task.queue,
        depends_on=depends_on,
        parameters=task.parameters,
    )


def _problems_of_rows(name: str, tasks: Sequence[TaskDefinition]) -> list[str]:
    problems: list[str] = []
    if not _is_name(name):
        problems.append(f"its name must be 1 to {MAX_NAME_LENGTH} characters without control characters")
    elif name.endswith("/"):
        problems.append("its name must not end in a slash: paths of the API could not name it")
    seen: set[int] = set()
    known = {task.seq for task in tasks}
    for task in tasks:
        row = f"row (task_id {name!r}, task_seq {task.seq})"
        if task.seq in seen:
            problems.append(f"{row} stands twice")
        seen.add(task.seq)
        if not _is_name(task.program):
            problems.append(f"{row} names no program (1 to {MAX_NAME_LENGTH} characters)")
        if not _is_name(task.queue):
            problems.append(f"{row} names no queue (1 to {MAX_NAME_LENGTH} characters)")
        if not MIN_PRIORITY <= task.priority <= MAX_PRIORITY:
            problems.append(f"{row} has priority {task.priority}, outside {MIN_PRIORITY}..{MAX_PRIORITY}")
        problems.extend(_problems_of_dependencies(row, task, known))
    return problems


def _problems_of_dependencies(row: str, task: TaskDefinition, known: set[int]) -> list[str]:
    problems: list[str] = []
    given = task.depends_on or ()
    if len(set(given)) != len(given):
        problems.append(f"{row} repeats a dependency")
    for dependency in given:
        if dependency == task.seq:
            problems.append(f"{row} depends on itself")
        elif dependency not in known:
            problems.append(f"{row} depends on task_seq {dependency}, which does not exist")
    return problems


def _is_name(text: str) -> bool:
    return 0 < len(text) <= MAX_NAME_LENGTH and text.isprintable() and bool(text.strip())


def _refuse_cycles(name: str, tasks: Sequence[PlannedTask]) -> None:
    """Kahn's topological sort (1962): what never becomes free is on or behind a cycle."""
    dependents = dependents_of(tasks)
    open_count = [0] + [len(task.depends_on) for task in tasks]
    free = [task.seq for task in tasks if not task.depends_on]
    freed = 0
    while free:
        freed += 1
        for dependent in dependents[free.pop()]:
            open_count[dependent] -= 1
            if open_count[dependent] == 0:
                free.append(dependent)
    if freed == len(tasks):
        return
    cycle = " -> ".join(str(seq) for seq in _one_cycle(tasks, open_count))
    raise DefinitionError(
        name, [f"rows of task_id {name!r} depend on each other in a cycle: task_seq {cycle}"]
    )


def _one_cycle(tasks: Sequence[PlannedTask], open_count: list[int]) -> list[int]:
    """The task_seqs of one cycle, closed; walks backwards through tasks that never became free."""
    seq = next(task.seq for task in tasks if open_count[task.seq])
    path: dict[int, None] = {}
    while seq not in path:
        path[seq] = None
        seq = next(other for other in tasks[seq - 1].depends_on if open_count[other])
    walked = list(path)
    cycle = [*walked[walked.index(seq) :], seq]
    return [tasks[member - 1].task_seq for member in reversed(cycle)]
