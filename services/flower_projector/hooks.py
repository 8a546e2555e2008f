"""Hooks in the projector: its loops, which stand in nobody's way. What fails there is said, and tried again;
it never ends the service."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.programs.program_modules import import_named
from flower_engine.projection.database import make_pool
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.settings import Settings
from flower_engine.store_faults import STORE_ERRORS
from flower_projector.hook_deliveries import DeliveryLoop
from flower_projector.hook_notices import NoticeLoop

_log = logging.getLogger(__name__)
_AGAIN_SECONDS = 10.0


def load_hook_modules(settings: Settings) -> None:
    """Imports the modules that register Python hooks.

    Raises:
        ProgramError: one does not import; names it.
    """
    for module in settings.hook_modules:
        import_named(module, " of FLOWER_HOOK_MODULES")


class Hooks:
    """Runs from the first :meth:`start` on, whatever becomes of Redis meanwhile."""

    def __init__(self, client: AsyncRedis, settings: Settings, stop: asyncio.Event) -> None:
        self._client = client
        self._settings = settings
        self._stop = stop
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, partitions: Sequence[Partition]) -> None:
        """Begins, once the tables are there."""
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._note(partitions)),
                asyncio.create_task(self._deliver()),
            ]

    async def close(self) -> None:
        """Waits for its end, which ``stop`` brings; what is under way has a moment."""
        if self._stop.is_set():
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await cancel_all(self._tasks)

    async def _note(self, partitions: Sequence[Partition]) -> None:
        loop = NoticeLoop(self._client, partitions, self._settings)
        try:
            await self._run("hooks", loop.run_once)
        finally:
            await loop.close()

    async def _deliver(self) -> None:
        assert self._settings.database_url is not None
        async with make_pool(self._settings.database_url, "hooks", max_size=2) as pool:
            loop = DeliveryLoop(pool, self._settings)
            try:
                await self._run("hook deliveries", loop.run_once)
            finally:
                await loop.close()

    async def _run(self, name: str, run_once: Callable[[], Awaitable[float]]) -> None:
        await Loop(
            *(name, run_once, _rest, _Patience(name), self._stop),
            heals=(Exception,),
            is_watched=False,  # one that hangs makes no projector unready
        ).run()


class _Patience:
    """Bears with everything: hooks are beside what the service is there for."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._store = StoreBackoff(_log, f"Postgres ({name})")

    def failed(self, error: Exception) -> float:
        if isinstance(error, STORE_ERRORS):
            return self._store.failed(error)
        _log.error("%s: %s", self._name, error, exc_info=error)
        return _AGAIN_SECONDS

    def worked(self) -> None:
        self._store.worked()


def _rest(seconds: float) -> float:
    return seconds
