"""The database that one test has after the other holds nothing of the test before."""

from typing import LiteralString, cast

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from databases import ReusedDatabase

_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"


def _counts(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        tables = [name for (name,) in connection.execute(_TABLES).fetchall()]
        parts = [
            SQL("SELECT {}, count(*) FROM {}").format(name, Identifier("public", name)) for name in tables
        ]
        return dict(connection.execute(SQL(" UNION ALL ").join(parts)).fetchall())


def test_nor_what_triggers_write_as_it_is_emptied(postgres_url: str, with_tables: str) -> None:
    reused = ReusedDatabase(postgres_url, with_tables)
    with reused.borrowed() as first:
        before = _counts(first)
        with psycopg.connect(first) as connection:
            connection.execute("INSERT INTO ms_schedule (name, task_id, cron) VALUES ('s', 'etl', '@daily')")
            connection.execute(
                "INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority)"
                " VALUES ('etl', 1, 'A', 0)"
            )
    with reused.borrowed() as second:
        assert second == first
        assert _counts(second) == before
    reused.close()


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM flower_migration",
        "UPDATE flower_migration SET sha256 = 'another'",
        "DELETE FROM flower_migration; SELECT pg_stat_force_next_flush(); SELECT pg_stat_reset()",
        "INSERT INTO flower_migration SELECT n::text, repeat('a', 999) FROM generate_series(1, 200) AS n",
        "TRUNCATE flower_migration",
        "CREATE TABLE another ()",
        "ALTER TABLE ms_workflow ADD COLUMN color text",
        "COMMENT ON TABLE ms_workflow IS 'another'",
        "CREATE FUNCTION another() RETURNS integer RETURN 1",
    ],
)
def test_nor_anything_else_of_it(postgres_url: str, with_tables: str, harm: LiteralString) -> None:
    looks: tuple[LiteralString, ...] = (
        "SELECT name, sha256 FROM flower_migration ORDER BY name",
        "SELECT attrelid::regclass::text, attname FROM pg_attribute WHERE attrelid > 16383 ORDER BY 1, 2",
        "SELECT obj_description('ms_workflow'::regclass), to_regproc('another'), to_regclass('another')",
    )
    reused = ReusedDatabase(postgres_url, with_tables)
    found: list[object] = []
    for what in ("SELECT 1", harm, "SELECT 1"):
        with reused.borrowed() as url, psycopg.connect(url, autocommit=True) as connection:
            found.append([connection.execute(look).fetchall() for look in looks])
            for statement in what.split("; "):
                connection.execute(cast("LiteralString", statement))
    assert found[0] == found[1] == found[2]
    reused.close()
