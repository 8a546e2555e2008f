"""Stores for loops of a watcher that seldom have something to do: one connection to look by, and all that the
engine needs only while there is something."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from flower_engine.projection.database import Connection, connect
from flower_engine.runtime.settings import Settings
from flower_engine.store_faults import STORE_ERRORS

if TYPE_CHECKING:
    from flower_engine.flows.postgres_stores import PostgresStores


class OccasionalStores:
    """Made and closed as they are asked for; to be closed at last. ``name`` is that of the connection."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()
        self._opened: AsyncExitStack | None = None
        self._stores: PostgresStores | None = None

    @asynccontextmanager
    async def looking(self) -> AsyncGenerator[Connection]:
        """The connection; where a store fails meanwhile, there is another one next time.

        Raises:
            psycopg.Error: Postgres cannot be reached.
        """
        assert self._settings.database_url is not None
        try:
            if self._connection is None:
                self._connection = await connect(self._settings.database_url, self._name)
            yield self._connection
        except STORE_ERRORS:
            await self._disconnect()
            raise

    async def open(self) -> "PostgresStores":
        """The stores, the same until they are closed, also for several who ask at the same time."""
        async with self._opening:
            if self._stores is None:
                from flower_engine.flows.installed_stores import open_stores  # noqa: PLC0415 # few ever need it

                opened = AsyncExitStack()
                self._stores = await opened.enter_async_context(open_stores(self._settings))
                self._opened = opened
            return self._stores

    async def close(self) -> None:
        """There is nothing to do: the connection stays."""
        opened, self._opened, self._stores = self._opened, None, None
        if opened is not None:
            await opened.aclose()

    async def close_all(self) -> None:
        """The loop ends."""
        await self._disconnect()
        await self.close()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
