"""The loop that brings signals which are kept to flows that have come to await them."""

import logging
from typing import TYPE_CHECKING

from flower_engine.projection.definitions.signal_rows import KeptSignal, forget_signals, open_signals
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.settings import Settings
from flower_watcher.occasional_stores import OccasionalStores

if TYPE_CHECKING:
    from flower_engine.flows.postgres_stores import PostgresStores

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 0.5
_FORGET_SECONDS = 3_600.0


class KeptSignalsLoop:
    """Looks which of the signals that are kept some task awaits. Any number of watchers may: a flow gets each
    once."""

    def __init__(self, settings: Settings, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._stores = OccasionalStores(settings, "watcher signals")
        self._forget_at = clock.monotonic()

    async def run(self) -> None:
        """Works until cancelled.

        Raises:
            LostError: Redis lost its state.
        """
        backoff = StoreBackoff(_log, "kept signals")
        try:
            await Loop("kept signals", self._look, _INTERVAL_SECONDS, backoff, is_watched=False).run()
        finally:
            await self._stores.close_all()

    async def _look(self) -> None:
        """``run_once``, on stores that are only open while a signal is kept."""
        async with self._stores.looking() as connection:
            if self._clock.monotonic() >= self._forget_at:
                self._forget_at = self._clock.monotonic() + _FORGET_SECONDS
                await forget_signals(connection)
            signals = await open_signals(connection)
            if signals:
                await self.run_once(await self._stores.open(), signals)
            else:
                await self._stores.close()

    async def run_once(self, stores: "PostgresStores", signals: list[KeptSignal]) -> int:
        """Brings each to the flows that await it; how many tasks took one."""
        from flower_engine.flows.kept_signals import awaited, bring  # noqa: PLC0415 # few watchers ever need it

        return sum([len((await bring(stores, one)).taken) for one in await awaited(stores, signals)])
