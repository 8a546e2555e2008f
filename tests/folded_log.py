"""The events of a log that a test reads again and again, while it grows."""

from collections.abc import Sequence

from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.events.events import AnyEvent, decode_event
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold import fold


class FoldedLog:
    """What was read last: each event is decoded once, and a flow is folded of its own events. A log that does
    not go on as the one before begins anew."""

    def __init__(self) -> None:
        self._forget()

    def events(self, raw_events: Sequence[bytes]) -> list[AnyEvent]:
        """The events of the whole log."""
        self._read(raw_events)
        return list(self._events)

    def flow(self, flow: str, raw_events: Sequence[bytes]) -> FlowState:
        """What the events of one flow come to."""
        self._read(raw_events)
        return fold(self._of_flows.get(flow, []))[flow]

    def _read(self, raw_events: Sequence[bytes]) -> None:
        raw = list(raw_events)
        if raw[: len(self._raw)] != self._raw:
            self._forget()
        new = [decode_event(one) for one in raw[len(self._raw) :]]
        for event in new:
            if isinstance(event, FlowEvent):
                self._of_flows.setdefault(event.flow, []).append(event)
        self._events += new
        self._raw = raw

    def _forget(self) -> None:
        self._raw: list[bytes] = []
        self._events: list[AnyEvent] = []
        self._of_flows: dict[str, list[AnyEvent]] = {}
