"""The database that one test has after the other holds nothing of the test before."""

import psycopg
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
