"""A flow's history as its entries tell it: the one place where these become events and a state.

Rows of the archive may hold anything, and so may the log: whoever reads a history through here is told of
whatever is wrong with it in one way, and goes on with all other flows.
"""

from collections.abc import Iterable, Sequence

from flower_engine.errors import HistoryDamagedError, NewerEventError
from flower_engine.model.events.beginnings import FlowBeginning
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold import fold_one
from flower_engine.projection.archive.archived_events import ArchivedEvent
from flower_engine.projection.archive.refused_events import UNREADABLE, event_of

FAULTS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip
"""What events that make no sense may raise where they are added up; nothing there does anything else."""

_MOST_WORDS = 300  # characters


def events_of(flow: str, entries: Iterable[ArchivedEvent]) -> list[AnyEvent]:
    """The events of a flow's entries.

    Raises:
        HistoryDamagedError: one cannot be read, or is of another flow.
    """
    return [read_event(flow, entry) for entry in entries]


def read_event(flow: str, entry: ArchivedEvent) -> AnyEvent:
    """The event of an entry of this flow; raises as :func:`events_of` does."""
    if not entry.raw:
        raise HistoryDamagedError(flow, "it is gone: nothing is left but its position", entry.position)
    try:
        event = event_of(entry.raw, entry.error)
    except (NewerEventError, *UNREADABLE) as error:
        raise HistoryDamagedError(flow, f"it cannot be read: {told(error)}", entry.position) from error
    owner = getattr(event, "flow", None)
    if owner != flow:
        raise HistoryDamagedError(flow, f"it is of flow {owner}", entry.position)
    return event


def state_of(flow: str, entries: Sequence[ArchivedEvent]) -> FlowState:
    """How the flow stands after these entries; raises as :func:`fold_events` does."""
    return fold_events(flow, entries, events_of(flow, entries))


def fold_events(flow: str, entries: Sequence[ArchivedEvent], events: Sequence[AnyEvent]) -> FlowState:
    """How the flow stands after these events, which are those of the entries.

    Raises:
        HistoryDamagedError: there are none, or one does not follow from those before it.
    """
    flows: dict[str, FlowState] = {}
    for entry, event in zip(entries, events, strict=True):
        if not flows and not isinstance(event, FlowBeginning):
            raise HistoryDamagedError(
                flow, "its registration is missing; the first event is another", entry.position
            )
        try:
            fold_one(flows, event)
        except FAULTS as error:
            raise HistoryDamagedError(flow, told(error), entry.position) from error
    if flow not in flows:
        raise HistoryDamagedError(flow, "neither Postgres nor the log has any of its events")
    return flows[flow]


def told(error: Exception) -> str:
    """An error in one line for people."""
    words = " ".join(str(error).split()) or "nothing more is known"
    name = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
    return f"{name}{words}"[:_MOST_WORDS]
