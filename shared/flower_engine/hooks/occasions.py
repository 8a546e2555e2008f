"""From events to occasions: the moments that hooks tell of. Pure.

A flow is held up by failed tasks from its first task in Suspend until none is left there; of one such time
its first failure is told, however many follow. So that this needs no history, the number of a flow's tasks in
Suspend is counted along; every event says which it moves.
"""

from collections.abc import MutableMapping
from typing import LiteralString

import msgspec

from flower_engine.model.events.attempt_events import TaskSuspended
from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.events.event_meaning import MEANINGS, Move, named_tasks
from flower_engine.model.events.events import AnyEvent, FlowTimedOut, TaskGivenUp, TaskOverdue
from flower_engine.model.events.operator_events import FlowCancelled, FlowEnding
from flower_engine.model.events.schedule_events import ScheduleMissed
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.events.wait_events import TaskAwaiting
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_error import TaskError

WANTED: LiteralString = """
type IN ('task.suspended', 'task.overdue', 'flow.timed_out', 'task.ignored', 'tasks.ignored',
  'tasks.unneeded', 'flow.rerun',
  'flow.cancelled', 'flow.ending', 'flow.snapshot', 'schedule.missed', 'task.given_up')
OR type = 'task.awaiting' AND (event IS NULL OR event ->> 'kind' = 'approval')
OR type IN ('task.finished', 'task.answered', 'tasks.passed') AND (event IS NULL OR event -> 'ends' = 'true')
"""
"""SQL over a row of the archive: whether it may be an occasion, or change how many tasks are in Suspend."""

Suspended = MutableMapping[str, int]
"""Flows with tasks in Suspend, and how many; others are not in it. Of a flow that is ending because it was
cancelled, which is told already, it is so many more."""

_CANCELLED = 1_000_000  # more than a flow has tasks


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """An occasion as an event tells it. ``version`` is the flow's then; of a slot, ``slot`` is its time (ms),
    ``until`` that of the last of ``count`` in a row, and ``schedule`` the uid. Of an approval ``until`` is
    when it has waited too long (0: never), ``attempt`` the asking, ``reminder`` which one of that it is."""

    occasion: str
    at: int
    flow: str = ""
    version: int = 0
    task: int | None = None
    error: TaskError | None = None
    by: str = ""
    reason: str = ""
    schedule: str = ""
    slot: int = 0
    until: int = 0
    count: int = 0
    attempt: int = 0
    reminder: int = 0


def moments_of(event: AnyEvent, suspended: Suspended) -> Moment | None:
    """What hooks may tell of an event, given how many tasks stand in Suspend; counts it there."""
    if isinstance(event, ScheduleMissed):
        return Moment(
            occasion="slot.missed",
            at=event.at,
            schedule=event.schedule,
            slot=event.slot,
            until=event.until,
            count=event.count,
            reason=event.reason,
        )
    if not isinstance(event, FlowEvent):
        return None
    if isinstance(event, TaskAwaiting):
        return _asked(event)
    was_cancelled, before = divmod(suspended.pop(event.flow, 0), _CANCELLED)
    now = _suspended_after(event, before)
    ends = MEANINGS[type(event)].end == "always" or getattr(event, "ends", False)
    is_cancelled = isinstance(event, FlowEnding) and event.cancels is not None
    if not ends and (now or was_cancelled or is_cancelled):
        suspended[event.flow] = now + (_CANCELLED if was_cancelled or is_cancelled else 0)
    if is_cancelled or (ends and not was_cancelled and (not now or isinstance(event, FlowCancelled))):
        return _end(event)
    is_failure = isinstance(event, TaskSuspended | TaskGivenUp | TaskOverdue | FlowTimedOut | FlowSnapshot)
    return _failure(event) if is_failure and now and not before else None  # of what is given up, it was told


def _suspended_after(event: FlowEvent, before: int) -> int:
    if isinstance(event, FlowSnapshot):
        return sum(task.status == Status.SUSPEND for task in event.tasks)
    now = before
    for move in MEANINGS[type(event)].moves:  # pyright: ignore[reportArgumentType] # every flow's event has one
        moved = len(list(named_tasks(event, move.tasks)))  # pyright: ignore[reportArgumentType]
        now += moved * ((move.to is Status.SUSPEND) - (_was(event, move) is Status.SUSPEND))
    return max(now, 0)


def _was(event: FlowEvent, move: Move) -> Status:
    if not move.said_in:
        return move.was[0]
    return Status(getattr(event, move.said_in))


def _asked(event: TaskAwaiting) -> Moment | None:
    if event.kind != "approval":
        return None
    return Moment(
        occasion="approval.asked",
        at=event.at,
        flow=event.flow,
        version=event.v,
        task=event.task,
        until=event.until_ms,
        attempt=event.attempt,
    )


def _end(event: FlowEvent) -> Moment:
    if not isinstance(event, FlowCancelled | FlowEnding):
        return Moment(occasion="flow.finished", at=event.at, flow=event.flow, version=event.v)
    return Moment(
        occasion="flow.cancelled",
        at=event.at,
        flow=event.flow,
        version=event.v,
        by=event.by,
        reason=event.reason,
    )


def _failure(event: FlowEvent) -> Moment:
    return Moment(
        occasion="flow.failed",
        at=event.at,
        flow=event.flow,
        version=event.v,
        task=getattr(event, "task", None),
        error=getattr(event, "error", None),
    )
