"""Connections to Redis (or Valkey), made the same way everywhere."""

from typing import Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

CONNECT_TIMEOUT_SECONDS = 5.0
REPLY_TIMEOUT_SECONDS = 10.0  # longer than any blocking read asks for
_ATTEMPTS = 3  # after these, the service's own loop says what it waits for and goes on trying


def connect(url: str) -> AsyncRedis:
    """An asyncio client; replies are bytes. No I/O happens until the first command."""
    return AsyncRedis.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        protocol=2,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        socket_timeout=REPLY_TIMEOUT_SECONDS,
        retry=AsyncRetry(ExponentialWithJitterBackoff(base=0.01, cap=0.2), _ATTEMPTS),
    )


def connect_blocking(url: str) -> Redis:
    """A client for threads without an event loop; replies are bytes."""
    return Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        protocol=2,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        socket_timeout=REPLY_TIMEOUT_SECONDS,
        retry=Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.2), _ATTEMPTS),
    )


async def send(client: AsyncRedis, *command: str | bytes | int | float) -> Any:
    """Sends one command; the reply as redis-py parses it (bytes, ints, lists).

    redis-py leaves ``execute_command`` untyped; this is the one place that says so.
    """
    return await client.execute_command(*command)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def send_blocking(client: Redis, *command: str | bytes | int | float) -> Any:
    """The same from a thread that has no event loop."""
    return client.execute_command(*command)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
