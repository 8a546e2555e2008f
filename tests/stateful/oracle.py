"""The pure oracle of the choice of the next task, fed with the log alone.

It re-states what ``lua/lib/choose.lua`` promises: strict priority among what limits and pauses let start,
turns among shares of equal priority to within a quantum, and within a share the task that is further ahead,
then registered first; and that nothing is left that might have been taken.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.attempt_events import (
    FlowAgain,
    TaskAgain,
    TaskRetrying,
    TaskReturned,
    TaskStarted,
)
from flower_engine.model.events.events import (
    AnyEvent,
    ControlChanged,
    FlowRegistered,
    LogOpened,
    OutcomeRefused,
)
from flower_engine.model.events.operator_events import FlowPrioritised, FlowRerun, TaskUnignored
from flower_engine.model.events.schedule_events import ScheduleEvent
from flower_engine.model.flow_control.lanes import lane_of
from flower_engine.model.flow_control.limits import limits_of_lane, units_of, window_of_limit
from flower_engine.model.flow_control.map_windows import Window
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.folding.fold import fold_one
from flower_engine.model.invariants.invariants import lane_score
from flower_engine.model.tasks.status import Status
from flower_engine.model.waits.wait_programs import is_wait

QUANTUM = 8
Key = tuple[str, int]  # flow, task


class Waiting(NamedTuple):
    """A ready task: the share it waits in, its score, and whether one more lost worker makes it poison.
    ``is_ruled``: what rules passed over in the same moment may have made it ready, or be further ahead."""

    task: PlannedTask
    lane: str
    share: str
    score: int
    is_suspect: bool
    is_ruled: bool = False


class Oracle:
    """Follows the log event by event; knows which tasks are ready and who must be claimed next."""

    def __init__(self, max_lost: int) -> None:
        self._max_lost = max_lost
        self._suspects: dict[str, Key] = {}  # what each worker holds
        self.versions: dict[str, str] = {}  # of each worker's programs
        self.kept_from: dict[Key, set[str]] = {}  # versions that refused a task
        self.flows: dict[str, FlowState] = {}
        self.retrying: set[Key] = set()  # on their timers
        self.delayed: set[str] = set()
        self.in_line: set[str] = set()  # flows that wait for a place, as Redis has it
        self._ready: dict[Key, Waiting] = {}
        self._turns: dict[str, int] = {}  # how many tasks each share was served, at least the service itself
        self._limited: set[str] = set()  # what was ever limited: boards outlive their limits
        self._served: dict[int, int] = {}  # the service of each priority

    def append(self, events: Sequence[AnyEvent]) -> None:
        """Takes the new events of one call, in log order."""
        for event, following in pairwise([*events, None]):
            assert event is not None
            fold_one(self.flows, event)
            if isinstance(event, LogOpened | OutcomeRefused | ControlChanged | ScheduleEvent | TaskStarted):
                continue  # of starts, `take` says which there must be
            if isinstance(event, FlowRegistered) and event.start_ms:
                self.delayed.add(event.flow)
            flow = self.flows[event.flow]
            if flow.ended_ms is not None and flow.ended_ms >= flow.registered.start_ms:
                self.delayed.discard(event.flow)  # put back, it would not wait for its start any more
            self._note_versions(event)
            is_later = isinstance(event, TaskRetrying | FlowAgain)
            if is_later or (isinstance(event, TaskAgain) and event.due_ms):
                self.retrying.add((event.flow, event.task))
            if isinstance(event, FlowRerun):
                for seq in event:  # another lane: of another body, or of no suspect, and kept from nobody
                    was_kept = self.kept_from.pop((event.flow, seq), None) is not None
                    lane = lane_of(flow.workflow, flow.task(seq).planned)
                    waiting = self._ready.get((event.flow, seq))
                    if waiting and (waiting.is_suspect or was_kept or waiting.lane != lane):
                        del self._ready[event.flow, seq]
            if isinstance(event, FlowPrioritised):
                for key in [key for key in self._ready if key[0] == event.flow]:
                    if _priority(self._ready[key].share) != event.priority:
                        del self._ready[key]
            # Tasks of one call are taken back together; what follows from it follows then.
            if not (
                isinstance(event, TaskUnignored)
                and isinstance(following, TaskUnignored)
                and following.flow == event.flow
            ):
                self._place(self.flows[event.flow])

    def _note_versions(self, event: AnyEvent) -> None:
        """Which versions refused a task; what is taken back is kept from none."""
        if isinstance(event, TaskReturned) and event.unfit:
            self.kept_from.setdefault((event.flow, event.task), set()).update(event.unfit)
        elif isinstance(event, TaskUnignored | TaskAgain | FlowAgain):
            self.kept_from.pop((event.flow, event.task), None)

    def admitted(self, in_line: set[str]) -> None:
        """Which flows wait for a place after a call."""
        for flow in self.in_line ^ in_line:
            self.in_line = (self.in_line - {flow}) | ({flow} & in_line)
            if flow in self.flows:
                self._place(self.flows[flow])

    def fired(self, what: str, flow: str, task: int) -> None:
        """A retry or a start was due, which no event says."""
        self.retrying.discard((flow, task))
        if what == "start":
            self.delayed.discard(flow)
        self._place(self.flows[flow])

    def check_claim(  # noqa: PLR0917 # what a claim is called with, and what it meets
        self,
        worker: str,
        claimed: Sequence[Key],
        wanted: int,
        queues: Sequence[str],
        programs: Sequence[str],
        limits: Mapping[str, str],
        running: Counter[str],
    ) -> None:
        """Refuses a claim that took one task before a better one, more than a limit allows, or too little.

        ``limits`` as Redis has them; ``running``: units in use before the claim, by limit.
        """
        left = list(claimed)
        self._limited.update(limits)
        for queue in queues:
            while left and self._ready[left[0]].task.queue == queue:
                taken = self._ready[left[0]]
                open_keys = self._open(worker, queue, programs, limits, running)
                assert left[0] in open_keys, f"{left[0]} may not be taken: {taken}"
                firm = self._firm(open_keys, limits, running)
                self._check_first(left[0], {*firm, left[0]})
                del self._ready[left[0]]
                self._count(worker, left.pop(0), taken, running)
            if len(claimed) - len(left) < wanted:
                missed = self._firm(self._open(worker, queue, programs, limits, running), limits, running)
                assert not missed, f"{missed} were left, though {wanted} were wanted"
        assert not left, f"{left} belong to no queue in order"

    def _check_first(self, key: Key, open_keys: Iterable[Key]) -> None:
        taken = self._ready[key]
        waiting = [self._ready[other] for other in open_keys]
        best = min(_priority(other.share) for other in waiting)
        assert _priority(taken.share) == best, f"{taken} was taken before a better priority"
        # A lane that a limit has set aside takes its own turn; elsewhere the order of a share is exact.
        own = [other for other in waiting if other.share == taken.share and not self._is_limited(other)]
        ahead = min((other.score for other in own), default=taken.score)
        assert taken.score <= ahead or self._is_limited(taken), f"{taken} was taken before a better one"
        rivals = {other.share for other in waiting if _priority(other.share) == best} - {taken.share}
        served = self._served.get(best, 0)
        turn = max(self._turns.get(taken.share, 0), served)
        turns = [max(self._turns.get(rival, 0), served) for rival in rivals]
        assert turn - min(turns, default=turn) <= 2 * QUANTUM, f"{taken} out of turn: {turn}, {turns}"
        self._served[best] = max(served, turn - QUANTUM)
        self._turns[taken.share] = turn + 1

    def _is_limited(self, waiting: Waiting) -> bool:
        names = limits_of_lane(waiting.lane)[0][2:]
        if any(window_of_limit(name) for name in names):
            return True
        return waiting.is_ruled or not self._limited.isdisjoint({name.partition("/")[0] for name in names})

    def _count(self, worker: str, key: Key, taken: Waiting, running: Counter[str]) -> None:
        if taken.is_suspect:
            self._suspects[worker] = key
        names, units = limits_of_lane(taken.lane)
        for name in names:
            running[name] += units_of(name, units)

    def _firm(self, keys: Iterable[Key], limits: Mapping[str, str], running: Mapping[str, int]) -> list[Key]:
        """Those that no heavier task holds back, which waits for room of a limit that is theirs, too."""
        held_back: set[str] = set()
        for waiting in self._ready.values():
            names, units = limits_of_lane(waiting.lane)
            if units > 1:
                held_back.update(name for name in names if not _fits(name, units, limits, running))
        return [key for key in keys if held_back.isdisjoint(limits_of_lane(self._ready[key].lane)[0])]

    def _open(
        self,
        worker: str,
        queue: str,
        programs: Sequence[str],
        limits: Mapping[str, str],
        running: Counter[str],
    ) -> list[Key]:
        """What this worker may take now."""
        return [
            key
            for key, waiting in self._ready.items()
            if waiting.task.queue == queue
            and waiting.task.program in programs
            and not (waiting.is_suspect and worker in self._suspects)
            and self.versions.get(worker.rstrip("+")) not in self.kept_from.get(key, ())
            and has_room(waiting.lane, limits, running)
            and not self._is_stopped(waiting)
        ]

    def _is_stopped(self, waiting: Waiting) -> bool:
        """Whether it is an item of a map that is held, because too many were given up."""
        window = Window.parse(waiting.task.window)
        if window is None or not window.is_tolerant:
            return False
        return self.flows[window.flow].task(window.map).status is Status.SUSPEND

    def _place(self, flow: FlowState) -> None:
        """Puts the flow's tasks into the ready set, and takes them out, as they stand now."""
        for task in flow.tasks:
            key = (flow.flow, task.planned.seq)
            if task.retry_ms is None and task.again_ms is None:
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
        is_held = flow.paused is not None or flow.flow in self.delayed or flow.flow in self.in_line
        is_in_lane = task.is_ready and not is_held and key not in self.retrying
        return is_in_lane and not is_wait(task.planned.program)

    def away(self, flow: FlowState) -> set[int]:
        """Tasks of the flow that wait elsewhere than in a lane: for a time, or for the world."""
        retrying = {seq for held, seq in self.retrying if held == flow.flow}
        return retrying | {task.planned.seq for task in flow.tasks if task.is_awaiting}

    def _push(self, flow: FlowState, seq: int) -> None:
        task = flow.task(seq)
        planned = task.planned
        lane = lane_of(flow.workflow, planned)
        self._ready[flow.flow, seq] = Waiting(
            task=planned,
            lane=lane,
            share=lane.rpartition(":")[0],
            score=lane_score(flow, task),
            is_suspect=0 < task.lost == self._max_lost - 1,
            is_ruled=flow.ruled,
        )


def has_room(lane: str, limits: Mapping[str, str], running: Mapping[str, int]) -> bool:
    """Whether no limit or pause stops one more task of a lane."""
    names, units = limits_of_lane(lane)
    return all(_fits(name, units, limits, running) for name in names)


def _fits(name: str, units: int, limits: Mapping[str, str], running: Mapping[str, int]) -> bool:
    window = window_of_limit(name)
    if window is not None:
        return window.most is None or running.get(name, 0) < window.most
    text = limits.get(name.partition("/")[0], "")
    most = text.split(" ")[0]
    if text.endswith(" 1"):
        return False  # paused
    return not most.isdigit() or running.get(name, 0) + min(units, int(most)) <= int(most)


def _priority(share: str) -> int:
    return int(share.split(":")[1])
