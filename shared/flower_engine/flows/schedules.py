"""What can be done with schedules: set, changed, paused, taken away; a flow of one started now."""

import asyncio

import msgspec

from flower_engine.errors import (
    DefinitionError,
    ParameterFault,
    ParametersError,
    RefusedError,
    ScheduleError,
    ScheduleExistsError,
    ScheduleMovedError,
    UnknownScheduleError,
    UnknownWorkflowError,
)
from flower_engine.flows.idempotency_keys import known_keys
from flower_engine.flows.open_parameters import left_open, refuse_open
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.registrar import Wanted
from flower_engine.flows.registrations import Started, started
from flower_engine.flows.scheduled_plans import faults_of_flows, plan_of_a_slot, plan_of_slot
from flower_engine.flows.unknown_names import Names
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.quoting import short
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.acting import act_as
from flower_engine.projection.definitions.schedule_changes import (
    LOCK_SCHEDULE,
    delete_schedule,
    insert_schedule,
    set_paused,
    update_schedule,
)
from flower_engine.projection.definitions.schedule_rows import (
    ScheduleRow,
    list_schedule_names,
    read_days,
    read_schedules,
)
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.schedule_document import fault_of
from flower_engine.schedules.slot_parameters import moment_of
from flower_engine.schedules.slots import next_slot
from flower_engine.transitions.register_transition import FlowPlan


class Pause(msgspec.Struct, frozen=True):
    """Whether a schedule is paused, and why."""

    is_paused: bool
    reason: str = ""


class Checked(msgspec.Struct):
    """``faults``: why a schedule cannot be so; ``warnings``: what may be meant otherwise."""

    faults: list[ParameterFault]
    warnings: list[str]


async def find_schedule(connection: Connection, name: str) -> ScheduleRow:
    """The schedule of this name.

    Raises:
        UnknownScheduleError: there is none; names what is near.
    """
    for row in await read_schedules(connection, [name]):
        return row
    near = nearest_in_words(name, await list_schedule_names(connection))
    raise UnknownScheduleError(f"no schedule is named {short(name)!r}{near}")


async def check_schedule(stores: PostgresStores, schedule: Schedule, at: str = "#") -> Checked:
    """What is wrong with a schedule for its workflow as it is defined now, and what is worth a warning.

    Raises:
        psycopg.Error, StoreUnavailableError: Postgres cannot be asked.
    """
    pointer = f"{at}/taskId"
    try:
        plan = await stores.plans.get(schedule.task_id)
    except UnknownWorkflowError:
        near = await Names(stores).near_workflow(schedule.task_id)
        what = f"taskId: no workflow {short(schedule.task_id)!r} is defined{near}"
        return Checked([ParameterFault(what, pointer)], [])
    except DefinitionError as error:
        what = f"taskId: workflow {short(schedule.task_id)!r} cannot be run: {error.problems[0]}"
        return Checked([ParameterFault(what, pointer)], [])
    return await check_against(stores, schedule, plan, at)


async def check_against(
    stores: PostgresStores, schedule: Schedule, plan: FlowPlan, at: str = "#", *, is_deployed: bool = False
) -> Checked:
    """The same for a workflow that need not be in use yet, by its plan. ``is_deployed``: so that what its
    programs lack by what live workers say is a warning, as others may come."""
    versions = await stores.programs.versions({task.program for task in plan.planned})
    found = await asyncio.to_thread(faults_of_flows, plan, schedule, versions)
    faults = [ParameterFault(fault.detail, at + fault.pointer.removeprefix("#")) for fault in found]
    warnings = await _warnings(stores, schedule)
    if not faults:
        own = await asyncio.to_thread(plan_of_a_slot, plan, schedule, versions)
        lacks = await left_open(stores.programs, own)
        if is_deployed:
            warnings += lacks
        else:
            faults += [ParameterFault(what, f"{at}/parameters") for what in lacks]
    return Checked(faults, warnings)


async def create(
    stores: PostgresStores, schedule: Schedule, by: str, pause: Pause | None = None
) -> list[str]:
    """Adds a schedule in which :func:`problems` finds nothing; what is worth a warning.

    Raises:
        ScheduleError: it does not fit its workflow; names all that is wrong.
        ScheduleExistsError: there is one of this name.
    """
    warnings = await _checked(stores, schedule)
    paused = pause or Pause(is_paused=False)
    async with stores.postgres() as connection, connection.transaction():
        await act_as(connection, by)
        is_new = await insert_schedule(
            connection, schedule, by, is_paused=paused.is_paused, reason=paused.reason
        )
    if not is_new:
        raise ScheduleExistsError(schedule.name)
    return warnings


async def put(
    stores: PostgresStores,
    schedule: Schedule,
    by: str,
    *,
    pause: Pause | None = None,
    version: int | None = None,
) -> tuple[bool, list[str]]:
    """Adds or replaces a schedule; whether it is new, and what is worth a warning. ``pause`` None: one that
    is there stays as it is. ``version``: that of the schedule which is to be replaced.

    Raises:
        ScheduleError: it does not fit its workflow; names all that is wrong.
        ScheduleMovedError: it has changed since the version.
        UnknownScheduleError: a version is given, and there is none.
    """
    warnings = await _checked(stores, schedule)
    is_paused, reason = (None, None) if pause is None else (pause.is_paused, pause.reason)
    async with stores.postgres() as connection, connection.transaction():
        await connection.execute(LOCK_SCHEDULE, (schedule.name,))
        await _refuse_moved(connection, schedule.name, version)
        await act_as(connection, by)
        is_new = not await update_schedule(connection, schedule, by, is_paused=is_paused, reason=reason)
        if is_new:
            await insert_schedule(connection, schedule, by, is_paused=is_paused, reason=reason)
    return is_new, warnings


async def remove(stores: PostgresStores, name: str, by: str, version: int | None = None) -> None:
    """Takes a schedule away. Its flows go on, and its slots are kept as long as those of others.

    Raises:
        UnknownScheduleError: there is none.
        ScheduleMovedError: it has changed since the version.
    """
    async with stores.postgres() as connection, connection.transaction():
        await connection.execute(LOCK_SCHEDULE, (name,))
        await _refuse_moved(connection, name, version)
        await act_as(connection, by)
        if not await delete_schedule(connection, name):
            await find_schedule(connection, name)


async def set_pause(
    stores: PostgresStores, name: str, pause: Pause, by: str, version: int | None = None
) -> ScheduleRow:
    """Pauses a schedule, or lifts that; the schedule then. To pause what is paused gives it the new reason.

    Raises:
        UnknownScheduleError: there is none.
        ScheduleMovedError: it has changed since the version.
        RefusedError: it is to go on, and is not paused.
    """
    async with stores.postgres() as connection, connection.transaction():
        await connection.execute(LOCK_SCHEDULE, (name,))
        row = await find_schedule(connection, name)
        if version not in (None, row.version):
            raise ScheduleMovedError(name, row.version)
        if not pause.is_paused and not row.schedule.is_paused:
            raise RefusedError(f"schedule {name!r} is not paused", "not-paused")
        await act_as(connection, by)
        await set_paused(connection, name, is_paused=pause.is_paused, reason=pause.reason, by=by)
        return await find_schedule(connection, name)


async def trigger(
    stores: PostgresStores, name: str, by: str, slot_ms: int, key: str | None = None
) -> tuple[str, Started]:
    """Starts a flow of a schedule now, beside its slots: with its parameters as at this moment. Whether it is
    paused or a flow of it is under way does not count: somebody wants it. Returns the workflow, too.

    Raises:
        UnknownScheduleError: there is none.
        ScheduleError: something is wrong with it, so it has no flows.
        UnknownWorkflowError, DefinitionError, ParametersError, KeyConflictError, FlowLimitError: none can be
            started.
    """
    async with stores.postgres() as connection:
        row = await find_schedule(connection, name)
    if row.problems:
        raise ScheduleError(name, [fault_of(problem) for problem in row.problems])
    plan = await stores.plans.get(row.workflow)
    known = (await known_keys(stores, [key])).get(key) if key else None
    if known is None:
        try:
            own = await asyncio.to_thread(plan_of_slot, plan, row.schedule, moment_of(row.schedule, slot_ms))
            await refuse_open(stores.programs, own)
        except ParametersError as error:
            raise ScheduleError(name, error.faults) from None
        known = await stores.registrar.start(Wanted(own, by, key or ""))
    return row.workflow, started(known, row.workflow, key)


async def _checked(stores: PostgresStores, schedule: Schedule) -> list[str]:
    checked = await check_schedule(stores, schedule)
    if checked.faults:
        raise ScheduleError(schedule.name, checked.faults)
    return checked.warnings


async def _refuse_moved(connection: Connection, name: str, version: int | None) -> None:
    if version is None:
        return
    now = (await find_schedule(connection, name)).version
    if now != version:
        raise ScheduleMovedError(name, now)


async def _warnings(stores: PostgresStores, schedule: Schedule) -> list[str]:
    found: list[str] = []
    if schedule.calendar is not None:
        async with stores.postgres() as connection:
            days = await read_days(connection, schedule.calendar)
        if not days:
            found.append(f"calendar {short(schedule.calendar)!r} has no days (rows of ms_calendar)")
        schedule = msgspec.structs.replace(schedule, calendar_days=days)
    if next_slot(schedule, stores.now_ms()) is None:
        found.append("no slot of it is to come")
    return found
