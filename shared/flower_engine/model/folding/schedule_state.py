"""What the events of a schedule add up to: its cursor, and the fate of each of its slots.

Three invariants are refused to be broken here: each slot has one fate; each slot that fired has one flow; and
the cursor never goes back.
"""

from collections.abc import Iterable

import msgspec

from flower_engine.model.events.events import AnyEvent
from flower_engine.model.events.schedule_events import (
    ScheduleDefined,
    ScheduleEvent,
    ScheduleFired,
    ScheduleHeld,
    ScheduleMissed,
    ScheduleSkipped,
    SlotsPassed,
)
from flower_engine.model.folding.flow_state import FoldError

FIRED, SKIPPED, MISSED, HELD = "fired", "skipped", "missed", "held"


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a slot, or of ``count`` slots from ``slot`` to ``until``; ``state``: fired, skipped,
    missed, or still held."""

    slot: int
    until: int
    state: str
    decided_ms: int
    count: int = 1
    reason: str = ""
    detail: str = ""
    flow: str = ""
    late_ms: int = 0
    backfill: str = ""

    @property
    def key(self) -> tuple[int, str]:
        """What tells it apart from others of its schedule: its first slot, and the backfill that fired it
        ("": none did)."""
        return self.slot, self.backfill


class ScheduleState(msgspec.Struct, kw_only=True):
    """A schedule at a moment. ``name`` is "" and ``version`` 0 while no event has said them."""

    uid: str
    name: str = ""
    version: int = 0
    state: str = "active"
    problem: str = ""
    cursor: int = 0
    failures: int = 0
    last_slot: int | None = None
    last_flow: str = ""
    fates: dict[tuple[int, str], Fate] = {}

    def counts(self) -> dict[str, int]:
        """How many slots have each fate; what a backfill fired counts once more, as fired."""
        found = {FIRED: 0, SKIPPED: 0, MISSED: 0}
        for fate in self.fates.values():
            if fate.state in found:
                found[fate.state] += fate.count
        return found


def fold_schedules(events: Iterable[AnyEvent]) -> dict[str, ScheduleState]:
    """The schedules that these events, in log order, add up to, by uid.

    Raises:
        FoldError: an event contradicts those before it.
    """
    schedules: dict[str, ScheduleState] = {}
    for event in events:
        fold_schedule(schedules, event)
    return schedules


def fold_schedule(schedules: dict[str, ScheduleState], event: AnyEvent) -> None:
    """Adds the next event of the log; those that are of no schedule change nothing."""
    if not isinstance(event, ScheduleEvent):
        return
    schedule = schedules.get(event.schedule)
    if schedule is None:
        schedule = schedules[event.schedule] = ScheduleState(uid=event.schedule)
    refuse_contradictions(schedule, event)
    apply(schedule, event)


def refuse_contradictions(schedule: ScheduleState, event: ScheduleEvent) -> None:
    """Raises:
    FoldError: the event does not follow from how the schedule stands.
    """
    who = f"schedule {schedule.uid}"
    if isinstance(event, ScheduleDefined):
        if event.cursor < schedule.cursor:
            raise FoldError(f"{who}: its cursor goes back from {schedule.cursor} to {event.cursor}")
        return
    fate = fate_of(event)
    known = schedule.fates.get(fate.key)
    if known is not None and known.state != HELD:
        if fate.state == known.state == FIRED and fate.flow == known.flow:
            return  # said again: its flow was known, and the cursor was not
        raise FoldError(
            f"{who}: slot {fate.slot} is {known.state} ({known.flow or known.reason}), and then"
            f" {fate.state} ({fate.flow or fate.reason})"
        )
    if not fate.backfill and fate.slot <= schedule.cursor:
        raise FoldError(f"{who}: slot {fate.slot} is {fate.state} behind the cursor, {schedule.cursor}")
    if fate.until < fate.slot or fate.count < 1 or (fate.count == 1) != (fate.until == fate.slot):
        raise FoldError(f"{who}: {fate.count} slots from {fate.slot} to {fate.until} are {fate.state}")


def apply(schedule: ScheduleState, event: ScheduleEvent) -> None:
    """Adds an event, whether or not it follows."""
    schedule.failures = event.failures
    if isinstance(event, ScheduleDefined):
        schedule.name, schedule.version = event.name, event.version
        schedule.state, schedule.problem = event.state, event.problem
        schedule.cursor = max(schedule.cursor, event.cursor)
        return
    fate = fate_of(event)
    schedule.fates[fate.key] = fate
    if isinstance(event, ScheduleFired):
        schedule.last_slot, schedule.last_flow = event.slot, event.flow
    if fate.state != HELD and not fate.backfill:
        schedule.cursor = max(schedule.cursor, fate.until)
    if isinstance(event, ScheduleFired | SlotsPassed) and event.last:
        schedule.state = "finished"


def fate_of(event: ScheduleEvent) -> Fate:
    """What the event says of its slots.

    Raises:
        TypeError: it says nothing of a slot.
    """
    match event:
        case ScheduleFired():
            return Fate(
                slot=event.slot,
                until=event.slot,
                state=FIRED,
                decided_ms=event.at,
                flow=event.flow,
                late_ms=event.late_ms,
                backfill=event.backfill,
            )
        case ScheduleSkipped() | ScheduleMissed():
            return Fate(
                slot=event.slot,
                until=event.until,
                state=SKIPPED if isinstance(event, ScheduleSkipped) else MISSED,
                decided_ms=event.at,
                count=event.count,
                reason=event.reason,
                detail=event.detail,
                flow=event.flow,
                late_ms=event.late_ms,
            )
        case ScheduleHeld():
            return Fate(
                slot=event.slot,
                until=event.slot,
                state=HELD,
                decided_ms=event.at,
                reason="overlap",
                flow=event.flow,
            )
        case _:
            raise TypeError(f"{type(event).__name__} says nothing of a slot")
