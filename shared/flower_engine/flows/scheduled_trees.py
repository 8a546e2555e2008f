"""Trees of the workflows of schedules: which versions children are of that a slot begins, fixed with the
schedule's definition, and found out anew when a workflow below is another one."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from flower_engine.errors import DefinitionError
from flower_engine.flows.trees import children_of, tree_below
from flower_engine.model.definitions.definition import WorkflowDefinition
from flower_engine.model.definitions.workflow_versions import definition_of, version_of
from flower_engine.model.waits.wait_parameters import MAP, SUBFLOW
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.definition_rows import read_workflows
from flower_engine.projection.definitions.schedule_rows import ScheduledWorkflow

_MAY_HAVE_CHILDREN = tuple(f'"{program}"' for program in (MAP, SUBFLOW))

Read = WorkflowDefinition | DefinitionError | None


class ScheduledTrees(NamedTuple):
    """Workflows of schedules, each with the tree below it; and all that are below one, whose versions are to
    be kept."""

    workflows: dict[str, ScheduledWorkflow]
    below: list[ScheduledWorkflow]


async def with_trees(connection: Connection, workflows: Mapping[str, ScheduledWorkflow]) -> ScheduledTrees:
    """Reads what is below these, level by level. One whose tree cannot be run has a problem."""
    above = {name: definition for name, one in workflows.items() if (definition := _parent(one)) is not None}
    if not above:
        return ScheduledTrees(dict(workflows), [])
    read = await _read_below(connection, above)

    async def known(name: str) -> WorkflowDefinition | None:
        found = read[name] if name in read else above.get(name)
        if isinstance(found, DefinitionError):
            raise found
        return found

    found, below = dict(workflows), dict[str, WorkflowDefinition]()
    for name, definition in above.items():
        try:
            tree, definitions = await tree_below(definition, known)
        except DefinitionError as error:
            found[name] = msgspec.structs.replace(found[name], problem=str(error))
        else:
            found[name] = msgspec.structs.replace(found[name], tree=tree)
            below |= definitions
    return ScheduledTrees(found, [_kept(definition) for definition in below.values()])


def is_above_others(workflow: ScheduledWorkflow) -> bool:
    """Whether flows of this workflow have children."""
    return _parent(workflow) is not None


async def _read_below(connection: Connection, above: Mapping[str, WorkflowDefinition]) -> dict[str, Read]:
    found: dict[str, Read] = {}
    wanted = {name for definition in above.values() for name in children_of(definition)}
    while wanted:
        level = await read_workflows(connection, sorted(wanted))
        found |= level
        wanted = {
            name
            for one in level.values()
            if one is not None and not isinstance(one, DefinitionError)
            for name in children_of(one)
        } - found.keys()
    return found


def _parent(workflow: ScheduledWorkflow) -> WorkflowDefinition | None:
    """The definition of a workflow whose flows have children; of most it is not even taken apart."""
    if not any(word in workflow.canonical for word in _MAY_HAVE_CHILDREN):
        return None
    try:
        definition = definition_of(workflow.name, workflow.canonical)
    except DefinitionError:
        return None  # which is its own problem
    return definition if children_of(definition) else None


def _kept(definition: WorkflowDefinition) -> ScheduledWorkflow:
    version = version_of(definition)
    return ScheduledWorkflow(name=definition.name, hash=version.hash, canonical=version.canonical)
