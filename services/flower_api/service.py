"""The service: the HTTP API from its first moment (so that /healthz answers) to its graceful end."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from redis.asyncio import Redis

from flower_api.access import refuse_open_doors
from flower_api.app import create_app
from flower_api.connection import Bounds
from flower_api.server import Server, bind, room_for
from flower_engine.errors import LostError
from flower_engine.flows.postgres_stores import STATEMENT_SECONDS, PostgresStores
from flower_engine.log.client import connect
from flower_engine.log.durability import Level, settle_level
from flower_engine.log.partition import Partition
from flower_engine.projection.database import Pool, make_pool
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.runtime.backoff import StoreBackoff, StoresBackoff
from flower_engine.runtime.clock import SystemClock
from flower_engine.runtime.installation import ensure_installation
from flower_engine.runtime.loop import until_it_works
from flower_engine.runtime.redis_loss import Waiting, until_lost
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.store_checks import what_a_crash_loses

_log = logging.getLogger(__name__)
_LOOK_AGAIN_SECONDS = 1.0


async def serve(
    settings: Settings, stop: asyncio.Event, on_listening: Callable[[str], None] | None = None
) -> None:
    """Serves the API until ``stop`` is set. ``on_listening`` is told the URL, which matters for port 0.

    A store that is away is waited for, and a Redis that was lost until it is recovered; /readyz says so
    meanwhile.

    Raises:
        SettingsError: the address cannot be listened on, or not without tokens; or Redis cannot keep the
            durability that is set.
        StoreRefusedError: at start: a store refuses what Flower needs, which no waiting heals.
        InstallationError: the stores do not belong together.
    """
    assert settings.redis_url is not None and settings.database_url is not None
    refuse_open_doors(settings)
    bound = bind(settings.host, settings.port)
    redis = connect(settings.redis_url)
    pool = make_pool(settings.database_url, "api", statement_seconds=STATEMENT_SECONDS)
    stores = PostgresStores(redis, pool, settings, SystemClock())
    app = create_app(stores, settings.api_tokens, settings.allowed_hosts, settings.max_bodies_mb)
    bounds = Bounds(settings.head_seconds, settings.body_seconds, room_for(settings.max_connections))
    server = Server(app, bound, bounds, settings.grace_seconds, on_listening)
    stopped = asyncio.create_task(stop.wait())
    serving = asyncio.create_task(server.run_until_stopped())
    behind = asyncio.create_task(_look_after(stores, redis, pool, settings))
    try:
        await asyncio.wait({stopped, serving, behind}, return_when=asyncio.FIRST_COMPLETED)
        server.stop()
        await serving
        if behind.done():
            behind.result()
    finally:
        await cancel_all([stopped, serving, behind])
        await pool.close()
        await redis.aclose()
        bound.close()


async def _look_after(stores: PostgresStores, redis: Redis, pool: Pool, settings: Settings) -> None:
    """Makes sure of the installation, then keeps the plans right, for ever; looks out for a lost Redis."""
    await pool.open()
    stores.install(*await _installation(stores, redis, pool, settings, is_start=True))
    listening = asyncio.create_task(stores.listener.run())
    try:
        while True:
            lost = await _until_lost(stores, redis)
            _log.error("flows cannot be registered or operated on: %s", lost)
            stores.lose(lost)
            stores.install(*await _installation(stores, redis, pool, settings, is_start=False))
            _log.warning("Redis is whole again: flows can be registered and operated on")
    finally:
        await cancel_all([listening])


async def _installation(
    stores: PostgresStores, redis: Redis, pool: Pool, settings: Settings, *, is_start: bool
) -> tuple[list[Partition], Level]:
    """The installation's partitions, as soon as Redis has them, and what registrations are held out; says
    meanwhile what is waited for.

    Raises:
        StoreRefusedError: at start: a store refuses what Flower needs, which no waiting heals.
        SettingsError: at start: Redis cannot keep the durability that is set.
    """
    waiting = Waiting()
    while True:
        try:
            partitions = await ensure_installation(redis, pool, settings, is_start=is_start)
            return partitions, await _level(redis, settings, is_start)
        except LostError as error:
            is_start = False
            stores.lose(str(error))
            await waiting.wait(error)


async def _level(redis: Redis, settings: Settings, is_start: bool) -> Level:

    async def ask() -> tuple[Level, str | None]:
        level = await settle_level(redis, settings.durability, is_start=is_start)
        return level, await what_a_crash_loses(redis) if is_start else None

    level, loses = await until_it_works(ask, StoresBackoff(_log, is_start=is_start))
    if level.doubt is not None:
        _log.error("%s", level.doubt)
    _log.info("what is acknowledged is %s", level.durability)
    if loses is not None:
        _log.warning("%s", loses)
    return level


async def _until_lost(stores: PostgresStores, redis: Redis) -> str:
    measuring = asyncio.create_task(stores.backlogs.run(stores.partitions))
    try:
        return await _lost(stores, redis)
    finally:
        await cancel_all([measuring])


async def _lost(stores: PostgresStores, redis: Redis) -> str:
    generations = {partition.number: partition.generation for partition in stores.partitions}
    backoff = StoreBackoff(_log, "Redis", shortest_seconds=_LOOK_AGAIN_SECONDS)
    # Where it is away, it is not lost; /readyz says so.
    return await until_it_works(partial(until_lost, redis, generations, backoff.worked), backoff)
