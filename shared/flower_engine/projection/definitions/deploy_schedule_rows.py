"""Schedules of a deploy: compared with the rows that stand, and written in the transaction of the deploy."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import msgspec

from flower_engine.model.definitions.definition_differences import Difference, field_differences
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.schedule_changes import (
    ScheduleOrigin,
    delete_schedule,
    insert_schedule,
    read_schedule_origins,
    update_schedule,
)
from flower_engine.projection.definitions.schedule_rows import ScheduleRow, read_schedules
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.schedule_document import (
    ScheduleDocument,
    canonical_schedule,
    fault_of,
    plain_schedule,
)

_BROUGHT_BY = "SELECT name FROM ms_schedule WHERE source = %s ORDER BY name"


class PlannedSchedule(msgspec.Struct, kw_only=True):
    """What a deploy does to a schedule, or would do; the fields are those of a workflow's ``PlannedChange``.
    A pause, and what became of slots, is not looked at."""

    schedule: str
    workflow: str
    action: Literal["new", "changed", "unchanged", "pruned"]
    hash: str | None
    standing: str | None
    differences: list[Difference] = []
    drift: list[Difference] = []
    origin: ScheduleOrigin | None = None
    problem: str = ""


async def planned_schedules(
    connection: Connection, source: str, schedules: Sequence[Schedule], *, prune: bool
) -> list[PlannedSchedule]:
    """What becomes of each, in the order given, those that the deploy prunes at the end."""
    named = {schedule.name for schedule in schedules}
    brought = await (await connection.execute(_BROUGHT_BY, (source,))).fetchall() if prune else []
    gone = [name for (name,) in brought if name not in named]
    names = [*named, *gone]
    standing = {row.name: row for row in await read_schedules(connection, names)}
    origins = await read_schedule_origins(connection, names)
    changes = [
        _change(schedule, standing.get(schedule.name), origins.get(schedule.name)) for schedule in schedules
    ]
    return [*changes, *(_pruned(standing[name], origins.get(name)) for name in gone)]


async def carry_out_schedules(
    connection: Connection,
    source: str,
    schedules: Sequence[Schedule],
    changes: Collection[PlannedSchedule],
    by: str,
) -> None:
    """Does what was planned, in the transaction that it was planned in."""
    by_name: Mapping[str, Schedule] = {schedule.name: schedule for schedule in schedules}
    for change in changes:
        if change.action == "pruned":
            await delete_schedule(connection, change.schedule)
        elif change.action == "new":
            await insert_schedule(connection, by_name[change.schedule], by, source=source)
        elif change.action == "changed":
            await update_schedule(connection, by_name[change.schedule], by, source=source)


def _change(schedule: Schedule, row: ScheduleRow | None, origin: ScheduleOrigin | None) -> PlannedSchedule:
    wanted = ScheduleDocument.of(schedule)
    change = PlannedSchedule(
        schedule=schedule.name,
        workflow=schedule.task_id,
        action="new" if row is None else "changed",
        hash=_hash(wanted),
        standing=None if row is None else _token(row),
        origin=origin,
    )
    if row is not None:
        change.problem = _problem(row)
        if change.standing == change.hash:
            change.action = "unchanged"
        else:
            change.differences = field_differences(_plain(row), plain_schedule(wanted))
    change.drift = _drift(row, origin)
    return change


def _pruned(row: ScheduleRow, origin: ScheduleOrigin | None) -> PlannedSchedule:
    return PlannedSchedule(
        schedule=row.name,
        workflow=row.workflow,
        action="pruned",
        hash=None,
        standing=_token(row),
        origin=origin,
        problem=_problem(row),
        drift=_drift(row, origin),
    )


def _drift(row: ScheduleRow | None, origin: ScheduleOrigin | None) -> list[Difference]:
    """What SQL changed since the API wrote the schedule last."""
    if origin is None:
        return []
    if row is None:
        return [Difference("removed", "its row was deleted with SQL")]
    written: dict[str, Any] = msgspec.json.decode(origin.definition)
    return field_differences(written, _plain(row))


def _plain(row: ScheduleRow) -> dict[str, Any]:
    return plain_schedule(ScheduleDocument.of(row.schedule))


def _token(row: ScheduleRow) -> str:
    """The hash of its document; of one that nobody can understand, what changes with each edit."""
    return f"unreadable-{row.version}" if row.problems else _hash(ScheduleDocument.of(row.schedule))


def _hash(document: ScheduleDocument) -> str:
    return hashlib.sha256(canonical_schedule(document).encode()).hexdigest()


def _problem(row: ScheduleRow) -> str:
    return "; ".join(fault_of(problem).detail for problem in row.problems)
