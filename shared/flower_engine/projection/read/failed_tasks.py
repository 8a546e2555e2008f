"""Failed tasks across all flows: those in Suspend (held, or given up), and those that wait for a retry.
Newest first.

Both lists are read off indexes that hold such tasks and no others. Where a filter must look at the tasks
themselves (program, error text), a call looks at ``MOST_LOOKED_AT`` of them and says where to go on.
"""

from datetime import datetime
from typing import Any, Literal

import msgspec
from psycopg.sql import SQL, Composable, Identifier

from flower_engine.projection.database import Connection
from flower_engine.projection.read.view_fields import Moment, View

MOST_LOOKED_AT = 5_000

Which = Literal["suspended", "held", "givenUp", "retrying"]
_TIME_COLUMNS: dict[Which, str] = {
    **dict.fromkeys(("suspended", "held", "givenUp"), "suspended_ts"),
    "retrying": "retry_ts",
}
_ENDS: dict[Which, Composable] = {"held": SQL("ended_as IS NULL"), "givenUp": SQL("ended_as = 'x'")}

MATCHES_TEXT = SQL("strpos(lower(concat(error ->> 'type', ': ', error ->> 'message')), lower(%(text)s)) > 0")
"""Whether the columns of an error hold the parameter ``text``."""

_LIST = SQL("""
SELECT task_flow_id, task_exec_seq::int, task_id, task_seq::bigint, task_name, coalesce(program, ''),
    coalesce(attempt, 0), coalesce(error ->> 'type', ''), coalesce(error ->> 'message', ''), ts,
    coalesce(ended_as = 'x', false), item_of, item_index, item_key
FROM (
    SELECT task_flow_id, task_exec_seq, task_id, task_seq, task_name, program, attempt, error, ended_as,
        item_of, item_index, item_key, {ts} AS ts
    FROM kr_task_stat WHERE {conditions}
    ORDER BY {ts} DESC, task_flow_id DESC, task_exec_seq DESC LIMIT %(look)s
) AS looked_at
WHERE {matches} ORDER BY ts DESC, task_flow_id DESC, task_exec_seq DESC LIMIT %(limit)s
""")
_LAST_LOOKED_AT = SQL("""
SELECT {ts}, task_flow_id, task_exec_seq::int FROM kr_task_stat WHERE {conditions}
ORDER BY {ts} DESC, task_flow_id DESC, task_exec_seq DESC OFFSET %(look)s - 1 LIMIT 1
""")


class TaskFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which tasks are asked for; None asks for all. ``text`` is looked for in error type and message,
    without regard to case; times bound the time of the failure (or of the retry)."""

    which: Which = "suspended"
    workflow: str | None = None
    program: str | None = None
    text: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class TaskCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a list of failed tasks goes on: behind this one."""

    ts: datetime
    flow: str
    task: int


class ErrorSummary(View):
    """The error without its traceback."""

    type: str
    message: str


class FailedEntry(View):
    """A failed task in a list; one of the two times is given. ``is_given_up``: its flow went on without.
    ``item_of``: the map of which it is an item, with its index and, where the map says keys, its key."""

    task_flow_id: str
    task_id: str
    task_exec_seq: int
    task_seq: int
    task_name: str | None
    program: str
    attempt: int
    suspended_ts: Moment | None
    retry_ts: Moment | None
    error: ErrorSummary
    is_given_up: bool = False
    item_of: int | None = None
    item_index: int | None = None
    item_key: str | None = None


async def list_failed(
    connection: Connection, asked: TaskFilter, *, behind: TaskCursor | None, limit: int
) -> tuple[list[FailedEntry], TaskCursor | None]:
    """Up to ``limit`` failed tasks, newest first, and where the list goes on (None: it is all).

    A page may be short, even empty, and still not be the last.
    """
    ts = Identifier(_TIME_COLUMNS[asked.which])
    conditions: list[Composable] = [SQL("{} IS NOT NULL").format(ts)]
    matches: list[Composable] = [SQL("true")]
    values: dict[str, Any] = {"limit": limit + 1}
    if asked.workflow is not None:
        conditions.append(SQL("task_id = %(workflow)s"))
        values["workflow"] = asked.workflow
    if asked.since is not None:
        conditions.append(SQL("{} >= %(since)s").format(ts))
        values["since"] = asked.since
    if asked.until is not None:
        conditions.append(SQL("{} < %(until)s").format(ts))
        values["until"] = asked.until
    if behind is not None:
        conditions.append(SQL("({}, task_flow_id, task_exec_seq) < (%(ts)s, %(flow)s, %(task)s)").format(ts))
        values |= {"ts": behind.ts, "flow": behind.flow, "task": behind.task}
    if asked.program is not None:
        matches.append(SQL("program = %(program)s"))
        values["program"] = asked.program
    if asked.text is not None:
        matches.append(MATCHES_TEXT)
        values["text"] = asked.text
    if asked.which in _ENDS:
        matches.append(_ENDS[asked.which])
    looks_at_tasks = len(matches) > 1
    values["look"] = max(MOST_LOOKED_AT, limit + 1) if looks_at_tasks else limit + 1
    parts = {"ts": ts, "conditions": SQL(" AND ").join(conditions), "matches": SQL(" AND ").join(matches)}
    rows = await (await connection.execute(_LIST.format(**parts), values)).fetchall()
    entries = [_entry(asked.which, row) for row in rows[:limit]]
    if len(rows) > limit:
        last = rows[limit - 1]
        return entries, TaskCursor(last[9], last[0], last[1])
    if looks_at_tasks:
        found = await (await connection.execute(_LAST_LOOKED_AT.format(**parts), values)).fetchone()
        if found is not None:
            return entries, TaskCursor(*found)
    return entries, None


def _entry(which: Which, row: Any) -> FailedEntry:
    flow, task, workflow, task_seq, task_name, program, attempt, kind, message, ts, is_given_up, *item = row
    item_of, item_index, item_key = item
    return FailedEntry(
        task_flow_id=flow,
        task_id=workflow,
        task_exec_seq=task,
        task_seq=task_seq,
        task_name=task_name,
        program=program,
        attempt=attempt,
        suspended_ts=None if which == "retrying" else ts,
        retry_ts=ts if which == "retrying" else None,
        error=ErrorSummary(kind, message),
        is_given_up=is_given_up,
        item_of=item_of,
        item_index=item_index,
        item_key=item_key,
    )
