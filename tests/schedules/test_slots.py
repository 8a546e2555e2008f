"""Slots one can count by hand: intervals, bounds, days on which nothing fires, ranges and their ends."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.slots import count_slots, next_slot, previous_slot, slots_after, slots_before

DAY_MS = 86_400_000
ZONE = ZoneInfo("Asia/Kathmandu")


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def schedule(**fields: Any) -> Schedule:
    return Schedule(name="nightly", uid="u", task_id="w", **fields)


def test_an_interval_counts_from_its_anchor_in_both_directions() -> None:
    every = schedule(every_seconds=90, anchor_ms=ms("2026-01-01T00:00:30Z"))
    after, until = ms("2025-12-31T23:58:00Z"), ms("2026-01-01T00:03:30Z")
    expected = [ms(f"2026-01-01T00:{at}Z") for at in ("00:30", "02:00", "03:30")]
    assert slots_after(every, after, until, 10) == [ms("2025-12-31T23:59:00Z"), *expected]
    assert slots_before(every, after, until, 2) == expected[:0:-1]
    assert count_slots(every, after, until) == 4


def test_the_first_moment_of_a_range_is_left_out_and_the_last_is_in_it() -> None:
    every = schedule(every_seconds=10)
    assert slots_after(every, 10_000, 30_000, 10) == [20_000, 30_000]
    assert slots_after(every, 9_999, 29_999, 10) == [10_000, 20_000]
    assert (previous_slot(every, 20_000), next_slot(every, 20_000)) == (10_000, 30_000)


def test_a_time_fires_once_within_its_bounds() -> None:
    at = ms("2026-05-01T12:00:00.250Z")
    assert next_slot(schedule(at_ms=at), 0) == at
    assert next_slot(schedule(at_ms=at), at) is None
    assert next_slot(schedule(at_ms=at, starts_ms=at, ends_ms=at), 0) == at
    assert next_slot(schedule(at_ms=at, starts_ms=at + 1), 0) is None
    assert next_slot(schedule(at_ms=at, except_dates=("2026-05-01",)), 0) is None


@pytest.mark.parametrize("when", [{"cron": "0 */6 * * *"}, {"every_seconds": 21_600}], ids=str)
def test_nothing_fires_on_days_that_are_left_out_by_the_clock_of_the_zone(when: dict[str, Any]) -> None:
    some = schedule(
        **when, timezone="Asia/Kathmandu", except_dates=("2026-03-02",), calendar_days=("2026-03-04",)
    )
    found = slots_after(some, ms("2026-03-01T00:00+05:45"), ms("2026-03-06T00:00+05:45"), 100)
    days = {datetime.fromtimestamp(slot / 1000).astimezone(ZONE).date().isoformat() for slot in found}
    assert days - {"2026-03-06"} == {"2026-03-01", "2026-03-03", "2026-03-05"}
    assert found == slots_before(some, found[0] - 1, found[-1], 100)[::-1]
    assert count_slots(some, found[0] - 1, found[-1]) == len(found)


def test_bounds_are_slots_themselves() -> None:
    some = schedule(cron="0 * * * *", starts_ms=ms("2026-01-01T03:00Z"), ends_ms=ms("2026-01-01T05:00Z"))
    assert slots_after(some, 0, ms("2027-01-01T00:00Z"), 10) == [
        ms(f"2026-01-01T0{hour}:00Z") for hour in (3, 4, 5)
    ]


def test_a_schedule_with_a_problem_has_no_slots() -> None:
    for fields in ({"cron": "61 * * * *"}, {"cron": "0 0 * * *", "timezone": "Mars/Olympus"}, {}):
        assert next_slot(schedule(**fields), 0) is None
        assert count_slots(schedule(**fields), 0, DAY_MS) == 0
