"""Deploys: the definitions that somebody has, brought into use as a whole, after a plan of what changes."""

from collections.abc import Mapping, Sequence

import msgspec
from psycopg.errors import DeadlockDetected, LockNotAvailable

from flower_engine.errors import (
    DefinitionError,
    DefinitionsError,
    ParameterFault,
    RefusedError,
    ScheduleError,
)
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.schedules import Checked
from flower_engine.model.definitions.definition import WorkflowDefinition
from flower_engine.projection.definitions.acting import act_as
from flower_engine.projection.definitions.definition_rows import encode_workflow
from flower_engine.projection.definitions.deploy_rows import PlannedChange, carry_out, deploying
from flower_engine.projection.definitions.deploy_schedule_rows import (
    PlannedSchedule,
    carry_out_schedules,
    planned_schedules,
)
from flower_engine.projection.definitions.rows_of_definition import EncodedWorkflow
from flower_engine.schedules.schedule import Schedule

Expected = Mapping[str, str | None]
"""What a plan was based on: each workflow or schedule as it stood (``PlannedChange.standing``)."""


class Deploy(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has. ``source`` names where it comes from; with ``prune`` workflows that an earlier
    deploy of the same source brought, and that are no longer in it, go. ``expected``: None: whatever stands.
    ``refused``: of workflows, by name, why they must not come into use as they are here;
    ``checked_schedules``: what is wrong with ``schedules``, which have no problem by themselves.
    """

    source: str
    workflows: Sequence[WorkflowDefinition]
    prune: bool = False
    expected: Expected | None = None
    refused: Mapping[str, Sequence[str]] = {}
    schedules: Sequence[Schedule] = ()
    expected_schedules: Expected | None = None
    checked_schedules: Mapping[str, Checked] = {}


class Deployed(msgspec.Struct, frozen=True):
    """What a deploy does, or would do."""

    workflows: list[PlannedChange]
    schedules: list[PlannedSchedule]


async def plan_deploy(stores: PostgresStores, wanted: Deploy) -> Deployed:
    """What the deploy would do now.

    Raises:
        DefinitionsError: some workflow cannot be run as defined; names every problem of all.
        ScheduleError: some schedule does not fit its workflow; names every problem of all.
    """
    encoded = await _encoded(wanted.workflows)
    async with (
        stores.postgres() as connection,
        deploying(connection, wanted.source, encoded, prune=wanted.prune, check=True) as changes,
    ):
        _refuse(wanted, changes)
        planned = await planned_schedules(connection, wanted.source, wanted.schedules, prune=wanted.prune)
        _refuse_schedules(wanted, changes, planned)
        return Deployed(changes, planned)


async def deploy(stores: PostgresStores, wanted: Deploy, by: str) -> Deployed:
    """Does it, in one transaction, and says what it did.

    Sent again after its answer was lost it changes nothing.

    Raises:
        DefinitionsError: some workflow cannot be run as defined; names every problem of all.
        ScheduleError: some schedule does not fit its workflow; names every problem of all.
        RefusedError: a workflow or schedule stands otherwise than the plan said; or somebody has changed
            definitions with SQL, and their transaction is still open. Nothing was deployed.
    """
    encoded = await _encoded(wanted.workflows)
    try:
        async with (
            stores.postgres() as connection,
            deploying(connection, wanted.source, encoded, prune=wanted.prune, check=False) as changes,
        ):
            if wanted.expected is not None:
                _refuse_moved([(one.workflow, one.standing, one.hash) for one in changes], wanted.expected)
            _refuse(wanted, changes)
            planned = await planned_schedules(connection, wanted.source, wanted.schedules, prune=wanted.prune)
            if wanted.expected_schedules is not None:
                standing = [(one.schedule, one.standing, one.hash) for one in planned]
                _refuse_moved(standing, wanted.expected_schedules)
            _refuse_schedules(wanted, changes, planned)
            await act_as(connection, by)
            await carry_out(connection, wanted.source, encoded, changes, by)
            await carry_out_schedules(connection, wanted.source, wanted.schedules, planned, by)
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
    return Deployed(changes, planned)


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


def _refuse_schedules(
    wanted: Deploy, changes: Sequence[PlannedChange], planned: Sequence[PlannedSchedule]
) -> None:
    """Those that come into use, and those that stand and whose workflow would not take them any more."""
    changed = {change.workflow for change in changes if change.action in ("new", "changed")}
    faults: list[ParameterFault] = []
    names: list[str] = []
    for one in planned:
        checked = wanted.checked_schedules.get(one.schedule)
        if checked is not None and (one.action in ("new", "changed") or one.workflow in changed):
            faults += checked.faults
            names += [one.schedule] if checked.faults else []
    if faults:
        raise ScheduleError(names[0], faults)


def _refuse_moved(changes: Sequence[tuple[str, str | None, str | None]], expected: Expected) -> None:
    """``changes``: name, how it stands, how it is to be. One that stands as it is to be already may have got
    there by this very deploy."""
    moved = [
        name
        for name, standing, wanted in changes
        if standing != wanted and (name not in expected or expected[name] != standing)
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
