"""Old days of a table that go: what must stay of one is copied into a small table, which takes its place.

All of it is done in the transaction of a prune.
"""

from psycopg.sql import SQL, Composable, Identifier

from flower_engine.projection.archive.archive_days import DAY_MS, day_of_table, table_of_day
from flower_engine.projection.database import Connection

_TABLES = """
SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = %(table)s::regclass AND relname <> %(table)s || '_default' ORDER BY relname
"""


class PrunedDays:
    """The days of one table. ``stays``: whether a row (``held``) must stay. Call its steps in order."""

    def __init__(self, connection: Connection, table: str, stays: Composable) -> None:
        self._connection = connection
        self._table = table
        self._stays = stays
        self._counts: dict[int, tuple[int, int]] = {}  # by day: how many rows stay, and how many there are

    @property
    def kept(self) -> int:
        """How many rows stay of the days."""
        return sum(kept for kept, _ in self._counts.values())

    @property
    def names(self) -> list[str]:
        """The tables of the days."""
        return [table_of_day(day, self._table) for day in self._counts]

    async def before(self, cut_ms: int) -> list[int]:
        """The days (since 1970) before this moment that have a table, oldest first."""
        rows = await self._connection.execute(_TABLES, {"table": self._table})
        found = [day_of_table(name, self._table) async for (name,) in rows]
        return [day for day in found if day is not None and (day + 1) * DAY_MS <= cut_ms]

    async def copy_what_stays(self, cut_ms: int) -> None:
        """Makes the small tables of the days before this moment of which something goes."""
        for day in await self.before(cut_ms):
            if await self._has_what_goes(day):
                self._counts[day] = await self._copy(day)

    async def delete_from_default(self, cut_ms: int) -> int:
        """Deletes what goes from the table that stands in for days without one; how many rows."""
        gone = await self._connection.execute(
            SQL("DELETE FROM {} AS held WHERE position_ms < {} AND NOT ({})").format(
                Identifier(f"{self._table}_default"), cut_ms, self._stays
            )
        )
        return gone.rowcount

    async def exchange(self) -> int:
        """Puts the small tables in the place of the days; how many rows went with these."""
        for day, (kept, _) in self._counts.items():
            await self._exchange(day, kept=kept)
        return sum(total - kept for kept, total in self._counts.values())

    async def _has_what_goes(self, day: int) -> bool:
        """Whether anything of a day goes: of one that was pruned before, mostly nothing does."""
        statement = SQL("SELECT EXISTS (SELECT FROM {day} AS held WHERE NOT ({stays}))")
        found = await self._connection.execute(statement.format(**self._names(day)))
        return await found.fetchone() == (True,)

    async def _copy(self, day: int) -> tuple[int, int]:
        names = self._names(day)
        await self._connection.execute(
            SQL("CREATE TABLE {kept} (LIKE {table} INCLUDING ALL)").format(**names)
        )
        copied = await self._connection.execute(
            SQL("INSERT INTO {kept} SELECT held.* FROM {day} AS held WHERE {stays}").format(**names)
        )
        row = await (
            await self._connection.execute(SQL("SELECT count(*) FROM {day}").format(**names))
        ).fetchone()
        assert row is not None
        return copied.rowcount, int(row[0])

    async def _exchange(self, day: int, *, kept: int) -> None:
        names, connection = self._names(day), self._connection
        await connection.execute(SQL("ALTER TABLE {table} DETACH PARTITION {day}").format(**names))
        await connection.execute(SQL("DROP TABLE {day}").format(**names))
        if not kept:
            await connection.execute(SQL("DROP TABLE {kept}").format(**names))
            return
        await connection.execute(SQL("ALTER TABLE {kept} RENAME TO {day}").format(**names))
        await connection.execute(
            SQL("ALTER TABLE {table} ATTACH PARTITION {day} FOR VALUES FROM ({begin}) TO ({end})").format(
                **names, begin=day * DAY_MS, end=(day + 1) * DAY_MS
            )
        )

    def _names(self, day: int) -> dict[str, Composable]:
        name = table_of_day(day, self._table)
        return {
            "table": Identifier(self._table),
            "day": Identifier(name),
            "kept": Identifier(f"{name}_kept"),
            "stays": self._stays,
        }
