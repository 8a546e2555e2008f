"""How long tasks ran, and how long and for what they had waited, from the events of a partition alone.

An event does not say since when its task was ready. That follows from the end of what it depends on, so a
little is remembered of each flow that is under way: of all of them up to a bound, of a fair sample beyond.
The two events that every task has are counted in one loop; it is done for each task, so it has no calls.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from flower_engine.model.events.attempt_events import (
    FlowAgain,
    TaskAgain,
    TaskFinished,
    TaskLapsed,
    TaskRetrying,
    TaskReturned,
    TaskStarted,
    TaskSuspended,
)
from flower_engine.model.events.events import (
    AnyEvent,
    FlowRegistered,
    TaskGivenUp,
    TasksPassed,
    TasksUnneeded,
)
from flower_engine.model.events.operator_events import (
    FlowCancelled,
    FlowEnding,
    FlowPaused,
    FlowRerun,
    FlowResumed,
    TaskIgnored,
    TasksIgnored,
    TaskUnignored,
)
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.events.wait_events import TaskExpanded
from flower_engine.model.tasks.status import Status
from flower_engine.tallies import WORK_SECONDS, Tally

REASONS = ("dependencies", "queue", "retry", "round", "start", "pause")
_MOST_TASKS = 100_000
_Again = TaskAgain | FlowAgain


class WorkTimes:
    """What is counted: how long attempts ran, and what tasks waited for, in seconds; and flows that ended."""

    def __init__(self) -> None:
        self.runs = Tally(WORK_SECONDS)
        self.waits: Mapping[str, Tally] = {reason: Tally(WORK_SECONDS) for reason in REASONS}
        self.ends = 0


class _Flow:
    """What is remembered of a flow; times in milliseconds.

    ``times[seq]`` is when the task started, or when it ended, whichever was last; tasks are 1..n.
    """

    __slots__ = ("begins", "depends_on", "paused_ms", "pauses", "size", "times", "waiting")

    def __init__(self, event: FlowRegistered) -> None:
        self.begins = max(event.at, event.start_ms)
        self.depends_on = [(), *[task.depends_on for task in event.tasks]]
        self.size = len(event.tasks)
        self.times = [0] * (self.size + 1)
        self.waiting: dict[int, int] = {}  # since when tasks wait that ran before, or are to run again
        self.pauses: list[tuple[int, int]] = []
        self.paused_ms = 0  # since when it is paused

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
        self._takes: Mapping[type[AnyEvent], Callable[[Any], None]] = {
            FlowRegistered: self._registered,
            TaskSuspended: self._suspended,
            TaskRetrying: self._retrying,
            TaskAgain: self._again,
            FlowAgain: self._suspended,
            TaskLapsed: self._waits_again,
            TaskReturned: self._waits_again,
            TaskGivenUp: self._given_up,
            TaskIgnored: self._ignored,
            TasksIgnored: self._all_ignored,
            TasksPassed: self._passed,
            TasksUnneeded: self._unneeded,
            TaskUnignored: self._waits_again,
            FlowRerun: self._rerun,
            FlowCancelled: self._cancelled,
            FlowEnding: self._ending,
            FlowPaused: self._paused,
            FlowResumed: self._resumed,
            FlowSnapshot: self._snapshot,
            TaskExpanded: self._expanded,
        }

    @property
    def remembered(self) -> int:
        """Of how many tasks of open flows something is remembered."""
        return self._tasks

    def take(self, events: Sequence[AnyEvent]) -> None:
        """Counts what the next events end. One that cannot be (it names a task that its flow has not) counts
        for nothing, and neither does its flow from there on."""
        flow_of, takes = self._flows.get, self._takes
        runs: list[int] = []
        queued: list[int] = []
        depended: list[int] = []
        for event in events:
            try:
                if type(event) is TaskStarted:
                    flow = flow_of(event.flow)
                    if flow is None:
                        continue
                    task, at, times = event.task, event.at, flow.times
                    ready, others = flow.begins, flow.depends_on[task]
                    waited = flow.waiting.pop(task, 0) if flow.waiting else 0
                    ready = waited or ready
                    for other in others:
                        if times[other] > ready:  # noqa: PLR1730 # a call of max takes four times as long
                            ready = times[other]
                    if others and not waited:
                        depended.append(ready - flow.begins)
                    times[task] = at
                    queued.append(
                        at - ready - self._paused_for(flow, ready, at) if flow.pauses else at - ready
                    )
                elif type(event) is TaskFinished:
                    flow, at, task = flow_of(event.flow), event.at, event.task
                    began = flow.times[task] if flow is not None else 0
                    if flow is None or not began:
                        runs.append(_since_its_lease(event))
                    else:
                        runs.append(at - began)
                        flow.times[task] = at
                    if event.ends:
                        self._times.ends += 1
                        self._forget(event.flow)
                elif (take := takes.get(type(event))) is not None:
                    take(event)
            except (IndexError, TypeError):
                self._forget(getattr(event, "flow", ""))
        self._times.runs.add_ms(runs)
        self._times.waits["queue"].add_ms(queued)
        self._times.waits["dependencies"].add_ms(depended)

    def _registered(self, event: FlowRegistered) -> None:
        if self._mask and hash(event.flow) & self._mask:
            return
        self._forget(event.flow)
        flow = self._flows[event.flow] = _Flow(event)
        if event.start_ms > event.at:
            self._times.waits["start"].add_ms([event.start_ms - event.at])
        self._tasks += flow.size
        while self._tasks > self._most_tasks:
            self._thin_out()

    def _thin_out(self) -> None:
        """Half of the flows go."""
        self._mask = self._mask * 2 + 1
        kept = {name: flow for name, flow in self._flows.items() if not hash(name) & self._mask}
        # More bits than that leave nothing but a few flows that are too large themselves.
        self._flows.clear()
        if self._mask < 1 << 30:
            self._flows.update(kept)
        self._tasks = sum(flow.size for flow in self._flows.values())
        if not self._flows:
            self._mask = 0

    def _forget(self, name: str) -> None:
        flow = self._flows.pop(name, None)
        if flow is not None:
            self._tasks -= flow.size
            if self._mask and self._tasks < self._most_tasks // 4:
                self._mask >>= 1

    def _paused_for(self, flow: _Flow, ready: int, at: int) -> int:
        paused = flow.paused_between(ready, at)
        if paused:
            self._times.waits["pause"].add_ms([paused])
        return paused

    def _suspended(self, event: TaskSuspended | TaskRetrying | _Again | TaskGivenUp) -> None:
        flow = self._flows.get(event.flow)
        began = flow.times[event.task] if flow else 0
        self._times.runs.add_ms([event.at - began if began else _since_its_lease(event)])

    def _given_up(self, event: TaskGivenUp) -> None:
        if event.lease:  # it ran
            self._suspended(event)
        self._settled(event, [event.task])

    def _passed(self, event: TasksPassed) -> None:
        self._settled(event, event.tasks)

    def _unneeded(self, event: TasksUnneeded) -> None:
        self._settled(event, event)

    def _settled(
        self,
        event: TaskGivenUp | TaskIgnored | TasksIgnored | TasksPassed | TasksUnneeded | FlowEnding,
        tasks: Iterable[int],
    ) -> None:
        """Tasks have ended, or the flow has."""
        if event.ends:
            self._times.ends += 1
            self._forget(event.flow)
        elif (flow := self._flows.get(event.flow)) is not None:
            for task in tasks:
                flow.times[task] = event.at

    def _retrying(self, event: TaskRetrying) -> None:
        self._suspended(event)
        self._times.waits["retry"].add_ms([event.due_ms - event.at])
        if (flow := self._flows.get(event.flow)) is not None:
            flow.waiting[event.task] = event.due_ms

    def _again(self, event: TaskAgain) -> None:
        if event.lease:  # else another flow does it
            self._suspended(event)
        begins = event.due_ms or event.at
        self._times.waits["round"].add_ms([begins - event.at])
        if (flow := self._flows.get(event.flow)) is not None:
            flow.waiting[event.task] = begins

    def _waits_again(self, event: TaskLapsed | TaskReturned | TaskUnignored) -> None:
        if (flow := self._flows.get(event.flow)) is not None:
            flow.waiting[event.task] = event.at

    def _ignored(self, event: TaskIgnored) -> None:
        flow = self._flows.get(event.flow)
        if event.was == Status.RUNNING and flow is not None and flow.times[event.task]:
            self._times.runs.add_ms([event.at - flow.times[event.task]])
        self._settled(event, [event.task])

    def _all_ignored(self, event: TasksIgnored) -> None:
        self._settled(event, event)

    def _rerun(self, event: FlowRerun) -> None:
        flow = self._flows.get(event.flow)
        if flow is None:
            return
        for task in event:
            flow.waiting[task] = event.at
        for task, body in event.bodies.items():
            flow.depends_on[task] = body.depends_on

    def _expanded(self, event: TaskExpanded) -> None:
        """Items are more tasks of the flow, ready from here on, or behind those of another map."""
        flow = self._flows.get(event.flow)
        if flow is None or event.first != flow.size + 1:
            return
        count, taken = len(event.numbers), event.taken_by
        for came in event.maps:
            behind = range(came.over, came.over + len(event.values)) if came.over else ()
            flow.depends_on += ((seq,) for seq in behind)
            if not came.over:
                flow.depends_on += [()] * len(event.values)
                ready = range(came.first, came.first + len(event.values))
                flow.waiting |= dict.fromkeys((seq for seq in ready if seq not in taken), event.at)
        flow.times += [event.at if event.first + index in taken else 0 for index in range(count)]
        flow.size += count
        self._tasks += count
        while self._tasks > self._most_tasks:
            self._thin_out()

    def _cancelled(self, event: FlowCancelled) -> None:
        self._times.ends += 1
        self._forget(event.flow)

    def _ending(self, event: FlowEnding) -> None:
        self._settled(event, event)

    def _paused(self, event: FlowPaused) -> None:
        if (flow := self._flows.get(event.flow)) is not None:
            flow.paused_ms = flow.paused_ms or event.at

    def _resumed(self, event: FlowResumed) -> None:
        if (flow := self._flows.get(event.flow)) is not None and flow.paused_ms:
            flow.pauses.append((flow.paused_ms, event.at))
            flow.paused_ms = 0

    def _snapshot(self, event: FlowSnapshot) -> None:
        self._forget(event.flow)


def _since_its_lease(event: TaskFinished | TaskSuspended | TaskRetrying | _Again | TaskGivenUp) -> int:
    """How long an attempt ran whose start was not seen: its lease is the entry of Redis made then."""
    ms = event.lease.partition("-")[0]
    return event.at - int(ms) if ms.isdigit() else 0
