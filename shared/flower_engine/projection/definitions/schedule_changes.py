"""What the API and deploys change in ``ms_schedule``, and in ``kr_schedule_origin`` what they wrote last."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from flower_engine.model.values.floats import spelled_out
from flower_engine.projection.database import Connection
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.schedule_document import ScheduleDocument, canonical_schedule

LOCK_SCHEDULE = (
    "SELECT pg_advisory_xact_lock(hashtextextended(%s, 7305))"  # our number for locks on schedules
)
_MS = "'epoch'::timestamptz + %({name})s * interval '1 millisecond'"
_VALUES: dict[str, str] = {
    "task_id": "%(task_id)s",
    "cron": "%(cron)s",
    "every_seconds": "%(every_seconds)s",
    "at": _MS.format(name="at_ms"),
    "anchor": _MS.format(name="anchor_ms"),
    "timezone": "%(timezone)s",
    "starts": _MS.format(name="starts_ms"),
    "ends": _MS.format(name="ends_ms"),
    "parameters": "%(parameters)s::text::jsonb",
    "overlap": "%(overlap)s",
    "catch_up": "%(catch_up)s",
    "window_seconds": "%(window_seconds)s",
    "max_catch_up": "%(max_catch_up)s",
    "jitter_seconds": "%(jitter_seconds)s",
    "except_dates": "%(except_dates)s::text::jsonb",
    "calendar": "%(calendar)s",
    "pause_after_failures": "%(pause_after_failures)s",
    "priority": "%(priority)s",
    "source": "%(source)s",
    "changed_by": "%(by)s",
}
_INSERT = f"""
INSERT INTO ms_schedule (name, is_paused, reason, {", ".join(_VALUES)})
VALUES (%(name)s, coalesce(%(is_paused)s, false), coalesce(%(reason)s, ''), {", ".join(_VALUES.values())})
ON CONFLICT (name) DO NOTHING
""".encode()  # noqa: S608
_UPDATE = f"""
UPDATE ms_schedule SET is_paused = coalesce(%(is_paused)s, is_paused),
    reason = CASE WHEN %(is_paused)s IS NULL THEN reason ELSE coalesce(%(reason)s, '') END,
    {", ".join(f"{name} = {value}" for name, value in _VALUES.items())}
WHERE name = %(name)s
""".encode()  # noqa: S608
_WRITTEN = """
INSERT INTO kr_schedule_origin (name, definition, source, written_by) VALUES (%s, %s::text::json, %s, %s)
ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, source = excluded.source,
    written_by = excluded.written_by, written_ts = now()
"""
_ORIGINS = """
SELECT name, definition::text, source, written_ts, written_by FROM kr_schedule_origin WHERE name = ANY(%s)
"""
_SET_PAUSED = """
UPDATE ms_schedule SET is_paused = %(is_paused)s, reason = %(reason)s, changed_by = %(by)s
WHERE name = %(name)s
"""


class ScheduleOrigin(msgspec.Struct, frozen=True):
    """What the API wrote last of a schedule, as canonical JSON; ``source``: of the deploy that brought it."""

    definition: str
    source: str | None
    written_ts: datetime
    written_by: str


async def read_schedule_origins(connection: Connection, names: Sequence[str]) -> dict[str, ScheduleOrigin]:
    """What was written last of each of these, by name; nothing of those that only SQL wrote."""
    rows = await (await connection.execute(_ORIGINS, (list(names),))).fetchall()
    return {name: ScheduleOrigin(*origin) for name, *origin in rows}


async def insert_schedule(
    connection: Connection,
    schedule: Schedule,
    by: str,
    *,
    source: str | None = None,
    is_paused: bool | None = None,
    reason: str | None = None,
) -> bool:
    """Adds a schedule without problems; False: there is one of its name. The caller has a transaction."""
    values = _values(schedule, by, source, is_paused, reason)
    if (await connection.execute(_INSERT, values)).rowcount == 0:
        return False
    await _note(connection, schedule, by, source)
    return True


async def update_schedule(
    connection: Connection,
    schedule: Schedule,
    by: str,
    *,
    source: str | None = None,
    is_paused: bool | None = None,
    reason: str | None = None,
) -> bool:
    """Replaces what a schedule says; ``is_paused`` None: it stays as it is. False: there is none of its name.
    The caller has a transaction."""
    values = _values(schedule, by, source, is_paused, reason)
    if (await connection.execute(_UPDATE, values)).rowcount == 0:
        return False
    await _note(connection, schedule, by, source)
    return True


async def delete_schedule(connection: Connection, name: str) -> bool:
    """Takes a schedule away; False: there is none of its name. The caller has a transaction."""
    await connection.execute("DELETE FROM kr_schedule_origin WHERE name = %s", (name,))
    return (await connection.execute("DELETE FROM ms_schedule WHERE name = %s", (name,))).rowcount == 1


async def set_paused(connection: Connection, name: str, *, is_paused: bool, reason: str, by: str) -> bool:
    """Pauses a schedule, or lifts that; False: there is none of its name."""
    values = {"name": name, "is_paused": is_paused, "reason": reason, "by": by}
    return (await connection.execute(_SET_PAUSED, values)).rowcount == 1


async def _note(connection: Connection, schedule: Schedule, by: str, source: str | None) -> None:
    document = canonical_schedule(ScheduleDocument.of(schedule))
    await connection.execute(_WRITTEN, (schedule.name, document, source, by))


def _values(
    schedule: Schedule, by: str, source: str | None, is_paused: bool | None, reason: str | None
) -> dict[str, Any]:
    values = {field: getattr(schedule, field) for field in schedule.__struct_fields__}
    values["parameters"] = _json(schedule.parameters or None)
    values["except_dates"] = _json(list(schedule.except_dates) or None)
    return {**values, "by": by, "source": source, "is_paused": is_paused, "reason": reason}


def _json(value: Any) -> str | None:
    return None if value is None else spelled_out(msgspec.json.encode(value)).decode()
