"""A step of a backfill: sees what became of its flows under way, and begins as many as may be.

Whoever takes the step has the backfill's row locked. What is sent is noted before it is sent: after a crash
it is looked for first, so that no slot gets two flows, and none is rerun twice.
"""

import logging

import msgspec

from flower_engine.crash_points import crash_point
from flower_engine.errors import (
    DefinitionError,
    ParametersError,
    RefusedError,
    ScheduleError,
    UnknownFlowError,
    UnknownScheduleError,
    UnknownWorkflowError,
)
from flower_engine.flows.backfills import slots_of_backfill
from flower_engine.flows.flow_operations import Operator
from flower_engine.flows.open_parameters import refuse_open
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.scheduled_plans import plan_of_slot
from flower_engine.flows.schedules import find_schedule
from flower_engine.flows.tree_operations import TreeOperator
from flower_engine.log.partition import routed_over
from flower_engine.model.values.times import ms_of
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.backfill_rows import (
    BackfillRow,
    BackfillSlot,
    SlotUnderWay,
    next_slots,
    open_backfill,
    read_backfill_progress,
    send_backfill_slot,
    set_backfill_slot,
    set_backfill_state,
    slots_under_way,
    take_backfill,
)
from flower_engine.projection.definitions.schedule_rows import ScheduleRow
from flower_engine.schedules.slot_ids import partition_of_schedule, slot_flow_id
from flower_engine.schedules.slot_parameters import moment_of
from flower_engine.transitions.schedule_transitions import Firing, SlotDecision, fire_slots, read_schedules

_log = logging.getLogger(__name__)
_MOST_A_STEP = 20
_FAILED = 2


class _LaterError(Exception):
    """Nothing more can begin now; the message says why ("": that is as usual)."""


async def step(stores: PostgresStores, backfill: str) -> bool:
    """Takes a step, unless somebody else is at it; whether there is more to do at once.

    Raises:
        psycopg.Error, RedisError, StoreUnavailableError, LostError: nobody knows how far it came; the next
            step finds out.
    """
    async with stores.postgres() as connection, connection.transaction():
        row = await take_backfill(connection, backfill)
        if row is None:
            return False
        progress = await read_backfill_progress(connection, backfill)
        if progress is None:
            await _open(stores, connection, row)
            return True
        if progress.state != "open" or progress.uid is None:
            return False
        if row.is_cancelled:
            await set_backfill_state(connection, backfill, "cancelled")
            return False
        return await _work(stores, connection, row, progress.uid)


async def _open(stores: PostgresStores, connection: Connection, row: BackfillRow) -> None:
    """One that somebody made with SQL gets its slots, or is told what is wrong with it."""
    try:
        schedule, slots = await slots_of_backfill(stores, connection, row)
    except (ScheduleError, UnknownScheduleError) as error:
        await open_backfill(connection, row.id, None, [], str(error))
    else:
        await open_backfill(connection, row.id, schedule.uid, slots)


async def _work(stores: PostgresStores, connection: Connection, row: BackfillRow, uid: str) -> bool:
    running = 0
    for one in await slots_under_way(connection, row.id):
        slot = await _looked_after(stores, row, uid, one)
        if slot is not None:
            await _note(stores, row, slot)
        running += (one.slot if slot is None else slot).state == "running"
    begun, why = 0, ""
    if not row.is_paused:
        free = min(row.most_at_once - running, _MOST_A_STEP)
        wanted = await next_slots(connection, row.id, newest_first=row.newest_first, limit=max(free, 0))
        try:
            for slot in wanted:
                await _begin(stores, connection, row, uid, slot)
                begun += 1
        except _LaterError as error:
            why = str(error)
    now = await read_backfill_progress(connection, row.id)
    is_over = now is not None and not now.waiting and not now.running
    if is_over or (now is not None and now.problem != why):
        await set_backfill_state(connection, row.id, "finished" if is_over else "open", why)
    return bool(begun) and not is_over


async def _looked_after(
    stores: PostgresStores, row: BackfillRow, uid: str, one: SlotUnderWay
) -> BackfillSlot | None:
    """The slot as it is now; None: as it was."""
    slot = one.slot
    if slot.state == "sent":
        if slot.action == "rerun":
            return await _rerun(stores, row, slot)
        is_there = await _is_there(stores, slot.flow)
        return msgspec.structs.replace(slot, state="running" if is_there else "waiting")
    if one.version < max(slot.flow_version, 0):
        return None  # what is projected is from before
    if one.has_ended or one.status == _FAILED:
        has_failed = one.status == _FAILED or one.is_cancelled
        return msgspec.structs.replace(slot, state="failed" if has_failed else "ended")
    return None


async def _is_there(stores: PostgresStores, flow: str) -> bool:
    try:
        await Operator(stores, flow, "").state()
    except UnknownFlowError:
        return False
    return True


async def _begin(
    stores: PostgresStores, connection: Connection, row: BackfillRow, uid: str, slot: BackfillSlot
) -> None:
    """Raises _LaterError where it, and what is behind it, must wait."""
    if slot.action == "rerun":
        await _send(stores, row, slot)
        crash_point("backfill.sent")
        rerun = await _rerun(stores, row, slot)
        crash_point("backfill.fired")
        await _note(stores, row, rerun)
        return
    try:
        schedule = await find_schedule(connection, row.schedule)
        if schedule.uid != uid:
            raise _LaterError("the schedule is another one now; cancel the backfill, and make a new one")
        firing = await _firing(stores, row, schedule, slot)
    except UnknownScheduleError as error:
        raise _LaterError(f"{error}; cancel the backfill") from None
    except (ParametersError, DefinitionError, UnknownWorkflowError, ScheduleError) as error:
        await _note(stores, row, msgspec.structs.replace(slot, state="refused", detail=str(error)[:1_000]))
        return
    sent = msgspec.structs.replace(slot, flow=firing.decisions[0].flow)
    await _send(stores, row, sent)
    crash_point("backfill.sent")
    partition = stores.partitions[partition_of_schedule(uid, routed_over(stores.partitions))]
    (fired,) = await fire_slots(stores.redis, partition, [firing])
    crash_point("backfill.fired")
    if fired.word == "ok" and fired.decided == 1:
        await _note(stores, row, msgspec.structs.replace(sent, state="running"))
        return
    await _note(stores, row, slot)
    raise _LaterError(
        {
            "full": "as many flows of its workflow are under way as may be",
            "gone": "Redis does not know the schedule (yet)",
        }.get(fired.word, "")
    )


async def _firing(
    stores: PostgresStores, row: BackfillRow, schedule: ScheduleRow, slot: BackfillSlot
) -> Firing:
    if schedule.problems:
        raise _LaterError(f"something is wrong with the schedule: {schedule.problems[0].sentence}")
    uid, slot_ms = schedule.uid, ms_of(slot.slot)
    number = partition_of_schedule(uid, routed_over(stores.partitions))
    (known,) = await read_schedules(stores.redis, stores.partitions[number], [uid], with_spec=False)
    if known is None:
        raise _LaterError("no watcher has brought the schedule to Redis yet")
    plan = await stores.plans.get(schedule.workflow)
    moment = moment_of(schedule.schedule, slot_ms)
    own = plan_of_slot(plan, msgspec.structs.replace(schedule.schedule, priority=row.priority), moment)
    await refuse_open(stores.programs, own)
    decision = SlotDecision(
        kind="fire",
        first=slot_ms,
        last=slot_ms,
        count=1,
        due_ms=slot_ms,
        reason=row.id,
        plan=own,
        flow=slot_flow_id(uid, slot_ms, number),
        previous=moment.previous or 0,
        following=moment.following or 0,
    )
    return Firing(uid=uid, version=known.version, cursor=None, overlap="allow", decisions=[decision])


async def _rerun(stores: PostgresStores, row: BackfillRow, slot: BackfillSlot) -> BackfillSlot:
    """Sent again it is done once: the operation has an id of its own."""
    operation = f"backfill-{row.id}-{ms_of(slot.slot)}"
    try:
        operator = TreeOperator(stores, slot.flow, row.created_by or "backfill", operation=operation)
        if row.which == "failed" or await _has_failed(operator):
            _, done = await operator.resume()
        else:
            done = await operator.rerun("all", "", {})
    except (RefusedError, UnknownFlowError, ParametersError) as error:
        return msgspec.structs.replace(slot, state="refused", detail=str(error)[:1_000])
    return msgspec.structs.replace(slot, state="running", flow_version=done.version)


async def _has_failed(operator: Operator) -> bool:
    return int((await operator.state()).status) == _FAILED


async def _send(stores: PostgresStores, row: BackfillRow, slot: BackfillSlot) -> None:
    async with stores.postgres() as own:
        if not await send_backfill_slot(own, row.id, slot):
            raise _LaterError("")  # somebody else did: this one had stood still


async def _note(stores: PostgresStores, row: BackfillRow, slot: BackfillSlot) -> None:
    """At once, on a connection of its own: what is known must not go with the transaction of the lock."""
    async with stores.postgres() as own:
        await set_backfill_slot(own, row.id, slot)
