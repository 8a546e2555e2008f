"""The attempts of a flow's tasks, read off its history."""

from collections.abc import Iterable
from typing import Any

import msgspec

from flower_engine.model.events.attempt_events import FlowAgain, TaskAgain
from flower_engine.model.events.event_meaning import MEANINGS, How, named_tasks
from flower_engine.model.events.events import AnyEvent, TaskOverdue
from flower_engine.model.events.operator_events import FlowEnding, FlowRerun
from flower_engine.model.events.wait_events import TaskAnswered, TaskAwaiting, TaskExpanded
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_error import TaskError


class AttemptHistory(msgspec.Struct, kw_only=True):
    """One attempt of a task; times are milliseconds. Of one that waits for the world (an asking) ``worker``
    is "", and ``by`` says who answered it, or sent the signal that it took. Of one that asked for another
    ``round``: which one that is, and the parameters that hold in it (JSON); how ``flowAgain``: it asked for
    one of its flow."""

    attempt: int
    worker: str
    started_ms: int
    ended_ms: int | None = None
    how: How = "running"
    error: TaskError | None = None
    by: str = ""
    round: int = 0
    given: bytes | None = None


def attempts_of(events: Iterable[AnyEvent]) -> dict[int, list[AttemptHistory]]:
    """The attempts of each task that was ever started, from the events of one flow, in log order."""
    found: dict[int, list[AttemptHistory]] = {}
    for event in events:
        meaning = MEANINGS[type(event)]
        for move in meaning.moves:
            if isinstance(event, FlowEnding) and move.to is Status.WAIT:
                continue  # its attempt goes on until its child has ended
            for task in named_tasks(event, move.tasks):
                if move.to is Status.RUNNING:
                    found.setdefault(task, []).append(_begun(event))
                elif isinstance(event, TaskAwaiting):
                    found.setdefault(task, []).append(_asked(event))
                elif move.to is not None and _is_asking(found.get(task)):
                    _end_asking(found[task][-1], event)
                elif meaning.ends_attempt and Status.RUNNING in move.was:
                    attempts = found.get(task)
                    if attempts and attempts[-1].ended_ms is None:
                        error = _error_of(event) if "error" in meaning.sets else None
                        _end(attempts[-1], event.at, meaning.ends_attempt, error)
                        if isinstance(event, TaskAgain | FlowAgain):
                            _ask_again(attempts[-1], event)
    return found


def _begun(event: Any) -> AttemptHistory:
    return AttemptHistory(attempt=event.attempt, worker=event.worker, started_ms=event.at)


def _asked(event: TaskAwaiting) -> AttemptHistory:
    return AttemptHistory(attempt=event.attempt, worker="", started_ms=event.at, how="awaiting")


def _is_asking(attempts: list[AttemptHistory] | None) -> bool:
    return bool(attempts) and attempts[-1].how == "awaiting"


def _end_asking(attempt: AttemptHistory, event: Any) -> None:
    how: How = "passedOver"
    match event:
        case TaskAnswered(by=by):
            how = "over" if by in ("time", "timeout") else "answered"
            attempt.by = by
        case TaskExpanded(by=by):
            how = "expanded"
            attempt.by = by
        case TaskOverdue(error=why):  # its time is over, or what it is to do cannot be done
            how = "overdue" if why.type.endswith("Timeout") else "failed"
        case TaskAgain():
            how = "again"
            _ask_again(attempt, event)
        case FlowRerun():
            how = "askedAnew"
        case _:
            how = MEANINGS[type(event)].ends_attempt or how
            how = "passedOver" if how == "failed" else how
    error = getattr(event, "error", None) if isinstance(event, TaskOverdue) or how == "timedOut" else None
    _end(attempt, event.at, how, error)


def _error_of(event: Any) -> TaskError:
    error: TaskError | None = event.error
    if error is None:  # a lapse that an earlier version wrote, which does not say why
        return TaskError(type="WorkerLost", message=f"its worker {event.worker} was lost")
    return error


def _ask_again(attempt: AttemptHistory, event: TaskAgain | FlowAgain) -> None:
    attempt.given = bytes(event.given)
    if isinstance(event, TaskAgain):
        attempt.round = event.round


def _end(attempt: AttemptHistory, at: int, how: How, error: TaskError | None) -> None:
    attempt.ended_ms = at
    attempt.how = how
    attempt.error = error
