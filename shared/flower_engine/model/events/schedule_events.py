"""Events of schedules: what is set of one, and what became of each of its slots. They are of no flow.

A *slot* is a moment, in milliseconds UTC, at which a schedule says that a flow should begin. Its *fate* is
``fired``, ``skipped`` or ``missed``, and it has one; ``schedule.held`` says that it still waits for it.
``late_ms`` is how long after its time (its jitter is a part of that) this was decided.
"""

from typing import Literal

import msgspec

SetState = Literal["active", "paused", "finished", "problem", "deleted"]
"""How a schedule stands: ``finished`` ones have no slot any more; a ``problem`` is a definition that makes no
sense."""


class ScheduleEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What every event of a schedule carries: the uid of the schedule, and how often in a row its flows have
    failed by then. ``at`` is as in ``events.py``."""

    at: int
    schedule: str
    failures: int = 0


class ScheduleDefined(ScheduleEvent, frozen=True, kw_only=True, tag="schedule.defined"):
    """The definition that holds from here on, or how the schedule was found where what led there is lost.
    Every slot up to ``cursor`` (ms) has its fate, or belongs to a definition before this one."""

    name: str
    version: int
    state: SetState
    cursor: int
    problem: str = ""


class ScheduleFired(ScheduleEvent, frozen=True, kw_only=True, tag="schedule.fired"):
    """The flow of the slot is registered. ``backfill``: for this backfill, long after its time; the cursor
    stays where it is. ``last``: there is no slot behind it."""

    slot: int
    flow: str
    late_ms: int = 0
    backfill: str = ""
    last: bool = False


class SlotsPassed(ScheduleEvent, frozen=True, kw_only=True):
    """``count`` slots for which there is no flow, the first at ``slot`` and the last at ``until``."""

    slot: int
    until: int
    count: int = 1
    reason: str = ""
    detail: str = ""
    flow: str = ""
    late_ms: int = 0
    last: bool = False


class ScheduleSkipped(SlotsPassed, frozen=True, kw_only=True, tag="schedule.skipped"):
    """They came in time, and something said that no flow is to begin: ``reason`` says what (a flow before
    it, ``flow``; a pause; a limit; failures)."""


class ScheduleMissed(SlotsPassed, frozen=True, kw_only=True, tag="schedule.missed"):
    """Nobody fired them in time, and they are not caught up with."""


class ScheduleHeld(ScheduleEvent, frozen=True, kw_only=True, tag="schedule.held"):
    """The slot waits until a flow before it, ``flow``, goes on no more; its fate comes then."""

    slot: int
    flow: str


AnyScheduleEvent = ScheduleDefined | ScheduleFired | ScheduleSkipped | ScheduleMissed | ScheduleHeld
