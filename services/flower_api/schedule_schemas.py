"""The JSON of schedules: what the API takes (pydantic, which finds every fault) and what it sends."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

import msgspec
from fastapi import Path
from pydantic import Field

from flower_api.request_times import TimeText
from flower_api.schemas import NAME_PATTERN, Reason, RequestBody, WorkflowName
from flower_engine.errors import ScheduleError
from flower_engine.flows.schedule_states import ScheduleState, State
from flower_engine.model.tasks.task_spec import MAX_NAME_LENGTH, MAX_PRIORITY, MIN_PRIORITY
from flower_engine.projection.read.schedule_slots import SlotFate
from flower_engine.projection.read.view_fields import Moment, View, moment
from flower_engine.schedules.schedule import CatchUp, Overlap, Schedule
from flower_engine.schedules.schedule_document import ScheduleDocument, fault_of, schedule_of
from flower_engine.schedules.schedule_problems import MAX_CATCH_UP, MAX_FAILURES

SCHEDULE_PATTERN = r"^[^\x00-\x1f\x7f/]+$"
ScheduleName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH, pattern=SCHEDULE_PATTERN)]
_PATH = Path(alias="schedule", min_length=1, max_length=MAX_NAME_LENGTH, description="The schedule's name.")
KnownScheduleName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH, pattern=NAME_PATTERN)]
"""Of one that SQL may have named, with whatever Postgres keeps."""
SchedulePath = Annotated[KnownScheduleName, _PATH]
NewSchedulePath = Annotated[ScheduleName, _PATH]
"""Of one that may not be there yet: its name must be one that can be given."""
Version = Annotated[
    int | None,
    Field(ge=0, le=2**53 - 1, description="refuse if the schedule has changed since this version"),
]


class WhenBody(RequestBody):
    """A schedule's definition, but for its name: one of ``cron``, ``everySeconds`` and ``at`` says when it
    fires. What is bounded is checked with the whole schedule."""

    task_id: WorkflowName
    cron: str | None = Field(None, description="5 fields, or 6 with seconds first, or @daily and its like")
    every_seconds: float | None = Field(None, description="a fixed interval, by elapsed time")
    at: TimeText | None = Field(None, description="once")
    anchor: TimeText | None = Field(None, description="that everySeconds counts from; absent: 1970-01-01 UTC")
    timezone: str = Field("UTC", description="of IANA: Europe/Berlin")
    starts: TimeText | None = Field(None, description="the first moment that may be a slot")
    ends: TimeText | None = Field(None, description="the last one")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description='of its flows; {"$slot": "date"} stands for the slot\'s date'
    )
    overlap: Overlap = Field("skip", description="what becomes of a slot while a flow of it is under way")
    catch_up: CatchUp = Field("latest", description="what becomes of slots that nobody watched")
    window_seconds: float | None = Field(
        None, description="how late a slot may still fire; absent: one interval, a day at most"
    )
    max_catch_up: int = Field(10, description=f"flows that are caught up on, {MAX_CATCH_UP} at most")
    jitter_seconds: float = Field(0, description="each slot is late by up to so much, always by the same")
    except_dates: list[str] = Field(default_factory=list, description="days YYYY-MM-DD in its time zone")
    calendar: str | None = Field(None, description="a calendar (ms_calendar) on whose days nothing fires")
    pause_after_failures: int | None = Field(
        None, description=f"in a row, 1 to {MAX_FAILURES}; absent: never"
    )
    priority: int | None = Field(None, description=f"of all tasks, {MIN_PRIORITY}..{MAX_PRIORITY}")

    def to_model(self, name: str) -> Schedule:
        """The schedule.

        Raises:
            ScheduleError: it makes no sense; names every fault.
        """
        schedule, problems = schedule_of(self, name)
        if problems:
            raise ScheduleError(name, [fault_of(problem) for problem in problems])
        return schedule


class ScheduleBody(WhenBody):
    """A schedule to set; `definition` of what GET answers may be sent back."""

    schedule: str | None = Field(None, description="if given, the one in the path")
    is_paused: bool | None = Field(None, description="absent: as it is; a new one is not")
    reason: Reason = Field("", description="why it is paused")
    version: Version = None


class NewScheduleBody(WhenBody):
    """A schedule to add."""

    schedule: ScheduleName
    is_paused: bool = False
    reason: Reason = ""


class DeployedScheduleBody(WhenBody):
    """A schedule to deploy: `definition` of what GET answers."""

    schedule: ScheduleName


class ReasonBody(RequestBody):
    """Why."""

    reason: Reason = ""


class PauseBody(ReasonBody):
    """Why, and what of."""

    version: Version = None


class TriggerBody(RequestBody):
    """A flow beside the slots."""

    slot: TimeText | None = Field(None, description="the moment that its parameters take for the slot; now")


class ScheduleProblem(View):
    """What is wrong with a schedule; ``pointer`` leads to the field in its definition."""

    detail: str
    pointer: str


class ScheduleView(View, omit_defaults=True):
    """A schedule. ``state``: ``finished`` has no slot to come; ``problem`` does not fire, and ``problems``
    say why. ``next``: its next slots, if it were not paused. Every slot up to ``cursor`` has its fate; so
    many were ``fired``, ``skipped`` and ``missed``; ``failures``: of its flows, in a row."""

    schedule: str
    task_id: str
    state: State
    uid: str
    version: int
    is_paused: bool
    reason: str
    definition: ScheduleDocument
    next: list[Moment]
    cursor: Moment | None
    last_slot: Moment | None
    last_flow: str | None
    fired: int
    skipped: int
    missed: int
    failures: int
    source: str | None
    changed_by: str
    created_ts: Moment
    changed_ts: Moment
    problems: list[ScheduleProblem] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)

    @classmethod
    def of(cls, found: ScheduleState, warnings: Sequence[str] = ()) -> Self:
        row, schedule, done = found.row, found.row.schedule, found.progress
        return cls(
            schedule=row.name,
            task_id=row.workflow,
            state=found.state,
            uid=row.uid,
            version=row.version,
            is_paused=schedule.is_paused,
            reason=schedule.reason or "",
            definition=ScheduleDocument.of(schedule),
            next=[moment(ms) for ms in found.next_ms],
            cursor=done.cursor if done else None,
            last_slot=done.last_slot if done else None,
            last_flow=done.last_flow if done else None,
            fired=done.fired if done else 0,
            skipped=done.skipped if done else 0,
            missed=done.missed if done else 0,
            failures=done.failures if done else 0,
            source=row.source,
            changed_by=row.changed_by,
            created_ts=row.created_ts,
            changed_ts=row.changed_ts,
            problems=[ScheduleProblem(fault.detail, fault.pointer) for fault in found.faults],
            warnings=list(warnings),
        )


class SchedulesPage(View, omit_defaults=True):
    """Schedules by name; ``next`` is the cursor of the next page."""

    schedules: list[ScheduleView]
    next: str | None
    warnings: list[str] = msgspec.field(default_factory=list)


class SlotsPage(View):
    """What became of slots, the newest first; ``next`` is the cursor of the next page."""

    schedule: str
    slots: list[SlotFate]
    next: str | None


class SlotView(View):
    """A slot. ``state``: fired, skipped, missed, held; ``coming``; ``due``: its time has come, and it has no
    fate yet; ``none``: the schedule has no such slot; ``unknown``: it is kept no more. ``said``: all of that,
    and why, in a sentence. ``fates``: its own first, then what backfills made of it."""

    schedule: str
    slot: Moment
    state: str
    said: str
    fates: list[SlotFate]


class PreviewedSlotView(View, omit_defaults=True):
    """A slot to come: on the clock of the schedule's zone, and of the other one. ``dueTs`` has its jitter;
    ``shift`` says what a change of clocks does to it."""

    slot: Moment
    due_ts: Moment
    local: str
    other: str
    shift: str | None = None


class PreviewView(View):
    """The next slots."""

    timezone: str
    other_timezone: str
    slots: list[PreviewedSlotView]
