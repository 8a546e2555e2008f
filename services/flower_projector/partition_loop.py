"""The loop of one partition: is elected, follows the log, trims it, and bears with stores that are away."""

import asyncio
import contextlib
import logging
from enum import Enum, auto

import psycopg

from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.log.reader import wait_for_log
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.write.election import Election
from flower_engine.projection.write.shared_transactions import SharedTransactions
from flower_engine.runtime.asyncio_tasks import unless_stopped
from flower_engine.runtime.backoff import StoresBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.settings import Settings
from flower_engine.store_faults import STORE_ERRORS, refuse_unusable
from flower_projector.event_counts import EventCounts
from flower_projector.log_follower import Follower
from flower_projector.partition_shares import PartitionSharesLoop
from flower_projector.trimming import Trimmer

_log = logging.getLogger(__name__)

_STANDBY_SECONDS = 1.0
_IDLE_MS = 2_000
_BATCH_SECONDS = 0.02  # batches begin no faster than this, so that they grow when events come one by one
_CHECK_SECONDS = 10.0


class Round(Enum):
    """What a round of the loop came to."""

    PROJECTED = auto()  # a batch; there may be more
    IDLE = auto()  # the log has no more
    STANDBY = auto()  # another projector is the active one


class PartitionLoop:
    """Projects one partition for as long as it is the elected projector, until ``stop`` is set."""

    def __init__(
        self,
        client: AsyncRedis,
        partition: Partition,
        settings: Settings,
        stop: asyncio.Event | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
        counts: EventCounts | None = None,
        shares: PartitionSharesLoop | None = None,
        shared: SharedTransactions | None = None,
    ) -> None:
        """``counts`` is told what is written, if somebody wants to know; ``shares`` says whether to stand
        back for other projectors; ``shared``: where the other partitions of this one write, too."""
        self._shares = shares
        self._shared = shared
        self._counts = counts
        self._client = client
        self._partition = partition
        self._settings = settings
        self._stop = stop or asyncio.Event()
        self._clock = clock
        of = f" (partition {partition.number})"
        self.rounds = Loop(
            f"log of partition {partition.number}",
            self._make_round,
            self._interval_after,
            StoresBackoff(_log, of, clock=clock),
            self._stop,
            partition=partition.number,
            clock=clock,
        )
        self._began = 0.0
        self._is_idle = False
        self._connection: Connection | None = None
        self._election: Election | None = None
        self._active: _Active | None = None

    async def run(self) -> None:
        """Projects until told to stop; a batch under way is written first.

        Raises:
            LostError, NewerEventError, InstallationError: as ``run_once``.
        """
        try:
            await self.rounds.run()
        finally:
            await self.close()

    async def run_once(self) -> Round:
        """Projects the next batch, if there is one and this is the elected projector; trims what is due.

        Raises:
            LostError: Redis lost its state, or went back in time; every service stops.
            NewerEventError: the next event is of a newer version; everything before it is projected.
            InstallationError: Postgres belongs to another installation, or its tables are not there.
            psycopg.Error, RedisError, OSError: a store is away; the next call begins with new connections.
        """
        self._is_idle = False
        try:
            result = await self._project()
        except STORE_ERRORS as error:
            await self.close(failed=True)
            refuse_unusable(error, "Postgres' tables cannot be used as they are")
            raise
        self._is_idle = result is Round.IDLE
        return result

    async def _make_round(self) -> Round:
        """``run_once``, as soon as the log has more where it had none."""
        if self._is_idle:
            await self._wait_for_more()
            if self._stop.is_set():
                return Round.IDLE
        self._began = self._clock.monotonic()
        return await self.run_once()

    async def _project(self) -> Round:
        number = self._partition.number
        shares = self._shares
        if shares is not None and not shares.has_looked:
            await unless_stopped(self._stop, shares.first_look())
        if shares is not None and (shares.gives(number) or not shares.takes(number)):
            if self._active is not None:
                _log.info("partition %d goes to a projector that has fewer", number)
            await self.close()
            return Round.STANDBY
        if self._connection is None:
            assert self._settings.database_url is not None
            self._connection = await connect(self._settings.database_url, f"projector {number}")
        if self._election is None:
            self._election = Election(self._connection, number, monotonic=self._clock.monotonic)
        if not await self._election.hold():
            self._stand_by()
            if shares is not None:
                shares.left(number)
            return Round.STANDBY
        if self._active is None:
            level = logging.DEBUG if self.rounds.is_failing else logging.INFO  # it is tried every 2 s
            _log.log(level, "elected for partition %d", number)
            self._active = _Active(
                *(self._client, self._connection, self._partition, self._settings),
                clock=self._clock,
                counts=self._counts,
                shared=self._shared,
            )
            if self._counts is not None:
                self._counts.active.add(number)
        return await self._active.run_once()

    def _interval_after(self, result: Round) -> float:
        match result:
            case Round.PROJECTED:
                has_more = self._active is None or self._active.has_more
                return 0.0 if has_more else self._began + _BATCH_SECONDS - self._clock.monotonic()
            case Round.IDLE:
                return 0.0  # the next round begins with a wait
            case Round.STANDBY:
                return _STANDBY_SECONDS

    async def _wait_for_more(self) -> None:
        """Returns when the log may have more, and when it is told to stop."""
        position = self._active.position if self._active else None
        try:
            await unless_stopped(self._stop, wait_for_log(self._client, self._partition, position, _IDLE_MS))
        except STORE_ERRORS:
            await self._clock.rest(_STANDBY_SECONDS, self._stop)  # the round says what is wrong

    async def close(self, *, failed: bool = False) -> None:
        """Gives the election and the connection back; the next round makes them anew. ``failed``: a store is
        away."""
        connection, election = self._connection, self._election
        self._connection = self._election = None
        self._stand_by()
        if connection is not None:
            if election is not None:
                with contextlib.suppress(psycopg.Error):  # then its time runs out
                    await election.give_up()
            await connection.close()
        if self._shares is not None:
            self._shares.left(self._partition.number, failed=failed)

    def _stand_by(self) -> None:
        self._active = None
        if self._counts is not None:
            self._counts.active.discard(self._partition.number)


class _Active:
    """What the elected projector has: a follower, a trimmer, and now and then a look at the position."""

    def __init__(
        self,
        client: AsyncRedis,
        connection: Connection,
        partition: Partition,
        settings: Settings,
        *,
        clock: Clock,
        counts: EventCounts | None,
        shared: SharedTransactions | None,
    ) -> None:
        self._clock = clock
        counting = counts.following() if counts else None
        most = settings.projector_batch_events
        self._follower = Follower(client, connection, partition, most, counts=counting, shared=shared)
        self._trimmer = Trimmer(client, partition, settings, monotonic=clock.monotonic)
        self._check_at = clock.monotonic() + _CHECK_SECONDS

    @property
    def position(self) -> str | None:
        return self._follower.position

    @property
    def has_more(self) -> bool:
        """Whether the next batch is at hand already."""
        return self._follower.has_more

    async def run_once(self) -> Round:
        events = await self._follower.run_once()
        position = self._follower.position
        if position is not None:
            if events:
                self._trimmer.archived(position, events)
            await self._trimmer.run_once(position)
        if self._clock.monotonic() >= self._check_at:
            self._check_at = self._clock.monotonic() + _CHECK_SECONDS
            await self._follower.check()
        return Round.PROJECTED if events else Round.IDLE
