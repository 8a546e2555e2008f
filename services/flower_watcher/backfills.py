"""The loop that works off backfills of schedules."""

import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from flower_engine.projection.database import Connection, connect
from flower_engine.projection.definitions.backfill_rows import backfills_to_work_off
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.settings import Settings
from flower_engine.store_faults import STORE_ERRORS

if TYPE_CHECKING:
    from flower_engine.flows.postgres_stores import PostgresStores

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 0.5


class BackfillLoop:
    """Takes steps of backfills that are not over, one backfill after the other. Any number of watchers may:
    whoever has a backfill's row takes its step."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: Connection | None = None
        self._opened: AsyncExitStack | None = None
        self._stores: PostgresStores | None = None

    async def run(self) -> None:
        """Works until cancelled.

        Raises:
            LostError: Redis lost its state.
        """
        try:
            await Loop("backfills", self._look, _rest, StoreBackoff(_log, "backfills")).run()
        finally:
            await self._disconnect()
            await self._close()

    async def _look(self) -> bool:
        """``run_once``, on stores that are only open while there is a backfill."""
        assert self._settings.database_url is not None
        try:
            if self._connection is None:
                self._connection = await connect(self._settings.database_url, "watcher backfills")
            wanted = await backfills_to_work_off(self._connection)
            if not wanted:
                await self._close()
                return False
            return await self.run_once(await self._open(), wanted)
        except STORE_ERRORS:
            await self._disconnect()
            raise

    async def run_once(self, stores: "PostgresStores", backfills: list[str]) -> bool:
        """A step of each; whether some have more to do at once."""
        from flower_engine.flows.backfill_steps import step  # noqa: PLC0415 # few watchers ever need it

        return any([await step(stores, backfill) for backfill in backfills])

    async def _open(self) -> "PostgresStores":
        if self._stores is None:
            from flower_engine.flows.installed_stores import open_stores  # noqa: PLC0415

            self._opened = AsyncExitStack()
            self._stores = await self._opened.enter_async_context(open_stores(self._settings))
        return self._stores

    async def _close(self) -> None:
        opened, self._opened, self._stores = self._opened, None, None
        if opened is not None:
            await opened.aclose()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _rest(is_busy: bool) -> float:
    return 0.0 if is_busy else _INTERVAL_SECONDS
