"""The pure oracle of the choice of the next task, fed with the log alone.

It re-states what ``log/lua/_choose.lua`` promises: strict priority, turns among workflows of equal
priority in quanta, and within a workflow's turn the task that is further ahead, then registered first.
"""

from collections.abc import Sequence

from flower_engine.log.keys import lane_name
from flower_engine.model.definition import PlannedTask
from flower_engine.model.events import (
    AnyEvent,
    FlowRegistered,
    LogOpened,
    OutcomeRefused,
    TaskFinished,
    TaskLapsed,
    TaskReturned,
)
from flower_engine.model.fold import FlowState, fold
from flower_engine.model.invariants import lane_score

QUANTUM = 8
Ready = dict[tuple[str, int], tuple[PlannedTask, str, int]]


class Oracle:
    """Follows the log event by event; knows which tasks are ready and who must be claimed next."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self.flows: dict[str, FlowState] = {}
        self._ready: Ready = {}
        self._turns: dict[str, int] = {}
        self._turn = 0

    def append(self, events: Sequence[AnyEvent]) -> None:
        """Takes new events, in log order."""
        for event in events:
            self.events.append(event)
            self._follow(event)
        self.flows = fold(self.events)

    def take(self, wanted: int, queues: Sequence[str], programs: Sequence[str]) -> list[tuple[str, int]]:
        """The (flow, task) pairs that a claim must give now, in order; turns move on."""
        chosen: list[tuple[str, int]] = []
        for queue in queues:
            skipped = 0
            while len(chosen) < wanted:
                shares = self._shares(queue)
                if skipped == len(shares):
                    break
                share = shares[skipped]
                rival = shares[skipped + 1] if skipped + 1 < len(shares) else None
                most = wanted - len(chosen)
                if rival is not None and _priority(rival) == _priority(share):
                    most = min(most, QUANTUM)
                got = self._best(share, programs)[:most]
                if not got:
                    skipped += 1
                    continue
                for key in got:
                    del self._ready[key]
                chosen += got
                self._turn += 1
                self._turns[share] = self._turn
        return chosen

    def _shares(self, queue: str) -> list[str]:
        found = {share for task, share, _ in self._ready.values() if task.queue == queue}
        return sorted(found, key=lambda share: (_priority(share), self._turns.get(share, 0), share))

    def _best(self, share: str, programs: Sequence[str]) -> list[tuple[str, int]]:
        found = [
            (score, key)
            for key, (task, other, score) in self._ready.items()
            if other == share and task.program in programs
        ]
        return [key for _, key in sorted(found)]

    def _follow(self, event: AnyEvent) -> None:
        if isinstance(event, LogOpened | OutcomeRefused):
            return
        if isinstance(event, FlowRegistered):
            self.flows |= fold([event])
            for task in self.flows[event.flow].tasks:
                if task.is_ready:
                    self._push(self.flows[event.flow], task.planned.seq)
            return
        flow = self.flows[event.flow]
        if isinstance(event, TaskReturned | TaskLapsed):
            self._push(flow, event.task)
        elif isinstance(event, TaskFinished):
            flow.left -= 1
            for dependent in flow.dependents[event.task]:
                flow.task(dependent).open -= 1
                if flow.task(dependent).open == 0:
                    self._push(flow, dependent)

    def _push(self, flow: FlowState, seq: int) -> None:
        task = flow.task(seq)
        planned = task.planned
        lane = lane_name(planned.queue, planned.priority, flow.workflow, planned.program)
        self._ready[flow.flow, seq] = (planned, lane.rpartition(":")[0], lane_score(flow, task, flow.done))


def _priority(share: str) -> int:
    return int(share.split(":")[1])
