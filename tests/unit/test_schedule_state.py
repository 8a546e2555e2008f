"""Each slot of a schedule has one fate, each that fired one flow, and its cursor never goes back."""

from typing import Any

import pytest

from flower_engine.model.events.schedule_events import (
    AnyScheduleEvent,
    ScheduleDefined,
    ScheduleFired,
    ScheduleHeld,
    ScheduleMissed,
    ScheduleSkipped,
)
from flower_engine.model.folding.flow_state import FoldError
from flower_engine.model.folding.schedule_state import ScheduleState, fold_schedules

UID = "00000000-0000-4000-8000-000000000001"


def defined(cursor: int, **more: Any) -> ScheduleDefined:
    fields: dict[str, Any] = {"at": 1, "schedule": UID, "name": "s", "version": 1, "state": "active"}
    fields.update(more, cursor=cursor)
    return ScheduleDefined(**fields)


def fired(slot: int, flow: str = "f", **more: Any) -> ScheduleFired:
    return ScheduleFired(at=9, schedule=UID, slot=slot, flow=flow, **more)


def skipped(slot: int, until: int, count: int) -> ScheduleSkipped:
    return ScheduleSkipped(at=9, schedule=UID, slot=slot, until=until, count=count, reason="overlap")


def missed(slot: int, until: int, count: int) -> ScheduleMissed:
    return ScheduleMissed(at=9, schedule=UID, slot=slot, until=until, count=count, reason="unwatched")


def held(slot: int) -> ScheduleHeld:
    return ScheduleHeld(at=9, schedule=UID, slot=slot, flow="f")


def state(*events: AnyScheduleEvent) -> ScheduleState:
    return fold_schedules(events)[UID]


def test_every_fate_counts_once_and_moves_the_cursor() -> None:
    now = state(defined(10), fired(20), held(30), skipped(30, 30, 1), missed(40, 80, 5), fired(90, "g"))
    assert now.cursor == 90
    assert now.counts() == {"fired": 2, "skipped": 1, "missed": 5}
    assert (now.last_slot, now.last_flow) == (90, "g")


def test_a_slot_that_is_held_leaves_the_cursor_where_it_is() -> None:
    assert state(defined(10), held(20)).cursor == 10


def test_a_backfill_fires_a_slot_that_was_missed_and_leaves_the_cursor_where_it_is() -> None:
    now = state(defined(10), missed(20, 40, 3), fired(20, "g", backfill="b"))
    assert now.cursor == 40
    assert now.counts() == {"fired": 1, "skipped": 0, "missed": 3}


def test_the_last_slot_finishes_a_schedule_and_a_definition_begins_it_again() -> None:
    assert state(defined(10), fired(20, last=True)).state == "finished"
    assert state(defined(10), fired(20, last=True), defined(20, version=2)).state == "active"


def test_a_flow_that_was_known_is_told_again() -> None:
    assert state(defined(10), fired(20), fired(20)).counts()["fired"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        [fired(20), fired(20, "g")],
        [fired(20), missed(20, 20, 1)],
        [missed(20, 40, 3), fired(30)],
        [fired(10)],
        [defined(5)],
        [skipped(40, 30, 2)],
        [skipped(20, 30, 1)],
        [fired(20), held(20)],
    ],
)
def test_what_contradicts_the_events_before_it_is_refused(wrong: list[AnyScheduleEvent]) -> None:
    with pytest.raises(FoldError, match=UID):
        fold_schedules([defined(10), *wrong])
