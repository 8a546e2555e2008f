"""The archived events of one flow, one after the other, as a replay counts them."""

from collections.abc import Iterable

from flower_engine.errors import HistoryDamagedError, NewerEventError
from flower_engine.model.events.beginnings import FlowBeginning
from flower_engine.model.events.events import AnyEvent, FlowRegistered, FlowTimedOut, decode_event
from flower_engine.model.events.operator_events import FlowCancelled, FlowEnding, FlowRerun
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold import fold_one, refuse_odd_numbers
from flower_engine.projection.archive.archived_events import UNCOUNTED, ArchivedEvent
from flower_engine.projection.archive.histories import read_event
from flower_engine.projection.archive.refused_events import UNREADABLE, outline, without_values


def counted(flow: str, ms: int, seq: int, raw: bytes | None, error: str | None) -> AnyEvent | None:
    """An event of the flow's row at this position, as the projector counted it; None: it only touched its
    flow.

    Raises:
        HistoryDamagedError: it cannot be read, or is of another flow.
    """
    if error is not None:
        return _refused(flow, f"{ms}-{seq}", raw, error)
    try:
        event = decode_event(raw or b"")
    except (NewerEventError, *UNREADABLE):
        event = None
    if event is None or getattr(event, "flow", None) != flow:
        return read_event(flow, ArchivedEvent(f"{ms}-{seq}", raw or b""))  # which says what is wrong with it
    return event


def _refused(flow: str, position: str, raw: bytes | None, error: str) -> AnyEvent | None:
    if error == UNCOUNTED:
        return None
    if raw is None:
        return read_event(flow, ArchivedEvent(position, b""))
    try:
        return without_values(decode_event(raw), error)
    except NewerEventError:
        return read_event(flow, ArchivedEvent(position, raw))
    except UNREADABLE:
        return outline(raw, error)


class Reading:
    """Reads the events of one flow in order, and notices the first that makes no sense."""

    def __init__(self, flow: str, *, is_thorough: bool) -> None:
        """``is_thorough``: whether each must follow from those before it; else it must only name tasks that
        there are."""
        self._flow = flow
        self._folded: dict[str, FlowState] | None = {} if is_thorough else None
        self._tasks = 0
        self.is_damaged = False

    def add(self, event: AnyEvent | None, position: str) -> None:
        """The next event of the flow, as :func:`counted` has it.

        Raises:
            HistoryDamagedError: it names a task that there is not.
            FAULTS: it does not follow.
        """
        if isinstance(event, FlowBeginning):
            self._tasks = len(event.tasks)
            if self._folded is None and isinstance(event, FlowRegistered):
                refuse_odd_numbers(event)
        if event is None or not self._tasks:  # of a flow without a registration nothing can be said
            return
        if self._folded is not None:
            fold_one(self._folded, event)
            return
        for task in _named(event):
            if not 1 <= task <= self._tasks:
                raise HistoryDamagedError(self._flow, f"the flow has no task {task}", position)


def _named(event: AnyEvent) -> Iterable[int]:
    if isinstance(event, FlowRerun | FlowCancelled | FlowEnding | FlowTimedOut):
        return event
    task = getattr(event, "task", None)
    return () if task is None else (task,)
