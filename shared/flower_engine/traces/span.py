"""A span as it is known when it has ended: what OpenTelemetry says of one, without its library."""

from typing import NamedTuple

import msgspec

from flower_engine.traces.traceparent import Traceparent

Value = str | int | float | bool
MOST_EVENTS = 64
"""Events that a span has at most; further ones are counted. (OpenTelemetry's own bound is 128.)"""


class SpanEvent(NamedTuple):
    """What happened at a moment of a span."""

    at_ms: int
    name: str
    attributes: dict[str, Value]


class SpanEvents:
    """The events of a span that has not ended, as many as it may have."""

    __slots__ = ("dropped", "events")

    def __init__(self) -> None:
        self.events: list[SpanEvent] = []
        self.dropped = 0

    def add(self, at_ms: int, name: str, **attributes: Value) -> None:
        """Adds one, under names without ``flower.``, which they get; what says nothing is left out."""
        if len(self.events) >= MOST_EVENTS:
            self.dropped += 1
            return
        said = {f"flower.{key}": value for key, value in attributes.items() if value != ""}
        self.events.append(SpanEvent(at_ms, name, said))


class TaskLabel(NamedTuple):
    """What spans say of a task whichever attempt they are of; tasks of many flows share one."""

    name: str
    program: str
    queue: str


class Span(msgspec.Struct, frozen=True, gc=False):
    """A span that has ended; times are engine time in milliseconds.

    ``parent`` is b"" of a root. ``error``: what its status says; None: the status is not set. ``label`` is
    that of its task, whose number is ``task``.
    """

    trace: bytes
    id: bytes
    parent: bytes
    name: str
    start_ms: int
    end_ms: int
    attributes: dict[str, Value]
    error: str | None = None
    task: int = 0
    label: TaskLabel | None = None
    events: tuple[SpanEvent, ...] = ()
    dropped_events: int = 0
    links: tuple[Traceparent, ...] = ()
