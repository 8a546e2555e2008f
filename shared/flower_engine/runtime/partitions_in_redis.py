"""The partitions as Redis alone has them: with these, services begin that need no Postgres."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg
from redis.exceptions import RedisError

from flower_engine.errors import StoreRefusedError
from flower_engine.log.client import AsyncRedis, apart, is_cluster
from flower_engine.log.each_partition import PATIENCE_SECONDS, from_each
from flower_engine.log.partition import Meta, Partition, read_meta
from flower_engine.log.redis_permissions import refuse_missing_permissions
from flower_engine.projection.database import connect
from flower_engine.runtime.backoff import StoresBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import until_it_works, until_there
from flower_engine.runtime.matching_stores import check_partitions, partitions_of, refuse_strangers, worked_on
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.store_checks import check_redis
from flower_engine.store_faults import fault_of, is_refused, refuse_unusable

_log = logging.getLogger(__name__)
T = TypeVar("T")

_LOOK_SECONDS = 0.2
_LONG_SECONDS = 10.0  # the API and the projector make an installation sooner than this, if they run
_SAY_AGAIN_SECONDS = 30.0


async def open_partitions(
    client: AsyncRedis, settings: Settings, *, is_start: bool = True, clock: Clock = SYSTEM_CLOCK
) -> list[Partition]:
    """The installation's partitions, from Redis alone; for the worker and the watcher.

    Waits, and says so, while Redis is away or loads its data, and until the API or the projector has made
    the installation. A service that has begun (not ``is_start``) waits for what refuses it, too.

    Raises:
        StoreRefusedError: at start: Redis refuses what Flower needs, which no waiting heals.
        InstallationError: it has another number of partitions than ``settings``.
        LostError: Redis lost events and was halted.
    """
    say_at = clock.monotonic() + _LONG_SECONDS
    said = False
    if is_start:
        await patiently(lambda: check_servers(client, settings), is_start)

    async def look() -> list[Partition] | None:
        nonlocal said, say_at
        metas = await patiently(lambda: read_metas(client, settings), is_start)
        if None not in metas.values():
            return partitions_of(metas, settings)
        check_partitions(metas.values(), settings)
        if not said:
            said = True
            _log.info("waiting for an installation in Redis: the API or the projector makes it")
        if clock.monotonic() >= say_at:
            say_at = clock.monotonic() + _SAY_AGAIN_SECONDS
            _log.warning(
                "Redis still holds no installation. At first start the API or the projector makes it: see"
                " that one of them runs. If Redis held one before, it was lost: see the projector's log"
            )
        return None

    return await until_there(look, _LOOK_SECONDS, clock=clock)


async def make_sure_of_servers(client: AsyncRedis, settings: Settings) -> None:
    """For the start of a service of a cluster, whose partitions are waited for one by one: those servers that
    are there can be used. Waits, and says so, while none is.

    Raises:
        StoreRefusedError: one refuses what Flower needs, which no waiting heals.
    """
    await patiently(lambda: check_servers(client, settings), is_start=True)


async def find_partition(
    client: AsyncRedis, number: int, settings: Settings, *, beside: Partition | None = None
) -> Partition | None:
    """One partition, as Redis has it; None: it has nothing of it. ``beside``: another one.

    Raises:
        InstallationError: it is of another installation than the other one, or of another number of
            partitions than ``settings`` say.
        LostError: it is halted, or being recovered.
        RedisError, OSError: its server does not answer.
    """
    meta = await read_meta(client, number)
    if meta is None or meta.is_retired:
        return None
    check_partitions([meta], settings, is_whole=False)
    partition = worked_on(number, meta)
    if beside is not None:
        refuse_strangers([partition, beside])
    return partition


async def check_servers(client: AsyncRedis, settings: Settings) -> None:
    """Makes sure of each server of Redis."""
    away: Exception | None = None
    numbers = await apart(client, range(settings.partitions))
    for partition in list(numbers):
        try:
            async with asyncio.timeout(PATIENCE_SECONDS if is_cluster(client) else None):
                await refuse_missing_permissions(client, partition)
                await check_redis(client, partition)
        except (RedisError, OSError) as error:
            if not is_cluster(client) or is_refused(error):
                raise
            numbers.remove(partition)
            away = error
    if away is not None and not numbers:
        raise away


async def refuse_wrong_postgres(database_url: str) -> None:
    """For a service that begins without Postgres if that is away.

    Raises:
        StoreRefusedError: it is there and refuses, which no waiting heals.
    """
    try:
        async with await connect(database_url, "start"):
            pass
    except (psycopg.Error, OSError) as error:
        if is_refused(error):
            raise StoreRefusedError(fault_of(error).said_of("Postgres")) from error


async def until_one_answers(client: AsyncRedis, settings: Settings) -> None:
    """Returns once a partition's server has answered. Raises RedisError, OSError: none does."""
    partitions = [
        Partition(number, "", "") for number in range(settings.partitions if is_cluster(client) else 1)
    ]
    await from_each(client, partitions, lambda one: read_meta(client, one.number))


async def read_metas(client: AsyncRedis, settings: Settings) -> dict[int, Meta | None]:
    """What Redis says of each partition, of those that came later, too, and not of those that were retired;
    None: nothing."""
    metas = {number: await read_meta(client, number) for number in range(settings.partitions)}
    known = [meta for meta in metas.values() if meta is not None]
    for number in range(len(metas), max((meta.count for meta in known), default=0)):
        if not any(number in meta.gone for meta in known):
            metas[number] = await read_meta(client, number)
    gone = {number for meta in metas.values() if meta is not None for number in meta.gone}
    return {number: meta for number, meta in metas.items() if number not in gone}


async def patiently(attempt: Callable[[], Awaitable[T]], is_start: bool) -> T:
    """What the attempt gives, however long a store is away; what refuses it ends a start."""

    async def usable() -> T:
        try:
            return await attempt()
        except psycopg.Error as error:
            refuse_unusable(error)
            raise

    return await until_it_works(usable, StoresBackoff(_log, is_start=is_start))
