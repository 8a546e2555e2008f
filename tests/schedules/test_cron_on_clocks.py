"""Slots of cron expressions are those that one finds by looking at every minute, where clocks change, too."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise

from hypothesis import assume, event, example, given, settings
from hypothesis import strategies as st

import fuzzing
from flower_engine.schedules.cron import CronError, cron_of
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.slots import count_slots, next_slot, previous_slot, slots_after, slots_before
from schedules.expressions import EXPRESSIONS
from schedules.oracle import Expression, Window, changes, read

ZONES = {
    "Africa/Casablanca": 2024,  # back for Ramadan, and forth again
    "America/Havana": 2024,  # midnight comes twice, or not at all
    "America/New_York": 2024,
    "America/Santiago": 2024,  # the day begins at one
    "Antarctica/Troll": 2024,  # two hours at once
    "Asia/Beirut": 2024,
    "Asia/Kathmandu": 2024,  # 5:45, and no change
    "Atlantic/Azores": 2024,
    "Australia/Lord_Howe": 2024,  # half an hour
    "Europe/Vienna": 2024,
    "Pacific/Apia": 2009,  # without December 30, 2011
    "Pacific/Chatham": 2024,  # 12:45
}
"""Each with the first of five years."""
NEAR = timedelta(hours=14)
MOST = 1_000_000
DAY = 86_400_000


@cache
def windows(zone: str) -> list[tuple[datetime, Window]]:
    """All that is near a change of the zone's clocks; of a zone without one, near some turns of months."""
    year = ZONES[zone]
    found = changes(zone, year, year + 4) or tuple(
        datetime(year + n, month, 1, tzinfo=UTC) for n in range(5) for month in (1, 3)
    )
    return [(change, Window(zone, change - NEAR, change + NEAR)) for change in found]


def ms(time: datetime) -> int:
    return int(time.timestamp()) * 1000


def compare(
    schedule: Schedule, expression: Expression, window: Window, begin: datetime, end: datetime
) -> None:
    after, until = ms(begin) - 1, ms(end) - 1
    expected = [slot * 1000 for slot in window.slots(expression, begin, end)]
    assert slots_after(schedule, after, until, MOST) == expected, (schedule.cron, window.zone, begin)
    assert slots_before(schedule, after, until, MOST) == expected[::-1], (schedule.cron, window.zone, begin)
    assert count_slots(schedule, after, until) == len(expected), (schedule.cron, window.zone, begin)


def looked_at(expression: Expression) -> timedelta:
    """How far from a change: what has many slots would only take longer."""
    times_a_day = len(expression.seconds) * len(expression.minutes) * len(expression.hours)
    return NEAR if times_a_day <= 60 else timedelta(hours=4 if times_a_day <= 1_500 else 2)


@settings(max_examples=fuzzing.examples(200))
@given(EXPRESSIONS)
@example("30 2 * * *")
@example("0 */6 * * *")
@example("*/20 * * * *")
@example("*/10 0-4 * * *")
@example("15,45 0,1,2,3 * * SUN")
@example("59 59 23 * * *")
@example("*/7 30 * * * *")
@example("0 9 30,31 12 *")
@example("5 0 LW * *")
@example("0 0 * 2 MON#5")
@example("1/7 1/5 L,1 */3 5L,sun#2")
def test_slots_are_those_that_minutes_show(text: str) -> None:
    try:
        cron_of(text)
    except CronError as error:
        assert "no day ever matches" in str(error)
        assume(False)
    expression = read(text)
    event("every hour" if expression.is_every_hour else "fixed hours")
    near = looked_at(expression)
    for zone in ZONES:
        schedule = Schedule(name="s", uid="u", task_id="w", cron=text, timezone=zone)
        for change, window in windows(zone):
            compare(schedule, expression, window, change - near, change + near)


@settings(max_examples=fuzzing.examples(50))
@given(EXPRESSIONS)
def test_days_of_years_are_those_that_one_finds_day_by_day(text: str) -> None:
    expression = read(text)
    first = date(2023, 1, 1)
    expected = [
        day for day in (first + timedelta(days=days) for days in range(6 * 365)) if expression.is_day(day)
    ]
    try:
        cron = cron_of(text)
    except CronError:
        assert expected == []
        return
    begin = (first - date(1970, 1, 1)).days
    found = [date(1970, 1, 1) + timedelta(days=day) for day in cron.days_ascending(begin, begin + 6 * 365)]
    assert found == expected
    assert (
        list(cron.days_descending(begin, begin + 6 * 365))
        == [*cron.days_ascending(begin, begin + 6 * 365)][::-1]
    )


@settings(max_examples=fuzzing.examples(40))
@given(EXPRESSIONS, st.sampled_from(sorted(ZONES)), st.lists(st.integers(0, 40 * DAY), max_size=6))
def test_slots_do_not_depend_on_where_one_begins_to_look(text: str, zone: str, cuts: list[int]) -> None:
    schedule = Schedule(name="s", uid="u", task_id="w", cron=text, timezone=zone)
    change = windows(zone)[0][0]
    begin = ms(change) - 20 * DAY
    whole = slots_after(schedule, begin, begin + 40 * DAY, 3_000)
    until = whole[-1] if whole else begin + 40 * DAY
    ends = sorted({begin, *(begin + cut for cut in cuts if begin + cut < until), until})
    parts = [slots_after(schedule, after, last, 3_000) for after, last in pairwise(ends)]
    assert [slot for part in parts for slot in part] == whole
    assert sum(count_slots(schedule, after, last) for after, last in pairwise(ends)) == len(whole)
    for slot, following in list(pairwise(whole))[:: max(1, len(whole) // 50)]:
        assert (next_slot(schedule, slot), previous_slot(schedule, following)) == (following, slot)
