"""The stores of an installation: Redis and Postgres."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from flower_engine.errors import StoreUnavailableError
from flower_engine.flows.definition_listener import Listener
from flower_engine.flows.postgres_sources import (
    PostgresArchive,
    PostgresDefinitions,
    PostgresKeyOwners,
    PostgresProgramRecords,
)
from flower_engine.flows.stores import Stores
from flower_engine.projection.database import Connection, Pool
from flower_engine.runtime.clock import Clock
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.task_log_store import task_log_store

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
            program_records=PostgresProgramRecords(self.postgres),
        )
        self.listener = Listener(settings.database_direct_url or settings.database_url, self.plans)
        self.pool = pool
        self.blob_names = settings.blobs
        self.task_log_store = task_log_store(settings.task_log_store)

    @asynccontextmanager
    async def postgres(self) -> AsyncGenerator[Connection]:
        """A connection to Postgres, for a bounded time.

        Raises:
            psycopg.Error, StoreUnavailableError: Postgres cannot be used now.
        """
        wait_seconds = _WAIT_SECONDS if self.listener.problem is None else _WAIT_AWAY_SECONDS
        try:
            async with asyncio.timeout(_QUERY_SECONDS), self.pool.connection(wait_seconds) as connection:
                yield connection
        except TimeoutError:
            raise StoreUnavailableError("Postgres", f"it did not answer in {_QUERY_SECONDS:g} s") from None
