"""Schedules of a deploy held against their workflows, which may come with the same deploy."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

from flower_engine.errors import DefinitionError, ParameterFault, ScheduleError
from flower_engine.flows.plans import compile_plan
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.scheduled_plans import faults_of_flows
from flower_engine.flows.schedules import Checked, check_against, check_schedule
from flower_engine.model.definitions.definition import WorkflowDefinition
from flower_engine.model.values.quoting import short
from flower_engine.projection.definitions.schedule_rows import ScheduleRow, list_schedules
from flower_engine.schedules.problem import Problem
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.schedule_document import fault_of
from flower_engine.transitions.register_transition import FlowPlan

_MOST_OTHERS = 1_000
_MOST_WARNED = 20


def refuse_problems(found: Sequence[tuple[Schedule, Sequence[Problem]]]) -> None:
    """Refuses schedules that make no sense by themselves, given in the order of the deploy.

    Raises:
        ScheduleError: names every fault of all, with its place.
    """
    faults = [
        fault_of(problem, f"#/schedules/{place}")
        for place, (_, problems) in enumerate(found)
        for problem in problems
    ]
    names: set[str] = set()
    for place, (schedule, _) in enumerate(found):
        if schedule.name in names:
            faults.append(ParameterFault("schedule: it stands twice", f"#/schedules/{place}/schedule"))
        names.add(schedule.name)
    if faults:
        raise ScheduleError(found[_place_of(faults[0])][0].name, faults)


async def check_schedules(
    stores: PostgresStores, workflows: Sequence[WorkflowDefinition], schedules: Sequence[Schedule]
) -> dict[str, Checked]:
    """What is wrong with each, by name, once these workflows are in use.

    Raises:
        psycopg.Error, StoreUnavailableError: Postgres cannot be asked.
    """
    scheduled = {schedule.task_id for schedule in schedules}
    plans = await asyncio.to_thread(plans_of, [one for one in workflows if one.name in scheduled])
    found: dict[str, Checked] = {}
    for place, schedule in enumerate(schedules):
        at = f"#/schedules/{place}"
        plan = plans.get(schedule.task_id)
        if plan is None:
            found[schedule.name] = await check_schedule(stores, schedule, at)
        else:
            found[schedule.name] = await check_against(stores, schedule, plan, at, is_deployed=True)
    return found


def plans_of(workflows: Sequence[WorkflowDefinition]) -> Mapping[str, FlowPlan]:
    """The plans of definitions, by name; those that cannot be run are told elsewhere."""
    plans: dict[str, FlowPlan] = {}
    for definition in workflows:
        try:
            plans[definition.name] = compile_plan(definition, "")
        except DefinitionError:
            continue
    return plans


async def warnings_of_others(
    stores: PostgresStores, workflows: Sequence[WorkflowDefinition], named: Collection[str]
) -> list[str]:
    """What a change of these workflows does to schedules that are not ``named``: those that stop firing."""
    others: dict[str, list[ScheduleRow]] = {}
    for definition in workflows:
        async with stores.postgres() as connection:
            rows = await list_schedules(connection, after=None, workflow=definition.name, limit=_MOST_OTHERS)
        others[definition.name] = [row for row in rows if row.name not in named and not row.problems]

    def look() -> list[str]:
        plans = plans_of([definition for definition in workflows if others[definition.name]])
        return [
            f"schedule {short(row.name)!r} of workflow {short(name)!r} does not fire any more: {fault.detail}"
            for name, plan in plans.items()
            for row in others[name]
            for fault in faults_of_flows(plan, row.schedule)[:1]
        ]

    return (await asyncio.to_thread(look))[:_MOST_WARNED]


def _place_of(fault: ParameterFault) -> int:
    return int(fault.pointer.split("/")[2])
