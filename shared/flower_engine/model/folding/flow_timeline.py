"""When each task of a flow stood where, in columns: what a Gantt chart is drawn from, and a time slider."""

from typing import Literal, get_args

import msgspec

from flower_engine.model.events.events import AnyEvent
from flower_engine.model.events.wait_events import TaskExpanded
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.folding.flow_table import FlowTable
from flower_engine.model.tasks.end_kinds import CUT_OFF, GIVEN_UP, NOT_TAKEN, UNMET, UNNEEDED, VANISHED
from flower_engine.model.tasks.status import Status

Waiting = Literal["dependencies", "ready", "retry", "awaiting", "round"]
Ended = Literal["finished", "passedOver", "notTaken", "cancelled", "unneeded", "vanished", "givenUp"]
OfFlow = Literal["underWay", "paused", "ending", "ended"]
Stage = Waiting | Literal["running", "held"] | Ended | OfFlow
"""Where a task stands: it waits for others, for a worker, for its retry, for the world or for its next
round; it runs; somebody must decide; or how it has ended. The flow as a whole is under way, paused, ending
(its cleanup goes on), or has ended."""

STAGES: tuple[Stage, ...] = (*get_args(Waiting), "running", "held", *get_args(Ended), *get_args(OfFlow))
_BY_STATUS = {
    status: STAGES.index(stage)
    for status, stage in (
        *((Status.RUNNING, "running"), (Status.SUSPEND, "held")),
        *((Status.FINISH, "finished"), (Status.IGNORE, "passedOver")),
    )
}
_BY_END = {
    letter: STAGES.index(stage)
    for letter, stage in (
        *((NOT_TAKEN, "notTaken"), (UNMET, "notTaken")),
        *((CUT_OFF, "cancelled"), (UNNEEDED, "unneeded"), (VANISHED, "vanished"), (GIVEN_UP, "givenUp")),
    )
}


class FlowTimeline(msgspec.Struct, rename="camel"):
    """Rows in order of the log: from ``from_ms`` on the task stands at ``stages[stage]``; how it stands at a
    moment is its last row before it. Task 0 is the flow. ``step`` leads to the event's position, which
    ``?at=`` takes."""

    task_flow_id: str
    version: int
    stages: tuple[Stage, ...]
    positions: list[str]
    task: list[int]
    from_ms: list[int]
    stage: list[int]
    step: list[int]


class TimelineMaker:
    """Makes the timeline of one flow, event by event."""

    def __init__(self) -> None:
        self._table = FlowTable()
        self._stages: list[int] = []
        self._made = FlowTimeline("", 0, STAGES, [], [], [], [], [])

    def add(self, position: str, event: AnyEvent) -> None:
        """The flow's next event; raises as :meth:`FlowTable.add` does."""
        table, made = self._table, self._made
        table.add(event)
        state, touched = table.state, table.take()
        if state is None:
            return
        if len(self._stages) != len(state.tasks) + 1:
            is_grown = isinstance(event, TaskExpanded)
            self._stages = self._stages if is_grown else []
            self._stages += [-1] * (len(state.tasks) + 1 - len(self._stages))
        made.task_flow_id, made.version = state.flow, state.version
        has_moved = False
        for seq in range(len(state.tasks) + 1) if touched is None else (0, *sorted(touched)):
            stage = _stage(state.tasks[seq - 1]) if seq else _stage_of_flow(state)
            if stage == self._stages[seq]:
                continue
            self._stages[seq] = stage
            if not has_moved:
                made.positions.append(position)
                has_moved = True
            made.task.append(seq)
            made.from_ms.append(event.at)
            made.stage.append(stage)
            made.step.append(len(made.positions) - 1)

    def made(self) -> FlowTimeline:
        """The timeline of what was added."""
        return self._made


def _stage_of_flow(flow: FlowState) -> int:
    if flow.ended_ms is not None:
        return STAGES.index("ended")
    if flow.paused is not None:
        return STAGES.index("paused")
    return STAGES.index("ending" if flow.is_ending else "underWay")


def _stage(task: TaskState) -> int:
    if task.status is not Status.WAIT:
        return _BY_END.get(task.ended_as, _BY_STATUS[task.status])
    if not task.is_ready:
        return 0
    if task.awaiting is not None:
        return 3
    if task.again_ms is not None:
        return 4
    return 1 if task.retry_ms is None else 2
