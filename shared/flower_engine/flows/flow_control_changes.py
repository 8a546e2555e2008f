"""Changes of flow control: in the tables and in Redis, or in neither."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from psycopg.errors import LockNotAvailable

from flower_engine.errors import LostError, StoreUnavailableError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.flow_control_rows import lock_controls
from flower_engine.runtime.flow_control_sync import bring_control


@asynccontextmanager
async def changing_control(stores: PostgresStores) -> AsyncGenerator[Connection]:
    """A transaction on the tables of flow control.

    What they say at its end holds in every partition before it is committed; where Redis cannot take it
    nothing is stored. (Should the commit fail after that, the watcher brings back what the tables say.)

    Raises:
        StoreUnavailableError, psycopg.Error, RedisError, LostError: nothing was changed.
    """
    partitions = stores.partitions
    if stores.lost is not None:
        raise LostError(stores.lost)
    async with stores.postgres() as connection, connection.transaction():
        try:
            await lock_controls(connection)
        except LockNotAvailable:
            raise StoreUnavailableError(
                "Postgres", "another transaction keeps the tables of flow control locked; end it, or wait"
            ) from None
        yield connection
        await bring_control(stores.redis, connection, partitions, must_sign=True)
    stores.plans.forget_all()
