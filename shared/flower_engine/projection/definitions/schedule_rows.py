"""The table ``ms_schedule``: read for watchers and for people; what a row cannot mean is said of that row.

People write it with SQL. A row that makes no sense is a schedule with problems, which does not fire, and
stands in the way of no other.
"""

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from flower_engine.errors import DefinitionError
from flower_engine.model.definitions.child_plans import Pinned
from flower_engine.model.definitions.definition import Keying, WorkflowDefinition
from flower_engine.model.definitions.workflow_versions import Version, version_of
from flower_engine.model.values.times import BOUNDS, is_time
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.definition_rows import read_workflows
from flower_engine.projection.definitions.version_rows import keep_version
from flower_engine.schedules.problem import Problem
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.schedule_problems import MAX_PARAMETERS_BYTES, problems
from flower_engine.schedules.when_problems import MAX_CALENDAR_DAYS

_MOST_SHOWN = 1_000  # characters of a text that cannot be right anyway

_DAY = "to_char(day, 'YYYY-MM-DD')"
_SHOWN_DAYS = f"day BETWEEN '1970-01-01' AND '9899-12-31' ORDER BY day DESC LIMIT {MAX_CALENDAR_DAYS}"
_DAYS = f"SELECT {_DAY} FROM ms_calendar WHERE name = %s AND {_SHOWN_DAYS}".encode()  # noqa: S608
_NAMES = "SELECT name FROM ms_schedule ORDER BY name LIMIT 5000"
_ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_NEWEST = "SELECT version FROM kr_schedule_version"
_TIMES = ", ".join(f"floor(extract(epoch FROM {name}) * 1000)" for name in ("at", "anchor", "starts", "ends"))
_COLUMNS = f"""
uid::text, name, version, floor(extract(epoch FROM changed_ts) * 1000)::bigint, task_id,
left(cron, {_MOST_SHOWN}), every_seconds, left(timezone, {_MOST_SHOWN}), {_TIMES},
CASE WHEN length(parameters::text) <= {MAX_PARAMETERS_BYTES} THEN parameters::text WHEN parameters IS NOT NULL
    THEN '' END,
left(overlap, {_MOST_SHOWN}), left(catch_up, {_MOST_SHOWN}), window_seconds, max_catch_up, jitter_seconds,
CASE WHEN length(except_dates::text) <= 200000 THEN except_dates::text WHEN except_dates IS NOT NULL
    THEN '' END,
left(calendar, {_MOST_SHOWN}),
ARRAY(SELECT {_DAY} FROM ms_calendar AS own WHERE own.name = ms_schedule.calendar AND {_SHOWN_DAYS}),
is_paused, left(reason, {_MOST_SHOWN}), pause_after_failures, priority, source, changed_by,
created_ts, changed_ts
"""  # noqa: S608
_SINCE = f"SELECT {_COLUMNS} FROM ms_schedule WHERE version > %s ORDER BY version, name".encode()  # noqa: S608
_DELETED = "SELECT uid::text, name, version FROM kr_schedule_deleted WHERE version > %s ORDER BY version"
_NAMED = f"SELECT {_COLUMNS} FROM ms_schedule WHERE name = ANY(%s) ORDER BY name".encode()  # noqa: S608
_LIST = f"""
SELECT {_COLUMNS} FROM ms_schedule
WHERE (%(after)s::text IS NULL OR name > %(after)s) AND (%(task_id)s::text IS NULL OR task_id = %(task_id)s)
ORDER BY name LIMIT %(limit)s
""".encode()  # noqa: S608
_NOT_KEPT = """
SELECT wanted.task_id FROM unnest(%s::text[], %s::text[]) AS wanted (task_id, hash)
WHERE wanted.hash IS DISTINCT FROM (SELECT kept.hash FROM ms_workflow_version AS kept
    WHERE kept.task_id = wanted.task_id ORDER BY kept.used_ts DESC, kept.number DESC LIMIT 1)
"""
_PAUSE = """
UPDATE ms_schedule SET is_paused = true, reason = %(reason)s, changed_by = %(by)s
WHERE uid = %(uid)s::text::uuid AND NOT is_paused AND version <= %(version)s
"""

_RAISE = "UPDATE kr_schedule_version SET version = %(beyond)s WHERE version < %(beyond)s"
_RENEW = "UPDATE ms_schedule SET name = name WHERE uid::text = ANY(%s)"
_RENEW_OF = "UPDATE ms_schedule SET name = name WHERE task_id = ANY(%s)"


class ScheduleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row. ``schedule``: as it fires, if nothing is wrong with it; ``problems``: what is. Its workflow is
    not looked at: see :class:`ScheduledWorkflow`. ``changed_ms``: since when it fires as it does."""

    uid: str
    name: str
    workflow: str
    version: int
    changed_ms: int
    schedule: Schedule
    problems: tuple[Problem, ...]
    source: str | None
    changed_by: str
    created_ts: Any
    changed_ts: Any


class DeletedSchedule(msgspec.Struct, frozen=True):
    """A schedule that is there no more."""

    uid: str
    name: str
    version: int


class ScheduledWorkflow(msgspec.Struct, frozen=True, kw_only=True):
    """What flows of a schedule are made of. ``canonical``: the definition as its hash has it
    (``model/definitions/workflow_versions.py``); ``problem``: why none can be made, "" where they can.
    ``tree``: the versions of all workflows below it (empty: it has no children, or an older version wrote
    this, and each child is of the version that stands when it begins)."""

    name: str
    hash: str = ""
    canonical: str = ""
    keying: Keying = Keying()
    problem: str = ""
    tree: dict[str, Pinned] = {}


class ScheduleChanges(msgspec.Struct, frozen=True):
    """What has changed since a version, all of it of one moment; ``version`` is the newest then."""

    version: int
    rows: list[ScheduleRow]
    deleted: list[DeletedSchedule]
    workflows: dict[str, ScheduledWorkflow]


async def read_schedule_changes(connection: Connection, after: int) -> ScheduleChanges:
    """The schedules that were made, changed or deleted since; 0: all there are.

    A schedule is new, too, where its calendar, its workflow's definition or what tells its flows apart has
    changed. The caller is in no transaction.
    """
    async with connection.transaction():
        await connection.execute(_ONE_MOMENT)
        version = await read_newest_version(connection)
        if version == after:
            return ScheduleChanges(version, [], [], {})
        found = await (await connection.execute(_SINCE, (after,))).fetchall()
        gone = await (await connection.execute(_DELETED, (after,))).fetchall()
        rows = [_row_of(row) for row in found]
        workflows = await read_scheduled_workflows(connection, {row.workflow for row in rows})
    return ScheduleChanges(version, rows, [DeletedSchedule(*one) for one in gone], workflows)


async def read_newest_version(connection: Connection) -> int:
    """The version of the last change of any schedule."""
    row = await (await connection.execute(_NEWEST)).fetchone()
    return int(row[0]) if row else 0


async def read_scheduled_workflows(
    connection: Connection, names: Collection[str]
) -> dict[str, ScheduledWorkflow]:
    """What flows of these workflows are made of; one that is not defined has a problem."""
    found = await read_workflows(connection, sorted(names))
    return {name: _workflow_of(name, definition) for name, definition in found.items()}


async def keep_versions(connection: Connection, workflows: Iterable[ScheduledWorkflow]) -> None:
    """Keeps the versions of rows that were edited with SQL, so that flows of schedules name what is kept."""
    usable = [one for one in workflows if one.hash]
    names, hashes = [one.name for one in usable], [one.hash for one in usable]
    rows = await (await connection.execute(_NOT_KEPT, (names, hashes))).fetchall()
    missing = {name for (name,) in rows}
    for one in usable:
        if one.name in missing:
            await keep_version(connection, one.name, Version(one.hash, one.canonical))


async def read_schedules(connection: Connection, names: Sequence[str]) -> list[ScheduleRow]:
    """The schedules of these names, those that there are, by name."""
    return [_row_of(row) for row in await (await connection.execute(_NAMED, (list(names),))).fetchall()]


async def list_schedule_names(connection: Connection) -> list[str]:
    """The names of schedules, 5,000 at most."""
    return [name for (name,) in await (await connection.execute(_NAMES)).fetchall()]


async def read_days(connection: Connection, calendar: str) -> tuple[str, ...]:
    """The days of a calendar, in order, as a schedule has them; none: nobody knows it."""
    rows = await (await connection.execute(_DAYS, (calendar,))).fetchall()
    return tuple(sorted(day for (day,) in rows))


async def list_schedules(
    connection: Connection, *, after: str | None, workflow: str | None, limit: int
) -> list[ScheduleRow]:
    """Up to ``limit`` schedules, of one workflow if it is given, whose names sort after ``after``."""
    values = {"after": after, "task_id": workflow, "limit": limit}
    return [_row_of(row) for row in await (await connection.execute(_LIST, values)).fetchall()]


async def pause_schedule(connection: Connection, uid: str, version: int, reason: str, by: str) -> bool:
    """Pauses a schedule for its failures; False where somebody has changed, paused or deleted it since that
    version: what a person did counts more."""
    values = {"uid": uid, "version": version, "reason": reason, "by": by}
    return (await connection.execute(_PAUSE, values)).rowcount == 1


async def renew_schedules_of(connection: Connection, workflows: Sequence[str]) -> None:
    """Makes the schedules of these workflows new: something below these is another one."""
    await connection.execute(_RENEW_OF, [list(workflows)])


async def renew_versions(connection: Connection, uids: Sequence[str], beyond: int) -> bool:
    """Gives these schedules versions beyond one that the table should have known, as it went back in time;
    False: it knows that version by now."""
    async with connection.transaction():
        raised = await connection.execute(_RAISE, {"beyond": beyond})
        if raised.rowcount == 1:
            await connection.execute(_RENEW, [list(uids)])
    return raised.rowcount == 1


def _workflow_of(name: str, read: WorkflowDefinition | DefinitionError | None) -> ScheduledWorkflow:
    if read is None:
        return ScheduledWorkflow(name=name, problem=f"workflow {name!r} is not defined")
    if isinstance(read, DefinitionError):
        return ScheduledWorkflow(name=name, problem=str(read))
    version = version_of(read)
    programs = {task.program for task in read.tasks}
    keying = msgspec.structs.replace(
        read.keying,
        programs={program: by for program, by in read.keying.programs.items() if program in programs},
    )
    return ScheduledWorkflow(name=name, hash=version.hash, canonical=version.canonical, keying=keying)


def _row_of(row: Sequence[Any]) -> ScheduleRow:
    uid, name, version, changed_ms, workflow, *said = row
    cron, every, timezone, at, anchor, starts, ends, parameters, *said = said
    overlap, catch_up, window, max_catch_up, jitter, except_dates, calendar, days, *said = said
    is_paused, reason, pause_after_failures, priority, source, changed_by, created_ts, changed_ts = said
    read = _Reading()
    schedule = Schedule(
        name=name,
        uid=uid,
        task_id=workflow,
        cron=cron,
        every_seconds=every,
        at_ms=read.time("at_ms", at),
        anchor_ms=read.time("anchor_ms", anchor),
        timezone=timezone,
        starts_ms=read.time("starts_ms", starts),
        ends_ms=read.time("ends_ms", ends),
        parameters=read.parameters(parameters),
        overlap=overlap,
        catch_up=catch_up,
        window_seconds=window,
        max_catch_up=max_catch_up,
        jitter_seconds=jitter,
        except_dates=read.dates(except_dates),
        calendar=calendar,
        calendar_days=tuple(sorted(days)),
        is_paused=is_paused,
        reason=reason or None,
        pause_after_failures=pause_after_failures,
        priority=priority,
    )
    told = {problem.field for problem in read.problems}
    found = [*read.problems, *(problem for problem in problems(schedule) if problem.field not in told)]
    return ScheduleRow(
        uid=uid,
        name=name,
        workflow=workflow,
        version=version,
        changed_ms=changed_ms,
        schedule=schedule,
        problems=tuple(found),
        source=source,
        changed_by=changed_by,
        created_ts=created_ts,
        changed_ts=changed_ts,
    )


class _Reading:
    """Values of columns that need a hand; of one that makes no sense the problem is kept, and something
    harmless taken."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def time(self, field: str, ms: Decimal | None) -> int | None:
        if ms is None:
            return None
        if ms.is_finite() and is_time(int(ms)):
            return int(ms)
        self._fail(field, f"times are from {BOUNDS}, in UTC")
        return 0

    def parameters(self, text: str | None) -> dict[str, Any]:
        if text is None or text == "null":
            return {}
        if text == "":
            self._fail("parameters", f"they take more than {MAX_PARAMETERS_BYTES} bytes")
            return {}
        try:
            return msgspec.json.decode(text, type=dict[str, Any])
        except (ValueError, RecursionError):
            self._fail("parameters", "it is no JSON object that can be understood")
            return {}

    def dates(self, text: str | None) -> tuple[str, ...]:
        if text is None or text == "null":
            return ()
        try:
            return tuple(msgspec.json.decode(text, type=list[str]))
        except (ValueError, RecursionError):
            self._fail("except_dates", 'it is no list of days, as ["2026-12-25"]')
            return ()

    def _fail(self, field: str, message: str) -> None:
        self.problems.append(Problem(field, message))
