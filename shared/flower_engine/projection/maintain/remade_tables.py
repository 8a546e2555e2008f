"""A table that somebody dropped, made anew as the migrations left it."""

from collections.abc import Sequence
from typing import LiteralString, cast

from psycopg.sql import SQL, Identifier

from flower_engine.projection.database import Connection
from flower_schema import migrations

_SCRATCH = "flower_remaking"
# Where the other tables are.
_HOME = (
    "SELECT nspname FROM pg_namespace JOIN pg_class ON relnamespace = pg_namespace.oid"
    " WHERE pg_class.oid = 'kr_event'::regclass"
)


async def missing_tables(connection: Connection, names: Sequence[str]) -> list[str]:
    """Which of these tables are not there."""
    rows = await connection.execute(
        "SELECT name FROM unnest(%s::text[]) WITH ORDINALITY AS asked (name, number)"
        " WHERE to_regclass(quote_ident(name)) IS NULL ORDER BY number",
        [list(names)],
    )
    return [name async for (name,) in rows]


async def remake_tables(connection: Connection, names: Sequence[str]) -> None:
    """Makes the tables, empty, with all their columns and indexes, in one transaction.

    All migrations are applied in a schema of their own, from which the tables are moved to their place, so
    that what stands in a migration is said nowhere else. Nobody else sees that schema.
    """
    async with connection.transaction():
        row = await (await connection.execute(_HOME)).fetchone()
        assert row is not None
        await connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(_SCRATCH)))
        await connection.execute(SQL("SET LOCAL search_path = {}").format(Identifier(_SCRATCH)))
        for migration in migrations():
            await connection.execute(cast("LiteralString", migration.sql))
        for name in names:
            await connection.execute(
                SQL("ALTER TABLE {} SET SCHEMA {}").format(Identifier(_SCRATCH, name), Identifier(row[0]))
            )
        await connection.execute(SQL("SET LOCAL client_min_messages = warning"))
        await connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(_SCRATCH)))
