"""What became of schedules and their slots, as ``kr_schedule`` and ``kr_schedule_slot`` have it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from flower_engine.projection.database import Connection

_PROGRESS = """
SELECT uid::text, name, state, problem, cursor, last_slot, last_flow, fired, skipped, missed, failures,
    pruned_to
FROM kr_schedule WHERE uid = ANY(%s::text[]::uuid[])
"""
_UID_OF = "SELECT uid::text FROM kr_schedule WHERE name = %s ORDER BY version DESC LIMIT 1"
_UIDS_OF = """
SELECT uid::text FROM kr_schedule WHERE name = %(name)s
UNION SELECT uid::text FROM ms_schedule WHERE name = %(name)s
"""
_COLUMNS = "slot, until, count, state, reason, detail, flow, late_ms, decided_ts, backfill"
_LIST = f"""
SELECT {_COLUMNS} FROM kr_schedule_slot
WHERE uid = %(uid)s::text::uuid AND (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
AND (%(since)s::timestamptz IS NULL OR until >= %(since)s)
AND (%(until)s::timestamptz IS NULL OR slot < %(until)s)
AND (%(slot)s::timestamptz IS NULL OR (slot, backfill) < (%(slot)s, %(backfill)s))
ORDER BY slot DESC, backfill DESC LIMIT %(limit)s
""".encode()  # noqa: S608
_OF_SLOT = f"""
(SELECT {_COLUMNS} FROM kr_schedule_slot
 WHERE uid = %(uid)s::text::uuid AND backfill = '' AND slot <= %(slot)s ORDER BY slot DESC LIMIT 1)
UNION ALL
SELECT {_COLUMNS} FROM kr_schedule_slot WHERE uid = %(uid)s::text::uuid AND backfill <> '' AND slot = %(slot)s
""".encode()  # noqa: S608
_FIRED = """
SELECT slot, flow FROM kr_schedule_slot
WHERE uid = %s::text::uuid AND state = 'fired' AND slot BETWEEN %s AND %s
"""


class ScheduleProgress(msgspec.Struct, frozen=True):
    """How far a schedule is: every slot up to ``cursor`` has its fate. ``failures``: of its flows, in a row.
    What became of slots up to ``pruned_to`` may be gone."""

    uid: str
    name: str
    state: str
    problem: str
    cursor: datetime
    last_slot: datetime | None
    last_flow: str | None
    fired: int
    skipped: int
    missed: int
    failures: int
    pruned_to: datetime | None


class SlotFate(msgspec.Struct, frozen=True, rename="camel"):
    """What became of a slot, or of ``count`` slots from ``slot`` to ``until``; ``state``: fired, skipped,
    missed, or held: it waits for a flow. ``backfill`` fired it, beside its own fate."""

    slot: datetime
    until: datetime
    count: int
    state: str
    reason: str
    detail: str
    flow: str
    late_ms: int
    decided_ts: datetime
    backfill: str


class SlotCursor(msgspec.Struct, frozen=True):
    """Where a list of slots goes on: behind this one."""

    slot: datetime
    backfill: str


async def read_progress(connection: Connection, uids: Sequence[str]) -> dict[str, ScheduleProgress]:
    """How far these schedules are, by uid; those of which nothing is projected are left out."""
    rows = await (await connection.execute(_PROGRESS, (list(uids),))).fetchall()
    return {row[0]: ScheduleProgress(*row) for row in rows}


async def uid_of_past(connection: Connection, name: str) -> str | None:
    """The schedule that had this name last, though it may be gone."""
    row = await (await connection.execute(_UID_OF, (name,))).fetchone()
    return None if row is None else str(row[0])


async def uids_named(connection: Connection, name: str) -> tuple[str, ...]:
    """Every schedule that has or had this name: one, or more where it was deleted and made anew."""
    rows = await (await connection.execute(_UIDS_OF, {"name": name})).fetchall()
    return tuple(uid for (uid,) in rows)


async def list_slots(
    connection: Connection,
    uid: str,
    *,
    states: Sequence[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    behind: SlotCursor | None = None,
    limit: int,
) -> list[SlotFate]:
    """Up to ``limit`` of them, the newest first: from ``since`` on, before ``until``."""
    values = {
        "uid": uid,
        "states": list(states) if states else None,
        "since": since,
        "until": until,
        "slot": None if behind is None else behind.slot,
        "backfill": None if behind is None else behind.backfill,
        "limit": limit,
    }
    return [SlotFate(*row) for row in await (await connection.execute(_LIST, values)).fetchall()]


async def fates_of(connection: Connection, uid: str, slot: datetime) -> list[SlotFate]:
    """What became of one slot: its own fate first, if it has one, then what backfills made of it."""
    rows = await (await connection.execute(_OF_SLOT, {"uid": uid, "slot": slot})).fetchall()
    found = [SlotFate(*row) for row in rows]
    return [fate for fate in found if fate.backfill or fate.slot <= slot <= fate.until]


async def fired_flows(
    connection: Connection, uid: str, first: datetime, last: datetime
) -> dict[datetime, str]:
    """The flows of slots of this range, whoever fired them."""
    return dict(await (await connection.execute(_FIRED, (uid, first, last))).fetchall())
