"""Counts the events that were written, for metrics: by the batch, so that it costs next to nothing."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flower_engine.model.events.events import AnyEvent, FlowRegistered, FlowTimedOut
from flower_engine.model.events.operator_events import FlowCancelled, FlowEnding, FlowRerun
from flower_engine.model.events.schedule_events import ScheduleFired, ScheduleMissed, ScheduleSkipped
from flower_engine.tallies import CALL_SECONDS, WORK_SECONDS, Tally
from flower_projector.task_waits import TaskWaits, WorkTimes


def _each(event: Any) -> int:
    return sum(1 for _ in event)


def _registered(event: Any) -> int:
    return len(event.tasks)


_OF_MANY: Mapping[type[AnyEvent], Callable[[Any], int]] = {
    FlowRegistered: _registered,
    FlowRerun: _each,
    FlowCancelled: _each,
    FlowEnding: _each,
    FlowTimedOut: _each,
}
"""Events of a flow that move tasks: how many."""

_FATES: Mapping[type[AnyEvent], str] = {
    ScheduleFired: "fired",
    ScheduleSkipped: "skipped",
    ScheduleMissed: "missed",
}

_LOOKED_AT = frozenset((*_OF_MANY, *_FATES))


class EventCounts:
    """What the projectors of one process have written since it began."""

    def __init__(self) -> None:
        self.events = 0
        self.tasks: Counter[str] = Counter()  # by what became of them
        self.flows: Counter[str] = Counter()
        self.slots: Counter[str] = Counter()  # by fate
        self.lateness = Tally(WORK_SECONDS)
        self.batches = Tally(CALL_SECONDS)
        self.times = WorkTimes()
        self.active: set[int] = set()  # partitions that this process is the elected projector of

    def following(self) -> "PartitionCounts":
        """Who counts a partition's events from here on."""
        return PartitionCounts(self)


class PartitionCounts:
    """Counts the events of one partition, without gaps, as long as somebody writes them."""

    def __init__(self, counts: EventCounts) -> None:
        self._counts = counts
        self._waits = TaskWaits(counts.times)

    def written(self, events: Sequence[AnyEvent], seconds: float) -> None:
        """These events, which follow those before, were written; it took so long."""
        counts = self._counts
        counts.events += len(events)
        counts.batches.add(seconds)
        before = counts.times.ends
        self._waits.take(events)
        counts.flows["ended"] += counts.times.ends - before
        for kind, count in Counter(map(type, events)).items():
            self._add(kind, count)
            if kind in _LOOKED_AT:
                self._look_at(kind, [event for event in events if type(event) is kind])

    def _add(self, kind: type[AnyEvent], count: int) -> None:
        about, what = _tag(kind)
        if about == "task":
            self._counts.tasks[what] += count
        elif about == "flow":
            self._counts.flows[what] += count

    def _look_at(self, kind: type[AnyEvent], events: Sequence[Any]) -> None:
        """Events of one kind of which more than their number counts."""
        counts = self._counts
        if kind in _FATES:
            for event in events:
                self._add_slots(event)
            return
        counts.tasks[_tag(kind)[1]] += sum(map(_OF_MANY[kind], events))

    def _add_slots(self, event: Any) -> None:
        counts = self._counts
        counts.slots[_FATES[type(event)]] += getattr(event, "count", 1)
        if type(event) is ScheduleFired and not event.backfill:
            counts.lateness.add(event.late_ms / 1000)


def _tag(kind: type[AnyEvent]) -> tuple[str, str]:
    about, _, what = str(kind.__struct_config__.tag).partition(".")
    return about, what
