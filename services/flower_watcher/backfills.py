"""The loop that works off backfills of schedules."""

import logging
from typing import TYPE_CHECKING

from flower_engine.projection.definitions.backfill_rows import backfills_to_work_off
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.settings import Settings
from flower_watcher.occasional_stores import OccasionalStores

if TYPE_CHECKING:
    from flower_engine.flows.postgres_stores import PostgresStores

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 0.5


class BackfillLoop:
    """Takes steps of backfills that are not over, one backfill after the other. Any number of watchers may:
    whoever has a backfill's row takes its step."""

    def __init__(self, settings: Settings) -> None:
        self._stores = OccasionalStores(settings, "watcher backfills")

    async def run(self) -> None:
        """Works until cancelled.

        Raises:
            LostError: Redis lost its state.
        """
        try:
            await Loop("backfills", self._look, _rest, StoreBackoff(_log, "backfills")).run()
        finally:
            await self._stores.close_all()

    async def _look(self) -> bool:
        """``run_once``, on stores that are only open while there is a backfill."""
        async with self._stores.looking() as connection:
            wanted = await backfills_to_work_off(connection)
            if not wanted:
                await self._stores.close()
                return False
            return await self.run_once(await self._stores.open(), wanted)

    async def run_once(self, stores: "PostgresStores", backfills: list[str]) -> bool:
        """A step of each; whether some have more to do at once."""
        from flower_engine.flows.backfill_steps import step  # noqa: PLC0415 # few watchers ever need it

        return any([await step(stores, backfill) for backfill in backfills])


def _rest(is_busy: bool) -> float:
    return 0.0 if is_busy else _INTERVAL_SECONDS
