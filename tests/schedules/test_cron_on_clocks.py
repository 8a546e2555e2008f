"""Slots of cron expressions are those that one finds by looking at every minute, where clocks change, too."""

from datetime import UTC, datetime, timedelta
from functools import cache

from hypothesis import assume, event, example, given, settings

import fuzzing
from flower_engine.schedules.cron import CronError, cron_of
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.slots import count_slots, slots_after, slots_before
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
NEAR = timedelta(hours=26)
MOST = 1_000_000


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
