"""The span of an attempt, from its start to whatever ended it."""

from flower_engine.model.events.attempt_events import TaskAgain
from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.events.event_meaning import How
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.traces.span import Span, SpanEvent, SpanEvents, TaskLabel, Value
from flower_engine.traces.trace_ids import attempt_span_id

_MOST_MESSAGE = 1_000  # characters
_MOST_TRACEBACK = 4_000  # its end, which says where it happened
_ERRORS: frozenset[How] = frozenset(("failed", "retrying", "lapsed", "timedOut"))


class RunningAttempt:
    """An attempt that runs. ``is_found``: its start is not known, only that it ran by then."""

    __slots__ = ("attempt", "events", "is_found", "started_ms", "worker")

    def __init__(self, attempt: int, worker: str, started_ms: int, *, is_found: bool = False) -> None:
        self.attempt = attempt
        self.worker = worker
        self.started_ms = started_ms
        self.is_found = is_found
        self.events: SpanEvents | None = None  # most attempts have none

    def note(self, at_ms: int, name: str, said: dict[str, Value]) -> None:
        """Adds an event."""
        if self.events is None:
            self.events = SpanEvents()
        self.events.add(at_ms, name, **said)


def attempt_span(
    event: FlowEvent,
    how: How | None,
    running: RunningAttempt,
    *,
    task: int,
    label: TaskLabel,
    trace: bytes,
    parent: bytes,
) -> Span:
    """The span of an attempt that this event ended."""
    attributes: dict[str, Value] = {
        "flower.attempt": running.attempt,
        "flower.worker": running.worker,
        "flower.outcome": how or "lost",
    }
    if running.is_found:
        attributes["flower.found"] = True
    if isinstance(event, TaskAgain):
        attributes["flower.asked_round"] = event.round
    noted = running.events
    happened = () if noted is None else tuple(noted.events)
    error: TaskError | None = getattr(event, "error", None)
    if error is not None:
        happened = (*happened, _exception(event.at, error))
    return Span(
        trace=trace,
        id=attempt_span_id(event.flow, task, running.attempt),
        parent=parent,
        name=label.name or f"task {task}",
        start_ms=running.started_ms,
        end_ms=event.at,
        attributes=attributes,
        error=_words(how, error) if how in _ERRORS else None,
        task=task,
        label=label,
        events=happened,
        dropped_events=0 if noted is None else noted.dropped,
    )


def _words(how: How | None, error: TaskError | None) -> str:
    return str(how) if error is None else f"{error.type}: {error.message}"[:_MOST_MESSAGE]


def _exception(at: int, error: TaskError) -> SpanEvent:
    said: dict[str, Value] = {
        "exception.type": error.type,
        "exception.message": error.message[:_MOST_MESSAGE],
    }
    if error.traceback:
        said["exception.stacktrace"] = error.traceback[-_MOST_TRACEBACK:]
    return SpanEvent(at, "exception", said)
