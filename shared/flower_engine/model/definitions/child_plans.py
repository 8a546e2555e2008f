"""The tasks of a child: those of its workflow, and behind them the one that says what it returns."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.model.definitions.child_flows import (
    ELEMENT,
    ELEMENT_AS,
    GIVEN,
    VALUE,
    VERSION,
    VERSIONS,
    workflow_of,
)
from flower_engine.model.definitions.definition import PlannedTask, WorkflowDefinition, plan_flow
from flower_engine.model.parameters.references import holds_references, scan
from flower_engine.model.waits.wait_parameters import RETURNS


class Pinned(msgspec.Struct, frozen=True):
    """A workflow of a tree: the hash of its version, and which workflows its own children are of."""

    version: str
    children: frozenset[str]


def plan_child(definition: WorkflowDefinition) -> tuple[PlannedTask, ...]:
    """The tasks of a child of this workflow.

    Raises:
        DefinitionError: the workflow cannot be run as it is defined.
    """
    planned = plan_flow(definition)
    if definition.returns is None:
        return planned
    seqs = {str(task.task_seq): task.seq for task in planned}
    seqs |= {task.task_name: task.seq for task in planned if task.task_name is not None}
    reads = {use.form.name: seqs[use.form.name] for use in scan(definition.returns).uses}
    last = PlannedTask(
        task_seq=max(task.task_seq for task in planned) + 1,
        program=RETURNS,
        seq=len(planned) + 1,
        depends_on=tuple(sorted(set(reads.values()))),
        parameters={VALUE: definition.returns},
        reads=reads,
        refs=holds_references(definition.returns),
    )
    return (*planned, last)


def with_versions(tasks: Sequence[PlannedTask], tree: Mapping[str, Pinned]) -> tuple[PlannedTask, ...]:
    """The tasks of a flow; those that another flow does know the version of that, and of all below it.

    ``tree`` has every workflow below that of the flow.
    """
    return tuple(
        with_parameter(with_parameter(task, VERSION, tree[name].version), VERSIONS, _below(name, tree))
        if (name := workflow_of(task)) in tree
        else task
        for task in tasks
    )


def with_parameter(task: PlannedTask, name: str, value: Any) -> PlannedTask:
    """The task with one parameter more, which refers to nothing."""
    return msgspec.structs.replace(task, parameters={**task.parameters, name: value})


def _below(name: str, tree: Mapping[str, Pinned]) -> dict[str, str]:
    found: dict[str, str] = {}
    to_do = list(tree[name].children)
    while to_do:
        one = to_do.pop()
        if one not in found:
            found[one] = tree[one].version
            to_do += tree[one].children
    return found


def given_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What a child is given, of the parameters of its task; references among them are resolved already."""
    given: Any = parameters.get(GIVEN, {})
    if ELEMENT_AS in parameters:
        return {**given, parameters[ELEMENT_AS]: parameters[ELEMENT]}
    return given


def has_children(tasks: Sequence[PlannedTask]) -> bool:
    """Whether another flow does one of the tasks."""
    return any(workflow_of(task) for task in tasks)
