"""Storing task logs: from the streams of the partitions to Postgres, behind which the streams are trimmed."""

import asyncio
import logging
import struct
from collections.abc import Sequence

import psycopg
from redis.exceptions import RedisError

from flower_engine.blobs.filesystem_store import FilesystemStore
from flower_engine.blobs.patience import StorePatience
from flower_engine.errors import BlobStoreError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.entries import Found
from flower_engine.log.partition import Partition
from flower_engine.log.task_log_stream import last_entry_id, read_task_log, trim_task_log
from flower_engine.model.values.positions import as_numbers
from flower_engine.projection.archive.archive_days import Days
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.task_logs.chunk_rows import (
    TABLE,
    ChunkWriter,
    prepare_session,
    read_position,
)
from flower_engine.runtime.backoff import StoresBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.task_log_store import put_lines, task_log_store
from flower_engine.store_faults import STORE_ERRORS, is_refusal
from flower_engine.task_logs.arrivals import ArrivedChunk, arrived
from flower_engine.task_logs.chunks import BadChunk

_log = logging.getLogger(__name__)

KEEP_MS = 10_000
"""What is stored stays in the stream for so long: whoever follows reads it there."""

_INTERVAL_SECONDS = 1.0
_BLOB_SECONDS = 10.0
_AWAY_SECONDS = 1.0  # a partition whose server does not answer
_STANDBY_SECONDS = 5.0  # another one stores them; it may be gone by then
_MOST_ENTRIES = 32  # of 64 KiB at most; decoding them must not hold the projector up
_SAY_BAD_AGAIN_SECONDS = 600.0


class TaskLogLoop:
    """Stores the task logs of all partitions over one connection; any number of these may run."""

    def __init__(
        self,
        client: AsyncRedis,
        partitions: Sequence[Partition],
        settings: Settings,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._bad = _BadChunks(clock)
        store = task_log_store(settings.task_log_store)
        self._streams = [_Stream(client, partition, self._bad, clock, store) for partition in partitions]
        self._patience = StorePatience(_log)
        self._connection: Connection | None = None
        self._writer: ChunkWriter | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Stores until ``stop`` is set; stores that are away are waited for."""
        backoff = StoresBackoff(_log, " (task logs)", clock=self._clock)
        loop = Loop(
            *("task logs", self.run_once, _interval_after, backoff, stop),
            is_watched=False,  # nothing waits for lines, and a prune may hold them up
            clock=self._clock,
        )
        try:
            await loop.run()
        finally:
            await self.close()

    async def run_once(self) -> int:
        """Stores some of each partition's; returns how many entries that were, of partitions that have more.

        Raises:
            psycopg.Error, RedisError, OSError: a store is away.
        """
        more = 0
        away: Exception | None = None
        try:
            for stream in self._streams:
                if not stream.is_due():
                    continue
                try:
                    more += await stream.run_once(await self._writing())
                except RedisError as error:  # its partition is away; there may be others
                    stream.wait(_AWAY_SECONDS)
                    stream.forget()
                    away = error
            if away is not None and all(not stream.is_due() for stream in self._streams) and not more:
                raise away
        except BlobStoreError as error:  # meanwhile the streams keep what comes, within their bound
            seconds = self._patience.failed("storing task logs", error)
            for stream in self._streams:
                stream.wait(seconds)
            return 0
        except STORE_ERRORS:
            await self.close()
            raise
        return more

    async def _writing(self) -> "_Writing":
        if self._connection is None:
            assert self._settings.database_url is not None
            self._connection = await connect(self._settings.database_url, "task logs")
            await prepare_session(self._connection)
            self._writer = None
        if self._writer is None:
            self._writer = ChunkWriter(self._connection, Days(TABLE, monotonic=self._clock.monotonic))
        return self._connection, self._writer

    async def close(self) -> None:
        """Gives the connection back; the next round makes it anew."""
        connection, self._connection = self._connection, None
        for stream in self._streams:
            stream.forget()
        if connection is not None:
            await connection.close()


_Writing = tuple[Connection, ChunkWriter]


def _interval_after(more: int) -> float:
    return 0.0 if more else _INTERVAL_SECONDS


class _Stream:
    """The stream of one partition. What is stored of it is read anew whenever it may have changed."""

    def __init__(
        self,
        client: AsyncRedis,
        partition: Partition,
        bad: "_BadChunks",
        clock: Clock,
        store: FilesystemStore | None,
    ) -> None:
        self._store = store
        self._client = client
        self._number = partition.number
        self._keys = partition.keys
        self._bad = bad
        self._clock = clock
        self._due = clock.monotonic()
        self._is_known = False
        self._held: str | None = None  # the position that Postgres has
        self._after: str | None = None  # what is read next lies behind it

    def is_due(self) -> bool:
        return self._clock.monotonic() >= self._due

    def wait(self, seconds: float) -> None:
        """Nothing of it is stored for so long."""
        self._due = self._clock.monotonic() + seconds

    def forget(self) -> None:
        self._is_known = False

    async def run_once(self, writing: _Writing) -> int:
        """Stores what comes next; how many entries, if there is more."""
        connection, writer = writing
        if not self._is_known:
            self._held = self._after = await read_position(connection, self._number)
            self._is_known = True
        found = await read_task_log(self._client, self._keys, self._after, _MOST_ENTRIES)
        if not found.entries:
            await self._look_behind(found.length, found.now_ms)
            return 0
        position = found.entries[-1][0].decode()
        if not await self._write(writer, position, self._chunks_of(found.entries)):
            self._is_known = False
            self._due = self._clock.monotonic() + _STANDBY_SECONDS
            return 0
        self._held = self._after = position
        await self._trim(found.now_ms)
        if self._store is not None and len(found.entries) < _MOST_ENTRIES:
            self.wait(_BLOB_SECONDS)  # fewer and larger ones
        return len(found.entries) if len(found.entries) == _MOST_ENTRIES else 0

    async def _write(self, writer: ChunkWriter, position: str, chunks: Sequence[ArrivedChunk]) -> bool:
        """Writes them; what Postgres refuses is left out."""
        try:
            blobs = None if self._store is None or not chunks else await put_lines(self._store, chunks)
            return await writer.write(self._number, self._held, position, chunks, blobs)
        except (psycopg.Error, struct.error) as error:
            if isinstance(error, psycopg.Error) and not is_refusal(error):
                raise
            if len(chunks) == 1:
                self._bad.tell(self._number, str(error).partition("\n")[0])
                return await writer.write(self._number, self._held, position, [])
        # In two transactions, the first of which leaves the position where it is: readers go by the numbers
        # of lines, so what is written twice is read once.
        middle = len(chunks) // 2
        held = self._held or "0-0"
        if not await self._write(writer, held, chunks[:middle]):
            return False
        self._held = held
        return await self._write(writer, position, chunks[middle:])

    def _chunks_of(self, entries: Sequence[Found]) -> list[ArrivedChunk]:
        chunks: list[ArrivedChunk] = []
        for chunk in arrived(entries, self._number):
            if isinstance(chunk, BadChunk):
                self._bad.tell(self._number, chunk.why)
            else:
                chunks.append(chunk)
        return chunks

    async def _look_behind(self, length: int, now_ms: int) -> None:
        """Nothing is new: what is stored is trimmed. But where Redis was lost, and its clock is behind, the
        stream began anew before the position: all of it is new then."""
        if not length:
            return
        if self._after is not None:
            last = await last_entry_id(self._client, self._keys)
            if as_numbers(last) < as_numbers(self._after):
                _log.warning(
                    "the stream of task logs of partition %d ends at %s, before %s, which is stored: Redis"
                    " was lost, or went back in time; all of it is stored anew",
                    *(self._number, last, self._after),
                )
                self._after = None
                return
        await self._trim(now_ms)

    async def _trim(self, now_ms: int) -> None:
        """Drops what is stored and old enough."""
        if self._after is None:
            return
        ms, seq = as_numbers(self._after)
        if now_ms - KEEP_MS > ms:
            await trim_task_log(self._client, self._keys, f"{ms}-{seq + 1}")
        else:
            await trim_task_log(self._client, self._keys, f"{max(0, now_ms - KEEP_MS)}-0")


class _BadChunks:
    """Says that somebody wrote what is no chunk: once, and again after some minutes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._say_at = clock.monotonic()
        self._count = 0

    def tell(self, partition: int, why: str) -> None:
        self._count += 1
        now = self._clock.monotonic()
        if now < self._say_at:
            return
        _log.warning(
            "%d chunks of task logs in partition %d are not stored, as they are none; the last: %.300s",
            *(self._count, partition, why),
        )
        self._count, self._say_at = 0, now + _SAY_BAD_AGAIN_SECONDS
