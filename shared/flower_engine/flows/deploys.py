"""Deploys: the definitions that somebody has, brought into use as a whole, after a plan of what changes."""

from collections.abc import Mapping, Sequence

import msgspec
from psycopg.errors import DeadlockDetected, LockNotAvailable

from flower_engine.errors import DefinitionError, DefinitionsError, RefusedError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.model.definition import WorkflowDefinition
from flower_engine.projection.definitions.definition_rows import EncodedWorkflow, encode_workflow
from flower_engine.projection.definitions.deploy_rows import PlannedChange, carry_out, deploying

Expected = Mapping[str, str | None]
"""What a plan was based on: the definition of each workflow as it stood (``PlannedChange.standing``)."""


class Deploy(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has. ``source`` names where it comes from; with ``prune`` workflows that an earlier
    deploy of the same source brought, and that are no longer in it, go. ``expected``: None: whatever stands.
    ``refused``: of workflows, by name, why they must not come into use as they are here.
    """

    source: str
    workflows: Sequence[WorkflowDefinition]
    prune: bool = False
    expected: Expected | None = None
    refused: Mapping[str, Sequence[str]] = {}


async def plan_deploy(stores: PostgresStores, wanted: Deploy) -> list[PlannedChange]:
    """What the deploy would do now.

    Raises:
        DefinitionsError: some workflow cannot be run as defined; names every problem of all.
    """
    encoded = await _encoded(wanted.workflows)
    async with (
        stores.postgres() as connection,
        deploying(connection, wanted.source, encoded, prune=wanted.prune, check=True) as changes,
    ):
        _refuse(wanted, changes)
        return changes


async def deploy(stores: PostgresStores, wanted: Deploy, by: str) -> list[PlannedChange]:
    """Does it, in one transaction, and says what it did.

    Sent again after its answer was lost it changes nothing.

    Raises:
        DefinitionsError: some workflow cannot be run as defined; names every problem of all.
        RefusedError: a workflow stands otherwise than the plan said; or somebody has changed definitions with
            SQL, and their transaction is still open. Nothing was deployed.
    """
    encoded = await _encoded(wanted.workflows)
    try:
        async with (
            stores.postgres() as connection,
            deploying(connection, wanted.source, encoded, prune=wanted.prune, check=False) as changes,
        ):
            if wanted.expected is not None:
                _refuse_moved(changes, wanted.expected)
            _refuse(wanted, changes)
            await carry_out(connection, wanted.source, encoded, changes, by)
    except (LockNotAvailable, DeadlockDetected):
        raise RefusedError(
            "somebody has changed definitions with SQL in a transaction that is still open: deploy again when"
            " it is over",
            "conflict",
        ) from None
    finally:
        for workflow in encoded:
            stores.plans.forget(workflow.name)
    for change in changes:
        stores.plans.forget(change.workflow)
    return changes


def _refuse(wanted: Deploy, changes: Sequence[PlannedChange]) -> None:
    """What stands already is left alone: a deploy that is sent again is no worse than it was."""
    places = {definition.name: place for place, definition in enumerate(wanted.workflows)}
    problems = [
        (places[change.workflow], f"workflow {change.workflow!r}: {problem}")
        for change in changes
        if change.action in ("new", "changed")
        for problem in wanted.refused.get(change.workflow, ())
    ]
    if problems:
        raise DefinitionsError(problems)


def _refuse_moved(changes: Sequence[PlannedChange], expected: Expected) -> None:
    """A workflow that stands as it is to be already may have got there by this very deploy."""
    moved = [
        change.workflow
        for change in changes
        if change.standing != change.hash
        and (change.workflow not in expected or expected[change.workflow] != change.standing)
    ]
    if moved:
        raise RefusedError(
            f"since the plan was made somebody changed {', '.join(map(repr, moved[:10]))}"
            f"{' and others' if len(moved) > 10 else ''}: plan again",
            "plan-moved",
        )


async def _encoded(workflows: Sequence[WorkflowDefinition]) -> list[EncodedWorkflow]:
    encoded: list[EncodedWorkflow] = []
    problems: list[tuple[int, str]] = []
    names: set[str] = set()
    for place, definition in enumerate(workflows):
        if definition.name in names:
            problems.append((place, f"workflow {definition.name!r} stands twice"))
        names.add(definition.name)
        try:
            encoded.append(await encode_workflow(definition))
        except DefinitionError as error:
            problems += ((place, f"workflow {definition.name!r}: {problem}") for problem in error.problems)
    if problems:
        raise DefinitionsError(problems)
    return encoded
