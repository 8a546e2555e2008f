"""How schedules stand: whether they fire, why not, and when they do next."""

import asyncio
from collections.abc import Sequence
from typing import Literal

import msgspec

from flower_engine.errors import DefinitionError, ParameterFault, UnknownWorkflowError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.scheduled_plans import faults_of_flows
from flower_engine.model.values.quoting import short
from flower_engine.model.values.times import LATEST_MS
from flower_engine.projection.definitions.schedule_rows import ScheduleRow
from flower_engine.projection.read.schedule_slots import ScheduleProgress, read_progress
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.schedule_document import fault_of
from flower_engine.schedules.slots import slots_after
from flower_engine.transitions.register_transition import FlowPlan

State = Literal["active", "paused", "finished", "problem"]
_MANY_TASKS = 500  # of larger workflows parameters are only tried where one schedule is shown


class ScheduleState(msgspec.Struct, frozen=True):
    """A schedule as it stands. ``finished``: no slot is to come. ``problem``: it does not fire, for these
    ``faults``. ``next_ms``: its next slots, whether it is paused or not. ``progress``: as it is projected."""

    row: ScheduleRow
    state: State
    next_ms: list[int]
    faults: Sequence[ParameterFault]
    progress: ScheduleProgress | None = None


async def states_of(
    stores: PostgresStores, rows: Sequence[ScheduleRow], *, slots: int, in_full: bool = False
) -> list[ScheduleState]:
    """How these stand, each with so many of its next slots; ``in_full``: whatever that takes.

    Raises:
        psycopg.Error, StoreUnavailableError: Postgres cannot be asked.
    """
    plans: dict[str, FlowPlan | str] = {}
    for workflow in dict.fromkeys(row.workflow for row in rows):
        plans[workflow] = await _plan_of(stores, workflow)
    async with stores.postgres() as connection:
        progress = await read_progress(connection, [row.uid for row in rows])
    now_ms = stores.now_ms()

    def look() -> list[ScheduleState]:
        states = [_state_of(row, plans[row.workflow], now_ms, slots, in_full) for row in rows]
        return [msgspec.structs.replace(one, progress=progress.get(one.row.uid)) for one in states]

    return await asyncio.to_thread(look)


def _state_of(
    row: ScheduleRow, plan: FlowPlan | str, now_ms: int, slots: int, in_full: bool
) -> ScheduleState:
    faults = [fault_of(problem) for problem in row.problems]
    if not faults:
        faults = _faults_of_workflow(row.schedule, plan, in_full)
    next_ms = slots_after(row.schedule, now_ms, LATEST_MS, slots)
    if faults:
        state: State = "problem"
    elif row.schedule.is_paused:
        state = "paused"
    else:
        state = "active" if next_ms else "finished"
    return ScheduleState(row, state, next_ms, faults)


def _faults_of_workflow(schedule: Schedule, plan: FlowPlan | str, in_full: bool) -> list[ParameterFault]:
    if isinstance(plan, str):
        return [ParameterFault(plan, "#/taskId")]
    if plan.tasks > _MANY_TASKS and not in_full:
        return []
    return list(faults_of_flows(plan, schedule))


async def _plan_of(stores: PostgresStores, workflow: str) -> FlowPlan | str:
    try:
        return await stores.plans.get(workflow)
    except UnknownWorkflowError:
        return f"taskId: no workflow {short(workflow)!r} is defined"
    except DefinitionError as error:
        return f"taskId: workflow {short(workflow)!r} cannot be run: {error.problems[0]}"
