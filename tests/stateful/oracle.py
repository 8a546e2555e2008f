"""The pure oracle of the choice of the next task, fed with the log alone.

It re-states what ``log/lua/_choose.lua`` promises: strict priority, turns among workflows of equal
priority in quanta, and within a workflow's turn the task that is further ahead, then registered first.
"""

from collections.abc import Sequence
from typing import NamedTuple

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
    TaskStarted,
)
from flower_engine.model.fold import FlowState, fold
from flower_engine.model.invariants import lane_score

QUANTUM = 8
Key = tuple[str, int]  # flow, task


class Waiting(NamedTuple):
    """A ready task: the share it waits in, its score, and whether one more lost worker makes it poison."""

    task: PlannedTask
    share: str
    score: int
    is_suspect: bool


class Oracle:
    """Follows the log event by event; knows which tasks are ready and who must be claimed next."""

    def __init__(self, max_lost: int) -> None:
        self._max_lost = max_lost
        self._suspects: dict[str, Key] = {}  # what each worker holds
        self.events: list[AnyEvent] = []
        self.flows: dict[str, FlowState] = {}
        self._ready: dict[Key, Waiting] = {}
        self._turns: dict[str, int] = {}
        self._turn = 0

    def append(self, events: Sequence[AnyEvent]) -> None:
        """Takes new events, in log order."""
        for event in events:
            self.events.append(event)
            self._follow(event)
        self.flows = fold(self.events)

    def take(self, worker: str, wanted: int, queues: Sequence[str], programs: Sequence[str]) -> list[Key]:
        """The tasks that a claim must give now, in order; turns move on."""
        chosen: list[Key] = []
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
                got = self._take_best(worker, share, most, programs)
                if not got:
                    skipped += 1
                    continue
                chosen += got
                self._turn += 1
                self._turns[share] = self._turn
        return chosen

    def _shares(self, queue: str) -> list[str]:
        found = {waiting.share for waiting in self._ready.values() if waiting.task.queue == queue}
        return sorted(found, key=lambda share: (_priority(share), self._turns.get(share, 0), share))

    def _take_best(self, worker: str, share: str, most: int, programs: Sequence[str]) -> list[Key]:
        """A worker holds one suspect at most."""
        taken: list[Key] = []
        for key, waiting in sorted(self._ready.items(), key=lambda item: item[1].score):
            if len(taken) == most:
                break
            if waiting.share != share or waiting.task.program not in programs:
                continue
            if waiting.is_suspect:
                if worker in self._suspects:
                    continue
                self._suspects[worker] = key
            taken.append(key)
            del self._ready[key]
        return taken

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
        if not isinstance(event, TaskStarted):
            self._suspects = {
                worker: key for worker, key in self._suspects.items() if key != (event.flow, event.task)
            }
        if isinstance(event, TaskReturned | TaskLapsed):
            flow.task(event.task).lost = getattr(event, "lost", flow.task(event.task).lost)
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
        self._ready[flow.flow, seq] = Waiting(
            task=planned,
            share=lane.rpartition(":")[0],
            score=lane_score(flow, task, flow.done),
            is_suspect=0 < task.lost == self._max_lost - 1,
        )


def _priority(share: str) -> int:
    return int(share.split(":")[1])
