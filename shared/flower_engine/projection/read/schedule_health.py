"""Which schedules do not fire as they should, as the tables have it."""

from datetime import datetime

import msgspec

from flower_engine.projection.database import Connection

_PROBLEMS = """
SELECT schedule.name, known.problem FROM kr_schedule AS known
JOIN ms_schedule AS schedule ON schedule.uid = known.uid
WHERE known.state = 'problem' ORDER BY schedule.name LIMIT %s
"""
_PAUSED = """
SELECT name, coalesce(left(reason, 500), ''), coalesce(changed_by, '') = %s
FROM ms_schedule WHERE is_paused ORDER BY name LIMIT %s
"""
_HELD = """
SELECT schedule.name, held.slot, extract(epoch FROM now() - held.slot)::float8
FROM ms_schedule AS schedule, LATERAL (
    SELECT slot FROM kr_schedule_slot WHERE uid = schedule.uid AND state = 'held' AND backfill = ''
    ORDER BY slot DESC LIMIT 1) AS held
WHERE held.slot < now() - %s * interval '1 second' ORDER BY held.slot LIMIT %s
"""
_MISSED = """
SELECT schedule.name, sum(missed.count)::bigint
FROM kr_schedule_slot AS missed JOIN ms_schedule AS schedule ON schedule.uid = missed.uid
WHERE missed.state = 'missed' AND missed.position_ms > (extract(epoch FROM now()) * 1000)::bigint - 86400000
GROUP BY schedule.name ORDER BY 2 DESC, 1 LIMIT %s
"""
BY_WATCHER = "watcher"
"""Who has paused a schedule whose flows failed too often."""


class PausedSchedule(msgspec.Struct, frozen=True):
    """A schedule that is paused; ``is_by_failures``: a watcher did that, as its flows failed."""

    name: str
    reason: str
    is_by_failures: bool


async def schedules_with_problems(connection: Connection, most: int) -> list[tuple[str, str]]:
    """The names of schedules that do not fire, each with why."""
    return [(name, why) async for name, why in await connection.execute(_PROBLEMS, [most])]


async def paused_schedules(connection: Connection, most: int) -> list[PausedSchedule]:
    """Those that are paused, by name."""
    rows = await connection.execute(_PAUSED, [BY_WATCHER, most])
    return [PausedSchedule(*row) async for row in rows]


async def held_slots(connection: Connection, seconds: float, most: int) -> list[tuple[str, datetime, float]]:
    """Schedules with a slot that has waited longer than that: name, the newest such slot, for how long."""
    return [(name, slot, age) async for name, slot, age in await connection.execute(_HELD, [seconds, most])]


async def missed_lately(connection: Connection, most: int) -> list[tuple[str, int]]:
    """Schedules with slots that were decided to be missed in the last day, and how many."""
    return [(name, count) async for name, count in await connection.execute(_MISSED, [most])]
