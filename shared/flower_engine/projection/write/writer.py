"""Writes batches: archive, tables and position move in one transaction, exactly once.

What makes it exact is the transaction's first statement, which moves the position from where this writer
believes it to be; if it is elsewhere, because another projector moved it or a COMMIT went through whose
answer was lost, nothing else is done. The row stays locked until the end, so writers take turns.
"""

import logging
import struct
from collections.abc import Mapping
from typing import LiteralString

import msgspec
import psycopg

from flower_engine.projection.archive.archive_days import DAY_MS, Days
from flower_engine.projection.archive.refused_events import flow_and_type
from flower_engine.projection.database import Connection
from flower_engine.projection.write.batch import Batch, make_batch, make_refused_batch
from flower_engine.projection.write.batch_transactions import BatchTransactions
from flower_engine.projection.write.projected_positions import Projected
from flower_engine.projection.write.shared_transactions import SharedTransactions
from flower_engine.projection.write.tables import WRITING
from flower_engine.store_faults import is_refusal

_log = logging.getLogger(__name__)

# A process that is stopped in the middle gives its lock back after a while, and one that was idle for so long
# its election.
_SESSION: Mapping[LiteralString, str] = {
    **WRITING,
    "idle_in_transaction_session_timeout": "10s",
    "idle_session_timeout": "20s",
}


_ROUTES = 3  # a table of the day, and of the next two
VALUE_ERRORS = (psycopg.Error, struct.error, ArithmeticError, ValueError)
"""What a value that cannot be written may raise, here or in Postgres."""


class Writer:
    """Writes one partition's batches over a connection of its own."""

    def __init__(
        self,
        connection: Connection,
        held: Projected,
        days: Days | None = None,
        *,
        shared: SharedTransactions | None = None,
    ) -> None:
        """``shared``: where batches of other partitions are written, too."""
        self._connection = connection
        self._transactions = BatchTransactions(connection)
        self.shared = shared
        self._held = held
        self._days = days or Days()

    @property
    def position(self) -> str | None:
        """The position up to which the partition is projected, as far as this writer knows."""
        return self._held.position

    async def write(self, batch: Batch) -> bool:
        """Writes a batch that follows the position; False: the position is elsewhere, nothing was written.

        A batch with a value that Postgres refuses is cut in halves until the event is alone; that one is
        archived as bytes with the reason, and counted without the value.
        """
        first_ms, last_ms = batch.span_ms()
        if not self._days.are_settled(first_ms // DAY_MS, last_ms // DAY_MS):
            await self._days.settle(self._connection, batch.days())
        try:
            return await self._write_routed(batch)
        except VALUE_ERRORS as error:
            if not blames_a_value(error):
                raise
            why = _reason(error)
        entries = batch.entries
        if len(entries) == 1:
            return await self._write_refused(batch, why)
        middle = len(entries) // 2
        for part in (entries[:middle], entries[middle:]):
            if not await self.write(await make_batch(batch.partition, part)):
                return False
        return True

    async def _write_refused(self, batch: Batch, why: str) -> bool:
        entry = batch.entries[0]
        flow, kind = flow_and_type(entry.raw)
        _log.warning(
            "flow %s: event %s (%s) of partition %d is kept as bytes: %s",
            *(flow or "(no id)", entry.position, kind or "no type", batch.partition, why),
        )
        try:
            return await self._write_whole(make_refused_batch(batch.partition, entry, why, counted=True))
        except VALUE_ERRORS as error:
            if not blames_a_value(error):
                raise
        return await self._write_whole(make_refused_batch(batch.partition, entry, why, counted=False))

    async def _write_routed(self, batch: Batch) -> bool:
        """Where another writer has just made the day's table, the rows were about to go to the default one,
        which does not take them any more: the next try sends them to the new table."""
        for _ in range(_ROUTES):
            try:
                return await self._write_whole(batch)
            except psycopg.errors.CheckViolation as error:
                if error.diag.constraint_name is not None:  # else it is where the row goes, and no value
                    raise
        return await self._write_whole(batch)

    async def _write_whole(self, batch: Batch) -> bool:
        move = (self._held, batch)
        if self.shared is None or any(flow.replaces for flow in batch.changes.flows.values()):
            written = await self._transactions.write([move])
        else:
            written = await self.shared.write(self._transactions, move)
        if written:
            self._held = msgspec.structs.replace(self._held, position=batch.position)
        return written


async def prepare_session(connection: Connection) -> None:
    """Sets a connection up for a writer."""
    await connection.configure(_SESSION)


def blames_a_value(error: Exception) -> bool:
    """Whether one of ``VALUE_ERRORS`` is about a value that cannot be written, so that trying again does not
    help."""
    return is_refusal(error) or not isinstance(error, psycopg.Error)


def _reason(error: Exception) -> str:
    """The error in one line, without a NUL, so that it can be kept."""
    if isinstance(error, psycopg.Error):
        said = error.diag
        text = ": ".join(part for part in (said.message_primary, said.message_detail) if part) or str(error)
    else:
        text = f"a number is out of range ({error})"
    return " ".join(text.replace("\0", "").split())
