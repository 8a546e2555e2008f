"""The slots of a schedule: asked for by range, and one after another.

A slot is a moment, in milliseconds since the epoch, at which a schedule says that a flow should begin, before
jitter. Cron expressions follow the rules of ``wall_clock.py``; intervals count from their anchor by elapsed
time. Within ``starts_ms`` and ``ends_ms`` (both may be slots), and not on days of ``except_dates`` and of the
calendar: those on which the clock of the schedule's zone shows the slot. A schedule with a problem has none.
"""

from itertools import islice

from flower_engine.model.values.times import EARLIEST_MS, LATEST_MS
from flower_engine.schedules.schedule import Schedule


def slots_after(schedule: Schedule, after_ms: int, until_ms: int, most: int) -> list[int]:
    """At most so many slots, ``after_ms`` < slot <= ``until_ms``, oldest first."""
    return list(islice(schedule.timing.ascending(after_ms, until_ms), most))


def slots_before(schedule: Schedule, after_ms: int, until_ms: int, most: int) -> list[int]:
    """The newest of them, newest first."""
    return list(islice(schedule.timing.descending(after_ms, until_ms), most))


def count_slots(schedule: Schedule, after_ms: int, until_ms: int) -> int:
    """How many there are; quick, however many."""
    return schedule.timing.count(after_ms, until_ms)


def next_slot(schedule: Schedule, after_ms: int) -> int | None:
    """The first slot after a moment."""
    return next(schedule.timing.ascending(after_ms, LATEST_MS), None)


def previous_slot(schedule: Schedule, before_ms: int) -> int | None:
    """The last slot before a moment."""
    return next(schedule.timing.descending(EARLIEST_MS - 1, before_ms - 1), None)
