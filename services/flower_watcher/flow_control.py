"""The loop that brings what people set in ``ms_flow_control`` and ``ms_strike`` to every partition."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from flower_engine.log.client import AsyncRedis
from flower_engine.log.each_partition import from_each
from flower_engine.log.partition import Partition
from flower_engine.model.flow_control.flow_control import FlowControl, Strike
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.definitions.flow_control_rows import read_version, try_to_lock_controls
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.flow_control_sync import problems_of_controls, try_to_bring_control
from flower_engine.runtime.lending import Lending
from flower_engine.runtime.loop import Loop
from flower_engine.store_faults import STORE_ERRORS
from flower_engine.transitions.flow_control_transitions import read_token
from flower_engine.transitions.strike_transition import sweep

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 0.4
_QUIET_SECONDS = 0.8  # a change acts within a second all the same, whoever made it
_QUIET_LOOKS = 5  # in a row that met no change
_TIMEOUT_SECONDS = 10.0
_TOKEN_SECONDS = 2.0
_LEND_SECONDS = 0.8  # so at every second look or third


class ControlLoop:
    """Looks whether the tables or what Redis holds of them has changed; any number of watchers may."""

    def __init__(
        self,
        client: AsyncRedis,
        partitions: Sequence[Partition],
        database_url: str,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """``partitions``: those that are there; they may come and go."""
        self._client = client
        self._partitions = partitions
        self._url = database_url
        # What both sides were when they were made alike.
        self._held: tuple[int, int, dict[int, str]] | None = None
        self._controls: Sequence[FlowControl] = ()
        self._clock = clock
        self._lend_at = 0.0
        self._quiet_looks = 0  # in a row, that met nothing new
        self._turn = 0
        self._said: set[str] = set()
        self._swept: set[str] = set()
        self._connection: Connection | None = None

    async def run(self) -> None:
        """Looks until cancelled.

        Raises:
            LostError: Redis lost its state.
        """
        try:
            backoff = StoreBackoff(_log, "flow control")
            await Loop("flow control", self._look, self._interval_after, backoff).run()
        finally:
            await self._disconnect()

    def _interval_after(self, _changed: list[str]) -> float:
        return _INTERVAL_SECONDS if self._quiet_looks < _QUIET_LOOKS else _QUIET_SECONDS

    async def _look(self) -> list[str]:
        """``run_once``, on a connection that is kept until something fails."""
        try:
            if self._connection is None:
                self._connection = await connect(self._url, "watcher control")
            return await self.run_once(self._connection)
        except STORE_ERRORS:
            self._held = None  # say all of it again: nobody knows what arrived
            await self._disconnect()
            raise

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def run_once(self, connection: Connection) -> list[str]:
        """Brings the tables to the partitions where either has changed; the names that did in any of them."""
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            version, count = await read_version(connection)
            read = partial(read_token, self._client)
            there = list(self._partitions)
            found = await from_each(self._client, there, read, seconds=_TOKEN_SECONDS)
            here = [one for one in there if one.number in found.found]
            if not here:
                return []
            if (version, count, found.found) == self._held:
                self._quiet_looks += 1
                await self._lend(connection, here, count)
                return []
            self._quiet_looks = 0
            brought = await try_to_bring_control(self._client, connection, here)
        if brought is None:  # somebody else is at it: look again
            return []
        await self._sweep(brought.controls.strikes, here, brought.count)
        self._say_problems(problems_of_controls(brought.controls, brought.count))
        tokens = dict(zip((one.number for one in here), brought.tokens, strict=True))
        self._controls = brought.controls.rows
        self._held = (brought.controls.version, brought.count, tokens)
        if brought.changed:
            some = ", ".join(brought.changed[:10])
            _log.info("flow control: %d settings changed (%s)", len(brought.changed), some)
        return brought.changed

    async def _lend(self, connection: Connection, here: Sequence[Partition], count: int) -> None:
        """Shares that are not used are lent to where something waits, once a second."""
        if count == 1 or self._clock.monotonic() < self._lend_at:
            return
        self._lend_at = self._clock.monotonic() + _LEND_SECONDS
        self._turn += 1
        lending = Lending(self._client, here, count, self._controls, self._turn)
        if await lending.is_due():
            async with connection.transaction():
                if await try_to_lock_controls(connection):
                    await lending.run()

    def _say_problems(self, problems: list[str]) -> None:
        for problem in problems:
            if problem not in self._said:
                _log.error("flow control: %s", problem)
        self._said = set(problems)

    async def _sweep(self, strikes: Sequence[Strike], partitions: Sequence[Partition], count: int) -> None:
        """What waits already is passed over, too, by strikes that are new to this watcher."""
        programs = {strike.program for strike in strikes if strike.id not in self._swept}
        for partition in partitions if programs else ():
            met = await sweep(self._client, partition, programs)
            _log.info("strikes: %d waiting tasks of %s passed over", met, ", ".join(sorted(programs)))
        if len(partitions) == count:  # else those that are away are swept when they are back
            self._swept = {strike.id for strike in strikes}
