"""Versions of workflows in ``ms_workflow_version``, and in ``kr_workflow_origin`` what the API wrote last."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from flower_engine.model.definitions.workflow_versions import Version
from flower_engine.projection.database import Connection

LOCK_WORKFLOW = (
    "SELECT pg_advisory_xact_lock(hashtextextended(%s, 7303))"  # our number for locks on workflows
)

_IS_NEWEST = """
SELECT hash = %s FROM ms_workflow_version WHERE task_id = %s ORDER BY used_ts DESC, number DESC LIMIT 1
"""
# Whoever calls it holds the workflow's lock, so that numbers are given once.
_KEEP = """
INSERT INTO ms_workflow_version (task_id, hash, number, definition, created_by)
SELECT task_id, hash, (SELECT coalesce(max(number), 0) + 1 FROM ms_workflow_version AS other
                       WHERE other.task_id = new.task_id), definition, %(by)s
FROM (VALUES (%(task_id)s, %(hash)s, %(definition)s::text::json)) AS new (task_id, hash, definition)
ON CONFLICT (task_id, hash) DO UPDATE SET used_ts = clock_timestamp()
"""
_WRITTEN = """
INSERT INTO kr_workflow_origin (task_id, hash, source, written_by) VALUES (%s, %s, %s, %s)
ON CONFLICT (task_id) DO UPDATE SET hash = excluded.hash, source = excluded.source,
    written_by = excluded.written_by, written_ts = now()
"""
_COLUMNS = """
number, hash, created_ts, created_by, coalesce(json_array_length(definition->'tasks'), 0), used_ts =
(SELECT max(used_ts) FROM ms_workflow_version AS other WHERE other.task_id = ms_workflow_version.task_id)
"""
_LIST = f"""
SELECT {_COLUMNS} FROM ms_workflow_version WHERE task_id = %s AND number < %s ORDER BY number DESC LIMIT %s
""".encode()  # noqa: S608
_FIND = f"""
SELECT {_COLUMNS}, definition::text FROM ms_workflow_version
WHERE task_id = %s AND (number = %s OR starts_with(hash, %s)) ORDER BY number LIMIT 2
""".encode()  # noqa: S608
_RETURNS = "SELECT (definition -> 'returns')::text FROM ms_workflow_version WHERE task_id = %s AND hash = %s"
_NEWEST = f"""
SELECT {_COLUMNS}, definition::text FROM ms_workflow_version WHERE task_id = %s
ORDER BY used_ts DESC, number DESC LIMIT 1
""".encode()  # noqa: S608


class KeptVersion(msgspec.Struct, frozen=True):
    """A version that is kept. ``by`` None: it was found in rows that had been edited with SQL. The newest is
    the one that was put to use last; it need not have the highest number."""

    number: int
    hash: str
    created_ts: datetime
    by: str | None
    tasks: int
    is_newest: bool
    canonical: str = ""


async def is_newest(connection: Connection, workflow: str, version_hash: str) -> bool:
    """Whether this version is kept, and was put to use last."""
    row = await (await connection.execute(_IS_NEWEST, (version_hash, workflow))).fetchone()
    return row == (True,)


async def keep_version(connection: Connection, workflow: str, version: Version) -> None:
    """Keeps the version of rows that were edited with SQL as the newest, in a transaction of its own."""
    async with connection.transaction():
        await connection.execute(LOCK_WORKFLOW, (workflow,))
        await write_version(connection, workflow, version, None)


async def write_version(connection: Connection, workflow: str, version: Version, by: str | None) -> None:
    """Keeps the version as the newest; the caller has a transaction and the workflow's lock."""
    values = {"task_id": workflow, "hash": version.hash, "definition": version.canonical, "by": by}
    await connection.execute(_KEEP, values)


async def write_origin(
    connection: Connection, workflow: str, version_hash: str, by: str, source: str | None
) -> None:
    """Notes who wrote the workflow; ``source``: of the deploy that brought it."""
    await connection.execute(_WRITTEN, (workflow, version_hash, source, by))


async def forget_origin(connection: Connection, workflow: str) -> None:
    """The workflow is deleted; the caller has a transaction and the workflow's lock."""
    await connection.execute("DELETE FROM kr_workflow_origin WHERE task_id = %s", (workflow,))


async def list_versions(
    connection: Connection, workflow: str, *, before: int | None = None, limit: int
) -> list[KeptVersion]:
    """Up to ``limit`` versions with numbers below ``before``, the highest number first."""
    below = 2**31 - 1 if before is None else before
    rows = await (await connection.execute(_LIST, (workflow, below, limit))).fetchall()
    return [KeptVersion(*row) for row in rows]


async def find_versions(connection: Connection, workflow: str, which: int | str) -> Sequence[KeptVersion]:
    """The version of this number, or up to two whose hashes begin so, with their definitions."""
    number, prefix = (which, "-") if isinstance(which, int) else (None, which)
    rows = await (await connection.execute(_FIND, (workflow, number, prefix))).fetchall()
    return [KeptVersion(*row) for row in rows]


async def read_returns(connection: Connection, workflow: str, version_hash: str) -> Any:
    """What flows of this version return; None: nothing, or it is not kept."""
    row = await (await connection.execute(_RETURNS, (workflow, version_hash))).fetchone()
    return None if row is None or row[0] is None else msgspec.json.decode(row[0])


async def newest_version(connection: Connection, workflow: str) -> KeptVersion | None:
    """The version that was put to use last."""
    row = await (await connection.execute(_NEWEST, (workflow,))).fetchone()
    return None if row is None else KeptVersion(*row)
