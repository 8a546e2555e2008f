"""What comes in streams of task logs, for all in a process who follow some: read once, whoever follows.

It is also looked here, for all of them at one time, which of the flows and tasks that are followed are over.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

from flower_engine.errors import StoreError, StoreUnavailableError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.log.partition import Partition
from flower_engine.log.task_log_stream import last_entry_id, read_task_log
from flower_engine.model.values.positions import as_numbers
from flower_engine.projection.task_logs.chunk_queries import which_are_over
from flower_engine.runtime.backoff import SteadyBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop
from flower_engine.store_faults import STORE_ERRORS
from flower_engine.task_logs.arrivals import ArrivedChunk, arrived

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2
_OVER_SECONDS = 1.0
_MOST_ENTRIES = 100
_MOST_CHUNKS = 64  # that wait for one who follows; then it reads them from the stores, when it can
_RETRY_SECONDS = 5


class Following:
    """One who follows a flow, or a task of it."""

    def __init__(self, flow: str, task: int | None) -> None:
        self.flow = flow
        self.task = task
        self.is_over = False
        """Whether the flow, or the task, has come to its end or stands still; it may go on again."""
        self.must_catch_up = True
        """Whether something came that is not in ``take``: all of it is to be read from the stores."""
        self.stream_end: str | None = None
        """How far the stream went when this began; None: that is not known yet."""
        self.has_begun_anew = False
        """Whether the stream began anew since, with positions before those that were read."""
        self.is_closed = False
        self._chunks: deque[ArrivedChunk] = deque()
        self.woken = asyncio.Event()

    def take(self) -> list[ArrivedChunk]:
        """What came since the last time."""
        taken = list(self._chunks)
        self._chunks.clear()
        return taken

    def add(self, chunk: ArrivedChunk) -> None:
        if self.must_catch_up:
            return
        if len(self._chunks) >= _MOST_CHUNKS:
            self.miss()
        else:
            self._chunks.append(chunk)
        self.woken.set()

    def begin_to_catch_up(self) -> None:
        """From here on what comes is kept for ``take``."""
        self.must_catch_up = False
        self._chunks.clear()

    def miss(self) -> None:
        """Something came, or may have come, that is not kept here."""
        self.must_catch_up = True
        self._chunks.clear()
        self.woken.set()


class FollowedStreams:
    """All who follow in this process. ``most``: so many at one time, others are refused."""

    def __init__(self, stores: PostgresStores, most: int, clock: Clock = SYSTEM_CLOCK) -> None:
        self.stores = stores
        self.clock = clock
        self._most = most
        self._followers: dict[int, dict[str, set[Following]]] = {}  # by partition and flow
        self._positions: dict[int, str] = {}
        self._count = 0
        self._somebody = asyncio.Event()
        self._is_closed = False
        self._over_at = clock.monotonic()
        backoff = SteadyBackoff(_log, "reading task logs for those who follow: %s", 1.0)
        self._loop = Loop(
            *("follows task logs", self.run_once, _LOOK_SECONDS, backoff),
            heals=(*STORE_ERRORS, StoreError),
            is_watched=False,  # it waits for somebody who follows
            clock=clock,
        )

    async def run(self) -> None:
        """Reads for as long as somebody follows, until cancelled."""
        await self._loop.run()

    def close(self) -> None:
        """Nobody follows any more."""
        self._is_closed = True
        for follower in self._all():
            follower.is_closed = True
            follower.woken.set()

    def make_room(self, flow: str) -> None:
        """Returns if one more may follow; raises as :meth:`follow` does."""
        self.stores.partition_of(flow)
        if self._is_closed or self._count >= self._most:
            why = f"{self._count} follow task logs here already, which is as many as may"
            raise StoreUnavailableError("the API", why, _RETRY_SECONDS)

    @contextmanager
    def follow(self, flow: str, task: int | None) -> Generator[Following]:
        """One who follows, for as long as the context lasts.

        Raises:
            UnknownFlowError: there can be no such flow.
            StoreUnavailableError: too many follow already.
        """
        self.make_room(flow)
        number = self.stores.partition_of(flow).number
        follower = Following(flow, task)
        follower.stream_end = self._positions.get(number)
        flows = self._followers.setdefault(number, {})
        flows.setdefault(flow, set()).add(follower)
        self._count += 1
        self._somebody.set()
        try:
            yield follower
        finally:
            self._count -= 1
            flows[flow].discard(follower)
            if not flows[flow]:
                del flows[flow]
            if not flows:
                self._followers.pop(number, None)
                self._positions.pop(number, None)

    async def run_once(self) -> None:
        """Gives everybody what came.

        Raises:
            psycopg.Error, RedisError, OSError, StoreUnavailableError: a store is away.
        """
        if not self._followers:
            self._somebody.clear()
        await self._somebody.wait()
        for number in list(self._followers):
            partition = self.stores.numbered(number)
            if partition is not None:
                await self._read(partition)
        if self.clock.monotonic() >= self._over_at:
            self._over_at = self.clock.monotonic() + _OVER_SECONDS
            await self._look_who_is_over()

    async def _read(self, partition: Partition) -> None:
        number, redis = partition.number, self.stores.redis
        position = self._positions.get(number)
        if position is None:
            self._positions[number] = end = await last_entry_id(redis, partition.keys)
            for follower in self._of(number):
                follower.stream_end = end
                follower.miss()  # what came before it, each reads for itself
            return
        while True:
            found = await read_task_log(redis, partition.keys, position, _MOST_ENTRIES)
            if not found.entries:
                break
            self._positions[number] = position = found.entries[-1][0].decode()
            for chunk in arrived(found.entries, number):
                if isinstance(chunk, ArrivedChunk):
                    for follower in self._followers.get(number, {}).get(chunk.chunk.flow, ()):
                        follower.add(chunk)
            if len(found.entries) < _MOST_ENTRIES:
                return
        last = await last_entry_id(redis, partition.keys)
        if as_numbers(last) < as_numbers(position):  # Redis was lost, and its clock is behind
            self._positions[number] = "0-0"
            for follower in self._of(number):
                follower.has_begun_anew = True
                follower.miss()

    def _of(self, number: int) -> list[Following]:
        """Those who follow flows of a partition."""
        return [one for followers in self._followers.get(number, {}).values() for one in followers]

    async def _look_who_is_over(self) -> None:
        followers = self._all()
        if not followers:
            return
        pairs = list({(one.flow, one.task) for one in followers})
        async with self.stores.postgres() as connection:
            over = await which_are_over(connection, pairs)
        for follower in followers:
            is_over = (follower.flow, follower.task) in over
            if is_over != follower.is_over:
                follower.is_over = is_over
                follower.woken.set()

    def _all(self) -> list[Following]:
        return [one for number in self._followers for one in self._of(number)]
