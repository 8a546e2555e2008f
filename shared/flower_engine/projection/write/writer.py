"""Writes batches: archive, tables and position move in one transaction, exactly once.

What makes it exact is the transaction's first statement, which moves the position from where this writer
believes it to be; if it is elsewhere, because another projector moved it or a COMMIT went through whose
answer was lost, nothing else is done. The row stays locked until the end, so writers take turns.
"""

import logging
import struct
from collections.abc import Collection, Mapping
from typing import LiteralString

import msgspec
import psycopg

from flower_engine.crash_points import crash_point
from flower_engine.projection.archive.archive_days import DAY_MS, Days
from flower_engine.projection.archive.archived_events import COPY_EVENTS
from flower_engine.projection.archive.refused_events import flow_and_type
from flower_engine.projection.blobs.uses import add_uses
from flower_engine.projection.copying import copy_into
from flower_engine.projection.database import Connection
from flower_engine.projection.write.batch import Batch, make_batch, make_refused_batch
from flower_engine.projection.write.flow_changes import FlowChange
from flower_engine.projection.write.projected_positions import Projected, move_position
from flower_engine.projection.write.slot_rows import write_schedules
from flower_engine.projection.write.tables import BY_KEY, write_changes
from flower_engine.store_faults import is_refusal

_log = logging.getLogger(__name__)

# A process that is stopped in the middle gives its lock back after a while, and one that was idle for so long
# its election.
_SESSION: Mapping[LiteralString, str] = {
    **BY_KEY,
    "idle_in_transaction_session_timeout": "10s",
    "idle_session_timeout": "20s",
}


_FIRST_PLANNED, _MOST_PLANNED = 500, 50_000
"""Added tasks after which statements are planned anew: at first, and later on."""
VALUE_ERRORS = (psycopg.Error, struct.error, ArithmeticError, ValueError)
"""What a value that cannot be written may raise, here or in Postgres."""


class Writer:
    """Writes one partition's batches over a connection of its own."""

    def __init__(self, connection: Connection, held: Projected, days: Days | None = None) -> None:
        self._connection = connection
        self._held = held
        self._days = days or Days()
        self._added = 0  # tasks, since statements were planned
        self._plan_at = _FIRST_PLANNED

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
            return await self._write_whole(batch)
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

    async def _write_whole(self, batch: Batch) -> bool:
        connection, flows = self._connection, batch.changes.flows.values()
        async with connection.transaction():
            if not await move_position(connection, self._held, batch.position):
                return False
            crash_point("project.moved")
            await copy_into(connection, COPY_EVENTS, batch.archive.data())
            await self._plan_anew(flows)
            await write_changes(connection, flows, batch.partition)
            await write_schedules(connection, batch.changes.schedules, batch.partition)
            await add_uses(connection, batch.uses())
            crash_point("project.written")
        crash_point("project.committed")
        self._held = msgspec.structs.replace(self._held, position=batch.position)
        return True

    async def _plan_anew(self, flows: Collection[FlowChange]) -> None:
        """A plan that was made while the tables were small may read all of them: it is made anew as they
        grow. What is not prepared is planned each time."""
        self._added += sum(len(flow.registered.tasks) for flow in flows if flow.registered is not None)
        if self._added >= self._plan_at and not self._connection.is_pooled:
            await self._connection.execute("DISCARD PLANS")
            self._added, self._plan_at = 0, min(2 * self._plan_at, _MOST_PLANNED)


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
