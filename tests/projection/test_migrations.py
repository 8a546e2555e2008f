"""Migrations: each is applied once, whoever comes first; strange tables are refused."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest

from flower_engine.errors import InstallationError
from flower_engine.projection import database
from flower_engine.projection.database import Connection
from flower_engine.projection.maintain import migrations
from flower_engine.projection.maintain.migrations import migrate
from flower_schema import Migration
from flower_schema import migrations as known_migrations

NAMES = [migration.name for migration in known_migrations()]


@pytest.fixture
async def empty_database(database_url: str) -> AsyncIterator[Connection]:
    """A connection to the database of a test that is marked ``no_tables``."""
    async with await database.connect(database_url, "test") as connection:
        yield connection


@pytest.mark.no_tables
async def test_migrations_are_applied_in_name_order_and_once(empty_database: Connection) -> None:
    assert await migrate(empty_database) == NAMES == sorted(NAMES)
    assert await migrate(empty_database) == []
    found = await empty_database.execute("SELECT name, sha256 FROM flower_migration ORDER BY name")
    assert await found.fetchall() == [(one.name, one.sha256) for one in known_migrations()]


@pytest.mark.no_tables
async def test_services_that_start_at_once_all_succeed(empty_database: Connection, database_url: str) -> None:
    async def start(number: int) -> list[str]:
        async with await database.connect(database_url, f"service {number}") as connection:
            return await migrate(connection)

    applied = await asyncio.gather(*(start(number) for number in range(5)))
    assert sorted(name for names in applied for name in names) == NAMES
    assert await migrate(empty_database) == []


@pytest.mark.no_tables
async def test_a_migration_that_fails_leaves_nothing_behind(
    empty_database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Migration("9999_broken", b"CREATE TABLE half (); SELECT 1 / 0;", "")
    monkeypatch.setattr(migrations, "migrations", lambda: (*known_migrations(), broken))
    with pytest.raises(InstallationError, match="9999_broken"):
        await migrate(empty_database)
    monkeypatch.undo()
    assert await migrate(empty_database) == []
    assert await (await empty_database.execute("SELECT to_regclass('half')")).fetchone() == (None,)


async def test_an_applied_migration_that_was_changed_is_refused(tables: Connection) -> None:
    await tables.execute("UPDATE flower_migration SET sha256 = 'of another file' WHERE name = '0001_tables'")
    with pytest.raises(InstallationError, match="0001_tables differs"):
        await migrate(tables)


async def test_tables_of_a_newer_version_are_refused(tables: Connection) -> None:
    await tables.execute("INSERT INTO flower_migration (name, sha256) VALUES ('0999_later', 'x')")
    with pytest.raises(InstallationError, match=r"0999_later.*Upgrade this service"):
        await migrate(tables)


async def test_a_database_of_an_older_version_gets_what_is_new(
    tables: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = Migration("0998_added", b"CREATE TABLE added ()", "hash")
    monkeypatch.setattr(migrations, "migrations", lambda: (*known_migrations(), added))
    assert await migrate(tables) == ["0998_added"]
    assert await migrate(tables) == []


def test_a_migrations_hash_is_that_of_its_text() -> None:
    first, *_ = known_migrations()
    assert len(first.sha256) == 64
    assert dataclasses.replace(first, name="other") != first


@pytest.mark.no_tables
async def test_what_was_passed_over_before_ends_had_kinds_gets_its_kind(
    empty_database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tuple(one for one in known_migrations() if one.name < "0031")
    monkeypatch.setattr(migrations, "migrations", lambda: before)
    await migrate(empty_database)
    for seq, status, finished_ms in ((1, 3, 900), (2, 9, 1_234), (3, 9, 5_678), (4, 0, None)):
        await empty_database.execute(
            "INSERT INTO kr_task_stat (task_flow_id, task_exec_seq, depends_task_exec_seq, task_id, task_seq,"
            " exec_status, task_priority, parameters, registered_ts, finished_ts)"
            " VALUES ('f', %s, -1, 'w', %s, %s, 0, '{}', now(), to_timestamp(%s / 1000.0))",
            (seq, seq, status, finished_ms),
        )
    await empty_database.execute(
        "INSERT INTO kr_event (partition, position_ms, position_seq, task_flow_id, type, event)"
        " VALUES (0, 5678, 0, 'f', 'flow.cancelled', %s), (0, 5679, 0, 'f', 'flow.cancelled', NULL)",
        ('{"type": "flow.cancelled", "at": 5678}',),
    )
    monkeypatch.undo()
    await migrate(empty_database)
    found = await empty_database.execute("SELECT ended_as FROM kr_task_stat ORDER BY task_exec_seq")
    assert [kind for (kind,) in await found.fetchall()] == [None, "p", "c", None]
