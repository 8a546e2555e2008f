"""Keeps in Postgres what live workers publish of their programs, for when none lives and Redis was lost."""

import asyncio
import logging
from collections.abc import Sequence

import msgspec
from psycopg import DataError

from flower_engine.insight.published_signatures import REMEMBER_DAYS
from flower_engine.insight.seen_programs import seen_programs
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.programs.published_program import SeenProgram
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.definitions.program_rows import (
    MAX_VERSION_BYTES,
    prune_programs,
    write_programs,
)
from flower_engine.runtime.backoff import SteadyBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.settings import Settings
from flower_engine.store_faults import STORE_ERRORS

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 5.0
_AGAIN_SECONDS = 60.0  # then it is noted again that versions are there
_PRUNE_SECONDS = 3_600.0
_MOST_REFUSED = 10_000
_Key = tuple[str, str]


class ProgramRecordsLoop:
    """Writes down new versions when it sees them, and each minute when which was there; any number may."""

    def __init__(
        self,
        client: AsyncRedis,
        partitions: Sequence[Partition],
        settings: Settings,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """``partitions``: those that are there; workers publish to all, and any of these is asked."""
        self._client = client
        self._partitions = partitions
        self._settings = settings
        self._clock = clock
        self._written: set[_Key] = set()
        self._again_at = self._prune_at = clock.monotonic()
        self._refused: set[_Key] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until ``stop`` is set; a store that is away is waited for."""
        backoff = SteadyBackoff(
            _log, "what workers publish of programs is not noted now: %s", _INTERVAL_SECONDS
        )
        loop = Loop(
            *("programs", self.run_once, _INTERVAL_SECONDS, backoff, stop),
            heals=(*STORE_ERRORS, ValueError),  # what others wrote into Redis stops no projector
            is_watched=False,
            clock=self._clock,
        )
        await loop.run()

    async def run_once(self) -> None:
        """Looks once; writes where there is something new, or where it is time to.

        Raises:
            psycopg.Error, RedisError, OSError: a store is away.
        """
        if not self._partitions:
            return
        seen = await seen_programs(self._client, self._partitions[0])
        seen = [one for one in seen if self._is_fit(one)]
        keys = {_key(one) for one in seen}
        now = self._clock.monotonic()
        if keys <= self._written and now < self._again_at:
            return
        assert self._settings.database_url is not None
        async with await connect(self._settings.database_url, "programs") as connection:
            try:
                if seen:
                    await write_programs(connection, seen)
            except DataError:
                await self._write_one_by_one(connection, seen)
            if now >= self._prune_at:
                await prune_programs(connection, REMEMBER_DAYS)
                self._prune_at = now + _PRUNE_SECONDS
        self._written = keys
        self._again_at = now + _AGAIN_SECONDS

    async def _write_one_by_one(self, connection: Connection, seen: Sequence[SeenProgram]) -> None:
        """What Postgres cannot hold is left out, and said once."""
        for one in seen:
            try:
                await write_programs(connection, [one])
            except DataError as error:
                self._refuse(one, str(error).partition("\n")[0])

    def _is_fit(self, seen: SeenProgram) -> bool:
        if _key(seen) in self._refused:
            return False
        size = len(msgspec.json.encode(seen))
        if size > MAX_VERSION_BYTES:
            self._refuse(seen, f"it is {size} bytes, more than {MAX_VERSION_BYTES}")
            return False
        return True

    def _refuse(self, seen: SeenProgram, why: str) -> None:
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()
        self._refused.add(_key(seen))
        _log.warning("version %s of program %.200r is not kept in Postgres: %s", seen.hash, seen.program, why)


def _key(seen: SeenProgram) -> _Key:
    return seen.program, seen.hash
