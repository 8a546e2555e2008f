"""The table ``ms_hook``. People write it with SQL, so a row may hold what makes no sense: such a hook has
problems and tells nothing, and stands in the way of no other."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg.rows import TupleRow

from flower_engine.hooks.hook import MAX_REASON, MAX_TARGET, Hook, HookProblem, problems
from flower_engine.projection.database import Connection

MAX_HOOKS = 1_000
"""More are not told of anything: each may have calls under way at once."""
_MOST_OCCASIONS = 20

_COLUMNS = f"""
name, task_id, occasions[1:{_MOST_OCCASIONS}], kind, left(target, {MAX_TARGET + 1}), left(secret, 300),
late_after_seconds::text, is_paused, left(reason, {MAX_REASON}), left(changed_by, 300), created_ts::text,
changed_ts::text
"""
_READ = f"SELECT {_COLUMNS} FROM ms_hook ORDER BY name LIMIT {MAX_HOOKS}".encode()  # noqa: S608
_LIST = f"""
SELECT {_COLUMNS} FROM ms_hook WHERE (%(after)s::text IS NULL OR name > %(after)s)
  AND (%(workflow)s::text IS NULL OR task_id IS NULL OR task_id = %(workflow)s)
ORDER BY name LIMIT %(limit)s
""".encode()  # noqa: S608
_ONE = f"SELECT {_COLUMNS} FROM ms_hook WHERE name = %s".encode()  # noqa: S608
_NAMES = "SELECT name FROM ms_hook ORDER BY name LIMIT 5000"
_COUNT = "SELECT count(*) FROM ms_hook WHERE name <> %s"
_PUT = """
INSERT INTO ms_hook AS known (name, task_id, occasions, kind, target, secret, late_after_seconds, is_paused,
  reason, changed_by)
VALUES (%(name)s, %(workflow)s, %(occasions)s, %(kind)s, %(target)s, %(secret)s, %(late)s, %(is_paused)s,
  %(reason)s, %(by)s)
ON CONFLICT (name) DO UPDATE SET task_id = excluded.task_id, occasions = excluded.occasions,
  kind = excluded.kind, target = excluded.target, secret = excluded.secret,
  late_after_seconds = excluded.late_after_seconds, is_paused = excluded.is_paused, reason = excluded.reason,
  changed_by = excluded.changed_by, changed_ts = now()
RETURNING known.xmax = 0
"""
_DELETE = "DELETE FROM ms_hook WHERE name = %s"


class HookRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row; ``problems`` says why it tells nothing, where it does not."""

    hook: Hook
    problems: list[HookProblem]
    changed_by: str
    created_ts: datetime | None
    changed_ts: datetime | None


async def read_hooks(connection: Connection) -> list[HookRow]:
    """The first ``MAX_HOOKS`` by name."""
    return [_row(row) async for row in await connection.execute(_READ)]


async def list_hooks(
    connection: Connection, *, after: str | None, workflow: str | None, limit: int
) -> list[HookRow]:
    """Hooks by name, behind one; or only those that tell of a workflow's flows."""
    values = {"after": after, "workflow": workflow, "limit": limit}
    return [_row(row) async for row in await connection.execute(_LIST, values)]


async def read_hook(connection: Connection, name: str) -> HookRow | None:
    """The hook of this name."""
    row = await (await connection.execute(_ONE, [name])).fetchone()
    return None if row is None else _row(row)


async def hook_names(connection: Connection) -> Sequence[str]:
    """Names of hooks, as many as are looked through for one that was meant."""
    return [name async for (name,) in await connection.execute(_NAMES)]


async def other_hooks(connection: Connection, name: str) -> int:
    """How many there are beside this one."""
    row = await (await connection.execute(_COUNT, [name])).fetchone()
    return int(row[0]) if row else 0


async def put_hook(connection: Connection, hook: Hook, by: str) -> bool:
    """Adds or replaces a hook; whether it is new."""
    values = {
        "name": hook.name,
        "workflow": hook.workflow,
        "occasions": list(hook.occasions),
        "kind": hook.kind,
        "target": hook.target,
        "secret": hook.secret,
        "late": hook.late_after_seconds,
        "is_paused": hook.is_paused,
        "reason": hook.reason,
        "by": by,
    }
    row = await (await connection.execute(_PUT, values)).fetchone()
    return row == (True,)


async def delete_hook(connection: Connection, name: str) -> bool:
    """Takes a hook away; False: there is none. What waits to be delivered is given up (``deliveries.py``)."""
    return (await connection.execute(_DELETE, [name])).rowcount == 1


def _row(row: TupleRow) -> HookRow:
    name, workflow, occasions, kind, target, secret, late, is_paused, reason, by, created, changed = row
    hook = Hook(
        name=name,
        workflow=workflow,
        occasions=tuple(str(one) for one in _flat(occasions)),
        kind=kind,
        target=target,
        secret=secret,
        late_after_seconds=None if late is None else float(late),
        is_paused=is_paused,
        reason=reason,
    )
    return HookRow(
        hook=hook,
        problems=problems(hook),
        changed_by=by,
        created_ts=_shown(created),
        changed_ts=_shown(changed),
    )


def _flat(value: Any) -> list[Any]:
    """The elements of an array, which may have several dimensions in SQL."""
    return [one for part in value for one in _flat(part)] if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownVariableType]


def _shown(text: str) -> datetime | None:
    """A time as SQL wrote it; None where Python has no such time."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
