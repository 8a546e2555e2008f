"""The next slots of a schedule as people read them: on two clocks, with what changes of clocks do to them."""

from datetime import UTC, datetime, timedelta

import msgspec

from flower_engine.model.values.times import LATEST_MS
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.slot_ids import due_of
from flower_engine.schedules.slots import next_slot, previous_slot, slots_after
from flower_engine.schedules.zones import Zone, zone_of

_LONGEST_MS = 100 * 366 * 86_400_000
_EPOCH = datetime.fromtimestamp(0, UTC)


class PreviewedSlot(msgspec.Struct, frozen=True, rename="camel"):
    """A slot to come. ``local`` and ``other`` are ISO 8601 with their offsets, on the clock of the
    schedule's zone and of another one; ``due_ms`` has its jitter. ``shift`` says what a change of clocks
    does to it, or null."""

    slot_ms: int
    due_ms: int
    local: str
    other: str
    shift: str | None = None


def preview(
    schedule: Schedule, after_ms: int, most: int = 10, until_ms: int = LATEST_MS, other_zone: str = "UTC"
) -> list[PreviewedSlot]:
    """The next slots after a moment, up to 100 years behind the first: what comes on a 29 February takes
    long to list. None of a schedule with a problem.

    Raises:
        UnknownZoneError: ``other_zone`` is none.
    """
    other, first = zone_of(other_zone), next_slot(schedule, after_ms)
    if first is None or first > until_ms:
        return []
    found = slots_after(schedule, after_ms, min(until_ms, first + _LONGEST_MS), most)
    zone, before = zone_of(schedule.timezone), previous_slot(schedule, found[0])
    shown: list[PreviewedSlot] = []
    for slot in found:
        due, shift = due_of(schedule, slot), _shift(schedule, zone, slot, before)
        shown.append(PreviewedSlot(slot, due, _text(slot, zone), _text(slot, other), shift))
        before = slot
    return shown


def _text(ms: int, zone: Zone) -> str:
    time = (_EPOCH + timedelta(milliseconds=ms)).astimezone(zone.info)
    return time.isoformat(timespec="milliseconds" if ms % 1000 else "seconds")


def _shift(schedule: Schedule, zone: Zone, slot: int, before: int | None) -> str | None:
    moment = slot // 1000
    offset = zone.offset_at(moment)
    (segment,) = zone.segments(moment, moment)
    if schedule.cron is not None and moment == segment.begin and segment.skipped < moment + offset:
        jumped = f"clocks jump from {_clock(segment.skipped)} to {_clock(moment + offset)}"
        return f"{jumped}: what is due in between is due now"
    if schedule.cron is not None and moment + offset < segment.fresh:
        return f"clocks show {_clock(moment + offset)} for the second time"
    if before is None:
        return None
    change = offset - zone.offset_at(before // 1000)
    if not change:
        return None
    way, minutes = ("forward" if change > 0 else "back"), abs(change) // 60
    return f"clocks were put {way} by {minutes // 60}:{minutes % 60:02} since the slot before"


def _clock(local: int) -> str:
    return (_EPOCH + timedelta(seconds=local)).strftime("%H:%M:%S").removesuffix(":00")
