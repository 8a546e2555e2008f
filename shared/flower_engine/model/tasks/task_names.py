"""Names of tasks where numbers are kept: definitions may name dependencies, the tables number them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flower_engine.errors import DefinitionError
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.quoting import short

_MOST_PROBLEMS = 100
_MOST_LOOKED_UP = 3  # looking for names that are near takes long where there are many
Named = tuple[int, str | None, Iterable[int | str] | None]
"""A task: its task_seq, its name, and what it depends on."""


def branches_of(
    workflow: str, tasks: Sequence[tuple[int, str | None, Sequence[Any] | None]]
) -> list[tuple[int, bool] | None]:
    """Of each task (task_seq, name, ``when``) whose branch it is, as task_seq and what that must say.

    Raises:
        DefinitionError: it is no such pair, or names no task; every such row is named.
    """
    names: dict[str, int] = {}
    for seq, name, _ in tasks:
        if name is not None:
            names.setdefault(name, seq)
    problems: list[str] = []
    found: list[tuple[int, bool] | None] = []
    for seq, _, when in tasks:
        branch, problem = _branch_of(when, names)
        found.append(branch)
        if problem and len(problems) < _MOST_PROBLEMS:
            problems.append(f"row (task_id {workflow!r}, task_seq {seq}) {problem}")
    if problems:
        raise DefinitionError(workflow, problems)
    return found


def _branch_of(when: Sequence[Any] | None, names: Mapping[str, int]) -> tuple[tuple[int, bool] | None, str]:
    if when is None:
        return None, ""
    decision, says = when if len(when) == 2 else (None, None)
    if isinstance(decision, bool) or not isinstance(decision, int | str) or not isinstance(says, bool):
        return None, (
            'has a when that is no pair of a decision and what it must say, as ["big", true] or [3, false]'
        )
    if isinstance(decision, int):
        return (decision, says), ""
    if decision not in names:
        near = nearest_in_words(decision, names)
        return None, f"is a branch of task {short(decision)!r}, which does not exist{near}"
    return (names[decision], says), ""


def numbered(workflow: str, tasks: Sequence[Named]) -> list[tuple[int, ...] | None]:
    """The dependencies of each task as task_seqs.

    Raises:
        DefinitionError: a dependency is the name of no task; every such row is named.
    """
    names: dict[str, int] = {}
    for seq, name, _ in tasks:
        if name is not None:
            names.setdefault(name, seq)
    problems: list[str] = []
    found: list[tuple[int, ...] | None] = []
    for seq, _, depends_on in tasks:
        numbers: list[int] = []
        for one in depends_on or ():
            number = names.get(one) if isinstance(one, str) else one
            if number is not None:
                numbers.append(number)
            elif len(problems) < _MOST_PROBLEMS:
                row = f"row (task_id {workflow!r}, task_seq {seq})"
                near = nearest_in_words(str(one), names) if len(problems) < _MOST_LOOKED_UP else ""
                problems.append(f"{row} depends on task {short(str(one))!r}, which does not exist{near}")
        found.append(None if depends_on is None else tuple(numbers))
    if problems:
        raise DefinitionError(workflow, problems)
    return found
