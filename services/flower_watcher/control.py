"""The loop that brings what people set in ``ms_flow_control`` and ``ms_strike`` to every partition."""

import asyncio
import logging
from collections.abc import Sequence

import psycopg
from redis.exceptions import RedisError

from flower_engine.log.client import AsyncRedis
from flower_engine.log.controlling import set_control
from flower_engine.log.partition import Partition
from flower_engine.log.striking import sweep
from flower_engine.model.control import Strike
from flower_engine.projection.controls import read_controls, read_version
from flower_engine.projection.database import Connection, connect
from flower_engine.runtime.patience import Patience

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 0.4  # a change acts within a second, whoever made it
_TIMEOUT_SECONDS = 10.0


class ControlLoop:
    """Looks whether the table has changed; several watchers may, an older state is never taken."""

    def __init__(self, client: AsyncRedis, partitions: Sequence[Partition], database_url: str) -> None:
        self._client = client
        self._partitions = partitions
        self._url = database_url
        self._held = -1
        self._swept: set[str] = set()
        self._patience = Patience(_log, "flow control")

    async def run(self) -> None:
        """Looks until cancelled.

        Raises:
            LostError: Redis lost its state.
        """
        while True:
            try:
                async with await connect(self._url, "watcher control") as connection:
                    while True:
                        await self.run_once(connection)
                        self._patience.worked()
                        await asyncio.sleep(_INTERVAL_SECONDS)
            except (psycopg.Error, RedisError, TimeoutError, OSError) as error:
                self._held = -1  # say all of it again: nobody knows what arrived
                await asyncio.sleep(self._patience.failed(error))

    async def run_once(self, connection: Connection) -> list[str]:
        """Brings changed tables to the partitions; the names that changed in any of them."""
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            if await read_version(connection) == self._held:
                return []
            controls = await read_controls(connection)
        changed: set[str] = set()
        for partition in self._partitions:
            changed.update(
                await set_control(
                    self._client,
                    partition,
                    partitions=len(self._partitions),
                    version=controls.version,
                    controls=controls.rows,
                    strikes=controls.strikes,
                )
            )
        await self._sweep(controls.strikes)
        self._held = controls.version
        if changed:
            _log.info("flow control: %d settings changed (%s)", len(changed), ", ".join(sorted(changed)[:10]))
        return sorted(changed)

    async def _sweep(self, strikes: Sequence[Strike]) -> None:
        """What waits already is passed over, too, by strikes that are new to this watcher."""
        programs = {strike.program for strike in strikes if strike.id not in self._swept}
        for partition in self._partitions if programs else ():
            count = await sweep(self._client, partition, programs)
            _log.info("strikes: %d waiting tasks of %s passed over", count, ", ".join(sorted(programs)))
        self._swept = {strike.id for strike in strikes}
