"""The JSON of backfills: what the API takes and what it sends."""

from collections.abc import Sequence
from typing import Self

import msgspec
from pydantic import Field

from flower_api.request_times import TimeText
from flower_api.schemas import UUID_PATTERN, Reason, RequestBody
from flower_engine.flows.backfills import LOWEST_PRIORITY, MAX_AT_ONCE, Backfill
from flower_engine.projection.definitions.backfill_rows import BackfillSlot, Which
from flower_engine.projection.read.view_fields import Moment, View


class BackfillBody(RequestBody):
    """Which slots of the past, and how they are worked off."""

    first: TimeText = Field(alias="from", description="slots from here on")
    last: TimeText = Field(alias="to", description="and up to here")
    which: Which = Field("missed", description="those without a flow; those whose flow failed; all")
    newest_first: bool = False
    most_at_once: int = Field(1, description=f"flows under way, {MAX_AT_ONCE} at most")
    priority: int = Field(LOWEST_PRIORITY, description="of all tasks of flows that it fires")
    reason: Reason = ""
    id: str | None = Field(
        None, pattern=UUID_PATTERN, description="its id; what is sent again with the same is made once"
    )
    dry_run: bool = Field(False, description="only say which slots these are")


class BackfillView(View, omit_defaults=True):
    """A backfill. ``state``: ``open``, ``paused``, ``finished``, ``cancelled`` or ``problem``; ``problem``:
    what keeps it from going on, or made it end. Of its ``total`` slots so many wait, are ``running``, have
    ``ended``, have ``failed`` (their flow did, or was cancelled), or were ``refused``. Of a dry run there is
    no id."""

    id: str
    schedule: str
    first: Moment = msgspec.field(name="from")
    last: Moment = msgspec.field(name="to")
    which: str
    newest_first: bool
    most_at_once: int
    priority: int
    state: str
    reason: str
    created_ts: Moment
    created_by: str
    ended_ts: Moment | None
    total: int
    waiting: int
    running: int
    ended: int
    failed: int
    refused: int
    problem: str = ""
    slots: list[BackfillSlot] = msgspec.field(default_factory=list)

    @classmethod
    def of(cls, found: Backfill, slots: Sequence[BackfillSlot] = ()) -> Self:
        row, done = found.row, found.progress
        state = "open" if done is None else done.state
        if state == "open" and (row.is_paused or row.is_cancelled):
            state = "cancelled" if row.is_cancelled else "paused"
        return cls(
            id=row.id,
            schedule=row.schedule,
            first=row.first_slot,
            last=row.last_slot,
            which=row.which,
            newest_first=row.newest_first,
            most_at_once=row.most_at_once,
            priority=row.priority,
            state=state,
            reason=row.reason,
            created_ts=row.created_ts,
            created_by=row.created_by,
            ended_ts=done.ended_ts if done else None,
            total=done.total if done else len(slots),
            waiting=done.waiting if done else len(slots),
            running=done.running if done else 0,
            ended=done.ended if done else 0,
            failed=done.failed if done else 0,
            refused=done.refused if done else 0,
            problem=done.problem if done else "",
            slots=list(slots),
        )


class BackfillsView(View):
    """The backfills of a schedule, the newest first."""

    schedule: str
    backfills: list[BackfillView]


class BackfillSlotsPage(View):
    """Slots of a backfill, the oldest first; ``next`` is the cursor of the next page."""

    id: str
    slots: list[BackfillSlot]
    next: str | None
