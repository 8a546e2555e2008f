"""Connections to Postgres, made the same way everywhere. ``store_faults.py`` says what their errors mean."""

import asyncio
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg_pool import AsyncConnectionPool

from flower_engine.projection.session import Connection

__all__ = ["Connection", "Packed", "Pool", "connect", "make_pool"]

Pool = AsyncConnectionPool[Connection]

CONNECT_TIMEOUT_SECONDS = 5
POOL_TIMEOUT_SECONDS = 5.0
_CHECK_SECONDS = 2.0

# A peer that vanished without a word is noticed after about half a minute.
_KEEPALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


class Packed:
    """A parameter that is in Postgres' binary format already; its placeholder is ``%b`` with a cast."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Packed) -> Buffer:
        return obj.data


async def connect(url: str, name: str, *, is_impatient: bool = False) -> Connection:
    """A connection of its own, in autocommit; ``name`` is shown in ``pg_stat_activity``. ``is_impatient``: a
    statement that is cancelled costs the connection, and waits for nothing."""
    kind = _Forsaken if is_impatient else Connection
    connection = await kind.connect(url, **_options(name))
    connection.adapters.register_dumper(Packed, _PackedDumper)
    return connection


class _Forsaken(Connection):
    """A connection that is closed at once when a statement on it is cancelled.

    psycopg asks the server to cancel the statement, and waits up to 10 s for a server that does not answer.
    """

    was_given_out = False

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:  # noqa: ASYNC109 # as it is there
        self.pgconn.finish()


def make_pool(
    url: str,
    name: str,
    max_size: int = 10,
    statement_seconds: float | None = None,
    *,
    is_checked: bool = True,
) -> Pool:
    """A pool of connections in autocommit, to be opened (``async with``, or ``await pool.open()``).

    It opens while Postgres is down too; a connection is checked before it is given out, and waiting for one
    ends with an outage (``is_outage``) after 5 seconds. The server itself ends a statement that takes longer
    than ``statement_seconds``; one that is cancelled here costs its connection. So does a database that was
    read-only when it was made: a session stays so for good, whatever becomes of the database. ``is_checked``
    false: whoever takes a connection asks something of it first, and bears with what comes.

    It begins with none: where one is on its way, whoever asks first has a second one made.
    """
    limit = {} if statement_seconds is None else {"statement_timeout": f"{statement_seconds * 1_000:.0f}"}
    return AsyncConnectionPool(
        url,
        connection_class=_Forsaken,
        kwargs={**_options(name), "settings": limit},
        min_size=0,
        max_size=max_size,
        open=False,
        name=name,
        timeout=POOL_TIMEOUT_SECONDS,
        reconnect_timeout=POOL_TIMEOUT_SECONDS,  # then the next one who asks tries again at once
        check=_check if is_checked else None,
    )


async def _check(connection: Connection) -> None:
    # The server reports this setting unasked. While it stands reads go on, each on a new connection.
    is_read_only = connection.pgconn.parameter_status(b"default_transaction_read_only") == b"on"
    assert isinstance(connection, _Forsaken)
    if is_read_only and connection.was_given_out:
        await connection.close()
        raise psycopg.OperationalError("it was made while the database was read-only")
    connection.was_given_out = True
    async with asyncio.timeout(_CHECK_SECONDS):
        await connection.ping()


def _options(name: str) -> dict[str, Any]:
    return {
        "application_name": f"flower {name}",
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        **_KEEPALIVE,
    }
