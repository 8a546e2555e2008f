"""The transactions in which batches are written: archive, tables and position, all of it or nothing."""

from collections.abc import Sequence

from psycopg import Rollback

from flower_engine.crash_points import crash_point
from flower_engine.projection.archive.archived_events import COPY_EVENTS
from flower_engine.projection.binary_fields import joined_copies
from flower_engine.projection.blobs.uses import add_uses
from flower_engine.projection.copying import copy_into
from flower_engine.projection.database import Connection
from flower_engine.projection.write.batch import Batch
from flower_engine.projection.write.projected_positions import Projected, move_positions
from flower_engine.projection.write.slot_rows import write_schedules
from flower_engine.projection.write.tables import write_changes

Move = tuple[Projected, Batch]
"""A batch, and where its partition is believed to be."""


class BatchTransactions:
    """Those of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def write(self, moves: Sequence[Move]) -> bool:
        """Writes batches of different partitions in one transaction. False: one of the positions is
        elsewhere, and nothing was written."""
        connection = self._connection
        batches = [batch for _, batch in moves]
        written = False
        async with connection.transaction():
            if not await move_positions(connection, [(held, batch.position) for held, batch in moves]):
                raise Rollback
            crash_point("project.moved")
            await copy_into(connection, COPY_EVENTS, joined_copies([one.archive.data() for one in batches]))
            by_partition = [(one.partition, one.changes.flows.values()) for one in batches]
            await write_changes(connection, by_partition)
            for one in batches:
                await write_schedules(connection, one.changes.schedules, one.partition)
            await add_uses(connection, [use for one in batches for use in one.uses()])
            crash_point("project.written")
            written = True
        crash_point("project.committed")
        return written
