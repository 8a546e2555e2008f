"""Reading the log: in order, from a position, with the check that the position is still there."""

from bisect import bisect_right

import msgspec

from flower_engine.errors import LostError
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.entries import PACK_EVENTS, Found, LogEntry, unpack
from flower_engine.log.keys import Keys
from flower_engine.log.partition import Partition
from flower_engine.model.values.positions import as_numbers

_MOST_STEP = 8  # how many times the first read of a page the further ones may ask for: packing may change


class Page(msgspec.Struct, frozen=True):
    """Events of the log; ``is_all``: the log has no more in this direction."""

    entries: list[LogEntry]
    is_all: bool


async def read_log(
    client: AsyncRedis, partition: Partition, position: str | None, count: int
) -> list[LogEntry]:
    """Up to ``count`` events after ``position`` (None: from the first), oldest first.

    The event AT the position is read too: it is always kept, so its absence means that Redis was lost or
    went back in time.

    Raises:
        LostError: the event at the position is gone.
    """
    page, skipped = await _read(client, partition.keys, (position or "-", "+"), position, count)
    if position is not None and not (skipped and skipped[-1].position == position):
        raise LostError(
            f"the log of partition {partition.number} no longer has its entry {position}, which is"
            " projected: Redis was lost or went back in time. Recover Redis from the archive"
        )
    return page.entries[:count]


async def read_behind(client: AsyncRedis, keys: Keys, position: str | None, count: int) -> Page:
    """At least ``count`` events after ``position`` (None: from the first), oldest first, or all that are
    there. The position itself need not be there any more."""
    page, _ = await _read(client, keys, (f"({position}" if position else "-", "+"), position, count)
    return page


async def read_back(
    client: AsyncRedis, keys: Keys, *, before: str | None, after: str | None, count: int
) -> Page:
    """At least ``count`` events before ``before`` (the oldest of the page before this one; None: up to the
    last) and after ``after`` (None: from the first), the newest first, or all that are there."""
    bounds = f"({before}" if before else "+", f"({after}" if after else "-"
    page, _ = await _read(client, keys, bounds, after, count, back=True)
    return page


async def has_entry(client: AsyncRedis, keys: Keys, position: str) -> bool:
    """Whether the log still has the event at a position."""
    return await event_at(client, keys, position) is not None


async def event_at(client: AsyncRedis, keys: Keys, position: str) -> bytes | None:
    """The event at a position; None: the log has none there."""
    found: list[Found] = await send(client, "XRANGE", keys.log, position, "+", "COUNT", 1)
    return next((entry.raw for entry in unpack(found) if entry.position == position), None)


async def wait_for_log(
    client: AsyncRedis, partition: Partition, position: str | None, timeout_ms: int
) -> bool:
    """Waits until the log has an event after the position; True when it has."""
    reply = await send(
        client, "XREAD", "COUNT", 1, "BLOCK", timeout_ms, "STREAMS", partition.keys.log, position or "0-0"
    )
    return bool(reply)


async def _read(
    client: AsyncRedis,
    keys: Keys,
    bounds: tuple[str, str],
    position: str | None,
    count: int,
    *,
    back: bool = False,
) -> tuple[Page, list[LogEntry]]:
    """At least ``count`` events after the position, if there are so many within the bounds of an XRANGE (an
    XREVRANGE, if ``back``); and those up to the position that came with them, as they share its entry.

    How many entries that takes depends on how they are packed: the first read asks for those that would do at
    best, each further one goes by what came before.
    """
    command, lowest = "XREVRANGE" if back else "XRANGE", as_numbers(position)
    begin, end = bounds
    entries: list[LogEntry] = []
    skipped: list[LogEntry] = []
    read = 0
    first = asked = count // PACK_EVENTS + 2
    while True:
        found: list[Found] = await send(client, command, keys.log, begin, end, "COUNT", asked)
        some = unpack(reversed(found) if back else found)
        cut = bisect_right(some, lowest, key=lambda entry: as_numbers(entry.position))
        skipped += some[:cut]
        entries += reversed(some[cut:]) if back else some[cut:]
        read += len(found)
        if len(found) < asked or len(entries) >= count:
            return Page(entries, len(found) < asked), skipped
        begin = f"({found[-1][0].decode()}"
        asked = min(_MOST_STEP * first, (count - len(entries)) * read // max(1, len(entries)) + 1)


async def last_position(client: AsyncRedis, partition: Partition) -> str:
    """The position of the log's last event.

    Raises:
        LostError: there is none.
    """
    found = await send(client, "XREVRANGE", partition.keys.log, "+", "-", "COUNT", 1)
    if not found:
        raise LostError(f"the log of partition {partition.number} is empty: recover Redis from the archive")
    return found[0][0].decode()
