"""Asks each partition for itself: on a cluster one that is away keeps no other one waiting."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from redis.exceptions import RedisError

from flower_engine.errors import LostError
from flower_engine.log.client import AsyncRedis, is_cluster
from flower_engine.log.partition import Partition

T = TypeVar("T")
PATIENCE_SECONDS = 5.0


class StandsStillError(RedisError):
    """A partition is lost, while others are not: it is waited for like one that is away."""


@dataclass
class FromEach(Generic[T]):
    """What each partition said, by number, and the errors of those that are away, or lost."""

    found: dict[int, T] = field(default_factory=dict[int, T])
    away: dict[int, Exception] = field(default_factory=dict[int, Exception])

    def in_order(self) -> list[T]:
        """What they said, by number."""
        return [self.found[number] for number in sorted(self.found)]

    def raise_away(self) -> None:
        """Raises the error of one that is away, if any is."""
        for error in self.away.values():
            raise error


async def from_each(
    client: AsyncRedis,
    partitions: Iterable[Partition],
    call: Callable[[Partition], Awaitable[T]],
    *,
    seconds: float = PATIENCE_SECONDS,
) -> FromEach[T]:
    """What the call gives for each partition. On a cluster all are asked at once, each for so long; on one
    server one after the other, and what fails fails, as it would for all.

    Raises:
        RedisError, OSError, LostError: none of them answers as it should.
    """
    asked = list(partitions)
    if not is_cluster(client):
        return FromEach({one.number: await call(one) for one in asked})

    async def ask(partition: Partition) -> T:
        async with asyncio.timeout(seconds):
            return await call(partition)

    told = await asyncio.gather(*map(ask, asked), return_exceptions=True)
    said = FromEach[T]()
    lost: LostError | None = None
    for partition, outcome in zip(asked, told, strict=True):
        if isinstance(outcome, LostError):
            lost = outcome
            said.away[partition.number] = StandsStillError(str(outcome))
        elif isinstance(outcome, RedisError | OSError):
            said.away[partition.number] = outcome
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            said.found[partition.number] = outcome
    if not said.found:
        if lost is not None:
            raise lost
        said.raise_away()
    return said


async def from_all(
    client: AsyncRedis, partitions: Sequence[Partition], call: Callable[[Partition], Awaitable[T]]
) -> list[T]:
    """The same of those that are not away, in order."""
    return (await from_each(client, partitions, call)).in_order()
