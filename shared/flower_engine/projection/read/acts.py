"""What people did, the newest first: to flows, as archived events tell; to all else, as ``kr_audit`` does.

An index holds events of people and no others, by kind; a page reads the newest of each kind and puts them in
order. What an event says of many tasks is counted, and what they hold is left out.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg.sql import SQL, Composable, Identifier, Literal

from flower_engine.model.events.event_base import Ranges
from flower_engine.model.values.times import ms_of
from flower_engine.projection.database import Connection
from flower_engine.projection.read.view_fields import Moment, View, moment

EVENTS = (
    "flow.registered",
    "flow.rerun",
    "flow.cancelled",
    "flow.ending",
    "flow.paused",
    "flow.resumed",
    "flow.prioritised",
    "flow.signalled",
    "task.ignored",
    "tasks.ignored",
    "task.unignored",
    "task.voted",
    "task.answered",
)
"""The events that people cause; migration 0051 has an index of them."""
_ENGINE = ("", "time", "timeout", "on_failure", "parent")
GROUPS = (
    "flow",
    "task",
    "bulk",
    "workflow",
    "schedule",
    "calendar",
    "backfill",
    "limit",
    "strike",
    "hook",
    "signal",
    "link",
    "session",
    "partition",
    "access",
    "engine",
)
"""What an act begins with."""
_MOST_LOOKED_AT = 10_000
_LEFT_OUT = ("bodies", "parameters", "keys", "result", "payload", "answer", "definition")  # they may be large

_PEOPLES = SQL(
    "held.type IN ({types}) AND {refused} held.event ->> 'by' NOT IN ({engine})"
    " AND (held.type <> 'task.answered' OR held.event ? 'signal'"
    " OR held.event -> 'result' ?& ARRAY['answer', 'by', 'at']){end}"
)  # as the index has it: else it is not used
_READ_EVENTS = SQL("""
SELECT told.position_ms, told.partition, told.position_seq, told.type, told.task_flow_id, flow.task_id,
  CASE WHEN told.type = 'flow.registered' AND flow.registered_by IS NOT NULL
    THEN convert_to(json_build_object('by', flow.registered_by, 'count', flow.tasks)::text, 'UTF8')
    WHEN told.event IS NULL THEN told.raw
    ELSE convert_to((told.event - %(left_out)s::text[])::text, 'UTF8')
  END
FROM unnest(%(types)s::text[]) AS asked (type) CROSS JOIN LATERAL (
  SELECT * FROM kr_event AS held WHERE held.type = asked.type AND {conditions}
  ORDER BY held.position_ms DESC, held.partition DESC, held.position_seq DESC LIMIT %(limit)s
) AS told LEFT JOIN kr_flow_stat AS flow ON flow.task_flow_id = told.task_flow_id
ORDER BY told.position_ms DESC, told.partition DESC, told.position_seq DESC LIMIT %(limit)s
""")
_READ_REST = SQL("""
SELECT at_ms, id, act, flow, task_id, by, name, reason, details::text FROM kr_audit AS held
WHERE {conditions} ORDER BY at_ms DESC, id DESC LIMIT %(limit)s
""")


class ActCursor(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Where the list goes on: behind this one. ``source`` 0: of an event, with its partition and the second
    number of its position; 1: of ``kr_audit``, with its id."""

    ms: int
    source: int
    first: int
    second: int


class ActFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which acts are meant; None and () mean all. ``what``: acts, or what they begin with."""

    by: str | None = None
    what: tuple[str, ...] = ()
    flow: str | None = None
    workflow: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Act(View, kw_only=True):
    """Somebody did something. ``act``: the event's type, or as `schedule.paused`; ``name``: of what that was
    done to, where it is no flow; ``tasks``: how many, of an operation on several. ``details`` of a change:
    what is otherwise, each with the value before and now."""

    at: Moment
    by: str
    act: str
    task_flow_id: str | None = None
    task_id: str | None = None
    task: int | None = None
    tasks: int | None = None
    name: str | None = None
    reason: str = ""
    details: Any = None


class _Told(msgspec.Struct):
    """What is read of an event."""

    by: str = ""
    reason: str = ""
    task: int | None = None
    count: int | None = None
    tasks: list[Any] | None = None
    name: str | None = None
    priority: int | None = None
    cause: str | None = None
    forked_from: str | None = None
    finished: list[int] = []
    ignored: list[int] = []
    suspended: list[int] = []
    waiting: list[int] = []
    running: list[int] = []
    ranges: Ranges = ()
    held: Ranges = ()
    workflow: str | None = None


_decode = msgspec.json.Decoder(_Told).decode


async def list_acts(
    connection: Connection, asked: ActFilter, *, behind: ActCursor | None, limit: int
) -> tuple[list[Act], ActCursor | None]:
    """Up to ``limit`` acts, the newest first, and where the list goes on, if it does.

    Which workflow an act concerned its flow's row says, so for one workflow the acts of all are looked
    through: a page of 10,000 at most, and it may be short or empty.
    """
    found: list[Act] = []
    left = _MOST_LOOKED_AT
    while True:
        page = await _page(connection, asked, behind, limit + 1)
        left -= len(page)
        for place, act in page:
            if asked.workflow in (None, act.task_id) and act.by not in _ENGINE:
                if len(found) == limit:
                    return found, behind
                found.append(act)
            behind = place
        if len(page) <= limit:
            return found, None
        if left <= 0:
            return found, behind


async def _page(
    connection: Connection, asked: ActFilter, behind: ActCursor | None, limit: int
) -> list[tuple[ActCursor, Act]]:
    """The next so many, whatever their workflow. An event that Postgres refused may
    be one of the engine."""
    found: list[tuple[ActCursor, Act]] = []
    types = [one for one in EVENTS if _is_meant(one, asked.what)]
    if types:
        found += await _events(connection, types, asked, behind, limit)
    if not asked.what or any(one not in EVENTS for one in asked.what):
        found += await _rest(connection, asked, behind, limit)
    found.sort(key=lambda one: one[0], reverse=True)
    return found[:limit]


def _is_meant(act: str, what: Sequence[str]) -> bool:
    return not what or act in what or act.partition(".")[0].removesuffix("s") in what  # tasks: of many


async def _events(
    connection: Connection, types: list[str], asked: ActFilter, behind: ActCursor | None, limit: int
) -> list[tuple[ActCursor, Act]]:
    conditions, values = _conditions(asked, "position_ms", "task_flow_id")
    refused, end = (SQL(""), SQL("")) if asked.by is not None else (SQL("(held.event IS NULL OR"), SQL(")"))
    comma = SQL(", ")
    conditions.append(
        _PEOPLES.format(
            types=comma.join(map(Literal, EVENTS)),
            refused=refused,
            engine=comma.join(map(Literal, _ENGINE)),
            end=end,
        )
    )
    if asked.by is not None:
        conditions.append(SQL("held.event ->> 'by' = %(by)s"))
    if behind is not None and behind.source == 0:
        conditions.append(
            SQL("(held.position_ms, held.partition, held.position_seq) < (%(ms)s, %(first)s, %(second)s)")
        )
    elif behind is not None:
        conditions.append(SQL("held.position_ms <= %(ms)s"))
    values |= {**_place(behind), "types": types, "limit": limit, "left_out": list(_LEFT_OUT)}
    statement = _READ_EVENTS.format(conditions=SQL(" AND ").join(conditions))
    rows = await (await connection.execute(statement, values)).fetchall()
    found: list[tuple[ActCursor, Act]] = []
    for ms, partition, seq, kind, flow, workflow, raw in rows:
        act = _act_of(ms, kind, flow, workflow, bytes(raw or b""))
        found.append((ActCursor(ms, 0, partition, seq), act))
    return found


def _act_of(ms: int, kind: str, flow: str, workflow: str | None, raw: bytes) -> Act:
    try:
        told = _decode(raw)
    except (ValueError, RecursionError):  # Postgres refused it, and it is no event of ours
        told = _Told(by="?")
    lists = (told.finished, told.ignored, told.suspended, told.waiting, told.running)
    runs = sum(last - first + 1 for first, last in (*told.ranges, *told.held))
    many = sum(map(len, lists)) + runs or (len(told.tasks) if told.tasks else None)
    details = {
        name: value
        for name in ("priority", "cause", "forked_from")
        if (value := getattr(told, name)) is not None
    }
    return Act(
        at=moment(ms),
        by=told.by,
        act=kind,
        task_flow_id=flow,
        task_id=workflow or told.workflow,
        task=told.task,
        tasks=told.count or many,
        name=told.name,
        reason=told.reason,
        details=details or None,
    )


async def _rest(
    connection: Connection, asked: ActFilter, behind: ActCursor | None, limit: int
) -> list[tuple[ActCursor, Act]]:
    conditions, values = _conditions(asked, "at_ms", "flow")
    if asked.by is not None:
        conditions.append(SQL("held.by = %(by)s"))
    if asked.what:
        conditions.append(SQL("(held.act = ANY(%(what)s) OR split_part(held.act, '.', 1) = ANY(%(what)s))"))
        values["what"] = list(asked.what)
    if asked.workflow is not None:
        conditions.append(SQL("held.task_id = %(workflow)s"))
    if behind is not None and behind.source == 1:
        conditions.append(SQL("(held.at_ms, held.id) < (%(ms)s, %(first)s)"))
    elif behind is not None:
        conditions.append(SQL("held.at_ms < %(ms)s"))
    values |= {**_place(behind), "limit": limit, "workflow": asked.workflow}
    statement = _READ_REST.format(conditions=SQL(" AND ").join(conditions))
    rows = await (await connection.execute(statement, values)).fetchall()
    return [
        (
            ActCursor(ms, 1, number, 0),
            Act(
                at=moment(ms),
                by=by,
                act=act,
                task_flow_id=flow,
                task_id=workflow,
                name=name,
                reason=reason,
                details=None if details is None else msgspec.json.decode(details),
            ),
        )
        for ms, number, act, flow, workflow, by, name, reason, details in rows
    ]


def _conditions(asked: ActFilter, ms: str, flow: str) -> tuple[list[Composable], dict[str, Any]]:
    conditions: list[Composable] = [SQL("true")]
    values: dict[str, Any] = {"by": asked.by}
    if asked.flow is not None:
        conditions.append(SQL("held.{} = %(flow)s").format(Identifier(flow)))
        values["flow"] = asked.flow
    if asked.since is not None:
        conditions.append(SQL("held.{} >= %(since)s").format(Identifier(ms)))
        values["since"] = ms_of(asked.since)
    if asked.until is not None:
        conditions.append(SQL("held.{} < %(until)s").format(Identifier(ms)))
        values["until"] = ms_of(asked.until)
    return conditions, values


def _place(behind: ActCursor | None) -> Mapping[str, int]:
    return {} if behind is None else {"ms": behind.ms, "first": behind.first, "second": behind.second}
