"""What a rerun with another version of a workflow changes of a flow's tasks: bodies, never places.

The *place* of a task is what ties it into its flow: number, name and dependencies. All else that is said of
it is its *body*.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from flower_engine.model.definitions.definition import PlannedTask

_MOST_SHOWN = 5


class Place(NamedTuple):
    """Where a task stands in its flow; ``depends_on`` holds numbers of the flow, ascending."""

    seq: int
    task_seq: int
    task_name: str | None
    depends_on: tuple[int, ...]


def place_of(task: PlannedTask) -> Place:
    """The place of a task; that of a map does not say which items it has."""
    return Place(task.seq, task.task_seq, task.task_name, task.own_dependencies)


def place_differences(flow: Sequence[PlannedTask], version: Sequence[PlannedTask]) -> list[str]:
    """Where a version's tasks, in their order, have other places than those of a flow: the first few, each as
    a clause, and how many more there are."""
    found = [
        difference
        for old, new in zip_longest(flow, version)
        if old is None or new is None or place_of(old) != place_of(new)
        for difference in _differences(old, new)
    ]
    if len(found) > _MOST_SHOWN:
        return [*found[:_MOST_SHOWN], f"and {len(found) - _MOST_SHOWN} more"]
    return found


def _differences(old: PlannedTask | None, new: PlannedTask | None) -> list[str]:
    if old is None:
        return [f"{_title(new)} is new in it"] if new else []
    if new is None:
        return [f"{_title(old)} is not in it"]
    if (old.task_seq, old.task_name) != (new.task_seq, new.task_name):
        return [f"instead of {_title(old)} it has {_title(new)}"]
    return [
        f"{_title(old)} depends on {_listed(new.depends_on)} in it, in the flow on {_listed(old.depends_on)}"
    ]


def _title(task: PlannedTask) -> str:
    return f"task {task.seq}" + (f" {task.task_name!r}" if task.task_name else "") + _number(task)


def _number(task: PlannedTask) -> str:
    return "" if task.task_seq == task.seq else f" (taskSeq {task.task_seq})"


def _listed(tasks: Sequence[int]) -> str:
    if len(tasks) > _MOST_SHOWN:
        return f"{', '.join(map(str, tasks[:_MOST_SHOWN]))}, ... ({len(tasks)} tasks)"
    return ", ".join(map(str, tasks)) or "none"
