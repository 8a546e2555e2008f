"""A session depends on nothing that a role, a database, or another client behind the same pooler has set."""

from datetime import timedelta

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from flower_engine.errors import InstallationError
from flower_engine.projection.database import Connection, connect, make_pool
from flower_engine.projection.maintain.migrations import migrate
from projection.hostile import HOSTILE, make_hostile, through_a_pooler

_STANDS = """
SELECT '2026-02-03'::date::text, make_interval(days => 1, hours => 2)::text, 0.1::float8 + 0.2::float8,
  '\\x00ff'::bytea::text, 'a\\b', now() - now(), 'kr_flow_stat'::regclass::text,
  current_setting('TimeZone'), current_setting('transaction_isolation'), pg_sleep(0.3)::text
"""
_WANTED = (
    "2026-02-03", "1 day 02:00:00", 0.1 + 0.2, "\\x00ff", "a\\b", timedelta(0), "kr_flow_stat", "UTC",
    "read committed", "",
)  # fmt: skip


async def _stands(connection: Connection) -> tuple[object, ...] | None:
    return await (await connection.execute(_STANDS)).fetchone()


@pytest.mark.parametrize("is_pooled", [False, True])
async def test_what_a_role_has_set_does_not_matter(
    tables: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch, is_pooled: bool
) -> None:
    make_hostile(database_url)
    with psycopg.connect(database_url) as plain:
        assert plain.execute("SHOW datestyle").fetchone() == ("SQL, DMY",)
        with pytest.raises(psycopg.Error):
            plain.execute("SELECT 'kr_flow_stat'::regclass, pg_sleep(0.3)")
    if is_pooled:
        through_a_pooler(monkeypatch)
    async with await connect(database_url, "test") as connection:
        assert connection.is_pooled == is_pooled
        assert await _stands(connection) == _WANTED
        async with connection.transaction():
            assert await _stands(connection) == _WANTED
    async with make_pool(database_url, "test", statement_seconds=9) as pool, pool.connection() as connection:
        assert await _stands(connection) == _WANTED
        row = await (await connection.execute("SHOW statement_timeout")).fetchone()
        assert row == ("9s",)


async def test_a_timeout_of_a_millisecond_does_not_keep_anybody_from_connecting(
    tables: Connection, database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(
            SQL("ALTER ROLE CURRENT_USER IN DATABASE {} SET statement_timeout = '1ms'").format(
                Identifier(admin.info.dbname)
            )
        )
    async with await connect(database_url, "test") as connection:
        assert await _stands(connection) == _WANTED


@pytest.mark.parametrize("name", sorted(HOSTILE))
async def test_each_setting_stands_as_it_would_without_the_role(
    tables: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Behind a pooler, too, where nothing is kept from one transaction to the next."""
    ask = "SELECT current_setting(%s, true)"
    before = await (await tables.execute(ask, [name])).fetchone()
    make_hostile(database_url, name)
    async with await connect(database_url, "test") as connection:
        assert await (await connection.execute(ask, [name])).fetchone() == before
    if name in ("idle_session_timeout", "default_transaction_isolation", "default_transaction_deferrable"):
        return  # means nothing within a transaction
    through_a_pooler(monkeypatch)
    async with await connect(database_url, "test") as connection:
        for _ in range(2):
            assert await (await connection.execute(ask, [name])).fetchone() == before


async def test_tables_are_found_off_the_search_path_unless_it_could_be_others(
    tables: Connection, database_url: str
) -> None:
    make_hostile(database_url, "search_path")
    async with await connect(database_url, "test") as connection:
        assert await migrate(connection) == []
    await tables.execute("CREATE SCHEMA second")
    await tables.execute("CREATE TABLE second.flower_migration (LIKE flower_migration)")
    with pytest.raises(InstallationError, match=r"schemas public, second.*search_path"):
        await connect(database_url, "test")
    for schema in ("public", "second"):
        async with await connect(f"{database_url}&options=-csearch_path%3D{schema}", "test") as connection:
            row = await (await connection.execute("SELECT current_schema()")).fetchone()
            assert row == (schema,)


async def test_a_role_whose_search_path_is_another_may_edit_definitions(
    tables: Connection, database_url: str
) -> None:
    make_hostile(database_url, "search_path")
    with psycopg.connect(database_url, autocommit=True) as psql:
        psql.execute(
            "INSERT INTO public.ms_task_definition (task_id, task_seq, program, task_priority)"
            " VALUES ('etl', 1, 'A', 0)"
        )
        psql.execute("INSERT INTO public.ms_flow_control (scope, name, max_running) VALUES ('queue', 'q', 1)")
    rows = await tables.execute("SELECT task_id FROM kr_definition_change ORDER BY 1")
    assert await rows.fetchall() == [("",), ("etl",)]


async def test_a_lock_behind_a_pooler_lasts_as_long_as_the_connection(
    tables: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    through_a_pooler(monkeypatch)
    async with await connect(database_url, "test") as one, await connect(database_url, "test") as other:
        assert await one.try_lock("0", 7)
        assert await one.try_lock("0", 7)
        assert not await other.try_lock("0", 7)
        assert not await tables.try_lock("0", 7)  # one that goes straight to the server, too
        assert await other.try_lock("0", 8)
        await one.close()
        assert await other.try_lock("0", 7)


async def test_an_error_behind_a_pooler_leaves_no_transaction_open(
    tables: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    through_a_pooler(monkeypatch)
    async with await connect(database_url, "test") as connection:
        for _ in range(2):
            with pytest.raises(psycopg.errors.DivisionByZero):
                await connection.execute("SELECT 1 / 0")
            assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with pytest.raises(psycopg.errors.SyntaxError):
            await connection.execute("SELEC")
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
