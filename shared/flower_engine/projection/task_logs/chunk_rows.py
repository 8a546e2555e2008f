"""Chunks of task logs as rows of ``kr_task_log``, written in one transaction with how far it is stored."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import LiteralString, NamedTuple

import msgspec

from flower_engine.crash_points import crash_point
from flower_engine.projection import binary_fields
from flower_engine.projection.archive.archive_days import DAY_MS, Days
from flower_engine.projection.binary_fields import NULL
from flower_engine.projection.copying import copy_into
from flower_engine.projection.database import Connection
from flower_engine.task_logs.arrivals import ArrivedChunk

TABLE = "kr_task_log"

_COPY: LiteralString = (
    "COPY kr_task_log (partition, position_ms, position_seq, chunk, task_flow_id, task_exec_seq, attempt,"
    " first_line, last_line, skipped, top_level, lines, blob, blob_offset, blob_bytes)"
    " FROM STDIN (FORMAT BINARY)"
)
_COLUMNS = 15
# Columns; as fields: partition, position_ms, position_seq, chunk, flow, task, attempt, first, last, skipped,
# top level. All in one: it is done for each task that writes a line.
_head = struct.Struct(">hiiiqiqiii36siiiiiqiqiqii").pack
_bigints = struct.Struct(">iqiq").pack
_encode = msgspec.json.Encoder().encode

# A process that stands still in the middle of it lets another one go on.
_SESSION: Mapping[LiteralString, str] = {"idle_in_transaction_session_timeout": "10s"}
# Who comes second in it need not wait: the other one stores what is there.
_LOCK = "SELECT pg_try_advisory_xact_lock(('kr_task_log_position'::regclass::oid::bigint << 16) + %s)"
_MOVE = """
INSERT INTO kr_task_log_position AS known (partition, position) VALUES (%(partition)s, %(position)s)
ON CONFLICT (partition) DO UPDATE SET position = excluded.position, updated_ts = now()
WHERE known.position IS NOT DISTINCT FROM %(held)s
"""
_POSITION = "SELECT position FROM kr_task_log_position WHERE partition = %s"


class InBlob(NamedTuple):
    """Where the lines of a chunk lie that are not in the table."""

    sha256: str
    offset: int
    size: int


async def prepare_session(connection: Connection) -> None:
    """Sets a connection up for writing."""
    await connection.configure(_SESSION)


async def read_position(connection: Connection, partition: int) -> str | None:
    """Up to which entry the stream of the partition is stored; None: nothing of it is."""
    row = await (await connection.execute(_POSITION, [partition])).fetchone()
    return None if row is None else str(row[0])


class ChunkWriter:
    """Writes the chunks of streams of task logs, each exactly once as long as its stream lasts."""

    def __init__(self, connection: Connection, days: Days) -> None:
        self._connection = connection
        self._days = days

    async def write(
        self,
        partition: int,
        held: str | None,
        position: str,
        chunks: Sequence[ArrivedChunk],
        blobs: Sequence[InBlob] | None = None,
    ) -> bool:
        """Writes chunks and moves the partition's position from ``held``; False: it is elsewhere, or somebody
        else is just at it, and nothing was written. ``blobs`` says of each chunk where its lines are, if not
        here.

        Raises:
            psycopg.DataError: Postgres refuses a value; nothing was written.
        """
        days = {one.ms // DAY_MS for one in chunks}
        if days and not self._days.are_settled(min(days), max(days)):
            await self._days.settle(self._connection, days)
        data = rows_of(partition, chunks, blobs) if chunks else b""
        connection = self._connection
        values = {"partition": partition, "position": position, "held": held}
        async with connection.transaction():
            row = await (await connection.execute(_LOCK, [partition])).fetchone()
            if row != (True,) or (await connection.execute(_MOVE, values)).rowcount != 1:
                return False
            if data:
                await copy_into(connection, _COPY, data)
            crash_point("task_log.written")
        crash_point("task_log.committed")
        return True


def rows_of(partition: int, chunks: Iterable[ArrivedChunk], blobs: Sequence[InBlob] | None = None) -> bytes:
    """The rows as COPY wants them.

    Raises:
        struct.error: a number is beyond what its column takes.
    """
    parts = [binary_fields.COPY_HEAD]
    for index, (ms, seq, place, chunk) in enumerate(chunks):
        lines = chunk.lines
        first = last = lines[0]
        top_level = first.level
        if len(lines) > 1:
            last = lines[-1]
            top_level = max([line.level for line in lines])
        parts.append(
            _head(
                *(_COLUMNS, 4, partition, 8, ms, 8, seq, 4, place, 36, chunk.flow.encode()),
                *(4, chunk.task, 4, chunk.attempt, 8, first.number, 8, last.number),
                *(8, chunk.skipped, 4, top_level),
            )
        )
        if blobs is None:
            parts += (binary_fields.json(_encode(lines)), NULL + NULL + NULL)
        else:
            sha256, offset, size = blobs[index]
            parts += (NULL, binary_fields.text(sha256), _bigints(8, offset, 8, size))
    parts.append(binary_fields.COPY_TAIL)
    return b"".join(parts)
