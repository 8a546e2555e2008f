"""The loop of one partition: is elected, follows the log, trims it, and bears with stores that are away."""

import asyncio
import contextlib
import logging
import time
from enum import Enum, auto

import psycopg
from redis.exceptions import RedisError

from flower_engine.errors import InstallationError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.log.reader import wait_for_log
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.write.election import Election
from flower_engine.runtime.backoff import Patience
from flower_engine.runtime.settings import Settings
from flower_engine.store_faults import is_outage, is_refused
from flower_projector.log_follower import Follower
from flower_projector.trimming import Trimmer

_log = logging.getLogger(__name__)

_STANDBY_SECONDS = 1.0
_IDLE_MS = 2_000
_BATCH_SECONDS = 0.02  # batches begin no faster than this, so that they grow when events come one by one
_CHECK_SECONDS = 10.0


class Turn(Enum):
    """What a turn of the loop came to."""

    PROJECTED = auto()  # a batch; there may be more
    IDLE = auto()  # the log has no more
    STANDBY = auto()  # another projector is the active one
    AWAY = auto()  # a store is away


class PartitionLoop:
    """Projects one partition for as long as it is the elected projector."""

    def __init__(self, client: AsyncRedis, partition: Partition, settings: Settings) -> None:
        self._client = client
        self._partition = partition
        self._settings = settings
        self._redis = Patience(_log, f"Redis (partition {partition.number})")
        self._postgres = Patience(_log, f"Postgres (partition {partition.number})")
        self._pause_seconds = 0.0
        self._connection: Connection | None = None
        self._election: Election | None = None
        self._active: _Active | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Projects until ``stop`` is set; a batch under way is written first.

        Raises:
            LostError, NewerEventError, InstallationError: as ``run_once``.
        """
        try:
            while not stop.is_set():
                began = time.monotonic()
                turn = await self.run_once()
                await self._rest(turn, began, stop)
        finally:
            await self.close()

    async def run_once(self) -> Turn:
        """Projects the next batch, if there is one and this is the elected projector; trims what is due.

        Raises:
            LostError: Redis lost its state, or went back in time; every service stops.
            NewerEventError: the next event is of a newer version; everything before it is projected.
            InstallationError: Postgres belongs to another installation, or its tables are not there.
        """
        try:
            turn = await self._take_turn()
        except (psycopg.Error, RedisError, OSError) as error:
            await self.close()
            if isinstance(error, psycopg.Error) and not (is_outage(error) or is_refused(error)):
                raise InstallationError(f"Postgres' tables cannot be used as they are: {error}") from error
            patience = self._postgres if isinstance(error, psycopg.Error) else self._redis
            self._pause_seconds = patience.failed(error)
            return Turn.AWAY
        self._postgres.worked()
        self._redis.worked()
        return turn

    async def _take_turn(self) -> Turn:
        number = self._partition.number
        if self._connection is None:
            assert self._settings.database_url is not None
            self._connection = await connect(self._settings.database_url, f"projector {number}")
        if self._election is None:
            self._election = Election(self._connection, number)
        if not await self._election.hold():
            self._active = None
            return Turn.STANDBY
        if self._active is None:
            _log.info("elected for partition %d", number)
            self._active = _Active(self._client, self._connection, self._partition, self._settings)
        return await self._active.run_once()

    async def _rest(self, turn: Turn, began: float, stop: asyncio.Event) -> None:
        """Waits between turns, as long as there is nothing to do."""
        match turn:
            case Turn.PROJECTED:
                if self._active and not self._active.has_more:
                    await asyncio.sleep(began + _BATCH_SECONDS - time.monotonic())
            case Turn.IDLE:
                await self._rest_until_more(stop)
            case Turn.STANDBY:
                await _rest_until(stop, _STANDBY_SECONDS)
            case Turn.AWAY:
                await _rest_until(stop, self._pause_seconds)

    async def _rest_until_more(self, stop: asyncio.Event) -> None:
        position = self._active.position if self._active else None
        waiting = asyncio.create_task(wait_for_log(self._client, self._partition, position, _IDLE_MS))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        stopping.cancel()
        waited, _ = await asyncio.gather(waiting, stopping, return_exceptions=True)
        if isinstance(waited, Exception):
            await _rest_until(stop, _STANDBY_SECONDS)  # the next turn says what is wrong

    async def close(self) -> None:
        """Gives the election and the connection back; the next turn makes them anew."""
        connection, election = self._connection, self._election
        self._connection = self._election = self._active = None
        if connection is not None:
            if election is not None:
                with contextlib.suppress(psycopg.Error):  # then its time runs out
                    await election.give_up()
            await connection.close()


class _Active:
    """What the elected projector has: a follower, a trimmer, and now and then a look at the position."""

    def __init__(
        self, client: AsyncRedis, connection: Connection, partition: Partition, settings: Settings
    ) -> None:
        self._follower = Follower(client, connection, partition, settings.projector_batch_events)
        self._trimmer = Trimmer(client, partition, settings)
        self._check_at = time.monotonic() + _CHECK_SECONDS

    @property
    def position(self) -> str | None:
        return self._follower.position

    @property
    def has_more(self) -> bool:
        """Whether the next batch is at hand already."""
        return self._follower.has_more

    async def run_once(self) -> Turn:
        events = await self._follower.run_once()
        position = self._follower.position
        if position is not None:
            if events:
                self._trimmer.archived(position, events)
            await self._trimmer.run_once(position)
        if time.monotonic() >= self._check_at:
            self._check_at = time.monotonic() + _CHECK_SECONDS
            await self._follower.check()
        return Turn.PROJECTED if events else Turn.IDLE


async def _rest_until(stop: asyncio.Event, seconds: float) -> None:
    """Waits so long, or until told to stop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
