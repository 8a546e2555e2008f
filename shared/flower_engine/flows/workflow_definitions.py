"""Changes of definitions, which the next registration heeds."""

from contextlib import suppress

from flower_engine.errors import DefinitionError, UnknownWorkflowError
from flower_engine.flows.stores import Stores
from flower_engine.model.definitions.definition import Keying, WorkflowDefinition


async def define(stores: Stores, definition: WorkflowDefinition, by: str = "") -> bool:
    """Defines the workflow anew as a whole; True if it did not exist. Flows under way keep the old one.

    Raises:
        DefinitionError: it cannot be run as defined; every problem found is named.
        DefinitionConflictError: somebody else wrote it at the same moment.
    """
    try:
        return await stores.definitions.put(definition, by)
    finally:
        stores.plans.forget(definition.name)  # others are told, too, but the next call may come before that


async def keying_of(stores: Stores, workflow: str) -> Keying:
    """Which parameters tell flows of the workflow apart; as it is cached, or as it stands.

    Raises:
        psycopg.Error, StoreUnavailableError: it is not cached, and Postgres cannot be asked.
    """
    with suppress(UnknownWorkflowError, DefinitionError):  # flows outlive the definition they began with
        return (await stores.plans.get(workflow)).keying
    return await stores.definitions.keying(workflow)


async def pin_of(stores: Stores, workflow: str) -> str | None:
    """By what flows of the workflow are pinned now; None: they are not, or nobody defines it any more."""
    with suppress(UnknownWorkflowError, DefinitionError):
        return (await stores.plans.get(workflow)).pin
    return None


async def delete_definition(stores: Stores, workflow: str, by: str = "") -> bool:
    """Deletes the definition; False if there was none. Its flows stay, and those under way go on."""
    try:
        return await stores.definitions.delete(workflow, by)
    finally:
        stores.plans.forget(workflow)
