"""Connections to Redis (or Valkey), made the same way everywhere."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import hiredis
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import ConnectionError as LostConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from flower_engine.log.located_connections import ASK_SECONDS, Asking, located, located_blocking
from flower_engine.log.routed_clients import RoutedBlockingRedis, RoutedRedis, partition_in
from flower_engine.log.server_addresses import Host, ServerAddresses, parse_addresses, written
from flower_engine.log.whereabouts import ClusterMap, PrimaryOfSet

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
    """An asyncio client; replies are bytes. No I/O happens until the first command. ``url``: see
    ``server_addresses.py``; of a cluster the client is a :class:`RoutedRedis`."""
    addresses = parse_addresses(url)
    if addresses.kind == "single":
        return _client(url, _packed)
    asking = _asking(addresses)
    if addresses.kind == "sentinel":
        primary = PrimaryOfSet(addresses.hosts, addresses.name)
        return _client(addresses.url, lambda kind: located(_packed(kind), primary, asking))
    nodes = ClusterMap(addresses.hosts)

    def of_partition(number: int) -> AsyncRedis:
        return _client(addresses.url, lambda kind: located(_packed(kind), nodes.of(number), asking))

    return RoutedRedis(of_partition, lambda number: nodes.of(number).known())


def connect_blocking(url: str) -> Redis:
    """A client for threads without an event loop; replies are bytes."""
    addresses = parse_addresses(url)
    if addresses.kind == "single":
        return _blocking_client(url)
    asking = _asking(addresses)
    if addresses.kind == "sentinel":
        primary = PrimaryOfSet(addresses.hosts, addresses.name)
        return _blocking_client(addresses.url, lambda kind: located_blocking(kind, primary, asking))
    nodes = ClusterMap(addresses.hosts)
    return RoutedBlockingRedis(
        lambda partition: _blocking_client(
            addresses.url, lambda kind: located_blocking(kind, nodes.of(partition), asking)
        )
    )


def check_url(url: str) -> None:
    """Makes what :func:`connect` makes, and a connection that is not connected.

    Raises:
        ValueError, TypeError, AttributeError, RedisError: the address cannot be used.
    """
    one_server(connect(url), 0).connection_pool.make_connection()


def one_server(client: AsyncRedis, partition: int) -> AsyncRedis:
    """The client of the server that has a partition: what is said of a server, and not of a key, is to be
    asked there."""
    return client.by_partition.of(partition) if isinstance(client, RoutedRedis) else client


def names_cluster(url: str) -> bool:
    """Whether an address is that of a cluster."""
    return parse_addresses(url).kind == "cluster"


def is_cluster(client: AsyncRedis) -> bool:
    """Whether it is a client of a cluster."""
    return isinstance(client, RoutedRedis)


async def apart(client: AsyncRedis, partitions: Iterable[int]) -> list[int]:
    """One partition of each server, for whoever asks every server: several, where it is not known which
    server they are on."""
    numbers = list(partitions)
    if not isinstance(client, RoutedRedis):
        return numbers[:1]
    found: dict[object, int] = {}

    async def look(number: int) -> None:
        with contextlib.suppress(RedisError, OSError):
            async with asyncio.timeout(ASK_SECONDS):
                await send(client.by_partition.of(number), "PING")

    await asyncio.gather(*(look(number) for number in numbers if client.place(number) is None))
    for number in numbers:
        found.setdefault(client.place(number) or number, number)
    return list(found.values())


def any_server(client: Redis, words: Sequence[object]) -> Redis:
    """For a person's command: the client of the server that has its key; of any, where it has none."""
    if not isinstance(client, RoutedBlockingRedis):
        return client
    return client.by_partition.of(partition_in(words) or 0)


def place_of(client: AsyncRedis, partition: int) -> str:
    """Which node of a cluster has a partition, as far as that is known; "": it is no cluster."""
    if not isinstance(client, RoutedRedis):
        return ""
    host = client.place(partition)
    return written(host) if host is not None else "a node that is not known"


def descriptors(client: AsyncRedis | Redis) -> list[int]:
    """The file descriptors of a client's connections, as they are now."""
    if isinstance(client, RoutedRedis | RoutedBlockingRedis):
        return [one for served in client.by_partition for one in descriptors(served)]
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


def _client(url: str, made_of: Callable[[type[Any]], type[Any]]) -> AsyncRedis:
    """``made_of``: the kind of its connections, made of redis-py's."""
    client = AsyncRedis.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        protocol=2,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        socket_timeout=REPLY_TIMEOUT_SECONDS,
        retry=AsyncRetry(ExponentialWithJitterBackoff(base=0.01, cap=0.2), _ATTEMPTS),
        **_NAMED,
    )
    pool = client.connection_pool
    pool.connection_class = made_of(pool.connection_class)
    return client


def _blocking_client(url: str, made_of: Callable[[type[Any]], type[Any]] | None = None) -> Redis:
    client = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        protocol=2,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        socket_timeout=REPLY_TIMEOUT_SECONDS,
        retry=Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.2), _ATTEMPTS),
        **_NAMED,
    )
    if made_of is not None:
        pool: Any = client.connection_pool
        pool.connection_class = made_of(pool.connection_class)
    return client


def _asking(addresses: ServerAddresses) -> Asking:
    """For those who know where the servers are: a connection for each question, and no second try."""
    pool: Any = _client(addresses.asked_url, _packed).connection_pool
    blocking: Any = _blocking_client(addresses.asked_url).connection_pool
    named: dict[str, Any] = {"socket_connect_timeout": ASK_SECONDS, "socket_timeout": ASK_SECONDS}

    def make(host: Host) -> AbstractConnection:
        where: dict[str, Any] = {"host": host[0], "port": host[1], "retry": AsyncRetry(NoBackoff(), 0)}
        return pool.connection_class(**{**pool.connection_kwargs, **named, **where})

    def make_blocking(host: Host) -> Any:
        where: dict[str, Any] = {"host": host[0], "port": host[1], "retry": Retry(NoBackoff(), 0)}
        return blocking.connection_class(**{**blocking.connection_kwargs, **named, **where})

    return Asking(make, make_blocking)


def _packed(kind: type[Any]) -> type[Any]:
    return type(
        f"Packed{kind.__name__}",
        (kind,),
        {"pack_command": _pack_command, "send_packed_command": _sending(kind.send_packed_command)},
    )


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
