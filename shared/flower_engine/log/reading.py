"""Reading the log: in order, from a position, with the check that the position is still there."""

import msgspec

from flower_engine.errors import LostError
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.keys import Keys
from flower_engine.log.partition import Partition


class LogEntry(msgspec.Struct, frozen=True, gc=False):
    """One event as it lies in the log: its position's stream id ("<ms>-<n>") and its JSON.

    ``raw`` is empty where somebody else wrote an entry without an event.
    """

    position: str
    raw: bytes


async def read_log(
    client: AsyncRedis, partition: Partition, position: str | None, count: int
) -> list[LogEntry]:
    """Up to ``count`` entries after ``position`` (None: from the first), oldest first.

    The entry AT the position is read too: it is always kept, so its absence means that Redis was lost or
    went back in time.

    Raises:
        LostError: the entry at the position is gone.
    """
    first, extra = (position, 1) if position else ("-", 0)
    found: list[tuple[bytes, dict[bytes, bytes]]] = await send(
        client, "XRANGE", partition.keys.log, first, "+", "COUNT", count + extra
    )
    entries = [LogEntry(position.decode(), fields.get(b"e", b"")) for position, fields in found]
    if position is None:
        return entries
    if not entries or entries[0].position != position:
        raise LostError(
            f"the log of partition {partition.number} no longer has its entry {position}, which is"
            " projected: Redis was lost or went back in time. Recover Redis from the archive"
        )
    return entries[1:]


async def has_entry(client: AsyncRedis, keys: Keys, position: str) -> bool:
    """Whether the log still has the entry at a position."""
    return bool(await send(client, "XRANGE", keys.log, position, position))


async def wait_for_log(
    client: AsyncRedis, partition: Partition, position: str | None, timeout_ms: int
) -> bool:
    """Waits until the log has an entry after the position; True when it has."""
    reply = await send(
        client, "XREAD", "COUNT", 1, "BLOCK", timeout_ms, "STREAMS", partition.keys.log, position or "0-0"
    )
    return bool(reply)
