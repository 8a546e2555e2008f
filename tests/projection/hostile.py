"""Roles that have set everything differently, and a pooler that keeps nothing between two transactions."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from psycopg.sql import SQL, Identifier, Literal

from flower_engine.projection import session
from flower_engine.projection.database import Connection

HOSTILE = {
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "timezone": "Asia/Kathmandu",
    "search_path": "nowhere",
    "extra_float_digits": "-9",
    "client_encoding": "LATIN1",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "lock_timeout": "1ms",
    "statement_timeout": "200ms",
    "idle_in_transaction_session_timeout": "20s",
    "transaction_timeout": "20s",
    "idle_session_timeout": "20s",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "exit_on_error": "on",
}


def make_hostile(database_url: str, *names: str) -> None:
    """The role that connects has set these (all of them) differently, in this database.

    A session that is set up in time is not ended by its timeouts; a pooler would bear with those that are.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        known = {name for (name,) in connection.execute("SELECT lower(name) FROM pg_settings")}
        for name in (name for name in names or HOSTILE if name in known):  # 17 is the first with them all
            connection.execute(
                SQL("ALTER ROLE CURRENT_USER IN DATABASE {} SET {} = {}").format(
                    Identifier(connection.info.dbname), Identifier(name), Literal(HOSTILE[name])
                )
            )


def through_a_pooler(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on connections find themselves behind a pooler, and lose all that a session holds (settings,
    prepared statements, temporary tables, locks, channels) at the end of every transaction."""
    execute, transaction = Connection.execute, Connection.transaction

    async def forgetful_execute(self: Connection, query: Any, params: Any = None, **named: Any) -> Any:
        cursor = await execute(self, query, params, **named)
        await _forget(self)
        return cursor

    @asynccontextmanager
    async def forgetful_transaction(self: Connection, *args: Any, **named: Any) -> AsyncGenerator[Any]:
        async with transaction(self, *args, **named) as begun:
            yield begun
        await _forget(self)

    monkeypatch.setattr(Connection, "execute", forgetful_execute)
    monkeypatch.setattr(Connection, "transaction", forgetful_transaction)
    monkeypatch.setattr(session, "_ANSWERS", "-1")


async def _forget(connection: Connection) -> None:
    if connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE:
        await psycopg.AsyncConnection.execute(connection, "DISCARD ALL")
