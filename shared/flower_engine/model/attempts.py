"""The attempts of a flow's tasks, read off its history."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from flower_engine.model.events import (
    AnyEvent,
    FlowCancelled,
    FlowTimedOut,
    TaskError,
    TaskFinished,
    TaskLapsed,
    TaskRetrying,
    TaskReturned,
    TaskStarted,
    TaskSuspended,
)

How = Literal["running", "finished", "failed", "retrying", "lapsed", "returned", "timedOut", "cancelled"]
"""How an attempt ended: ``failed`` suspended the task, ``retrying`` is followed by another attempt."""


class AttemptHistory(msgspec.Struct, kw_only=True):
    """One attempt of a task; times are milliseconds."""

    attempt: int
    worker: str
    started_ms: int
    ended_ms: int | None = None
    how: How = "running"
    error: TaskError | None = None


def attempts_of(events: Iterable[AnyEvent]) -> dict[int, list[AttemptHistory]]:
    """The attempts of each task that was ever started, from the events of one flow, in log order."""
    found: dict[int, list[AttemptHistory]] = {}
    for event in events:
        match event:
            case TaskStarted():
                found.setdefault(event.task, []).append(
                    AttemptHistory(attempt=event.attempt, worker=event.worker, started_ms=event.at)
                )
            case TaskFinished():
                _end(found, event.task, event.at, "finished", None)
            case TaskSuspended():
                _end(found, event.task, event.at, "failed", event.error)
            case TaskRetrying():
                _end(found, event.task, event.at, "retrying", event.error)
            case TaskLapsed():
                _end(found, event.task, event.at, "lapsed", event.error or _lost(event))
            case TaskReturned():
                _end(found, event.task, event.at, "returned", None)
            case FlowTimedOut():
                for task in event.running:
                    _end(found, task, event.at, "timedOut", event.error)
            case FlowCancelled():
                for task in event.running:
                    _end(found, task, event.at, "cancelled", None)
            case _:
                pass
    return found


def _lost(event: TaskLapsed) -> TaskError:
    """For events of earlier versions, which do not say why."""
    return TaskError(type="WorkerLost", message=f"its worker {event.worker} was lost")


def _end(
    found: dict[int, list[AttemptHistory]], task: int, at: int, how: How, error: TaskError | None
) -> None:
    attempts = found.get(task)
    if attempts and attempts[-1].ended_ms is None:
        attempts[-1].ended_ms = at
        attempts[-1].how = how
        attempts[-1].error = error
