"""Connections to Redis (or Valkey), made the same way everywhere."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import hiredis
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as LostConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

try:
    from redis.driver_info import DriverInfo as _Named
except ImportError:  # an older redis-py
    _Named = None

CONNECT_TIMEOUT_SECONDS = 5.0
REPLY_TIMEOUT_SECONDS = 10.0  # longer than any blocking read asks for
_NAMED: dict[str, Any] = {"driver_info": _Named()} if _Named else {}
"""Else redis-py looks its version up on the disk for each connection: 5 ms of CPU, as measured."""
_ATTEMPTS = 3  # after these, the service's own loop says what it waits for and goes on trying


def connect(url: str) -> AsyncRedis:
    """An asyncio client; replies are bytes. No I/O happens until the first command."""
    client = AsyncRedis.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        protocol=2,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        socket_timeout=REPLY_TIMEOUT_SECONDS,
        retry=AsyncRetry(ExponentialWithJitterBackoff(base=0.01, cap=0.2), _ATTEMPTS),
        **_NAMED,
    )
    pool = client.connection_pool
    kind = pool.connection_class
    pool.connection_class = type(
        f"Packed{kind.__name__}",
        (kind,),
        {"pack_command": _pack_command, "send_packed_command": _sending(kind.send_packed_command)},
    )
    return client


def connect_blocking(url: str) -> Redis:
    """A client for threads without an event loop; replies are bytes."""
    return Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        protocol=2,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        socket_timeout=REPLY_TIMEOUT_SECONDS,
        retry=Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.2), _ATTEMPTS),
        **_NAMED,
    )


def descriptors(client: AsyncRedis | Redis) -> list[int]:
    """The file descriptors of a client's connections, as they are now."""
    pool: Any = client.connection_pool
    found: list[int] = []
    for connection in [*pool._available_connections, *pool._in_use_connections]:
        if isinstance(connection, AbstractConnection):
            writer = connection._writer  # pyright: ignore[reportPrivateUsage]
            held = writer and writer.transport.get_extra_info("socket")
        else:
            held = connection._sock
        if held:
            found.append(held.fileno())
    return found


async def send(client: AsyncRedis, *command: str | bytes | int | float) -> Any:
    """Sends one command; the reply as redis-py parses it (bytes, ints, lists).

    redis-py leaves ``execute_command`` untyped; this is the one place that says so.
    """
    return await client.execute_command(*command)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def queue_command(pipeline: Pipeline, *command: str | bytes | int | float) -> None:
    """Adds a command to a pipeline; its ``execute`` gives the replies in order."""
    pipeline.execute_command(*command)  # pyright: ignore[reportUnknownMemberType]


def send_blocking(client: Redis, *command: str | bytes | int | float) -> Any:
    """The same from a thread that has no event loop."""
    return client.execute_command(*command)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _sending(send_packed: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """What redis-py's own way of sending does wrong.

    uvloop says with a RuntimeError that a connection was cut off before it was written to; redis-py lets it
    through, as if it were a bug. It is an outage like any other.

    Where a connection has a ``socket_timeout``, redis-py sends with ``asyncio.wait_for``, which makes a task
    of each command, and in Python 3.11 forgets a cancellation that comes just as the command is sent: the
    caller goes on as if nobody had asked it to stop. So the timeout is kept here instead.
    """

    async def send_packed_command(connection: AbstractConnection, *args: Any, **named: Any) -> None:
        timeout, connection.socket_timeout = connection.socket_timeout, None
        try:
            async with asyncio.timeout(timeout):
                await send_packed(connection, *args, **named)
        except TimeoutError as error:
            raise RedisTimeoutError("a command could not be written to Redis in time") from error
        except RuntimeError as error:
            if "handler is closed" not in str(error):
                raise
            raise LostConnectionError(f"the connection to Redis was cut off ({error})") from error
        finally:
            connection.socket_timeout = timeout

    return send_packed_command


def _pack_command(_connection: object, name: str | bytes, *values: str | bytes | int | float) -> list[bytes]:
    """Packs a command in C. redis-py's blocking connections do so by themselves, its asyncio ones do it in
    Python: 272 against 64 microseconds, as measured, for a call with the outcomes of a hundred tasks."""
    words = name.encode().split() if isinstance(name, str) else name.split()
    packed: bytes = hiredis.pack_command((*words, *values))  # pyright: ignore # its stub takes one word
    return [packed]
