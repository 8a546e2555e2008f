"""How far the projection is behind the log, as Redis alone can tell.

The projector notes how many of the events ever appended it has projected (``trim.lua``); Redis counts those
that were appended. So the difference is known while Postgres, or the projector, is away.
"""

from collections.abc import Sequence

import msgspec

from flower_engine.log.client import AsyncRedis, is_cluster, queue_command, send
from flower_engine.log.each_partition import from_each
from flower_engine.log.keys import Keys
from flower_engine.log.partition import Partition
from flower_engine.model.values.positions import as_numbers
from flower_engine.transitions.loader import Script

_count = Script("projector/count")
_NOTE, _NOTE_TO, _PACKED = "projected", "projected_to", "packed"  # fields of meta


class Backlog(msgspec.Struct, frozen=True):
    """Events of a partition's log that are not projected, and about how many bytes of Redis they take."""

    events: int = 0
    size_bytes: int = 0


async def count_projected(client: AsyncRedis, partition: Partition, position: str | None) -> int:
    """How many of the events ever appended to the log lie at or before a position (None: before the first).

    Raises:
        LostError: Redis lost its state.
    """
    behind, until, added = 0, "", 0
    while True:
        args = _count.args(generation=partition.generation, behind=position or "", up_to=until)
        reply = partition.check(await _count.run(client, partition.keys.meta, args))
        behind += reply[1]
        added = added if until else reply[4]
        until, position = reply[3].decode(), reply[2].decode()
        if not position:
            return max(0, added - behind)


async def is_postgres_behind(client: AsyncRedis, number: int, position: str | None) -> bool:
    """Whether Redis remembers that more was projected than Postgres, at this position, knows of."""
    noted: bytes | None = await send(client, "HGET", Keys(number).meta, _NOTE_TO)
    return noted is not None and as_numbers(noted.decode()) > as_numbers(position)


async def log_size_bytes(client: AsyncRedis, partition: Partition) -> int:
    """About how many bytes of Redis' memory the log takes."""
    return int(await send(client, "MEMORY USAGE", partition.keys.log) or 0)


async def read_backlogs(client: AsyncRedis, partitions: Sequence[Partition]) -> list[Backlog | None]:
    """Each partition's backlog, in one round trip; on a cluster in one to each, at once, and None for those
    that do not answer."""
    if not is_cluster(client):
        return list(await _read_backlogs(client, partitions))
    told = await from_each(client, partitions, lambda one: _read_backlogs(client, [one]))
    return [told.found.get(one.number, [None])[0] for one in partitions]


async def read_backlog(client: AsyncRedis, partition: Partition) -> Backlog:
    """One partition's backlog.

    Raises:
        RedisError, OSError: Redis, or the node of this partition, cannot be asked now.
    """
    (backlog,) = await _read_backlogs(client, [partition])
    return backlog


async def _read_backlogs(client: AsyncRedis, partitions: Sequence[Partition]) -> list[Backlog]:
    async with client.pipeline(transaction=False) as pipeline:
        for partition in partitions:
            queue_command(pipeline, "XINFO STREAM", partition.keys.log)
            queue_command(pipeline, "MEMORY USAGE", partition.keys.log)
            queue_command(pipeline, "HMGET", partition.keys.meta, _NOTE, _PACKED)
        replies = await pipeline.execute(raise_on_error=False)
    return [_backlog(*replies[first : first + 3]) for first in range(0, len(replies), 3)]


def _backlog(stream: object, size_bytes: object, noted: object) -> Backlog:
    if not isinstance(stream, dict) or not isinstance(size_bytes, int):  # there is no log (yet, or any more)
        return Backlog()
    projected, packed = (int(number or 0) for number in noted) if isinstance(noted, list) else (0, 0)  # pyright: ignore
    added, length = int(stream["entries-added"]), int(stream["length"])  # pyright: ignore
    events = max(0, added + packed - projected)
    held = max(1, length * (added + packed) // max(1, added))  # events that the log has, if packed as ever
    return Backlog(events, size_bytes * min(events, held) // held)
