"""Trees of workflows: which ones a workflow's children are of, and that none comes to itself."""

from collections.abc import Awaitable, Callable, Iterable

from flower_engine.errors import DefinitionError
from flower_engine.flows.sources import Definitions
from flower_engine.model.definitions.child_flows import MAX_DEPTH, workflow_of
from flower_engine.model.definitions.child_plans import Pinned
from flower_engine.model.definitions.definition import WorkflowDefinition
from flower_engine.model.definitions.workflow_versions import version_of

Read = Callable[[str], Awaitable[WorkflowDefinition | None]]


async def tree_below(
    definition: WorkflowDefinition, read: Read
) -> tuple[dict[str, Pinned], dict[str, WorkflowDefinition]]:
    """Every workflow below this one, as it is defined now; ``read`` reads one.

    Raises:
        DefinitionError: one does not exist, or cannot be read, or the tree comes to itself, or is too deep.
    """
    found: dict[str, Pinned] = {}
    definitions: dict[str, WorkflowDefinition] = {}

    async def look(at: WorkflowDefinition, path: tuple[str, ...]) -> None:
        children = children_of(at)
        for name, row in children.items():
            if name in path:
                circle = " -> ".join(repr(one) for one in (*path[path.index(name) :], name))
                raise DefinitionError(
                    definition.name, [f"{row} begins a circle of sub-flows, which would never end: {circle}"]
                )
            if len(path) >= MAX_DEPTH:
                raise DefinitionError(
                    definition.name, [f"{row} is the {len(path)}th sub-flow in another; {MAX_DEPTH} may be"]
                )
            if name in found:
                continue
            child = await read(name)
            if child is None:
                raise DefinitionError(
                    definition.name,
                    [f"{row} is done by workflow {name!r}, which does not exist: define that first"],
                )
            await look(child, (*path, name))
            found[name] = Pinned(version_of(child).hash, frozenset(children_of(child)))
            definitions[name] = child

    await look(definition, (definition.name,))
    return found, definitions


def children_of(definition: WorkflowDefinition) -> dict[str, str]:
    """The workflows of its children, each with a row that says so."""
    found: dict[str, str] = {}
    for task in definition.tasks:
        name = workflow_of(task)
        if name:
            found.setdefault(name, f"row (task_id {definition.name!r}, task_seq {task.task_seq})")
    return found


async def problems_of_trees(
    definitions: Definitions, wanted: Iterable[WorkflowDefinition]
) -> dict[str, list[str]]:
    """What is wrong with the trees of these, which are to come into use together, by name; also where one of
    these would make a circle of what stands already.

    Raises:
        psycopg.Error, StoreUnavailableError: what stands cannot be read.
    """
    new = {one.name: one for one in wanted}
    read_already: dict[str, WorkflowDefinition | None] = dict(new)

    async def read(name: str) -> WorkflowDefinition | None:
        if name not in read_already:
            read_already[name] = await definitions.read(name)
        return read_already[name]

    problems: dict[str, list[str]] = {}
    for one in new.values():
        if children_of(one):
            try:
                await tree_below(one, read)
            except DefinitionError as error:
                problems[one.name] = list(error.problems)
    return problems
