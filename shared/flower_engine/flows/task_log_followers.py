"""Following a task log: what is there, as it came, then what comes, each line once, also after a break."""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterable, Mapping

import msgspec
import psycopg
from redis.exceptions import RedisError

from flower_engine.errors import FlowerError, StoreUnavailableError
from flower_engine.flows.followed_streams import FollowedStreams, Following
from flower_engine.flows.task_log_blobs import with_lines
from flower_engine.flows.task_log_lines import LineFilter, LineView, Teller, Told, concerns, losses_of
from flower_engine.flows.task_log_pages import chunk_filter, last_told, open_log
from flower_engine.flows.task_log_tail import read_unstored
from flower_engine.model.values.positions import as_numbers
from flower_engine.projection.task_logs.chunk_queries import (
    Arrival,
    ChunkRow,
    chunks_by_arrival,
    last_lines,
    lost_events,
    row_of,
    task_names,
)
from flower_engine.projection.task_logs.chunk_rows import read_position

KEEP_ALIVE_SECONDS = 15.0
_LINGER_SECONDS = 2.0  # an attempt's last lines come within this after its outcome
_AGAIN_SECONDS = 1.0
_BATCH_CHUNKS = 50
_MARK = re.compile(r"(\d{1,15})-(\d{1,15})-(\d{1,6})-(\d{1,16})-(\d{1,9})")
_AWAY = (psycopg.Error, RedisError, OSError, StoreUnavailableError)


class Mark(msgspec.Struct, frozen=True):
    """Where a follower is: the chunk that the last line came with, the line's number, and how many losses it
    was told of."""

    arrival: Arrival
    number: int
    losses: int

    @property
    def text(self) -> str:
        return "-".join(map(str, (*self.arrival, self.number, self.losses)))

    @classmethod
    def of(cls, text: str) -> "Mark | None":
        """The mark that such a text is; None: it is none."""
        found = _MARK.fullmatch(text)
        if found is None:
            return None
        ms, seq, place, number, losses = map(int, found.groups())
        return cls((ms, seq, place), number, losses)


START = Mark((0, 0, 0), 0, 0)  # before all: no entry of a stream has this id


class Followed(msgspec.Struct, frozen=True):
    """What a follower gets: a line with its mark; or none: nothing came for a while, or (``is_end``) nothing
    more is to come, or (``trouble``) a store is waited for."""

    line: LineView | None = None
    mark: str = ""
    is_end: bool = False
    trouble: str = ""


async def follow(
    streams: FollowedStreams, flow: str, asked: LineFilter, *, behind: Mark | None, tail: int | None
) -> AsyncGenerator[Followed]:
    """Lines as they come, from the first one, or from behind a mark, or the last few and then what comes. It
    ends when the flow, or the task that is asked for, is over and its last lines have come."""
    with streams.follow(flow, asked.task) as follower:
        one = _Follower(streams, follower, asked, behind or START)
        if behind is None and tail is not None:
            for followed in await one.begin_with(tail):
                yield followed
        async for followed in one.run():
            yield followed


class _Follower:
    def __init__(
        self, streams: FollowedStreams, follower: Following, asked: LineFilter, behind: Mark
    ) -> None:
        self._streams = streams
        self._stores = streams.stores
        self._follower = follower
        self._asked = asked
        self._resumed = behind if behind.number else None  # a chunk that may have been told in part
        self._at = behind.arrival
        self._number = behind.number
        self._losses = behind.losses
        self._is_known = behind is START  # up to which line each attempt was told
        self._teller = Teller(asked, {})
        self._attempts: set[tuple[int, int]] = set()
        self._looked_at = streams.clock.monotonic() - _AGAIN_SECONDS  # for losses
        self._must_look = False
        self._is_anew = False  # whether the stream began anew since all of it was read

    async def begin_with(self, count: int) -> list[Followed]:
        """The last lines that are there."""
        log = await open_log(self._stores, self._follower.flow, self._asked)
        told, ends = await last_told(self._stores, log, self._asked, count)
        self._teller = Teller(self._asked, log.names, ends)
        self._is_known, self._losses = True, len(log.losses)
        followed = [self._marked(one) for one in told]
        arrivals = [row.arrival for row in log.unstored.rows]
        self._at = max([self._at, *arrivals, *(one.arrival for one in told)])
        return followed

    async def run(self) -> AsyncGenerator[Followed]:
        follower, clock = self._follower, self._streams.clock
        over_since: float | None = None
        while not follower.is_closed:
            follower.woken.clear()
            came = False
            try:
                async for followed in self._what_came():
                    came = True
                    yield followed
            except _AWAY as error:
                follower.miss()
                yield Followed(trouble=_words_of(error))
                await clock.rest(_AGAIN_SECONDS)
                continue
            except FlowerError as error:  # it was pruned meanwhile
                yield Followed(trouble=str(error), is_end=True)
                return
            if not follower.is_over:
                over_since = None
            elif over_since is None or came:
                over_since = clock.monotonic()
            elif clock.monotonic() - over_since >= _LINGER_SECONDS:
                for followed in await self._losses_or_none():
                    yield followed
                yield Followed(is_end=True)
                return
            seconds = KEEP_ALIVE_SECONDS if over_since is None else _LINGER_SECONDS
            if await _woken(follower.woken, _AGAIN_SECONDS if self._must_look else seconds):
                continue
            for followed in await self._losses_or_none():
                yield followed
            yield Followed()

    async def _what_came(self) -> AsyncGenerator[Followed]:
        follower = self._follower
        if follower.must_catch_up:
            async for followed in self._catch_up():
                yield followed
        for followed in await self._tell(row_of(chunk, self._asked.level) for chunk in follower.take()):
            yield followed

    async def _catch_up(self) -> AsyncGenerator[Followed]:
        """What the stores have behind the mark."""
        follower = self._follower
        self._is_anew |= follower.has_begun_anew
        follower.has_begun_anew = False
        if follower.stream_end is not None:
            self._is_anew |= as_numbers(follower.stream_end) < self._at[:2]
            follower.stream_end = None
        follower.begin_to_catch_up()
        before = (*self._at[:2], self._at[2] - 1)  # the chunk at the mark may have been told in part
        async with self._stores.postgres() as connection:
            self._teller.name(await task_names(connection, follower.flow))
            if not self._is_known:
                self._count_as_told(await last_lines(connection, follower.flow, before))
        if self._is_anew:  # what was told is known by the numbers of lines
            before = (*START.arrival[:2], -1)
        is_last = False
        while not is_last:
            rows, is_last = await self._next_rows(before)
            for followed in await self._tell(await with_lines(self._stores, rows)):
                yield followed
            before = rows[-1].arrival if rows else before
        self._is_known, self._is_anew = True, False
        for followed in await self._new_losses():
            yield followed

    async def _next_rows(self, before: Arrival) -> tuple[list[ChunkRow], bool]:
        """Some chunks behind another, and whether these are all."""
        flow, level = self._follower.flow, self._asked.level
        partition = self._stores.partition_of(flow)
        async with self._stores.postgres() as connection:
            stored = await read_position(connection, partition.number)
            rows = await chunks_by_arrival(connection, chunk_filter(flow, self._asked), before, _BATCH_CHUNKS)
        if len(rows) == _BATCH_CHUNKS:
            return rows, False
        async with self._stores.log_readers:  # at once: what is stored stays in the stream for seconds only
            unstored = await read_unstored(self._stores.redis, partition, flow, stored, level)
        if not unstored.is_all:
            raise StoreUnavailableError("Redis", "what is not stored yet cannot be read now", 1)
        if not self._is_known:
            self._count_as_told(
                {(row.task, row.attempt): row.last for row in unstored.rows if row.arrival <= before}
            )
        return rows + [row for row in unstored.rows if row.arrival > before], True

    def _count_as_told(self, ends: Mapping[tuple[int, int], int]) -> None:
        for attempt, last in ends.items():
            self._teller.told[attempt] = max(last, self._teller.told.get(attempt, 0))

    async def _tell(self, rows: Iterable[ChunkRow]) -> list[Followed]:
        told: list[Followed] = []
        for row in rows:
            if not concerns(row, self._asked):
                continue
            attempt = row.task, row.attempt
            if self._resumed is not None and row.arrival == self._resumed.arrival:
                self._teller.told[attempt] = max(self._resumed.number, self._teller.told.get(attempt, 0))
                self._resumed = None
            if row.attempt > 1 and attempt not in self._attempts:
                self._attempts.add(attempt)
                self._must_look = True
                if self._streams.clock.monotonic() - self._looked_at >= _AGAIN_SECONDS:
                    told += await self._new_losses()
            told += map(self._marked, self._teller.lines_of(row))
            self._at = row.arrival
        return told

    def _marked(self, told: Told) -> Followed:
        self._number = told.place[2]
        return Followed(told.line, Mark(told.arrival, self._number, self._losses).text)

    async def _new_losses(self) -> list[Followed]:
        """Attempts that were lost since."""
        self._looked_at, self._must_look = self._streams.clock.monotonic(), False
        async with self._stores.postgres() as connection:
            events = await lost_events(connection, self._follower.flow, self._asked.task)
        followed: list[Followed] = []
        for loss in losses_of(events, self._asked)[self._losses :]:
            self._losses += 1
            mark = Mark(self._at, self._number, self._losses)
            followed.append(Followed(self._teller.lost(loss).line, mark.text))
        return followed

    async def _losses_or_none(self) -> list[Followed]:
        try:
            return await self._new_losses()
        except _AWAY:
            return []


async def _woken(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _words_of(error: Exception) -> str:
    store = "Postgres" if isinstance(error, psycopg.Error) else "Redis"
    return str(error) if isinstance(error, FlowerError) else f"{store} does not answer"
