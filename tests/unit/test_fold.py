"""The fold: what each event does to a flow, and every contradiction that it refuses."""

from typing import Any

import msgspec
import pytest

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.attempt_events import (
    TaskFinished,
    TaskLapsed,
    TaskReturned,
    TaskStarted,
    TaskSuspended,
)
from flower_engine.model.events.events import AnyEvent, FlowRegistered, LogOpened, OutcomeRefused
from flower_engine.model.folding.flow_state import FlowState, FoldError, TaskState
from flower_engine.model.folding.fold import fold
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_error import TaskError

FLOW = "018f3c5e-7a10-7000-8000-000000000000"
ERROR = TaskError(type="ValueError", message="no")

# Task 1, then 2 and 3 beside each other, then 4.
DIAMOND = (
    PlannedTask(seq=1, task_seq=10, program="A"),
    PlannedTask(seq=2, task_seq=20, program="B", depends_on=(1,)),
    PlannedTask(seq=3, task_seq=30, program="C", depends_on=(1,)),
    PlannedTask(seq=4, task_seq=40, program="D", depends_on=(2, 3)),
)
SINGLE = DIAMOND[:1]


class History:
    """Writes a flow's events with the versions and times that follow from their order."""

    def __init__(self, tasks: tuple[PlannedTask, ...] = DIAMOND) -> None:
        self.events: list[AnyEvent] = [
            FlowRegistered(at=1, flow=FLOW, v=1, workflow="etl", order=100, tasks=tasks)
        ]
        self.attempts: dict[int, int] = {}

    def start(self, task: int, worker: str = "w1") -> "History":
        self.attempts[task] = self.attempts.get(task, 0) + 1
        return self._add(TaskStarted, task, worker=worker)

    def finish(self, task: int, *, ends: bool = False, result: bytes = b"null") -> "History":
        return self._add(TaskFinished, task, ends=ends, result=msgspec.Raw(result))

    def suspend(self, task: int) -> "History":
        return self._add(TaskSuspended, task, error=ERROR)

    def give_back(self, task: int) -> "History":
        return self._add(TaskReturned, task)

    def lapse(self, task: int, lost: int = 1) -> "History":
        return self._add(TaskLapsed, task, worker="w1", lost=lost)

    def change_last(self, **fields: Any) -> "History":
        self.events[-1] = msgspec.structs.replace(self.events[-1], **fields)
        return self

    def fold(self) -> FlowState:
        return fold(self.events)[FLOW]

    def refusal(self) -> str:
        """The message with which the fold refuses the last event."""
        fold(self.events[:-1])
        with pytest.raises(FoldError) as refused:
            fold(self.events)
        return str(refused.value)

    def _add(self, kind: type[Any], task: int, **fields: Any) -> "History":
        version = len(self.events) + 1
        attempt = self.attempts.get(task, 0)
        lease = f"{task}-{attempt}"
        event = kind(at=version, flow=FLOW, v=version, task=task, attempt=attempt, lease=lease, **fields)
        self.events.append(event)
        return self


def test_nothing_folds_to_nothing() -> None:
    assert fold([]) == {}


def test_a_registered_flow_waits_as_a_whole() -> None:
    flow = History().fold()
    assert (flow.flow, flow.workflow, flow.order, flow.registered_ms) == (FLOW, "etl", 100, 1)
    assert (flow.version, flow.left, flow.done, flow.ended_ms) == (1, 4, 0, None)
    assert [task.open for task in flow.tasks] == [0, 1, 1, 2]
    assert [task.is_ready for task in flow.tasks] == [True, False, False, False]
    assert flow.dependents == [[], [2, 3], [4], [4], []]
    assert flow.status is Status.WAIT


def test_a_started_task_runs_under_its_lease() -> None:
    flow = History().start(1, "w7").fold()
    assert flow.task(1) == TaskState(
        planned=DIAMOND[0], status=Status.RUNNING, attempt=1, lease="1-1", worker="w7", started_ms=2
    )
    assert flow.status is Status.RUNNING
    assert not flow.task(1).is_ready


def test_a_finished_task_frees_those_that_waited_only_for_it() -> None:
    flow = History().start(1).finish(1, result=b'{"n":1}').fold()
    task = flow.task(1)
    assert (task.status, task.finished_ms, task.result) == (Status.FINISH, 3, b'{"n":1}')
    assert [task.is_ready for task in flow.tasks] == [False, True, True, False]
    assert (flow.left, flow.done, flow.version) == (3, 1, 3)
    assert flow.status is Status.RUNNING


def test_a_task_with_two_dependencies_waits_for_both() -> None:
    history = History().start(1).finish(1).start(2).start(3).finish(3)
    assert not history.fold().task(4).is_ready
    assert history.finish(2).fold().task(4).is_ready


def test_a_suspended_task_keeps_its_error_and_suspends_the_flow() -> None:
    flow = History().start(1).suspend(1).fold()
    task = flow.task(1)
    assert (task.status, task.suspended_ms, task.error) == (Status.SUSPEND, 3, ERROR)
    assert flow.status is Status.SUSPEND
    assert (flow.left, flow.ended_ms) == (4, None)
    assert not flow.task(2).is_ready


def test_a_returned_task_waits_for_its_next_attempt() -> None:
    history = History().start(1).give_back(1)
    task = history.fold().task(1)
    assert (task.status, task.attempt, task.lost, task.is_ready) == (Status.WAIT, 1, 0, True)
    again = history.start(1, "w2").fold().task(1)
    assert (again.status, again.attempt, again.lease, again.worker) == (Status.RUNNING, 2, "1-2", "w2")


def test_a_lapsed_task_waits_again_and_counts_the_lost_workers() -> None:
    task = History().start(1).lapse(1).start(1).lapse(1, lost=2).fold().task(1)
    assert (task.status, task.attempt, task.lost, task.is_ready) == (Status.WAIT, 2, 2, True)


def test_a_flow_ends_with_its_last_task() -> None:
    history = History().start(1).finish(1).start(2).start(3).finish(3).finish(2).start(4)
    flow = history.finish(4, ends=True).fold()
    assert (flow.left, flow.done, flow.ended_ms, flow.version) == (0, 4, 9, 9)
    assert flow.status is Status.FINISH


def test_a_refused_outcome_and_the_opening_of_a_log_change_nothing() -> None:
    history = History().start(1)
    before = history.fold()
    history.events.append(
        OutcomeRefused(at=9, flow=FLOW, task=1, lease="9-9", worker="w", outcome="finished")
    )
    history.events.insert(0, LogOpened(at=0, installation="i", generation=1, partition=0))
    assert history.fold() == before


def test_flows_are_folded_apart_from_each_other() -> None:
    one, other = History(SINGLE).start(1), History(SINGLE)
    renamed = [msgspec.structs.replace(event, flow="other") for event in other.events]  # pyright: ignore[reportCallIssue]
    flows = fold([*one.events, *renamed])
    assert (flows[FLOW].version, flows["other"].version) == (2, 1)


def test_a_second_registration_is_refused() -> None:
    history = History()
    history.events.append(history.events[0])
    assert history.refusal() == f"flow {FLOW} is registered twice"


def test_an_event_before_the_registration_is_refused() -> None:
    history = History().start(1)
    del history.events[0]
    assert history.refusal() == f"flow {FLOW} has an event v2 before it is registered"


@pytest.mark.parametrize("version", [1, 2, 4])
def test_a_version_that_does_not_follow_is_refused(version: int) -> None:
    history = History().start(1).finish(1).change_last(v=version)
    assert history.refusal() == f"flow {FLOW}: event v{version} follows v2"


def test_an_event_after_the_end_is_refused() -> None:
    history = History(SINGLE).start(1).finish(1, ends=True).start(1)
    assert history.refusal() == f"flow {FLOW}: event v4 comes after its end"


def test_a_start_before_the_dependencies_are_final_is_refused() -> None:
    assert History().start(2).refusal() == (
        f"flow {FLOW} task 2: started as attempt 1 while it is Wait, attempt 0, with 1 open dependencies"
    )


def test_a_start_of_a_task_that_runs_is_refused() -> None:
    assert "started as attempt 2 while it is Running, attempt 1" in History().start(1).start(1).refusal()


def test_a_start_of_a_finished_task_is_refused() -> None:
    assert "while it is Finish, attempt 1" in History().start(1).finish(1).start(1).refusal()


def test_a_start_of_a_suspended_task_is_refused() -> None:
    assert "while it is Suspend, attempt 1" in History().start(1).suspend(1).start(1).refusal()


@pytest.mark.parametrize("attempt", [0, 2])
def test_a_start_that_skips_or_repeats_an_attempt_is_refused(attempt: int) -> None:
    assert f"started as attempt {attempt}" in History().start(1).change_last(attempt=attempt).refusal()


OUTCOMES = ["finish", "suspend", "give_back", "lapse"]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_of_a_task_that_does_not_run_is_refused(outcome: str) -> None:
    history: History = getattr(History(), outcome)(1)
    assert history.refusal() == (
        f"flow {FLOW} task 1: event v2 is of attempt 0, lease 1-0; the task is Wait, attempt 0, lease "
    )


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_second_outcome_of_an_attempt_is_refused(outcome: str) -> None:
    history: History = getattr(History().start(1).finish(1), outcome)(1)
    assert "the task is Finish, attempt 1, lease 1-1" in history.refusal()


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("wrong", [{"lease": "1-9"}, {"attempt": 9}])
def test_an_outcome_of_another_lease_or_attempt_is_refused(outcome: str, wrong: dict[str, Any]) -> None:
    history: History = getattr(History().start(1), outcome)(1)
    assert "the task is Running, attempt 1, lease 1-1" in history.change_last(**wrong).refusal()


def test_an_end_while_tasks_are_open_is_refused() -> None:
    history = History().start(1).finish(1, ends=True)
    assert history.refusal() == f"flow {FLOW}: event v3 has ends=True with 3 tasks open"


def test_a_last_finish_that_is_not_the_end_is_refused() -> None:
    history = History(SINGLE).start(1).finish(1, ends=False)
    assert history.refusal() == f"flow {FLOW}: event v3 has ends=False with 0 tasks open"
