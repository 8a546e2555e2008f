"""The stores of an installation: Redis and Postgres."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from flower_engine.errors import SettingsError, StoreUnavailableError
from flower_engine.flows.definition_listener import Listener
from flower_engine.flows.postgres_sources import PostgresArchive, PostgresDefinitions, PostgresKeyOwners
from flower_engine.flows.stores import Stores
from flower_engine.log.client import connect
from flower_engine.log.durability import settle_level
from flower_engine.projection.database import Connection, Pool, make_pool
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.runtime.clock import Clock, SystemClock
from flower_engine.runtime.installation import ensure_installation
from flower_engine.runtime.settings import Settings

_WAIT_SECONDS = 2.0  # for a free connection; a client does better to try again than to wait longer
_WAIT_AWAY_SECONDS = 0.3  # the same while the listener says that Postgres is away
_QUERY_SECONDS = 20.0  # for all statements of a request, and for a Postgres that stands still
STATEMENT_SECONDS = 19.0  # for one statement: Postgres ends it itself, and the connection is kept


class PostgresStores(Stores):
    """Redis and Postgres; the plans are right as long as somebody runs the listener."""

    def __init__(self, redis: Redis, pool: Pool, settings: Settings, clock: Clock) -> None:
        assert settings.database_url is not None
        super().__init__(
            redis,
            settings,
            clock,
            definitions=PostgresDefinitions(self.postgres),
            archive=PostgresArchive(self.postgres),
            key_owners=PostgresKeyOwners(self.postgres),
        )
        self.listener = Listener(settings.database_direct_url or settings.database_url, self.plans)
        self._pool = pool

    @asynccontextmanager
    async def postgres(self) -> AsyncGenerator[Connection]:
        """A connection to Postgres, for a bounded time.

        Raises:
            psycopg.Error, StoreUnavailableError: Postgres cannot be used now.
        """
        wait_seconds = _WAIT_SECONDS if self.listener.problem is None else _WAIT_AWAY_SECONDS
        try:
            async with asyncio.timeout(_QUERY_SECONDS), self._pool.connection(wait_seconds) as connection:
                yield connection
        except TimeoutError:
            raise StoreUnavailableError("Postgres", f"it did not answer in {_QUERY_SECONDS:g} s") from None


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncGenerator[PostgresStores]:
    """The stores that the settings name, made sure of and looked after, for who is no service of Flower.

    While one of them is away it is waited for. Once Redis has lost its state, whatever writes to it raises
    LostError; then open them anew.

    Raises:
        SettingsError: they do not name both, or Redis cannot keep the durability that is set.
        StoreRefusedError: a store refuses what Flower needs, which no waiting heals.
        InstallationError: the stores do not belong together.
        LostError: Redis lost its state, and must be recovered first.
    """
    if settings.redis_url is None or settings.database_url is None:
        raise SettingsError("set FLOWER_REDIS_URL and FLOWER_DATABASE_URL; `flower urls` prints them")
    pool = make_pool(settings.database_url, "flows", statement_seconds=STATEMENT_SECONDS)
    async with connect(settings.redis_url) as redis, pool:
        stores = PostgresStores(redis, pool, settings, SystemClock())
        partitions = await ensure_installation(redis, pool, settings)
        stores.install(partitions, await settle_level(redis, settings.durability))
        behind = [asyncio.create_task(stores.listener.run())]
        behind.append(asyncio.create_task(stores.backlogs.run(partitions)))
        try:
            yield stores
        finally:
            await cancel_all(behind)
