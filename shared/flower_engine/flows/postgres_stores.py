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
from flower_engine.flows.read_replica import VIEWER, ReadReplica
from flower_engine.flows.stores import Stores
from flower_engine.model.values.seen_position import SeenPosition
from flower_engine.projection.database import Connection, Pool
from flower_engine.projection.read.wal_positions import read_wal_position
from flower_engine.runtime.clock import Clock
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.task_log_store import task_log_store
from flower_engine.store_faults import STORE_ERRORS

_WAIT_SECONDS = 2.0  # for a free connection; a client does better to try again than to wait longer
_WAIT_AWAY_SECONDS = 0.3  # the same while the listener says that Postgres is away
_QUERY_SECONDS = 20.0  # for all statements of a request, and for a Postgres that stands still
STATEMENT_SECONDS = 19.0  # for one statement: Postgres ends it itself, and the connection is kept


class PostgresStores(Stores):
    """Redis and Postgres; the plans are right as long as somebody runs the listener."""

    def __init__(
        self,
        redis: Redis,
        pool: Pool,
        settings: Settings,
        clock: Clock,
        replica: ReadReplica | None = None,
    ) -> None:
        """``replica`` answers viewers whom it may, where there is one."""
        assert settings.database_url is not None
        self.replica = replica
        super().__init__(
            redis,
            settings,
            clock,
            definitions=PostgresDefinitions(self.primary),
            archive=PostgresArchive(self.postgres),
            key_owners=PostgresKeyOwners(self.primary),
            program_records=PostgresProgramRecords(self.postgres),
        )
        self.listener = Listener(settings.database_direct_url or settings.database_url, self.plans)
        self.pool = pool
        self.blob_names = settings.blobs
        self.task_log_store = task_log_store(settings.task_log_store)

    @asynccontextmanager
    async def postgres(self) -> AsyncGenerator[Connection]:
        """A connection to Postgres, for a bounded time: to the replica, where there is one and whoever asks
        is a viewer who may be told what it has.

        Raises:
            psycopg.Error, StoreUnavailableError: Postgres cannot be used now.
        """
        viewer = VIEWER.get()
        if self.replica is None or viewer is None or viewer.is_answered:
            async with self.primary() as connection:
                yield connection
            return
        async with _bounded(), self.replica.connection(viewer) as connection:
            if connection is not None:
                yield connection
                return
        async with self.primary() as connection:
            yield connection
            try:
                viewer.saw(await read_wal_position(connection, with_projected=bool(viewer.seen.log)))
            except STORE_ERRORS:  # what was done is done; how far that is is not known
                viewer.saw_anything()

    async def seen_on(self, connection: Connection) -> SeenPosition | None:
        """How far somebody has seen who was told what was read on this connection; None: there is no replica
        that could be behind that."""
        if self.replica is None:
            return None
        at = await read_wal_position(connection)
        return SeenPosition(at.system, at.wal)

    @asynccontextmanager
    async def primary(self) -> AsyncGenerator[Connection]:
        """A connection to the Postgres that is written to, for what is kept in mind, or written.

        Raises:
            psycopg.Error, StoreUnavailableError: Postgres cannot be used now.
        """
        wait_seconds = _WAIT_AWAY_SECONDS if self.listener.is_away else _WAIT_SECONDS
        async with _bounded(), self.pool.connection(wait_seconds) as connection:
            yield connection


@asynccontextmanager
async def _bounded() -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(_QUERY_SECONDS):
            yield
    except TimeoutError:
        raise StoreUnavailableError("Postgres", f"it did not answer in {_QUERY_SECONDS:g} s") from None
