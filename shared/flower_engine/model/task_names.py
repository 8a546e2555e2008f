"""Names of tasks where numbers are kept: definitions may name dependencies, the tables number them."""

from collections.abc import Iterable, Sequence

from flower_engine.errors import DefinitionError
from flower_engine.model.near_names import nearest_in_words
from flower_engine.model.quoting import short

_MOST_PROBLEMS = 100
_MOST_LOOKED_UP = 3  # looking for names that are near takes long where there are many
Named = tuple[int, str | None, Iterable[int | str] | None]
"""A task: its task_seq, its name, and what it depends on."""


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
