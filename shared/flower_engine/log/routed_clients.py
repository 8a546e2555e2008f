"""Clients of a cluster: a client for each partition, and the key says which.

All keys of a partition have one hash tag, so they are on one node, and everything that is sent at once is for
one partition. So what Flower needs of a cluster is a client of one server for each partition, which knows
where that is; a partition whose node is away keeps no other one waiting.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, cast

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.client import Pipeline
from redis.client import Pipeline as BlockingPipeline

from flower_engine.log.keys import Keys
from flower_engine.log.server_addresses import Host

_TAG = "{flower:"
_SCRIPTS = ("EVALSHA", "EVAL")
T = TypeVar("T")


class NoPartitionError(LookupError):
    """A command names no partition, so no server can be chosen: a fault of Flower."""


def partition_in(words: Iterable[object]) -> int | None:
    """The partition of the first key among the words of a command; None: it has none. Keys stand before all
    values in every command that Flower uses."""
    for word in words:
        if isinstance(word, str) and word.startswith(_TAG):
            number = word[len(_TAG) : word.find("}")]
            if number.isdecimal():
                return int(number)
    return None


def guarded(words: Sequence[Any]) -> Sequence[Any]:
    """A command; a script with a key more, which never exists.

    While a slot is moved key by key, the node that gives it away refuses commands whose keys are not all
    there; but a script names one key and makes the others, so it would meet one that has gone in its middle,
    when it has written already. With a key that is nowhere the server refuses the script before it begins.
    """
    if words[0] not in _SCRIPTS or words[2] != 1:
        return words
    key: str = words[3]
    return (*words[:2], 2, key, Keys(int(key[len(_TAG) : key.index("}")])).nowhere, *words[4:])


class _Clients(Generic[T]):
    """A client for each partition, made when it is first needed."""

    def __init__(self, make: Callable[[int], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}

    def of(self, partition: int) -> T:
        client = self._made.get(partition)
        if client is None:
            client = self._made.setdefault(partition, self._make(partition))
        return client

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._made.values()))

    def for_words(self, words: Iterable[object]) -> T:
        found = partition_in(words)
        if found is None:
            raise NoPartitionError(f"no key of a partition in {list(words)[:3]}: name one with one_server()")
        return self.of(found)


class RoutedRedis(AsyncRedis):
    """Sends each command to the client of the partition whose key it names."""

    def __init__(self, make: Callable[[int], AsyncRedis], place: Callable[[int], Host | None]) -> None:
        """``place``: where a partition is, as far as that is known."""
        self.place = place
        self.by_partition = _Clients(make)
        self.connection = None  # what redis-py asks of a client when it is closed or forgotten
        self.single_connection_client = False

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        client = self.by_partition.for_words(args)
        return await client.execute_command(*guarded(args), **options)  # pyright: ignore

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return _RoutedPipeline(self, transaction)

    async def __aenter__(self) -> "RoutedRedis":  # pyright: ignore[reportIncompatibleMethodOverride]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        for client in self.by_partition:
            await client.aclose(close_connection_pool)


class _RoutedPipeline(Pipeline):
    """Of one partition: that of the first key."""

    def __init__(self, client: RoutedRedis, transaction: bool) -> None:
        self._clients = client.by_partition
        some = self._clients.of(0)  # no I/O: all of them parse alike
        super().__init__(some.connection_pool, some.response_callbacks, transaction, None)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return super().execute_command(*guarded(args), **options)  # pyright: ignore

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        if stack := cast(list[tuple[Sequence[object], object]], self.command_stack):  # pyright: ignore
            words = (word for args, _ in stack for word in args)
            self.connection_pool = self._clients.for_words(words).connection_pool
        return await super().execute(raise_on_error)


class RoutedBlockingRedis(Redis):
    """The same for threads without an event loop."""

    def __init__(self, make: Callable[[int], Redis]) -> None:
        self.by_partition = _Clients(make)
        self.connection = None

    def execute_command(self, *args: Any, **options: Any) -> Any:
        client = self.by_partition.for_words(args)
        return client.execute_command(*guarded(args), **options)  # pyright: ignore

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> BlockingPipeline:
        return _RoutedBlockingPipeline(self, transaction)

    def __enter__(self) -> "RoutedBlockingRedis":  # pyright: ignore[reportIncompatibleMethodOverride]
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for client in self.by_partition:
            client.close()


class _RoutedBlockingPipeline(BlockingPipeline):
    def __init__(self, client: RoutedBlockingRedis, transaction: bool) -> None:
        self._clients = client.by_partition
        some = self._clients.of(0)
        super().__init__(some.connection_pool, some.response_callbacks, transaction, None)  # pyright: ignore

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return super().execute_command(*guarded(args), **options)  # pyright: ignore

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        if stack := cast(list[tuple[Sequence[object], object]], self.command_stack):  # pyright: ignore
            words = (word for args, _ in stack for word in args)
            self.connection_pool = self._clients.for_words(words).connection_pool
        return super().execute(raise_on_error)
