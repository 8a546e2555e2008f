"""The pure oracle of the choice of the next task, fed with the log alone.

It re-states what ``log/lua/_choose.lua`` promises: strict priority, turns among workflows of equal
priority in quanta, and within a workflow's turn the task that is further ahead, then registered first.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from flower_engine.log.keys import lane_name
from flower_engine.model.definition import PlannedTask
from flower_engine.model.events import (
    AnyEvent,
    FlowRegistered,
    FlowRerun,
    LogOpened,
    OutcomeRefused,
    TaskIgnored,
    TaskRetrying,
    TaskStarted,
    TaskUnignored,
)
from flower_engine.model.fold import FlowState, TaskState, fold_one
from flower_engine.model.invariants import lane_score
from flower_engine.model.status import Status

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
        self.flows: dict[str, FlowState] = {}
        self.retrying: set[Key] = set()  # on their timers
        self.delayed: set[str] = set()
        self._ready: dict[Key, Waiting] = {}
        self._turns: dict[str, int] = {}
        self._turn = 0

    def append(self, events: Sequence[AnyEvent]) -> None:
        """Takes the new events of one call, in log order."""
        for event, following in pairwise([*events, None]):
            assert event is not None
            fold_one(self.flows, event)
            if isinstance(event, LogOpened | OutcomeRefused | TaskStarted):
                continue  # of starts, `take` says which there must be
            if isinstance(event, FlowRegistered) and event.start_ms:
                self.delayed.add(event.flow)
            flow = self.flows[event.flow]
            if flow.ended_ms is not None and flow.ended_ms >= flow.registered.start_ms:
                self.delayed.discard(event.flow)  # put back, it would not wait for its start any more
            if isinstance(event, TaskRetrying):
                self.retrying.add((event.flow, event.task))
            if isinstance(event, FlowRerun):  # a suspect that runs again is none any more: another lane
                for seq in event:
                    if (waiting := self._ready.get((event.flow, seq))) and waiting.is_suspect:
                        del self._ready[event.flow, seq]
            # Tasks of one call are ignored (or taken back) together; what follows from it follows then.
            together = isinstance(event, TaskIgnored | TaskUnignored)
            if not (together and isinstance(following, type(event)) and following.flow == event.flow):
                self._place(self.flows[event.flow])

    def fired(self, what: str, flow: str, task: int) -> None:
        """A retry or a start was due, which no event says."""
        self.retrying.discard((flow, task))
        if what == "start":
            self.delayed.discard(flow)
        self._place(self.flows[flow])

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

    def _place(self, flow: FlowState) -> None:
        """Puts the flow's tasks into the ready set, and takes them out, as they stand now."""
        for task in flow.tasks:
            key = (flow.flow, task.planned.seq)
            if task.retry_ms is None:
                self.retrying.discard(key)
            if not self._is_in_lane(flow, task):
                self._ready.pop(key, None)
            elif key not in self._ready:
                self._push(flow, task.planned.seq)
        self._suspects = {
            worker: (held, seq)
            for worker, (held, seq) in self._suspects.items()
            if self.flows[held].task(seq).status is Status.RUNNING
        }

    def _is_in_lane(self, flow: FlowState, task: TaskState) -> bool:
        key = (flow.flow, task.planned.seq)
        is_held = flow.paused is not None or flow.flow in self.delayed
        return task.is_ready and not is_held and key not in self.retrying

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
