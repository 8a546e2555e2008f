"""How long tasks waited before they ran, and for what, found from the events of a partition alone.

An event does not say since when its task was ready. That follows from the end of what it depends on, so a
little is remembered of each flow that is under way: of all of them up to a bound, of a fair sample beyond.
"""

from collections.abc import Mapping
from typing import Any

from flower_engine.model.events import (
    AnyEvent,
    FlowCancelled,
    FlowPaused,
    FlowRegistered,
    FlowRerun,
    FlowResumed,
    FlowSnapshot,
    FlowTimedOut,
    TaskFinished,
    TaskIgnored,
    TaskLapsed,
    TaskRetrying,
    TaskReturned,
    TaskStarted,
    TaskSuspended,
    TaskUnignored,
)
from flower_engine.tallies import WORK_SECONDS, Tally

REASONS = ("dependencies", "queue", "retry", "start", "pause")
_MOST_TASKS = 100_000


class WorkTimes:
    """What is counted: how long attempts ran, and what tasks waited for, in seconds."""

    def __init__(self) -> None:
        self.runs = Tally(WORK_SECONDS)
        self.waits: Mapping[str, Tally] = {reason: Tally(WORK_SECONDS) for reason in REASONS}


class _Flow:
    """What is remembered of a flow; times in milliseconds."""

    __slots__ = ("begins", "depends_on", "ended", "paused_ms", "pauses", "size", "waiting")

    def __init__(self, event: FlowRegistered) -> None:
        self.begins = max(event.at, event.start_ms)
        self.depends_on = {task.seq: task.depends_on for task in event.tasks if task.depends_on}
        self.size = len(event.tasks)
        self.ended: dict[int, int] = {}  # when tasks became final, which others wait for
        self.waiting: dict[int, int] = {}  # since when tasks wait that ran before, or are to run again
        self.pauses: list[tuple[int, int]] = []
        self.paused_ms = 0  # since when it is paused

    def ready_ms(self, task: int) -> int:
        """Since when the task could start, if nothing else was in its way."""
        ended = self.ended
        ready = self.waiting.pop(task, self.begins)
        for other in self.depends_on.get(task, ()):
            at = ended.get(other, 0)
            ready = max(ready, at)
        return ready

    def paused_between(self, first: int, last: int) -> int:
        """For how many of these milliseconds it was paused."""
        return sum(max(0, min(last, until) - max(first, since)) for since, until in self.pauses)


class TaskWaits:
    """Follows the events of one partition, in their order and without gaps, as long as they come."""

    def __init__(self, times: WorkTimes, most_tasks: int = _MOST_TASKS) -> None:
        """``most_tasks``: of how many tasks of open flows something is remembered at most."""
        self._times = times
        self._most_tasks = most_tasks
        self._tasks = 0
        self._mask = 0  # flows whose hash has one of these bits are left out
        self._flows: dict[str, _Flow] = {}
        self._started: dict[tuple[str, int], int] = {}  # of attempts that run: when
        self._takes: Mapping[type[AnyEvent], Any] = {
            FlowRegistered: self._registered,
            TaskStarted: self._task_started,
            TaskFinished: self._finished,
            TaskSuspended: self._ran,
            TaskRetrying: self._retrying,
            TaskLapsed: self._waits_again,
            TaskReturned: self._waits_again,
            TaskIgnored: self._ignored,
            TaskUnignored: self._unignored,
            FlowRerun: self._rerun,
            FlowCancelled: self._cancelled,
            FlowTimedOut: self._timed_out,
            FlowPaused: self._paused,
            FlowResumed: self._resumed,
            FlowSnapshot: self._snapshot,
        }

    @property
    def remembered(self) -> int:
        """Of how many tasks of open flows something is remembered."""
        return self._tasks

    def take(self, event: AnyEvent) -> None:
        """Counts what the next event ends."""
        take = self._takes.get(type(event))
        if take is not None:
            take(event)

    def _registered(self, event: FlowRegistered) -> None:
        if self._mask and hash(event.flow) & self._mask:
            return
        flow = self._flows[event.flow] = _Flow(event)
        if event.start_ms > event.at:
            self._times.waits["start"].add((event.start_ms - event.at) / 1000)
        self._tasks += flow.size
        while self._tasks > self._most_tasks:
            self._thin_out()

    def _thin_out(self) -> None:
        """Half of the flows go."""
        self._mask = self._mask * 2 + 1
        kept = {name: flow for name, flow in self._flows.items() if not hash(name) & self._mask}
        # More bits than that leave nothing but a few flows that are too large themselves.
        self._flows = kept if self._mask < 1 << 30 else {}
        self._tasks = sum(flow.size for flow in self._flows.values())
        if not self._flows:
            self._mask = 0

    def _forget(self, name: str) -> None:
        flow = self._flows.pop(name, None)
        if flow is not None:
            self._tasks -= flow.size
            if self._tasks < self._most_tasks // 4:
                self._mask >>= 1

    def _task_started(self, event: TaskStarted) -> None:
        self._started[event.flow, event.task] = event.at
        flow = self._flows.get(event.flow)
        if flow is None:
            return
        is_first = event.task not in flow.waiting
        ready = flow.ready_ms(event.task)
        waits = self._times.waits
        paused = flow.paused_between(ready, event.at) if flow.pauses else 0
        waits["queue"].add(max(0, event.at - ready - paused) / 1000)
        if paused:
            waits["pause"].add(paused / 1000)
        if is_first and event.task in flow.depends_on:
            waits["dependencies"].add(max(0, ready - flow.begins) / 1000)

    def _ran(self, event: TaskFinished | TaskSuspended | TaskRetrying) -> None:
        # What started before this looked has its lease: the entry of Redis that was made as it started.
        began = self._started.pop((event.flow, event.task), None)
        if began is None:
            began = _ms_of(event.lease, event.at)
        self._times.runs.add(max(0, event.at - began) / 1000)

    def _finished(self, event: TaskFinished) -> None:
        self._ran(event)
        if event.ends:
            self._forget(event.flow)
        elif (flow := self._flows.get(event.flow)) is not None:
            flow.ended[event.task] = event.at

    def _retrying(self, event: TaskRetrying) -> None:
        self._ran(event)
        self._times.waits["retry"].add(max(0, event.due_ms - event.at) / 1000)
        if (flow := self._flows.get(event.flow)) is not None:
            flow.waiting[event.task] = event.due_ms

    def _waits_again(self, event: TaskLapsed | TaskReturned) -> None:
        self._started.pop((event.flow, event.task), None)
        if (flow := self._flows.get(event.flow)) is not None:
            flow.waiting[event.task] = event.at

    def _ignored(self, event: TaskIgnored) -> None:
        if event.ends:
            self._forget(event.flow)
        elif (flow := self._flows.get(event.flow)) is not None:
            flow.ended[event.task] = event.at

    def _unignored(self, event: TaskUnignored) -> None:
        if (flow := self._flows.get(event.flow)) is not None:
            flow.waiting[event.task] = event.at

    def _rerun(self, event: FlowRerun) -> None:
        flow = self._flows.get(event.flow)
        if flow is None:
            return
        for task in event:
            flow.waiting[task] = event.at
        for task, body in event.bodies.items():
            flow.depends_on[task] = body.depends_on

    def _cancelled(self, event: FlowCancelled) -> None:
        self._cut_off(event.flow, event.running)
        self._forget(event.flow)

    def _timed_out(self, event: FlowTimedOut) -> None:
        self._cut_off(event.flow, event.running)

    def _cut_off(self, flow: str, running: tuple[int, ...]) -> None:
        for task in running:
            self._started.pop((flow, task), None)

    def _paused(self, event: FlowPaused) -> None:
        if (flow := self._flows.get(event.flow)) is not None:
            flow.paused_ms = flow.paused_ms or event.at

    def _resumed(self, event: FlowResumed) -> None:
        if (flow := self._flows.get(event.flow)) is not None and flow.paused_ms:
            flow.pauses.append((flow.paused_ms, event.at))
            flow.paused_ms = 0

    def _snapshot(self, event: FlowSnapshot) -> None:
        self._forget(event.flow)


def _ms_of(lease: str, otherwise: int) -> int:
    ms = lease.partition("-")[0]
    return int(ms) if ms.isdigit() else otherwise
