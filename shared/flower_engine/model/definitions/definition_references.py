"""What references make of a definition: the edges that follow from them, and what is wrong with them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.model.parameters.reference_forms import From
from flower_engine.model.parameters.references import (
    Found,
    escaped,
    may_hold_references,
    resolved_value,
    scan,
    scan_parameters,
)
from flower_engine.model.tasks.task_spec import TaskSpec
from flower_engine.model.values.json_pointer import pointer_to
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.quoting import short

_MOST_PROBLEMS = 1_000
_MOST_LOOKED_UP = 3  # looking for names that are near takes long where there are many
_NOTHING = Found()


class Params(msgspec.Struct, frozen=True):
    """The flow's parameters that references may name. ``known`` None: any, there is no schema."""

    known: Collection[str] | None = None
    secrets: Collection[str] = ()


class DefinitionReferences:
    """All references in the tasks of a workflow, and in what it returns."""

    def __init__(self, workflow: str, tasks: Sequence[TaskSpec], returns: Any, params: Params) -> None:
        self._workflow = workflow
        self._tasks = tasks
        self._params = params
        self._seqs = {task.task_seq for task in tasks}
        self._names: dict[str, int] = {}
        for task in tasks:
            if task.task_name is not None:
                self._names.setdefault(task.task_name, task.task_seq)
        self.of_tasks = [
            scan_parameters(task.parameters) if may_hold_references(task.parameters) else _NOTHING
            for task in tasks
        ]
        self._returns = _NOTHING if returns is None else scan(returns)
        self._looked_up = 0

    @property
    def has_edges(self) -> bool:
        """Whether tasks take results of others."""
        return any(found.uses for found in self.of_tasks)

    def producers(self, index: int) -> dict[str, int]:
        """What the references of a task say of the tasks whose results they take -> their task_seqs."""
        return {
            use.form.name: seq
            for use in self.of_tasks[index].uses
            if (seq := self._seq_of(use.form)) is not None
        }

    def problems(self, keyed_by: Callable[[str], Mapping[str, str]]) -> list[str]:
        """What is wrong, as sentences that name row, parameter and place. ``keyed_by``: of each program the
        parameters that tell its tasks apart for flow control -> who says so."""
        found: list[str] = []
        for index, task in enumerate(self._tasks):
            if self.of_tasks[index].is_plain:
                continue
            row = f"row (task_id {self._workflow!r}, task_seq {task.task_seq}): parameters"
            for problem in self._of_task(index, task, keyed_by(task.program)):
                found.append(row + problem)
                if len(found) == _MOST_PROBLEMS:
                    return found
        found += (
            f"workflow {self._workflow!r}: returns{problem}" for problem in self._of_returns(self._returns)
        )
        return found

    def _of_task(self, index: int, task: TaskSpec, keyed_by: Mapping[str, str]) -> Iterator[str]:
        found = self.of_tasks[index]
        yield from found.problems
        yield from self._of_names(found)
        for use in found.uses:
            if self._seq_of(use.form) == task.task_seq:
                yield f"{use.at}: it takes the result of its own task"
        for parameter, who in keyed_by.items():
            yield from self._of_key(pointer_to(parameter), who, found)

    def _of_returns(self, found: Found) -> Iterator[str]:
        yield from (problem if problem.startswith("/") else f": {problem}" for problem in found.problems)
        yield from self._of_names(found)
        for places in found.secrets.values():
            yield f"{places[0]}: what a flow returns is no place for secrets"
        for name in set(self._params.secrets).intersection(found.params):
            yield f"{found.params[name][0]}: the parameter {name!r} is a secret, which no flow returns"

    def _of_names(self, found: Found) -> Iterator[str]:
        for use in found.uses:
            if self._seq_of(use.form) is None:
                yield f"{use.at}: it takes the result of task {self._unknown(use.form)}"
        for name, places in found.params.items():
            if self._params.known is not None and name not in self._params.known:
                near = self._near(name, self._params.known)
                yield f"{places[0]}: parametersSchema has no property {short(name)!r}{near}"
        for name, places in found.slots.items():
            yield (
                f"{places[0]}: $slot {short(name)!r} stands in parameters of schedules only: make it a"
                " parameter of the workflow, which its schedules give"
            )

    def _of_key(self, at: str, who: str, found: Found) -> Iterator[str]:
        places = [use.at for use in found.uses]
        places += (place for some in (found.secrets, found.slots) for one in some.values() for place in one)
        places += (place for name in self._params.secrets for place in found.params.get(name, ()))
        for place in places:
            if place == at or place.startswith(f"{at}/"):
                yield f"{place}: {who} tells tasks apart by it, so it must be known when a flow is registered"

    def _seq_of(self, form: From) -> int | None:
        if isinstance(form.producer, str):
            return self._names.get(form.producer)
        return form.producer if form.producer in self._seqs else None

    def _unknown(self, form: From) -> str:
        if isinstance(form.producer, int):
            return (
                f"{short(str(form.producer)) if abs(form.producer) < 10**30 else '...'}, which does not exist"
            )
        return f"{form.producer!r}, which does not exist{self._near(form.producer, self._names)}"

    def _near(self, name: str, known: Collection[str]) -> str:
        self._looked_up += 1
        return nearest_in_words(name, known) if self._looked_up <= _MOST_LOOKED_UP else ""


def settled(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Parameters in which all is resolved that needs no result, secret or parameter of the flow; and whether
    something is left: then the others are as they must stand among references."""
    waiting: set[str] = set()
    known: dict[str, Any] = {}
    for name, value in parameters.items():
        if not isinstance(value, dict | list):
            known[name] = value
            continue
        found = scan(value)
        if found.waits or found.params:
            waiting.add(name)
            known[name] = value
        else:
            known[name] = value if found.is_plain else resolved_value(value, _nothing, _nothing, name)
    if not waiting:
        return known, False
    return {name: one if name in waiting else escaped(one) for name, one in known.items()}, True


def _nothing(name: str) -> Any:
    raise AssertionError(f"{name} is needed")  # what is settled needs none
