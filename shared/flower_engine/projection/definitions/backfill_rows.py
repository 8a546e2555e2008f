"""Backfills: ``ms_backfill``, which people write, and how far each is, in ``kr_backfill`` and its slots."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from flower_engine.projection.database import Connection

Which = Literal["missed", "failed", "all"]
Action = Literal["fire", "rerun"]
MAX_SLOTS = 10_000
OPEN_STATES = ("waiting", "sent", "running")

_COLUMNS = """
id::text, schedule, first_slot, last_slot, which, newest_first, most_at_once, priority, is_paused,
is_cancelled, left(reason, 1000), created_ts, left(created_by, 1000)
"""
_INSERT = """
INSERT INTO ms_backfill (id, schedule, first_slot, last_slot, which, newest_first, most_at_once, priority,
    reason, created_by)
VALUES (%(id)s::text::uuid, %(schedule)s, %(first_slot)s, %(last_slot)s, %(which)s, %(newest_first)s,
    %(most_at_once)s, %(priority)s, %(reason)s, %(created_by)s)
ON CONFLICT (id) DO NOTHING
"""
_PROGRESS = """
SELECT backfill.uid::text, backfill.state, backfill.problem, backfill.ended_ts,
    count(slot.slot) FILTER (WHERE slot.state = 'waiting'),
    count(slot.slot) FILTER (WHERE slot.state IN ('sent', 'running')),
    count(slot.slot) FILTER (WHERE slot.state = 'ended'),
    count(slot.slot) FILTER (WHERE slot.state = 'failed'),
    count(slot.slot) FILTER (WHERE slot.state = 'refused')
FROM kr_backfill AS backfill LEFT JOIN kr_backfill_slot AS slot ON slot.id = backfill.id
WHERE backfill.id = %s::text::uuid GROUP BY backfill.id
"""
_FIND = f"SELECT {_COLUMNS} FROM ms_backfill WHERE id = %s::text::uuid".encode()  # noqa: S608
_LIST = f"""
SELECT {_COLUMNS} FROM ms_backfill WHERE schedule = %s ORDER BY created_ts DESC, id LIMIT %s
""".encode()  # noqa: S608
_TO_WORK_OFF = """
SELECT asked.id::text FROM ms_backfill AS asked LEFT JOIN kr_backfill AS known ON known.id = asked.id
WHERE known.id IS NULL OR known.state = 'open' ORDER BY asked.created_ts, asked.id LIMIT 100
"""
_TAKE = f"SELECT {_COLUMNS} FROM ms_backfill WHERE id = %s::text::uuid FOR UPDATE SKIP LOCKED".encode()  # noqa: S608
_OPEN = "INSERT INTO kr_backfill (id, uid, state, problem) VALUES (%s::text::uuid, %s::text::uuid, %s, %s)"
_ADD_SLOTS = """
INSERT INTO kr_backfill_slot (id, slot, action, flow)
SELECT %s::text::uuid, slot, action, flow
FROM unnest(%s::timestamptz[], %s::text[], %s::text[]) AS told (slot, action, flow)
"""
_SLOTS = """
SELECT slot, action, state, flow, flow_version, detail FROM kr_backfill_slot WHERE id = %s::text::uuid
AND (%s::timestamptz IS NULL OR slot > %s) ORDER BY slot LIMIT %s
"""
_UNDER_WAY = """
SELECT slot.slot, slot.action, slot.state, slot.flow, slot.flow_version, slot.detail,
    flow.exec_status, flow.finished_ts IS NOT NULL, flow.cancelled_ts IS NOT NULL, coalesce(flow.version, -1)
FROM kr_backfill_slot AS slot LEFT JOIN kr_flow_stat AS flow ON flow.task_flow_id = slot.flow
WHERE slot.id = %s::text::uuid AND slot.state IN ('sent', 'running') ORDER BY slot.slot
"""
_NEXT = """
SELECT slot, action, state, flow, flow_version, detail FROM kr_backfill_slot
WHERE id = %(id)s::text::uuid AND state = 'waiting'
ORDER BY CASE WHEN %(newest)s THEN slot END DESC, slot LIMIT %(limit)s
"""
_SET_SLOT = """
UPDATE kr_backfill_slot
SET state = %(state)s, flow = %(flow)s, flow_version = %(flow_version)s, detail = %(detail)s
WHERE id = %(id)s::text::uuid AND slot = %(slot)s
"""
_SEND_SLOT = """
UPDATE kr_backfill_slot SET state = 'sent', flow = %s
WHERE id = %s::text::uuid AND slot = %s AND state = 'waiting'
"""
_SET_STATE = """
UPDATE kr_backfill SET state = %(state)s, problem = %(problem)s,
    ended_ts = CASE WHEN %(state)s = 'open' THEN NULL ELSE coalesce(ended_ts, now()) END
WHERE id = %(id)s::text::uuid
"""
_CHANGE = """
UPDATE ms_backfill SET is_paused = coalesce(%(is_paused)s, is_paused), reason = %(reason)s,
    is_cancelled = is_cancelled OR coalesce(%(is_cancelled)s, false)
WHERE id = %(id)s::text::uuid
"""
_FATES = """
SELECT slot, flow, exec_status, finished, cancelled FROM (
    SELECT DISTINCT ON (fate.slot) fate.slot, fate.flow, stat.exec_status,
        stat.finished_ts IS NOT NULL AS finished, stat.cancelled_ts IS NOT NULL AS cancelled
    FROM kr_schedule_slot AS fate LEFT JOIN kr_flow_stat AS stat ON stat.task_flow_id = fate.flow
    WHERE fate.uid = %s::text::uuid AND fate.state = 'fired' AND fate.slot BETWEEN %s AND %s
    ORDER BY fate.slot, fate.backfill) AS found
"""


class BackfillRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``ms_backfill``."""

    id: str
    schedule: str
    first_slot: datetime
    last_slot: datetime
    which: str
    newest_first: bool
    most_at_once: int
    priority: int
    is_paused: bool
    is_cancelled: bool
    reason: str
    created_ts: datetime
    created_by: str


class BackfillProgress(msgspec.Struct, frozen=True):
    """How far a backfill is: slots by what became of them. ``failed``: their flows failed or were cancelled;
    ``refused``: they could not be fired or rerun."""

    uid: str | None
    state: str
    problem: str
    ended_ts: datetime | None
    waiting: int
    running: int
    ended: int
    failed: int
    refused: int

    @property
    def total(self) -> int:
        return self.waiting + self.running + self.ended + self.failed + self.refused


class BackfillSlot(msgspec.Struct, kw_only=True, rename="camel"):
    """A slot of a backfill. ``state`` ``sent``: whether its flow is there is not known yet."""

    slot: datetime
    action: Action
    state: str = "waiting"
    flow: str = ""
    flow_version: int = 0
    detail: str = ""


class SlotUnderWay(msgspec.Struct, kw_only=True):
    """A slot that is worked on, and its flow as it is projected; ``version`` -1: it is not."""

    slot: BackfillSlot
    status: int | None
    has_ended: bool
    is_cancelled: bool
    version: int


class FiredSlot(msgspec.Struct, frozen=True):
    """A slot that has a flow; ``status`` None: the flow is not projected, or kept no more."""

    slot: datetime
    flow: str
    status: int | None
    has_ended: bool
    is_cancelled: bool

    @property
    def has_failed(self) -> bool:
        """Whether a task of it failed for good, or it was cancelled."""
        return self.status == 2 or self.is_cancelled


async def insert_backfill(connection: Connection, row: BackfillRow) -> bool:
    """Adds a backfill; False: there is one of this id."""
    return (await connection.execute(_INSERT, msgspec.structs.asdict(row))).rowcount == 1


async def find_backfill(connection: Connection, backfill: str) -> BackfillRow | None:
    row = await (await connection.execute(_FIND, (backfill,))).fetchone()
    return None if row is None else _row_of(row)


async def list_backfills(connection: Connection, schedule: str, limit: int) -> list[BackfillRow]:
    """Those of a schedule, the newest first."""
    return [_row_of(row) for row in await (await connection.execute(_LIST, (schedule, limit))).fetchall()]


async def read_backfill_progress(connection: Connection, backfill: str) -> BackfillProgress | None:
    """How far it is; None: no watcher has seen it yet."""
    row = await (await connection.execute(_PROGRESS, (backfill,))).fetchone()
    return None if row is None else BackfillProgress(*row)


async def backfills_to_work_off(connection: Connection) -> list[str]:
    """The ids of those that are not over, 100 at most, the oldest first."""
    return [one for (one,) in await (await connection.execute(_TO_WORK_OFF)).fetchall()]


async def take_backfill(connection: Connection, backfill: str) -> BackfillRow | None:
    """The backfill, for this transaction alone; None: another has it, or it is gone."""
    row = await (await connection.execute(_TAKE, (backfill,))).fetchone()
    return None if row is None else _row_of(row)


async def open_backfill(
    connection: Connection, backfill: str, uid: str | None, slots: Sequence[BackfillSlot], problem: str = ""
) -> None:
    """Lists its slots; with a ``problem`` it has none, and is over."""
    await connection.execute(_OPEN, (backfill, uid, "problem" if problem else "open", problem))
    if slots:
        columns = [[one.slot for one in slots], [one.action for one in slots], [one.flow for one in slots]]
        await connection.execute(_ADD_SLOTS, (backfill, *columns))


async def list_backfill_slots(
    connection: Connection, backfill: str, *, after: datetime | None = None, limit: int
) -> list[BackfillSlot]:
    """Its slots, the oldest first."""
    rows = await (await connection.execute(_SLOTS, (backfill, after, after, limit))).fetchall()
    return [_slot_of(row) for row in rows]


async def slots_under_way(connection: Connection, backfill: str) -> list[SlotUnderWay]:
    """Those that are worked on."""
    return [
        SlotUnderWay(
            slot=_slot_of(row[:6]),
            status=None if row[6] is None else int(row[6]),
            has_ended=bool(row[7]),
            is_cancelled=bool(row[8]),
            version=row[9],
        )
        for row in await (await connection.execute(_UNDER_WAY, (backfill,))).fetchall()
    ]


async def next_slots(
    connection: Connection, backfill: str, *, newest_first: bool, limit: int
) -> list[BackfillSlot]:
    """Those that wait, as many as may begin."""
    values = {"id": backfill, "newest": newest_first, "limit": limit}
    return [_slot_of(row) for row in await (await connection.execute(_NEXT, values)).fetchall()]


async def send_backfill_slot(connection: Connection, backfill: str, slot: BackfillSlot) -> bool:
    """Notes that a slot that waits is being sent; False: it does not wait any more."""
    values = (slot.flow, backfill, slot.slot)
    return (await connection.execute(_SEND_SLOT, values)).rowcount == 1


async def set_backfill_slot(connection: Connection, backfill: str, slot: BackfillSlot) -> None:
    """Notes what became of a slot."""
    await connection.execute(_SET_SLOT, {"id": backfill, **msgspec.structs.asdict(slot)})


async def set_backfill_state(connection: Connection, backfill: str, state: str, problem: str = "") -> None:
    """How it stands: ``open`` (with what keeps it), ``finished``, ``cancelled`` or ``problem``."""
    await connection.execute(_SET_STATE, {"id": backfill, "state": state, "problem": problem})


async def change_backfill(
    connection: Connection,
    backfill: str,
    *,
    is_paused: bool | None = None,
    is_cancelled: bool | None = None,
    reason: str = "",
) -> bool:
    """Pauses, resumes or cancels it; False: there is none."""
    values = {"id": backfill, "is_paused": is_paused, "is_cancelled": is_cancelled, "reason": reason}
    return (await connection.execute(_CHANGE, values)).rowcount == 1


async def fired_slots(connection: Connection, uid: str, first: datetime, last: datetime) -> list[FiredSlot]:
    """The slots of a range that have a flow, whoever fired them."""
    rows = await (await connection.execute(_FATES, (uid, first, last))).fetchall()
    return [
        FiredSlot(slot, flow, None if status is None else int(status), bool(ended), bool(cancelled))
        for slot, flow, status, ended, cancelled in rows
    ]


def _row_of(row: Sequence[object]) -> BackfillRow:
    return BackfillRow(**dict(zip(BackfillRow.__struct_fields__, row, strict=True)))  # pyright: ignore[reportArgumentType]


def _slot_of(row: Sequence[object]) -> BackfillSlot:
    return BackfillSlot(**dict(zip(BackfillSlot.__struct_fields__, row, strict=True)))  # pyright: ignore[reportArgumentType]
