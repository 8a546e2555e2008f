"""The attempts of a task are read off its history."""

from flower_engine.model.events.attempt_events import (
    TaskFinished,
    TaskLapsed,
    TaskRetrying,
    TaskReturned,
    TaskStarted,
    TaskSuspended,
)
from flower_engine.model.events.events import AnyEvent, TaskOverdue
from flower_engine.model.events.operator_events import FlowCancelled, FlowRerun
from flower_engine.model.events.wait_events import TaskAnswered, TaskAwaiting
from flower_engine.model.folding.attempts import attempts_of
from flower_engine.model.tasks.task_error import TaskError

ERROR = TaskError(type="E", message="no")
LATE = TaskError(type="WaitTimeout", message="nobody came")


def started(attempt: int, at: int, task: int = 1) -> TaskStarted:
    return TaskStarted(
        at=at, flow="f", v=at, task=task, attempt=attempt, lease=f"{at}-0", worker=f"w{attempt}"
    )


def end(kind: type, attempt: int, at: int, **rest: object) -> AnyEvent:
    head = {"at": at, "flow": "f", "v": at, "task": 1, "attempt": attempt, "lease": "x"}
    return kind(**head, **rest)


def test_each_attempt_has_its_worker_its_times_and_how_it_ended() -> None:
    events = [
        *(started(1, 10), end(TaskRetrying, 1, 20, error=ERROR, failures=1, due_ms=30)),
        *(started(2, 30), end(TaskLapsed, 2, 40, worker="w2", lost=1)),
        *(started(3, 50), end(TaskReturned, 3, 60)),
        *(started(4, 70), end(TaskSuspended, 4, 80, error=ERROR)),
        *(started(5, 90), end(TaskFinished, 5, 100)),
        started(1, 95, task=2),
    ]
    found = attempts_of(events)
    assert [(each.attempt, each.worker, each.started_ms, each.ended_ms, each.how) for each in found[1]] == [
        (1, "w1", 10, 20, "retrying"),
        (2, "w2", 30, 40, "lapsed"),
        (3, "w3", 50, 60, "returned"),
        (4, "w4", 70, 80, "failed"),
        (5, "w5", 90, 100, "finished"),
    ]
    lost = TaskError(type="WorkerLost", message="its worker w2 was lost")
    assert [each.error for each in found[1]] == [ERROR, lost, None, ERROR, None]
    assert [(each.ended_ms, each.how) for each in found[2]] == [(None, "running")]


def test_a_cancel_ends_the_attempts_that_run() -> None:
    cancelled = FlowCancelled(at=20, flow="f", v=2, by="eve", running=(1,))
    (attempt,) = attempts_of([started(1, 10), cancelled])[1]
    assert (attempt.ended_ms, attempt.how) == (20, "cancelled")


def asked(attempt: int, at: int) -> TaskAwaiting:
    return TaskAwaiting(at=at, flow="f", v=at, task=1, attempt=attempt, kind="approval")


def test_the_attempts_of_a_wait_are_its_askings_and_what_became_of_them() -> None:
    events: list[AnyEvent] = [
        *(asked(1, 10), TaskOverdue(at=20, flow="f", v=2, task=1, error=LATE)),
        *(asked(2, 30), FlowRerun(at=40, flow="f", v=4, by="eve", waiting=(1,))),
        *(asked(3, 50), TaskAnswered(at=60, flow="f", v=6, task=1, attempt=3, by="ann")),
        *(asked(4, 70), TaskAnswered(at=80, flow="f", v=8, task=1, attempt=4, by="timeout")),
        *(asked(5, 90), FlowCancelled(at=100, flow="f", v=10, by="eve", waiting=(1,))),
        *(asked(6, 110), TaskOverdue(at=120, flow="f", v=12, task=1, error=ERROR)),
        asked(7, 130),
    ]
    found = attempts_of(events)[1]
    assert [(each.attempt, each.worker, each.ended_ms, each.how, each.by) for each in found] == [
        (1, "", 20, "overdue", ""),
        (2, "", 40, "askedAnew", ""),
        (3, "", 60, "answered", "ann"),
        (4, "", 80, "over", "timeout"),
        (5, "", 100, "cancelled", ""),
        (6, "", 120, "failed", ""),
        (7, "", None, "awaiting", ""),
    ]
    assert [each.error for each in found] == [LATE, None, None, None, None, ERROR, None]
