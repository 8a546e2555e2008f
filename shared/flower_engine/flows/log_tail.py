"""Reads what of the log is not in Postgres yet, so that a flow is seen as soon as it is acknowledged."""

from collections.abc import Sequence
from contextlib import suppress

import msgspec
from redis.asyncio import Redis

from flower_engine.errors import NewerEventError
from flower_engine.log.client import queue_command
from flower_engine.log.entries import LogEntry
from flower_engine.log.partition import Partition
from flower_engine.log.reader import read_back, read_behind, read_log
from flower_engine.model.events.beginnings import FlowBeginning, follows
from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.events.events import AnyEvent, decode_event
from flower_engine.model.values.positions import as_numbers
from flower_engine.projection.archive.refused_events import UNREADABLE
from flower_engine.projection.write.batch import Entry

_PAGE_EVENTS = 1_000


class Tail(msgspec.Struct):
    """A flow's events behind a position. ``end``: how far was read; ``is_all``: to the end of the log."""

    entries: list[LogEntry]
    end: str | None
    is_all: bool


async def is_known(redis: Redis, partition: Partition, flow_id: str) -> bool:
    """Whether Redis knows the flow: it is under way, or ended in the last hour or so, unpruned."""
    keys = partition.keys
    async with redis.pipeline(transaction=False) as pipeline:
        queue_command(pipeline, "EXISTS", keys.flow(flow_id))
        queue_command(pipeline, "GET", keys.ended(flow_id))
        is_under_way, end = await pipeline.execute()
    return bool(is_under_way) or (end is not None and not end.endswith(b" pruned"))


class Following:
    """Tells of a flow's further entries, in order, whether they follow from those that are known.

    Where a part of the history is lost, the log may have some that do not.
    """

    def __init__(self, known: Sequence[Entry]) -> None:
        self._version = next(filter(None, (_version(entry) for entry in reversed(known))), None)

    def __call__(self, entry: LogEntry) -> bool:
        event = _event(entry)
        if not isinstance(event, FlowEvent):
            return True  # it changes nothing; or whoever reads it says what is wrong with it
        if self._version is not None and not follows(event, self._version):
            return False
        self._version = event.v
        return True


def _event(entry: Entry) -> AnyEvent | None:
    """The entry's event; None: it cannot be read."""
    with suppress(NewerEventError, *UNREADABLE):
        return decode_event(entry.raw)
    return None


def _version(entry: Entry) -> int | None:
    event = _event(entry)
    return event.v if isinstance(event, FlowEvent) else None


async def read_new(
    redis: Redis, partition: Partition, flow_id: str, *, projected: str | None, most: int
) -> list[LogEntry]:
    """All events of a flow none of which is projected; [] if it was not registered within the last ``most``.

    Reads backwards to its registration, so it costs what happened since then, not what is not projected.

    Raises:
        LostError: as :func:`read_tail`.
    """
    needle = flow_id.encode()
    found: list[LogEntry] = []
    before, read = None, 0
    while read < most:
        page = await read_back(redis, partition.keys, before=before, after=projected, count=_PAGE_EVENTS)
        read += len(page.entries)
        for entry in page.entries:
            if needle in entry.raw and _is_of(entry, flow_id):
                found.append(entry)
                if isinstance(_event(entry), FlowBeginning):
                    await read_log(redis, partition, projected, 1)
                    return found[::-1]
        if page.is_all:
            await read_log(redis, partition, projected, 1)
            break
        before = page.entries[-1].position
    return []


async def read_tail(
    redis: Redis, partition: Partition, flow_id: str, *, projected: str | None, after: str | None, most: int
) -> Tail:
    """The flow's events behind ``projected`` and, if given, ``after``; reads ``most`` events or few more.

    Raises:
        LostError: the entry at the projected position is gone: it was trimmed, or Redis was lost.
    """
    needle = flow_id.encode()
    tail = Tail([], max(after, projected, key=as_numbers), is_all=False)
    read = 0
    while read < most and not tail.is_all:
        page = await read_behind(redis, partition.keys, tail.end, _PAGE_EVENTS)
        read += len(page.entries)
        tail.entries += (entry for entry in page.entries if needle in entry.raw and _is_of(entry, flow_id))
        tail.is_all = page.is_all
        if page.entries:
            tail.end = page.entries[-1].position
    await read_log(redis, partition, projected, 1)  # it is there: so nothing behind it was trimmed meanwhile
    return tail


class _Owner(msgspec.Struct):
    flow: str | None = None


_owner_decoder = msgspec.json.Decoder(_Owner)


def _is_of(entry: LogEntry, flow_id: str) -> bool:
    """Whether the event is of this flow, and does not only mention it (in a parameter or a result)."""
    try:
        return _owner_decoder.decode(entry.raw).flow == flow_id
    except (ValueError, RecursionError):  # no JSON, or too deep: the projector will say so
        return False
