"""A session that ends while rows are copied is an outage, whenever it ends."""

import psycopg
import pytest

from flower_engine.projection.copying import copy_into
from flower_engine.projection.database import Connection, connect
from flower_engine.store_faults import is_outage, refuse_unusable

_INTO = "COPY kr_task_log_position FROM STDIN"


def _end_session(of: Connection, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 10000)", [of.info.backend_pid])


async def test_a_session_that_ended_before_a_copy_is_an_outage(tables: Connection, database_url: str) -> None:
    async with await connect(database_url, "test") as connection:
        with pytest.raises(psycopg.OperationalError) as caught:
            async with connection.transaction():
                await connection.execute("SELECT 1")
                _end_session(connection, database_url)
                await copy_into(connection, _INTO, b"")
        assert is_outage(caught.value)
        refuse_unusable(caught.value)


async def test_a_session_that_ends_during_a_copy_is_an_outage(tables: Connection, database_url: str) -> None:
    async with await connect(database_url, "test") as connection:
        with pytest.raises(psycopg.OperationalError) as caught:
            async with connection.cursor() as cursor, cursor.copy(_INTO) as copy:
                _end_session(connection, database_url)
                await copy.write(b"1\t2-3\t0\n")
        refuse_unusable(caught.value)


async def test_what_is_wrong_with_a_copy_is_said_as_it_is(tables: Connection) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        await copy_into(tables, "COPY not_there FROM STDIN", b"")
    with pytest.raises(psycopg.ProgrammingError, match="mixed"):
        await copy_into(tables, "SELECT 1; SELECT 2", b"")
    assert not tables.closed
