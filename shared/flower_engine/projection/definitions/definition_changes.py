"""Changes of definitions, looked for where nobody can listen: behind a pooler of transactions."""

from flower_engine.projection.database import Connection

# A transaction that was not over at the last look may be over now, with what it changed.
_NOW = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
_SINCE = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text, change.xid::text, change.task_id
FROM (VALUES (true)) AS always LEFT JOIN kr_definition_change AS change ON change.xid >= %s::text::xid8
"""


class DefinitionChanges:
    """What changed since the look before; each change is told once."""

    def __init__(self) -> None:
        self._since: str | None = None
        self._told: set[tuple[str, str]] = set()

    async def look(self, connection: Connection) -> list[str] | None:
        """The workflows that changed since the last look ("": many, perhaps all); None: this is the first."""
        if self._since is None:
            row = await (await connection.execute(_NOW)).fetchone()
            assert row is not None
            self._since = str(row[0])
            return None
        rows = await (await connection.execute(_SINCE, [self._since])).fetchall()
        found = {(str(xid), str(workflow)) for _, xid, workflow in rows if xid is not None}
        new, self._told = found - self._told, found
        self._since = str(rows[0][0])
        return sorted({workflow for _, workflow in new})
