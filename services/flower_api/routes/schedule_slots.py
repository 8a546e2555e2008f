"""``/schedules/{schedule}/slots``: what became of slots, and why."""

from typing import Annotated, Literal

from fastapi import FastAPI, Path, Query
from starlette.responses import Response

from flower_api.cursors import cursor_of, no_cursor, read_cursor
from flower_api.openapi import replies, reply
from flower_api.request_times import TIME_PATTERN, TimeText, is_known_time
from flower_api.schedule_schemas import SchedulePath, SlotsPage, SlotView
from flower_engine.flows.moments import time_of
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.slot_fates import schedule_or_past, story_of
from flower_engine.projection.read.schedule_slots import SlotCursor, list_slots

Limit = Annotated[int, Query(ge=1, le=1_000)]
StateName = Literal["fired", "skipped", "missed", "held"]


def add_schedule_slots(app: FastAPI, stores: PostgresStores) -> None:
    """Adds these routes."""

    @app.get(
        "/schedules/{schedule}/slots",
        summary="List what became of a schedule's slots",
        responses=replies({200: (SlotsPage, "A page of slots")}, problems=(404, 422, 503)),
    )
    async def get_slots(
        schedule: SchedulePath,
        *,
        state: Annotated[list[StateName] | None, Query(description="may be given more than once")] = None,
        since: Annotated[TimeText | None, Query(description="slots from then on")] = None,
        until: Annotated[TimeText | None, Query(description="slots before then")] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
        limit: Limit = 100,
    ) -> Response:
        """The newest first; many in a row that were skipped or missed for one reason are one entry. As they
        are projected, also of a schedule that is gone."""
        since_ts = None if since is None else time_of(since, "since")
        until_ts = None if until is None else time_of(until, "until")
        behind = None if cursor is None else _read_cursor(cursor)
        async with stores.postgres() as connection:
            uid, _ = await schedule_or_past(connection, schedule)
            found = await list_slots(
                connection,
                uid,
                states=state,
                since=since_ts,
                until=until_ts,
                behind=behind,
                limit=limit + 1,
            )
        last = found[limit - 1] if len(found) > limit else None
        going_on = None if last is None else cursor_of(SlotCursor(last.slot, last.backfill))
        return reply(SlotsPage(schedule, found[:limit], going_on))

    @app.get(
        "/schedules/{schedule}/slots/{slot}",
        summary="Show what became of a slot, and why",
        responses=replies({200: (SlotView, "The slot")}, problems=(404, 422, 503)),
    )
    async def get_slot(
        schedule: SchedulePath,
        slot: Annotated[str, Path(pattern=TIME_PATTERN, description="A time; UTC where no offset is given.")],
    ) -> Response:
        """`said` is a sentence. A time that is no slot of the schedule has the state `none`."""
        story = await story_of(stores, schedule, time_of(slot, "slot"))
        return reply(SlotView(schedule, story.slot, story.state, story.said, story.fates))


def _read_cursor(cursor: str) -> SlotCursor:
    begin = read_cursor(cursor, SlotCursor)
    if not is_known_time(begin.slot) or "\0" in begin.backfill:
        raise no_cursor()
    return begin
