"""What became of a slot of a schedule, and why, in words."""

from datetime import datetime

import msgspec

from flower_engine.errors import UnknownScheduleError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.schedules import find_schedule
from flower_engine.model.values.times import ms_of
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.schedule_rows import ScheduleRow
from flower_engine.projection.read.schedule_slots import (
    ScheduleProgress,
    SlotFate,
    fates_of,
    read_progress,
    uid_of_past,
)
from flower_engine.projection.read.view_fields import moment
from flower_engine.schedules.slots import next_slot, previous_slot, slots_after

_REASONS = {
    "overlap": "a flow of the schedule was under way",
    "paused": "the schedule was paused",
    "limit": "as many flows of the workflow were under way as may be",
    "failures": "flows of the schedule had failed too often in a row",
    "problem": "something was wrong with the schedule",
    "unwatched": "no watcher was there in time",
    "window": "no watcher was there in time, and it was later than its window",
    "superseded": "a later slot took its place",
    "catch_up": "no watcher was there in time, and as many were caught up on as may be",
}


class SlotStory(msgspec.Struct, frozen=True):
    """A slot: ``state`` is that of its fate, or ``coming``, ``due`` (it has come, and has no fate yet),
    ``none`` (the schedule has no such slot) or ``unknown`` (what became of it is kept no more).
    ``said``: all of that in a sentence."""

    slot: datetime
    state: str
    said: str
    fates: list[SlotFate]


async def schedule_or_past(connection: Connection, name: str) -> tuple[str, ScheduleRow | None]:
    """The uid of a schedule, and its row; None: it is gone, and what became of its slots is still known.

    Raises:
        UnknownScheduleError: no schedule is or was named so.
    """
    try:
        row = await find_schedule(connection, name)
    except UnknownScheduleError:
        uid = await uid_of_past(connection, name)
        if uid is None:
            raise
        return uid, None
    return row.uid, row


async def story_of(stores: PostgresStores, name: str, slot: datetime) -> SlotStory:
    """What became of this slot and why.

    Raises:
        UnknownScheduleError: no schedule is or was named so.
    """
    async with stores.postgres() as connection:
        uid, row = await schedule_or_past(connection, name)
        fates = await fates_of(connection, uid, slot)
        progress = (await read_progress(connection, [uid])).get(uid)
    state, said = _told(stores.now_ms(), row, progress, slot, fates)
    return SlotStory(slot, state, said, fates)


def _told(
    now_ms: int,
    row: ScheduleRow | None,
    progress: ScheduleProgress | None,
    slot: datetime,
    fates: list[SlotFate],
) -> tuple[str, str]:
    own = next((fate for fate in fates if not fate.backfill), None)
    filled = [fate for fate in fates if fate.backfill]
    after = "".join(f"; backfill {fate.backfill} fired it as flow {fate.flow}" for fate in filled)
    if own is not None:
        return own.state, in_words(own) + after
    if filled:
        return "fired", after.removeprefix("; ")
    slot_ms = ms_of(slot)
    if progress is not None and progress.pruned_to is not None and slot <= progress.pruned_to:
        return "unknown", "what became of slots up to " + _text(progress.pruned_to) + " is kept no more"
    if row is None:
        return "none", "the schedule was taken away before it had such a slot"
    if slots_after(row.schedule, slot_ms - 1, slot_ms, 1) != [slot_ms]:
        near = [previous_slot(row.schedule, slot_ms), next_slot(row.schedule, slot_ms)]
        words = " and ".join(_text(moment(one)) for one in near if one is not None)
        return "none", "the schedule has no such slot" + (f"; those beside it are {words}" if words else "")
    if slot_ms > now_ms:
        paused = ", but the schedule is paused" if row.schedule.is_paused else ""
        return "coming", f"it is to come{paused}"
    if progress is not None and slot <= progress.cursor:
        return "none", "it is before the schedule, or this definition of when it fires"
    if slot_ms < row.changed_ms:
        return "none", "it is before the schedule, or this definition of when it fires"
    if progress is not None and progress.problem:
        return "due", f"its time has come; it is skipped, as something is wrong: {progress.problem}"
    if row.schedule.is_paused:
        return "due", "its time has come; it is skipped, as the schedule is paused"
    return "due", "its time has come, and no watcher has decided yet"


def in_words(fate: SlotFate) -> str:
    """A fate in a sentence."""
    late = f", {fate.late_ms / 1000:g} s after its time" if fate.late_ms >= 1_000 else ""
    if fate.state == "fired":
        return f"it was fired as flow {fate.flow}{late}"
    if fate.state == "held":
        return f"it waits for flow {fate.flow}, which is under way"
    why = _REASONS.get(fate.reason, fate.reason)
    flow = f" (flow {fate.flow})" if fate.flow else ""
    detail = f": {fate.detail}" if fate.detail else ""
    many = f" with {fate.count - 1} others in a row" if fate.count > 1 else ""
    return f"it was {fate.state}{many}, as {why}{flow}{detail}"


def _text(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
