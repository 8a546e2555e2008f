"""Following a partition's log: reads the next events, writes them, and reads ahead meanwhile."""

import asyncio
import logging
from collections.abc import Sequence

from redis.exceptions import RedisError

from flower_engine.errors import InstallationError, LostError, NewerEventError, PostgresBehindError
from flower_engine.insight.backlog import is_postgres_behind
from flower_engine.log.client import AsyncRedis
from flower_engine.log.entries import LogEntry
from flower_engine.log.partition import Partition
from flower_engine.log.reader import read_log
from flower_engine.projection.database import Connection
from flower_engine.projection.write.batch import Batch, Entry, make_batch
from flower_engine.projection.write.projected_positions import Projected, read_positions
from flower_engine.projection.write.shared_transactions import SharedTransactions
from flower_engine.projection.write.writer import Writer, prepare_session
from flower_engine.runtime.gap_crossing import Crossing, gap_to_cross
from flower_engine.tallies import stopwatch
from flower_engine.transitions.installation_transitions import halt
from flower_projector.event_counts import PartitionCounts

_log = logging.getLogger(__name__)

_FIRST_EVENTS = 100  # what the first read asks for, before the size of events is known
_BATCH_BYTES = 8 * 1024 * 1024


class Follower:
    """Projects one partition over one connection, from the position that Postgres has."""

    def __init__(
        self,
        client: AsyncRedis,
        connection: Connection,
        partition: Partition,
        most_events: int,
        *,
        counts: PartitionCounts | None = None,
        shared: SharedTransactions | None = None,
    ) -> None:
        """``counts`` is told what was written; ``shared``: where other partitions write, too."""
        self._counts = counts
        self._shared = shared
        self._client = client
        self._connection = connection
        self._partition = partition
        self._most_events = most_events
        self._count = min(_FIRST_EVENTS, most_events)
        self._writer: Writer | None = None
        self._ahead: Batch | None = None
        self._crossing: Crossing | None = None

    @property
    def position(self) -> str | None:
        """The position up to which the partition is projected, as far as this follower knows."""
        return self._writer.position if self._writer else None

    @property
    def has_more(self) -> bool:
        """Whether the next batch was read ahead."""
        return self._ahead is not None

    async def run_once(self) -> int:
        """Projects the next batch; returns how many events it had, 0 where the log has no more now.

        After an error, make a new follower: it reads the position again.

        Raises:
            LostError: the entry at the position is gone; the partition is halted.
            NewerEventError: the next event is of a newer version; everything before it is projected.
            InstallationError: Postgres belongs to another installation.
        """
        writer = self._writer = self._writer or await self._start()
        if self._crossing is not None:
            return await self._cross(writer, self._crossing)
        batch, self._ahead = self._ahead or await self._read(writer), None
        if batch is None:
            return 0
        ahead = asyncio.create_task(self._read_ahead(batch))
        try:
            written = await self._write(writer, batch)
            self._ahead = await ahead
        finally:
            ahead.cancel()
        return len(batch.entries) if written else self._overtaken()

    async def _write(self, writer: Writer, batch: Batch) -> bool:
        began = stopwatch()
        written = await writer.write(batch)
        if written and self._counts is not None:
            self._counts.written(batch.events, stopwatch() - began)
        return written

    async def _cross(self, writer: Writer, crossing: Crossing) -> int:
        """The next batch of a gap. Nothing is read ahead: what is written decides what counts of the next."""
        entries = await self._entries(writer, crossing.behind(writer.position))
        batch = await self._batch_of(await crossing.judge(entries))
        if batch is None:
            return 0
        if not await self._write(writer, batch):
            return self._overtaken()
        if crossing.is_over(batch.position):
            self._crossing = None
        return len(batch.entries)

    def _overtaken(self) -> int:
        _log.info("another projector is at work on partition %d, too", self._partition.number)
        self._writer = self._ahead = None
        return 0

    async def check(self) -> None:
        """Makes sure that the position is still the one in Postgres; else it is read anew.

        Raises:
            InstallationError, LostError: Postgres belongs to another installation, or was recovered.
        """
        held = await self._read_position()
        if self._writer and held.position != self._writer.position:
            self._writer = self._ahead = None

    async def _start(self) -> Writer:
        await prepare_session(self._connection)
        held = await self._read_position()
        where = (self._client, self._connection, self._partition.number)
        gap = await gap_to_cross(*where, held.position)
        self._crossing = Crossing(self._connection, gap) if gap else None
        return Writer(self._connection, held, shared=self._shared)

    async def _read_position(self) -> Projected:
        one = self._partition
        for row in await read_positions(self._connection, with_retired=True):
            if row.partition != one.number:
                continue
            if row.is_retired:
                raise LostError(f"partition {one.number} was retired")
            if row.installation != one.installation:
                raise InstallationError(
                    f"Postgres now holds installation {row.installation}, not {one.installation}: nothing"
                    " more is projected. Start this service again with the right FLOWER_DATABASE_URL"
                )
            if row.generation != one.generation:
                raise LostError(
                    f"partition {one.number} is at generation {row.generation} in Postgres, not"
                    f" {one.generation}: Redis was recovered. Start this service again"
                )
            return row
        raise InstallationError(
            f"Postgres has no position of partition {one.number}: kr_projection was changed"
        )

    async def _read(self, writer: Writer) -> Batch | None:
        """What follows the position; None: nothing, or the position is not where it was believed to be."""
        return await self._batch_of(await self._entries(writer, writer.position))

    async def _entries(self, writer: Writer, position: str | None) -> list[LogEntry]:
        """What the log has behind the position; [] as ``_read`` has None."""
        try:
            return await read_log(self._client, self._partition, position, self._count)
        except LostError as error:
            # Whoever moved the position on may have trimmed the entry since. Where the position is still the
            # same, nobody has.
            held = await self._read_position()
            if held.position != writer.position:
                self._writer = None
                return []
            if await is_postgres_behind(self._client, self._partition.number, held.position):
                raise PostgresBehindError(
                    f"Postgres went back in time: it knows partition {self._partition.number} up to"
                    f" {held.position}, more was projected already, and Redis no longer has what lies"
                    " between. Work goes on, but nothing is projected. Restore a newer backup of Postgres;"
                    " or, where there is none, run flower recover --bridge, which finds what is under way"
                ) from error
            await halt(self._client, self._partition, str(error))
            raise

    async def _read_ahead(self, batch: Batch) -> Batch | None:
        """What follows a batch that is being written, where more waits; errors are left to the next read."""
        if len(batch.entries) < self._count:
            return None
        try:
            return await self._batch_of(
                await read_log(self._client, self._partition, batch.position, self._count)
            )
        except (LostError, NewerEventError, RedisError, OSError):
            return None

    async def _batch_of(self, entries: Sequence[Entry]) -> Batch | None:
        if not entries:
            return None
        size_bytes = sum(len(entry.raw) for entry in entries) / len(entries)
        self._count = max(1, min(self._most_events, int(_BATCH_BYTES / (size_bytes + 1))))
        return await make_batch(self._partition.number, entries)
