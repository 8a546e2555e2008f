"""Reading the log: in order, from a position, with the check that the position is still there."""

from collections.abc import Sequence

import msgspec

from flower_engine.errors import LostError
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.entries import PACK_EVENTS, Found, LogEntry, unpack
from flower_engine.log.keys import Keys
from flower_engine.log.partition import Partition
from flower_engine.model.positions import as_numbers


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
    page, skipped = await _read(client, partition.keys, position or "-", position, count)
    if position is not None and not (skipped and skipped[-1].position == position):
        raise LostError(
            f"the log of partition {partition.number} no longer has its entry {position}, which is"
            " projected: Redis was lost or went back in time. Recover Redis from the archive"
        )
    return page.entries[:count]


async def read_behind(client: AsyncRedis, keys: Keys, position: str | None, count: int) -> Page:
    """At least ``count`` events after ``position`` (None: from the first), oldest first, or all that are
    there. The position itself need not be there any more."""
    page, _ = await _read(client, keys, f"({position}" if position else "-", position, count)
    return page


async def read_back(client: AsyncRedis, keys: Keys, *, before: str | None, after: str | None) -> Page:
    """Some events before ``before`` (None: up to the last) and after ``after`` (None: from the first), the
    newest first."""
    end, begin = f"({before}" if before else "+", f"({after}" if after else "-"
    found: list[Found] = await send(client, "XREVRANGE", keys.log, end, begin, "COUNT", _BACK_ENTRIES)
    lowest = as_numbers(after)
    entries = [one for one in reversed(unpack(reversed(found))) if as_numbers(one.position) > lowest]
    return Page(entries, len(found) < _BACK_ENTRIES)


async def has_entry(client: AsyncRedis, keys: Keys, position: str) -> bool:
    """Whether the log still has the event at a position."""
    found: list[Found] = await send(client, "XRANGE", keys.log, position, "+", "COUNT", 1)
    return any(entry.position == position for entry in unpack(found))


async def wait_for_log(
    client: AsyncRedis, partition: Partition, position: str | None, timeout_ms: int
) -> bool:
    """Waits until the log has an event after the position; True when it has."""
    reply = await send(
        client, "XREAD", "COUNT", 1, "BLOCK", timeout_ms, "STREAMS", partition.keys.log, position or "0-0"
    )
    return bool(reply)


_BACK_ENTRIES = 200


async def _read(
    client: AsyncRedis, keys: Keys, begin: str, position: str | None, count: int
) -> tuple[Page, list[LogEntry]]:
    """At least ``count`` events after the position, if the log has so many, read from ``begin`` on (as XRANGE
    takes it); and those up to the position that came with them, as they share its entry.

    How many entries that takes depends on how they are packed: the first read asks for those that would do at
    best, each further one goes by what came before.
    """
    entries: list[LogEntry] = []
    skipped: list[LogEntry] = []
    read, asked = 0, count // PACK_EVENTS + 2
    while True:
        found: list[Found] = await send(client, "XRANGE", keys.log, begin, "+", "COUNT", asked)
        some = unpack(found)
        if not read and position:
            behind = _count_up_to(position, some)
            skipped, some = some[:behind], some[behind:]
        entries += some
        read += len(found)
        if len(found) < asked or len(entries) >= count:
            return Page(entries, len(found) < asked), skipped
        begin = f"({found[-1][0].decode()}"
        asked = (count - len(entries)) * read // max(1, len(entries)) + 1


def _count_up_to(position: str, entries: Sequence[LogEntry]) -> int:
    """How many of these entries, the first of which may share one with the position, lie at or before it."""
    last = as_numbers(position)
    return next((at for at, entry in enumerate(entries) if as_numbers(entry.position) > last), len(entries))
