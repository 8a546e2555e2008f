"""What can be wrong with the fields that say when a schedule fires."""

from collections.abc import Iterator
from math import isnan
from typing import Any, cast

from flower_engine.model.tasks.task_spec import MAX_DURATION_MS
from flower_engine.model.values.quoting import short
from flower_engine.model.values.times import BOUNDS, is_time
from flower_engine.schedules.cron import CronError, cron_of
from flower_engine.schedules.problem import Problem, quoted
from flower_engine.schedules.stretches import days_of
from flower_engine.schedules.when import When
from flower_engine.schedules.zones import UnknownZoneError, zone_of

MAX_EXCEPT_DATES = 4_000
MAX_CALENDAR_DAYS = 20_000
MAX_SECONDS = MAX_DURATION_MS / 1000
SHORTEST_SECONDS = 1


def problems_of_when(when: When) -> list[Problem]:
    """All of them; takes values of any type."""
    return list(_found(when))


def problem_of_seconds(field: str, value: Any, least: float) -> Iterator[Problem]:
    """That a field holds no number of seconds from ``least`` to ten years."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or (isinstance(value, float) and isnan(value))
    ):
        yield Problem(field, f"{quoted(value)} is no number of seconds")
    elif not least <= value <= MAX_SECONDS:
        yield Problem(field, f"{quoted(value)} is outside {least:g} to {MAX_SECONDS:.0f} (ten years)")


def _found(when: When) -> Iterator[Problem]:
    given = [name for name in ("cron", "every_seconds", "at_ms") if getattr(when, name) is not None]
    if len(given) != 1:
        which = "nothing says when it fires" if not given else f"{' and '.join(given)} say when it fires"
        yield Problem(given[-1] if given else "cron", f"{which}: one of cron, every_seconds and at_ms must")
    if when.cron is not None:
        yield from _of_cron(when.cron)
    if when.every_seconds is not None:
        yield from problem_of_seconds("every_seconds", when.every_seconds, SHORTEST_SECONDS)
    elif when.anchor_ms is not None:
        yield Problem("anchor_ms", "only every_seconds counts from an anchor")
    for name in ("at_ms", "anchor_ms", "starts_ms", "ends_ms"):
        yield from _of_time(name, getattr(when, name))
    starts, ends = when.starts_ms, when.ends_ms
    if isinstance(starts, int) and isinstance(ends, int) and ends < starts:
        yield Problem("ends_ms", "it ends before it starts")
    yield from _of_zone(when.timezone)
    yield from _of_days("except_dates", when.except_dates, MAX_EXCEPT_DATES)
    yield from _of_days("calendar", when.calendar_days, MAX_CALENDAR_DAYS)


def _of_cron(cron: Any) -> Iterator[Problem]:
    if not isinstance(cron, str):
        yield Problem("cron", f"{quoted(cron)} is no text")
        return
    try:
        cron_of(cron)
    except CronError as error:
        yield Problem("cron", f"{short(cron)!r}: {error}")


def _of_time(field: str, value: Any) -> Iterator[Problem]:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        yield Problem(field, f"{quoted(value)} is no time")
    elif not is_time(value):
        yield Problem(field, f"it is outside {BOUNDS}")


def _of_zone(name: Any) -> Iterator[Problem]:
    if not isinstance(name, str):
        yield Problem("timezone", f"{quoted(name)} is no text")
        return
    try:
        zone_of(name)
    except UnknownZoneError as error:
        yield Problem("timezone", f"{error}")


def _of_days(field: str, days: Any, most: int) -> Iterator[Problem]:
    if not isinstance(days, list | tuple):
        yield Problem(field, f"{quoted(days)} is no list of days")
        return
    known = cast("list[Any] | tuple[Any, ...]", days)
    if len(known) > most:
        yield Problem(field, f"there are {len(known)} days; {most} may be")
        return
    try:
        days_of(tuple(known))
    except (ValueError, TypeError):
        wrong = next(day for day in known if not _is_day(day))
        yield Problem(field, f"{quoted(wrong)} is no day YYYY-MM-DD")


def _is_day(day: Any) -> bool:
    try:
        days_of((day,))
    except (ValueError, TypeError):
        return False
    return True
