"""Crossing: the projector goes on behind a gap that was bridged (``gap_bridge.py``).

Its first event is the first that the log has. Until the last one that bridges the gap, an event counts only
if it follows from what is known of its flow; every other is archived as bytes and changes nothing.
"""

import logging
from collections.abc import Sequence

from flower_engine.errors import NewerEventError, RefusedError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.keys import Keys
from flower_engine.log.reader import has_entry
from flower_engine.model.events.beginnings import follows
from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.events.events import AnyEvent, decode_event
from flower_engine.model.values.positions import as_numbers
from flower_engine.projection.archive.archived_events import UNCOUNTED
from flower_engine.projection.archive.refused_events import UNREADABLE, flow_and_type, outline
from flower_engine.projection.database import Connection
from flower_engine.projection.maintain.gaps import Gap, gap_at
from flower_engine.projection.write.batch import Entry, Uncounted
from flower_engine.projection.write.projected_positions import Projected
from flower_engine.projection.write.projected_versions import versions_of

_log = logging.getLogger(__name__)


async def gap_to_cross(
    client: AsyncRedis, connection: Connection, partition: int, position: str | None
) -> Gap | None:
    """The gap that the projection, at this position, has still to cross; its bridge is there."""
    gap = await gap_at(connection, partition, position)
    # A Postgres that went back in time once more may tell of a bridge that is trimmed by now.
    return gap if gap and await has_entry(client, Keys(partition), gap.until) else None


async def refuse_while_crossing(client: AsyncRedis, connection: Connection, row: Projected) -> None:
    """For those who need all that is archived to follow from what is known.

    Raises:
        RefusedError: the projector has a gap still to cross.
    """
    if await gap_to_cross(client, connection, row.partition, row.position):
        raise RefusedError(
            f"partition {row.partition} has a gap that the projector has still to cross: run this again when"
            " it has (its log says so)",
            "crossing_a_gap",
        )


class Crossing:
    """What a projector that crosses a gap does otherwise."""

    def __init__(self, connection: Connection, gap: Gap) -> None:
        self._connection = connection
        self._gap = gap

    def behind(self, position: str | None) -> str | None:
        """Behind which position of the log the next event lies; None: it is the first that the log has."""
        return None if position == self._gap.after else position

    async def judge(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries, which are the next; those that follow from nothing that is known are ``Uncounted``."""
        named = {flow for flow, _ in (flow_and_type(entry.raw) for entry in entries) if flow}
        return judged(entries, await versions_of(self._connection, sorted(named)))

    def is_over(self, position: str) -> bool:
        """Whether the gap is crossed with the event at this position, which is said then."""
        if as_numbers(position) < as_numbers(self._gap.until):
            return False
        _log.warning("crossed a gap: %s", self._gap)
        return True


def judged(entries: Sequence[Entry], versions: dict[str, int]) -> list[Entry]:
    """The entries, of which those are ``Uncounted`` that do not follow from flows known up to these versions;
    unjudged from the first one that a newer version wrote, with which no batch goes on."""
    known = dict(versions)
    found = list(entries)
    for index, entry in enumerate(found):
        try:
            event = _event(entry)
        except NewerEventError:
            break
        if event is None or (isinstance(event, FlowEvent) and not follows(event, known.get(event.flow))):
            found[index] = Uncounted(entry.position, entry.raw, UNCOUNTED)
        elif isinstance(event, FlowEvent):
            known[event.flow] = event.v
    return found


def _event(entry: Entry) -> AnyEvent | None:
    """The entry's event, with what can be read of it; None: nothing can."""
    try:
        return decode_event(entry.raw)
    except UNREADABLE:
        return outline(entry.raw, UNCOUNTED)
