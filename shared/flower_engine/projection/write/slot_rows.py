"""The rows of ``kr_schedule`` and ``kr_schedule_slot``: how they stand after a batch, written whole.

A batch tells of few schedules, so what the tables hold of them, and of the slots that it names, is read
first; what the events make of that is worked out here, and counts what is new once, however often it is told.
"""

from collections.abc import Sequence
from typing import LiteralString

import msgspec

from flower_engine.model.events.schedule_events import ScheduleEvent
from flower_engine.model.folding.schedule_state import Fate, ScheduleState, apply
from flower_engine.projection.database import Connection
from flower_engine.projection.write.columns import (
    BIGINT,
    ID,
    INTEGER,
    TEXT,
    TIME,
    WORD,
    Column,
    Kind,
    arrays_function,
)

Told = tuple[int, ScheduleEvent]
"""An event of a schedule, and the millisecond of its position."""

_COUNTED = ("fired", "skipped", "missed")
_KEYS_AT_ONCE = 10_000

_SCHEDULES: LiteralString = """
SELECT uid::text, name, version, state, problem, (extract(epoch FROM cursor) * 1000)::bigint, failures,
  (extract(epoch FROM last_slot) * 1000)::bigint, coalesce(last_flow, ''), fired, skipped, missed
FROM {0}kr_schedule WHERE uid = ANY(%s::uuid[])
"""
_SLOTS: LiteralString = """
SELECT held.uid::text, (extract(epoch FROM held.slot) * 1000)::bigint, held.backfill, held.state, held.count
FROM unnest(%s::uuid[], %s::bigint[], %s::text[]) AS named (uid, slot, backfill)
JOIN {0}kr_schedule_slot AS held ON held.uid = named.uid AND held.backfill = named.backfill
  AND held.slot = to_timestamp(named.slot / 1000.0)
"""


class ScheduleRow(msgspec.Struct, kw_only=True):
    """A row of ``kr_schedule``, less what retention wrote there."""

    state: ScheduleState
    partition: int
    fired: int = 0
    skipped: int = 0
    missed: int = 0


class SlotRow(msgspec.Struct, frozen=True):
    """A row of ``kr_schedule_slot``."""

    uid: str
    fate: Fate
    position_ms: int


def _told(name: LiteralString, kind: Kind, value: str, *, may_be_null: bool = False) -> Column:
    return Column(name, kind, sent=value, may_be_null=may_be_null)


_SCHEDULE_COLUMNS = (
    _told("uid", TEXT, "row.state.uid"),
    _told("partition", INTEGER, "row.partition"),
    _told("name", TEXT, "row.state.name"),
    _told("version", BIGINT, "row.state.version"),
    _told("state", WORD, "row.state.state"),
    _told("problem", TEXT, "row.state.problem"),
    _told("cursor", TIME, "row.state.cursor"),
    _told("last_slot", TIME, "row.state.last_slot", may_be_null=True),
    _told("last_flow", ID, "row.state.last_flow or None", may_be_null=True),
    _told("fired", BIGINT, "row.fired"),
    _told("skipped", BIGINT, "row.skipped"),
    _told("missed", BIGINT, "row.missed"),
    _told("failures", INTEGER, "row.state.failures"),
)
_SLOT_COLUMNS = (
    _told("uid", TEXT, "row.uid"),
    _told("slot", TIME, "row.fate.slot"),
    _told("backfill", WORD, "row.fate.backfill"),
    _told("until", TIME, "row.fate.until"),
    _told("count", INTEGER, "row.fate.count"),
    _told("state", WORD, "row.fate.state"),
    _told("reason", WORD, "row.fate.reason"),
    _told("detail", TEXT, "row.fate.detail"),
    _told("flow", ID, "row.fate.flow"),
    _told("late_ms", BIGINT, "row.fate.late_ms"),
    _told("decided_ts", TIME, "row.fate.decided_ms"),
    _told("position_ms", BIGINT, "row.position_ms"),
)
SCHEDULE_KEY: tuple[LiteralString, ...] = ("uid",)
SLOT_KEY: tuple[LiteralString, ...] = ("uid", "slot", "backfill")
SCHEDULE_COLUMNS: tuple[LiteralString, ...] = tuple(column.name for column in _SCHEDULE_COLUMNS)
SLOT_COLUMNS: tuple[LiteralString, ...] = tuple(column.name for column in _SLOT_COLUMNS)


def _statement(
    table: LiteralString, columns: Sequence[Column], keys: Sequence[LiteralString]
) -> LiteralString:
    names: LiteralString = ", ".join(column.name for column in columns)
    arrays: LiteralString = ", ".join("%b::" + column.kind.sql + "[]" for column in columns)
    values: LiteralString = ", ".join(
        "told.uid::uuid" if column.name == "uid" else "told." + column.name for column in columns
    )
    becomes: LiteralString = ", ".join(
        column.name + " = excluded." + column.name for column in columns if column.name not in keys
    )
    into: LiteralString = "INSERT INTO {0}" + table + " AS known (" + names + ") SELECT " + values
    told: LiteralString = " FROM unnest(" + arrays + ") AS told (" + names + ")"
    return into + told + " ON CONFLICT (" + ", ".join(keys) + ") DO UPDATE SET " + becomes


_WRITE_SCHEDULES = _statement("kr_schedule", _SCHEDULE_COLUMNS, SCHEDULE_KEY)
_WRITE_SLOTS = _statement("kr_schedule_slot", _SLOT_COLUMNS, SLOT_KEY)
_schedule_arrays = arrays_function(_SCHEDULE_COLUMNS, "row")
_slot_arrays = arrays_function(_SLOT_COLUMNS, "row")


async def write_schedules(
    connection: Connection, told: Sequence[Told], partition: int, target: LiteralString = ""
) -> None:
    """Adds events of schedules of one partition, in log order, to the tables of the target; call it in a
    transaction in which nobody else writes there."""
    if not told:
        return
    rows = await _known_schedules(
        connection, sorted({event.schedule for _, event in told}), partition, target
    )
    changed: dict[tuple[str, int, str], SlotRow] = {}
    for ms, event in told:
        row = rows.setdefault(
            event.schedule, ScheduleRow(state=ScheduleState(uid=event.schedule), partition=partition)
        )
        row.state.fates = {}
        apply(row.state, event)
        for fate in row.state.fates.values():
            changed[event.schedule, fate.slot, fate.backfill] = SlotRow(event.schedule, fate, ms)
    known = await _known_fates(connection, list(changed), target)
    for key, slot in changed.items():
        row = rows[slot.uid]
        for (state, count), sign in ((known.get(key, ("", 0)), -1), ((slot.fate.state, slot.fate.count), 1)):
            if state in _COUNTED:
                setattr(row, state, getattr(row, state) + sign * count)
    await connection.execute(_WRITE_SCHEDULES.format(target), _schedule_arrays(list(rows.values())))
    if changed:
        await connection.execute(_WRITE_SLOTS.format(target), _slot_arrays(list(changed.values())))


async def _known_schedules(
    connection: Connection, uids: list[str], partition: int, target: LiteralString
) -> dict[str, ScheduleRow]:
    rows: dict[str, ScheduleRow] = {}
    async for row in await connection.execute(_SCHEDULES.format(target), [uids]):
        uid, name, version, state, problem, cursor, failures, last_slot, last_flow, *counts = row
        standing = ScheduleState(
            uid=uid,
            name=name,
            version=version,
            state=state,
            problem=problem,
            cursor=cursor,
            failures=failures,
            last_slot=last_slot,
            last_flow=last_flow,
        )
        rows[uid] = ScheduleRow(
            state=standing, partition=partition, fired=counts[0], skipped=counts[1], missed=counts[2]
        )
    return rows


async def _known_fates(
    connection: Connection, keys: list[tuple[str, int, str]], target: LiteralString
) -> dict[tuple[str, int, str], tuple[str, int]]:
    found: dict[tuple[str, int, str], tuple[str, int]] = {}
    for first in range(0, len(keys), _KEYS_AT_ONCE):
        some = keys[first : first + _KEYS_AT_ONCE]
        values = [list(column) for column in zip(*some, strict=True)]
        async for uid, slot, backfill, state, count in await connection.execute(
            _SLOTS.format(target), values
        ):
            found[uid, slot, backfill] = (state, count)
    return found
