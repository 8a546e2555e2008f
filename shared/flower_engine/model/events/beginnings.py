"""What a flow's history may begin with, and whether an event follows from what is known.

It begins with the registration, or with a snapshot, which begins it anew where what led there is lost. Who
asks here need not tell the two apart.
"""

from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.events.events import AnyEvent, FlowRegistered
from flower_engine.model.events.snapshot_events import FlowSnapshot

FlowBeginning = FlowRegistered | FlowSnapshot

BEGINNING_TYPES = ("flow.registered", "flow.snapshot")
"""The types of events that may come first, as they are written."""


def follows(event: FlowEvent, version: int | None) -> bool:
    """Whether the event follows from a flow that is known up to this version; None: it is unknown."""
    return isinstance(event, FlowBeginning) or (version is not None and event.v == version + 1)


def restates(event: AnyEvent | None) -> bool:
    """Whether the event says how a flow stands, and not what becomes of it: it follows anything."""
    return isinstance(event, FlowSnapshot)
