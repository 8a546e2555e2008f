"""Takes away partitions that are retired, once they are empty."""

import asyncio
import logging

from flower_engine.errors import StoreUnavailableError
from flower_engine.log.client import AsyncRedis
from flower_engine.projection.database import connect
from flower_engine.projection.write.projected_positions import read_positions
from flower_engine.runtime.backoff import SteadyBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.retiring_partitions import take_step, tell_where_untold
from flower_engine.runtime.settings import Settings
from flower_engine.store_faults import STORE_ERRORS

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 5.0
_SOON_SECONDS = 1.0  # while one is retired
_HEARD_SECONDS = 5.0  # each service looks once a second which partitions there are
_TELL_SECONDS = 60.0


class RetiringLoop:
    """Any number may look; each step is done by one, and safe to be done twice."""

    def __init__(self, client: AsyncRedis, settings: Settings, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._left: dict[int, float] = {}  # since when it is seen that others are told to leave it
        self._cleared: set[int] = set()
        self._tell_at = clock.monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Looks until ``stop`` is set; a store that is away is waited for."""
        backoff = SteadyBackoff(_log, "no partition is taken away now: %s", _INTERVAL_SECONDS)
        loop = Loop(
            *("retiring", self.run_once, _seconds, backoff, stop),
            heals=(*STORE_ERRORS, StoreUnavailableError),
            is_watched=False,
            clock=self._clock,
        )
        await loop.run()

    async def run_once(self) -> bool:
        """Does the next step of each; whether any is retired and not taken away yet.

        Raises:
            psycopg.Error, RedisError, OSError, StoreUnavailableError: a store, or a partition, is away.
        """
        assert self._settings.database_url is not None
        async with await connect(self._settings.database_url, "retiring") as connection:
            now = self._clock.monotonic()
            if now >= self._tell_at:
                await tell_where_untold(self._client, connection)
                self._tell_at = now + _TELL_SECONDS
            rows = await read_positions(connection, with_retired=True)
            due = [row.partition for row in rows if row.is_retiring and row.partition not in self._cleared]
            for number in due:
                step = await take_step(self._client, connection, number, self._is_left)
                if step == "nothing":
                    self._cleared.add(number)
        return bool(due)

    def _is_left(self, number: int, is_leaving: bool) -> bool:
        if not is_leaving:
            self._left.pop(number, None)
            return False
        now = self._clock.monotonic()
        return now - self._left.setdefault(number, now) >= _HEARD_SECONDS


def _seconds(is_any: bool) -> float:
    return _SOON_SECONDS if is_any else _INTERVAL_SECONDS
