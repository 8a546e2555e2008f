"""The next slots as people read them."""

from datetime import datetime
from typing import Any

import pytest

from flower_engine.schedules.preview import preview
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.zones import UnknownZoneError


def shown(after: str, most: int, other: str = "UTC", **fields: Any) -> list[tuple[str, str, str | None]]:
    some = Schedule(name="s", uid="u", task_id="w", timezone="Europe/Vienna", **fields)
    begin = round(datetime.fromisoformat(after).timestamp() * 1000)
    return [(slot.local, slot.other, slot.shift) for slot in preview(some, begin, most, other_zone=other)]


def test_slots_are_shown_on_both_clocks_with_what_a_jump_does() -> None:
    assert shown("2026-03-28T00:00Z", 3, "Asia/Kathmandu", cron="30 2 * * *") == [
        ("2026-03-28T02:30:00+01:00", "2026-03-28T07:15:00+05:45", None),
        (
            "2026-03-29T03:00:00+02:00",
            "2026-03-29T06:45:00+05:45",
            "clocks jump from 02:00 to 03:00: what is due in between is due now",
        ),
        ("2026-03-30T02:30:00+02:00", "2026-03-30T06:15:00+05:45", None),
    ]


def test_a_time_that_comes_twice_is_marked() -> None:
    assert shown("2026-10-25T00:00Z", 3, cron="30 * * * *") == [
        ("2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00+00:00", None),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00+00:00", "clocks show 02:30 for the second time"),
        ("2026-10-25T03:30:00+01:00", "2026-10-25T02:30:00+00:00", None),
    ]


def test_a_change_between_two_slots_is_marked_at_the_second() -> None:
    found = shown("2026-10-23T00:00Z", 4, cron="0 6 * * *")
    assert [shift for _, _, shift in found] == [
        *(None, None),
        "clocks were put back by 1:00 since the slot before",
        None,
    ]
    found = shown("2026-03-27T22:00Z", 3, every_seconds=86_400, anchor_ms=0)
    assert [shift for _, _, shift in found] == [
        *(None, None),
        "clocks were put forward by 1:00 since the slot before",
    ]


def test_there_is_nothing_to_show_of_a_schedule_with_a_problem_or_at_its_end() -> None:
    assert shown("2026-01-01T00:00Z", 5, cron="x") == []
    assert shown("2026-01-01T00:00Z", 5, at_ms=0) == []


def test_another_zone_must_be_known() -> None:
    with pytest.raises(UnknownZoneError, match="nearest: Europe/Vienna"):
        shown("2026-01-01T00:00Z", 1, "Europe/Vienne", cron="0 0 * * *")
