"""What of a flow's task logs is not in Postgres yet, from the stream in Redis."""

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from flower_engine.log.partition import Partition
from flower_engine.log.task_log_stream import read_task_log
from flower_engine.projection.task_logs.chunk_queries import ChunkRow, row_of
from flower_engine.task_logs.arrivals import ArrivedChunk, arrived

_PAGE_ENTRIES = 100
_MOST_ENTRIES = 2_000  # of which most are far from 64 KiB; then Postgres is behind, and it is said


class Unstored(msgspec.Struct):
    """The chunks of a flow behind a position. ``is_all``: there are no more."""

    rows: list[ChunkRow]
    is_all: bool


async def read_unstored(
    redis: Redis, partition: Partition, flow: str, after: str | None, level: int
) -> Unstored:
    """What the stream has of a flow behind a position. Without Redis nothing, and that is not all."""
    rows: list[ChunkRow] = []
    read = 0
    while read < _MOST_ENTRIES:
        try:
            found = await read_task_log(redis, partition.keys, after, _PAGE_ENTRIES)
        except (RedisError, OSError):
            return Unstored(rows, is_all=False)
        for chunk in arrived(found.entries, partition.number, flow):
            if isinstance(chunk, ArrivedChunk):
                rows.append(row_of(chunk, level))
        if len(found.entries) < _PAGE_ENTRIES:
            return Unstored(rows, is_all=True)
        after = found.entries[-1][0].decode()
        read += len(found.entries)
    return Unstored(rows, is_all=False)
