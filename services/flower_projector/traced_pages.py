"""Pages of the archive as requests with the spans that their events ended."""

import asyncio
import logging
from collections.abc import Iterable

from flower_engine.errors import NewerEventError
from flower_engine.model.events.events import AnyEvent, FlowRegistered, OutcomeRefused
from flower_engine.model.values.positions import as_numbers
from flower_engine.otlp.span_requests import SpanEncoder
from flower_engine.projection.archive.archived_events import UNCOUNTED, ArchivedEvent, histories, history
from flower_engine.projection.archive.followers import FollowedEvent, Page
from flower_engine.projection.archive.histories import FAULTS
from flower_engine.projection.archive.refused_events import UNREADABLE, event_of
from flower_engine.projection.database import Connection
from flower_engine.traces.flow_traces import FlowTraces
from flower_engine.traces.span import Span

_log = logging.getLogger(__name__)

_FLOWS_AT_ONCE = 100
_TURN_EVENTS = 200  # then others have a turn: the projector shares the event loop


class TracedPages:
    """Follows flows through pages, which must come in their order; one that is not known is read whole."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._traces = FlowTraces()
        self._encoder = SpanEncoder()

    async def requests(self, page: Page) -> list[bytes]:
        """Raises psycopg.Error: Postgres is away; make a new one then."""
        unknown = self._unknown(page)
        for first in range(0, len(unknown), _FLOWS_AT_ONCE):
            flows = unknown[first : first + _FLOWS_AT_ONCE]
            found = await histories(self._connection, flows, page.since)
            for flow in flows:
                self._learn(flow, found.get(flow, ()))
            await asyncio.sleep(0)
        spans: list[Span] = []
        for number, event in enumerate(page.events, start=1):
            spans += await self._spans(event)
            if number % _TURN_EVENTS == 0:
                await asyncio.sleep(0)
        requests: list[bytes] = []
        for request in self._encoder.requests(spans):
            requests.append(request)
            await asyncio.sleep(0)
        return requests

    async def _spans(self, followed: FollowedEvent) -> list[Span]:
        event = _read(followed.raw, followed.error)
        flow: str | None = getattr(event, "flow", None)
        if event is None or flow is None:
            return []
        if not self._traces.is_known(flow) and not isinstance(event, FlowRegistered):
            if isinstance(event, OutcomeRefused):  # mostly of a flow that has ended, whose span is told
                return []
            await self._read_again(flow, (followed.ms, followed.seq))
        try:
            return self._traces.apply(event)
        except FAULTS as error:
            _log.warning("event %s of flow %s gives no span: %s", followed.position, flow, error)
            return []

    def _unknown(self, page: Page) -> list[str]:
        """The flows of the page that are under way, and not known."""
        seen: dict[str, bool] = {}
        for event in page.events:
            if event.flow is not None and event.type != "outcome.refused" and event.flow not in seen:
                begins = event.type == "flow.registered"
                seen[event.flow] = not begins and not self._traces.is_known(event.flow)
        return [flow for flow, is_unknown in seen.items() if is_unknown]

    async def _read_again(self, flow: str, before: tuple[int, int]) -> None:
        """One of a page with more flows than can be known at a time."""
        entries = await history(self._connection, flow)
        self._learn(flow, [entry for entry in entries if as_numbers(entry.position) < before])

    def _learn(self, flow: str, entries: Iterable[ArchivedEvent]) -> None:
        known: list[AnyEvent] = []
        for entry in entries:
            event = _read(entry.raw, entry.error)
            if event is not None and getattr(event, "flow", None) == flow:
                known.append(event)
        try:
            self._traces.remember(flow, known)
        except FAULTS as error:
            _log.warning("what was before of flow %s is not known: %s", flow, error)
            self._traces.remember(flow, ())


def _read(raw: bytes, error: str | None) -> AnyEvent | None:
    """The event; None: nothing can be read of it, or it counts for nothing."""
    if error == UNCOUNTED or not raw:
        return None
    try:
        return event_of(raw, error)
    except (NewerEventError, *UNREADABLE):
        return None
