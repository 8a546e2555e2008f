"""Connections to Postgres, made the same way everywhere, and what their errors mean."""

from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

Connection = AsyncConnection[TupleRow]
Pool = AsyncConnectionPool[Connection]

CONNECT_TIMEOUT_SECONDS = 5
POOL_TIMEOUT_SECONDS = 5.0

_REFUSALS = ("22", "23", "54")  # data exception, integrity constraint violation, program limit exceeded
_MAY_PASS = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)


def is_refusal(error: Exception) -> bool:
    """Whether a value is not one that Postgres takes, so that trying again does not help."""
    return isinstance(error, psycopg.Error) and (error.sqlstate or "")[:2] in _REFUSALS


def is_outage(error: Exception) -> bool:
    """Whether Postgres is away, restarting, full or in its own way, so that trying again later may help."""
    return isinstance(error, _MAY_PASS) and not is_refusal(error)


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


async def connect(url: str, name: str) -> Connection:
    """A connection of its own, in autocommit; ``name`` is shown in ``pg_stat_activity``."""
    connection = await AsyncConnection.connect(url, **_options(name))
    connection.adapters.register_dumper(Packed, _PackedDumper)
    return connection


def make_pool(url: str, name: str, max_size: int = 10) -> Pool:
    """A pool of connections in autocommit, to be opened (``async with``, or ``await pool.open()``).

    It opens while Postgres is down too; a connection is checked before it is given out, and waiting for one
    ends with an outage (``is_outage``) after 5 seconds.
    """
    return AsyncConnectionPool(
        url,
        kwargs=_options(name),
        min_size=1,
        max_size=max_size,
        open=False,
        name=name,
        timeout=POOL_TIMEOUT_SECONDS,
        reconnect_timeout=POOL_TIMEOUT_SECONDS,  # then the next one who asks tries again at once
        check=AsyncConnectionPool.check_connection,
    )


def _options(name: str) -> dict[str, Any]:
    return {
        "autocommit": True,
        "application_name": f"flower {name}",
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        **_KEEPALIVE,
    }
