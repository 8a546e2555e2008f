"""The attempts of a task are read off its history."""

from flower_engine.model.attempts import attempts_of
from flower_engine.model.events import (
    AnyEvent,
    FlowCancelled,
    TaskError,
    TaskFinished,
    TaskLapsed,
    TaskRetrying,
    TaskReturned,
    TaskStarted,
    TaskSuspended,
)

ERROR = TaskError(type="E", message="no")


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
