"""What a batch of events changes: the sum of its events alone, to be added to what the tables hold.

The tables equal the fold of a log, however it was cut into batches. Unlike the fold, this never refuses: an
event that contradicts those before it is for ``flower verify`` to find.
"""

from typing import Any

from flower_engine.model.events.event_meaning import MEANINGS
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.events.schedule_events import ScheduleEvent
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.projection.write.counting import COUNTS
from flower_engine.projection.write.flow_changes import FlowChange
from flower_engine.projection.write.found_flows import found_flow
from flower_engine.projection.write.slot_rows import Told

_TOUCH_ONLY = {kind for kind, meaning in MEANINGS.items() if meaning.about == "refusal"}


class Changes:
    """The flows that a batch changes, by id, in the order in which it first names them; and its events of
    schedules, in log order."""

    def __init__(self) -> None:
        self.flows: dict[str, FlowChange] = {}
        self.schedules: list[Told] = []

    def touch(self, flow_id: str, position_ms: int) -> FlowChange:
        """The flow has an event at a position of this millisecond."""
        flow = self.flows.get(flow_id)
        if flow is None:
            flow = self.flows[flow_id] = FlowChange(flow_id, position_ms, position_ms)
        else:
            flow.last_ms = position_ms
        return flow

    def add(self, event: AnyEvent, position_ms: int) -> None:
        """Count the next event, which lies at a position of this millisecond."""
        counted: Any = event  # isinstance with a union would take as long as all the rest
        count = COUNTS.get(type(event))
        if count is not None:
            flow = self.touch(counted.flow, position_ms)
            flow.version = counted.v
            count(flow, event)
        elif type(event) is FlowSnapshot:
            self.flows[event.flow] = found_flow(event, self.flows.get(event.flow), position_ms)
        elif type(event) in _TOUCH_ONLY:
            self.touch(counted.flow, position_ms)
        elif isinstance(event, ScheduleEvent):
            self.schedules.append((position_ms, event))
