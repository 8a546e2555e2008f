"""The stores of an installation, made sure of and looked after, for as long as a process works with flows."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial

from redis.asyncio import Redis

from flower_engine.errors import LostError, SettingsError
from flower_engine.flows.postgres_stores import STATEMENT_SECONDS, PostgresStores
from flower_engine.log.client import connect, is_cluster, one_server
from flower_engine.log.durability import REPLICA, Level, settle_level
from flower_engine.log.each_partition import from_each
from flower_engine.log.partition import Partition
from flower_engine.projection.database import make_pool
from flower_engine.projection.read.queries import read_summaries
from flower_engine.projection.write.projected_positions import Projected, read_census, read_positions
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.runtime.backoff import StoreBackoff, StoresBackoff
from flower_engine.runtime.clock import SystemClock
from flower_engine.runtime.growth import Growth
from flower_engine.runtime.installation import ensure_installation
from flower_engine.runtime.loop import until_it_works
from flower_engine.runtime.redis_loss import Standings, Waiting, until_lost
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.store_checks import what_a_crash_loses

_log = logging.getLogger(__name__)
_LOOK_AGAIN_SECONDS = 1.0
_OTHERS_HEAR_SECONDS = 3.0  # each looks once a second whether there are more partitions


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncGenerator[PostgresStores]:
    """The stores that the settings name, for who is no service of Flower: ready to be used, and looked after
    until the context is left. What is away or lost is waited for.

    Raises:
        SettingsError: they do not name both stores, or Redis cannot keep the durability that is set.
        StoreRefusedError: a store refuses what Flower needs, which no waiting heals.
        InstallationError: the stores do not belong together.
    """
    if settings.redis_url is None or settings.database_url is None:
        raise SettingsError("set FLOWER_REDIS_URL and FLOWER_DATABASE_URL; `flower urls` prints them")
    pool = make_pool(settings.database_url, "flows", statement_seconds=STATEMENT_SECONDS)
    async with connect(settings.redis_url) as redis, pool:
        stores = PostgresStores(redis, pool, settings, SystemClock())
        await _begin(stores, settings)
        behind = asyncio.create_task(_keep(stores, settings))
        try:
            yield stores
        finally:
            await cancel_all([behind])


async def look_after(stores: PostgresStores, settings: Settings) -> None:
    """Makes sure of the installation, then keeps the plans right, for ever; looks out for a lost Redis.

    Raises:
        SettingsError, StoreRefusedError, InstallationError: as :func:`open_stores` does.
    """
    await stores.pool.open()
    if stores.replica is not None:
        await stores.replica.pool.open()
    await _begin(stores, settings)
    await _keep(stores, settings)


async def _begin(stores: PostgresStores, settings: Settings) -> None:
    _install(stores, *await _installation(stores, settings, is_start=True))


def _install(
    stores: PostgresStores,
    partitions: list[Partition],
    levels: list[Level | None],
    retired: Sequence[Partition],
    *,
    taking: Collection[int] | None = None,
) -> None:
    """``levels``: None where a partition is away. What the reply to a registration says did hold, in any
    case."""
    wanted = Level("replicated", REPLICA) if stores.settings.durability == "replicated" else Level()
    stores.install(partitions, [level or wanted for level in levels], taking=taking, retired=retired)
    away = [one.number for one, level in zip(partitions, levels, strict=True) if level is None]
    if away:
        stores.stand(dict.fromkeys(away, "its server does not answer"), {}, [], stores.retiring)


async def _keep(stores: PostgresStores, settings: Settings) -> None:
    behind = [asyncio.create_task(stores.listener.run())]
    if stores.replica is not None:
        behind.append(asyncio.create_task(stores.replica.run(stores.primary)))
    try:
        while True:
            lost = await _until_lost(stores)
            if lost is None:
                await _take_up_more(stores, settings)
                continue
            _log.error("flows cannot be registered or operated on: %s", lost)
            stores.lose(lost)
            _install(stores, *await _installation(stores, settings, is_start=False))
            _log.warning("Redis is whole again: flows can be registered and operated on")
            await _say_lost(stores, stores.partitions)
    finally:
        await cancel_all(behind)


async def _say_lost(stores: PostgresStores, partitions: Sequence[Partition]) -> None:
    """What was acknowledged and is gone, of partitions that were recovered."""

    async def archived(flows: Sequence[str]) -> set[str]:
        async with stores.postgres() as connection:
            return {one.task_flow_id for one in await read_summaries(connection, flows)}

    for partition in partitions:
        await stores.acknowledged.say_lost(stores.redis, partition, archived)


async def _installation(
    stores: PostgresStores, settings: Settings, *, is_start: bool
) -> tuple[list[Partition], list[Level | None], list[Partition]]:
    """The installation's partitions, as soon as Redis has them, and what registrations are held out; those
    that were retired. Says meanwhile what is waited for.

    Raises:
        StoreRefusedError: at start: a store refuses what Flower needs, which no waiting heals.
        SettingsError: at start: Redis cannot keep the durability that is set.
    """
    waiting = Waiting()
    while True:
        try:
            partitions = await ensure_installation(stores.redis, stores.pool, settings, is_start=is_start)
            levels = await _levels(stores.redis, partitions, settings, is_start)
            return partitions, levels, await _retired(stores, partitions)
        except LostError as error:
            is_start = False
            stores.lose(str(error))
            await waiting.wait(error)


async def _retired(stores: PostgresStores, partitions: Sequence[Partition]) -> list[Partition]:
    """Those that Postgres knows, and on which nobody works."""

    async def read() -> list[Projected]:
        async with stores.pool.connection() as connection:
            return await read_positions(connection, with_retired=True)

    rows = await until_it_works(read, StoresBackoff(_log, is_start=False))
    at_work = {one.number for one in partitions}
    return [
        Partition(row.partition, row.installation, row.generation, row.partitions, is_retired=True)
        for row in rows
        if row.partition not in at_work
    ]


async def _levels(
    redis: Redis, partitions: Sequence[Partition], settings: Settings, is_start: bool
) -> list[Level | None]:
    """What is held out in each partition: servers of a cluster may differ. None: it is away."""
    if not is_cluster(redis):
        return [await _level(redis, 0, settings, is_start) for _ in partitions[:1]] * len(partitions)
    told = await from_each(redis, partitions, lambda one: _level_of(redis, one.number, settings, is_start))
    return [told.found.get(one.number) for one in partitions]


async def _level(redis: Redis, partition: int, settings: Settings, is_start: bool) -> Level:

    return await until_it_works(
        partial(_level_of, redis, partition, settings, is_start), StoresBackoff(_log, is_start=is_start)
    )


async def _level_of(redis: Redis, partition: int, settings: Settings, is_start: bool) -> Level:
    """The same, if its server answers."""
    level = await settle_level(redis, settings.durability, is_start=is_start, partition=partition)
    loses = await what_a_crash_loses(one_server(redis, partition)) if is_start else None
    if level.doubt is not None:
        _log.error("%s", level.doubt)
    _log.info("what is acknowledged is %s", level.durability)
    if loses is not None:
        _log.warning("%s", loses)
    return level


async def _take_up_more(stores: PostgresStores, settings: Settings) -> None:
    """There are other partitions: new flows will go there, too, when others may have heard of them who are
    asked for these flows. Those that were there are worked on meanwhile; one that was retired is not any
    more."""
    before = {one.number for one in stores.partitions}
    try:
        partitions = await ensure_installation(stores.redis, stores.pool, settings, is_start=False)
        levels = await _levels(stores.redis, partitions, settings, is_start=False)
        retired = await _retired(stores, partitions)
    except LostError as error:
        _log.error("there are other partitions, and they cannot be used yet: %s", error)
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        return
    _install(stores, partitions, levels, retired, taking=before)
    _log.warning("there are %d partitions now", len(partitions))


async def _until_lost(stores: PostgresStores) -> str | None:
    """Why Redis is lost, once it is; None: there are other partitions."""
    partitions = stores.partitions
    growth = Growth(stores.redis, partitions, [one.number for one in partitions], really=_numbered(stores))
    measuring = asyncio.create_task(stores.backlogs.run(partitions))
    growing = asyncio.create_task(growth.until_changed())
    losing = asyncio.create_task(_lost(stores))
    taking = asyncio.create_task(_take_in_all_soon(stores))
    try:
        await asyncio.wait({growing, losing}, return_when=asyncio.FIRST_COMPLETED)
        return losing.result() if losing.done() else None
    finally:
        await cancel_all([measuring, growing, losing, taking])


async def _take_in_all_soon(stores: PostgresStores) -> None:
    if stores.taking is not None:
        await asyncio.sleep(_OTHERS_HEAR_SECONDS)
        stores.take_in_all()
        _log.info("flows are registered in all %d partitions", len(stores.partitions))


def _numbered(stores: PostgresStores) -> Callable[[], Awaitable[Collection[int]]]:
    async def numbers() -> Collection[int]:
        async with stores.postgres() as connection:
            return (await read_census(connection)).at_work

    return numbers


async def _lost(stores: PostgresStores) -> str:
    backoff = StoreBackoff(_log, "Redis", shortest_seconds=_LOOK_AGAIN_SECONDS)
    saying: set[asyncio.Task[None]] = set()

    # Where it is away, it is not lost; whoever asks hears so.
    def look(standings: Standings) -> None:
        backoff.worked()
        stores.stand(standings.away, standings.lost, standings.recovered, standings.retiring)
        if standings.recovered:
            task = asyncio.create_task(_say_lost(stores, standings.recovered))
            saying.add(task)
            task.add_done_callback(saying.discard)

    try:
        return await until_it_works(
            partial(until_lost, stores.redis, lambda: stores.partitions, look), backoff
        )
    finally:
        await cancel_all(saying)
