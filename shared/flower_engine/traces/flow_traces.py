"""The traces of many flows that are under way: what is known of each, within a bound.

A flow may not be known here, because it began before, or because too many others were known meanwhile. So
``is_known`` is asked before an event is applied, and then ``remember`` is given the events before it.
"""

from collections import OrderedDict
from collections.abc import Iterable

from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.events.events import AnyEvent, FlowRegistered, OutcomeRefused
from flower_engine.traces.flow_trace import FlowTrace
from flower_engine.traces.span import Span
from flower_engine.traces.traced_plan import TracedPlans

MOST_TASKS = 1_000_000  # of all known flows, each of which counts for 20 more: about 100 MB (measured)


class FlowTraces:
    """Flows under way by id; the longest untouched ones are forgotten where there are too many."""

    def __init__(self, most_tasks: int = MOST_TASKS) -> None:
        self._flows: OrderedDict[str, FlowTrace] = OrderedDict()
        self._plans = TracedPlans()
        self._most_tasks = most_tasks
        self._tasks = 0

    def __len__(self) -> int:
        return len(self._flows)

    @property
    def tasks(self) -> int:
        """Tasks of all flows that are known."""
        return self._tasks

    def is_known(self, flow: str) -> bool:
        """Whether events of the flow can be applied."""
        return flow in self._flows

    def remember(self, flow: str, history: Iterable[AnyEvent]) -> None:
        """Learns of a flow what its events so far say, whose spans are told already."""
        trace = FlowTrace(flow, self._plans)
        for event in history:
            trace.apply(event)
        self._keep(trace)

    def apply(self, event: AnyEvent) -> list[Span]:
        """The spans that an event ended; [] of one of no flow, and of one whose flow is not known."""
        if not isinstance(event, FlowEvent | OutcomeRefused):
            return []
        trace = self._flows.get(event.flow)
        if trace is None:
            if not isinstance(event, FlowRegistered):
                return []
            trace = FlowTrace(event.flow, self._plans)
            spans = trace.apply(event)
            self._keep(trace)
            return spans
        self._flows.move_to_end(event.flow)
        before = trace.tasks
        spans = trace.apply(event)
        self._tasks += trace.tasks - before
        if trace.has_ended:
            self._forget(event.flow)
        return spans

    def _keep(self, trace: FlowTrace) -> None:
        self._flows[trace.flow] = trace
        self._tasks += _weight(trace)
        while self._tasks > self._most_tasks and len(self._flows) > 1:
            self._forget(next(iter(self._flows)))

    def _forget(self, flow: str) -> None:
        self._tasks -= _weight(self._flows.pop(flow))


def _weight(trace: FlowTrace) -> int:
    return trace.tasks + 20  # what a flow takes without its tasks


def spans_of(flow: str, history: Iterable[AnyEvent]) -> list[Span]:
    """All spans of a flow that have ended, from all its events in the order of the log."""
    trace = FlowTrace(flow, TracedPlans())
    return [span for event in history for span in trace.apply(event)]
