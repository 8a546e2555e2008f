"""Backfills: slots of the past that get their flow after all, or have it rerun."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args
from uuid import UUID, uuid4

import msgspec

from flower_engine.errors import ParameterFault, RefusedError, ScheduleError, UnknownBackfillError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.schedules import find_schedule
from flower_engine.model.tasks.task_spec import MAX_PRIORITY, MIN_PRIORITY
from flower_engine.model.values.quoting import short
from flower_engine.model.values.times import ms_of
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.acting import act_as
from flower_engine.projection.definitions.backfill_rows import (
    MAX_SLOTS,
    BackfillProgress,
    BackfillRow,
    BackfillSlot,
    FiredSlot,
    Which,
    change_backfill,
    find_backfill,
    fired_slots,
    insert_backfill,
    list_backfills,
    open_backfill,
    read_backfill_progress,
)
from flower_engine.projection.definitions.schedule_rows import ScheduleRow
from flower_engine.projection.read.schedule_slots import ScheduleProgress, read_progress
from flower_engine.projection.read.view_fields import moment
from flower_engine.schedules.schedule_document import fault_of
from flower_engine.schedules.slots import slots_after

MAX_AT_ONCE = 1_000
_WHICH: tuple[Which, ...] = get_args(Which)
LOWEST_PRIORITY = MAX_PRIORITY


class Backfill(msgspec.Struct, frozen=True):
    """A backfill, and how far it is; ``progress`` None: no watcher has seen it yet."""

    row: BackfillRow
    progress: BackfillProgress | None


def asked_backfill(schedule: str, first: datetime, last: datetime, by: str, **more: object) -> BackfillRow:
    """What somebody asks for: ``which``, ``newest_first``, ``most_at_once``, ``priority``, ``reason``,
    ``id``."""
    said = {
        "id": str(uuid4()),
        "which": "missed",
        "newest_first": False,
        "most_at_once": 1,
        "priority": LOWEST_PRIORITY,
        "reason": "",
        **more,
    }
    return BackfillRow(
        schedule=schedule,
        first_slot=first,
        last_slot=last,
        is_paused=False,
        is_cancelled=False,
        created_ts=datetime.now(UTC),
        created_by=by,
        **said,  # pyright: ignore[reportArgumentType] # its caller knows them
    )


async def slots_of_backfill(
    stores: PostgresStores, connection: Connection, asked: BackfillRow
) -> tuple[ScheduleRow, list[BackfillSlot]]:
    """The schedule, and the slots that the backfill concerns, the oldest first, as things stand now.

    Raises:
        UnknownScheduleError: there is no such schedule.
        ScheduleError: the range or another thing makes no sense; names it, as the body of the API has it.
    """
    row = await find_schedule(connection, asked.schedule)
    progress = (await read_progress(connection, [row.uid])).get(row.uid)
    faults = _faults_of(asked, row, progress)
    if faults:
        raise ScheduleError(asked.schedule, faults)
    # What is not behind the cursor is for the watchers to decide in the usual way.
    decided_ms = row.changed_ms if progress is None else ms_of(progress.cursor)
    until_ms = min(ms_of(asked.last_slot), decided_ms, stores.now_ms())
    slots = await asyncio.to_thread(
        slots_after, row.schedule, ms_of(asked.first_slot) - 1, until_ms, MAX_SLOTS + 1
    )
    if len(slots) > MAX_SLOTS:
        many = f"to: these are more than {MAX_SLOTS} slots: make several backfills of a part each"
        raise ScheduleError(asked.schedule, [ParameterFault(many, "#/to")])
    fired = {
        one.slot: one for one in await fired_slots(connection, row.uid, asked.first_slot, asked.last_slot)
    }
    wanted = [_wanted(moment(ms), fired.get(moment(ms)), asked.which) for ms in slots]
    return row, [slot for slot in wanted if slot is not None]


async def make_backfill(stores: PostgresStores, asked: BackfillRow) -> Backfill:
    """Makes it; a watcher begins at once. One of this id that is there already is left as it is.

    Raises:
        UnknownScheduleError, ScheduleError: see :func:`slots_of_backfill`.
        RefusedError: the id is that of another schedule's backfill.
    """
    async with stores.postgres() as connection, connection.transaction():
        row, slots = await slots_of_backfill(stores, connection, asked)
        await act_as(connection, asked.created_by)
        if await insert_backfill(connection, asked):
            await open_backfill(connection, asked.id, row.uid, slots)
        made = await _shown(connection, asked.id)
        if made.row.schedule != asked.schedule:
            raise RefusedError(f"backfill {asked.id} is one of schedule {made.row.schedule!r}", "taken")
        return made


async def show_backfill(stores: PostgresStores, backfill: str) -> Backfill:
    """How it stands.

    Raises:
        UnknownBackfillError: there is none of this id.
    """
    async with stores.postgres() as connection:
        return await _shown(connection, backfill)


async def backfills_of(stores: PostgresStores, schedule: str, limit: int) -> list[Backfill]:
    """Those of a schedule (it may be gone), the newest first."""
    async with stores.postgres() as connection:
        rows = await list_backfills(connection, schedule, limit)
        return [Backfill(row, await read_backfill_progress(connection, row.id)) for row in rows]


async def change(
    stores: PostgresStores,
    backfill: str,
    by: str,
    *,
    is_paused: bool | None = None,
    is_cancelled: bool | None = None,
    reason: str = "",
) -> Backfill:
    """Pauses it (flows under way go on, nothing new begins), lets it go on, or cancels it for good.

    Raises:
        UnknownBackfillError: there is none of this id.
        RefusedError: it is over, or is not paused.
    """
    async with stores.postgres() as connection, connection.transaction():
        found = await _shown(connection, backfill)
        if found.progress is not None and found.progress.state != "open":
            raise RefusedError(f"backfill {backfill} is over ({found.progress.state})", "ended")
        if is_paused is False and not found.row.is_paused:
            raise RefusedError(f"backfill {backfill} is not paused", "not-paused")
        await act_as(connection, by)
        await change_backfill(
            connection, backfill, is_paused=is_paused, is_cancelled=is_cancelled, reason=reason
        )
        return await _shown(connection, backfill)


async def _shown(connection: Connection, backfill: str) -> Backfill:
    row = await find_backfill(connection, backfill) if _is_uuid(backfill) else None
    if row is None:
        raise UnknownBackfillError(f"no backfill has the id {short(backfill)!r}")
    return Backfill(row, await read_backfill_progress(connection, row.id))


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _faults_of(
    asked: BackfillRow, row: ScheduleRow, progress: ScheduleProgress | None
) -> Sequence[ParameterFault]:
    faults = [fault_of(problem, "#/schedule") for problem in row.problems]
    if asked.which not in _WHICH:
        faults.append(ParameterFault(f"which: it is none of {', '.join(_WHICH)}", "#/which"))
    if asked.first_slot > asked.last_slot:
        faults.append(ParameterFault("to: it is before from", "#/to"))
    if progress is not None and progress.pruned_to is not None and asked.first_slot <= progress.pruned_to:
        what = f"from: what became of slots up to {progress.pruned_to:%Y-%m-%dT%H:%M:%SZ} is kept no more"
        faults.append(ParameterFault(f"{what}, so that flows could begin twice; begin behind it", "#/from"))
    if not 1 <= asked.most_at_once <= MAX_AT_ONCE:
        faults.append(ParameterFault(f"mostAtOnce: it is not 1 to {MAX_AT_ONCE}", "#/mostAtOnce"))
    if not MIN_PRIORITY <= asked.priority <= MAX_PRIORITY:
        faults.append(ParameterFault(f"priority: it is not {MIN_PRIORITY} to {MAX_PRIORITY}", "#/priority"))
    return faults


def _wanted(slot: datetime, fired: FiredSlot | None, which: str) -> BackfillSlot | None:
    if fired is None:
        return BackfillSlot(slot=slot, action="fire") if which in ("missed", "all") else None
    is_over = fired.has_failed or fired.has_ended
    if (which == "failed" and fired.has_failed) or (which == "all" and is_over):
        return BackfillSlot(slot=slot, action="rerun", flow=fired.flow)
    return None
