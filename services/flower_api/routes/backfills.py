"""Backfills of schedules: slots of the past that get their flow after all, or have it rerun."""

from datetime import datetime
from typing import Annotated

from fastapi import FastAPI, Path, Query, Request
from starlette.responses import Response

from flower_api.access import by_of
from flower_api.backfill_schemas import BackfillBody, BackfillSlotsPage, BackfillsView, BackfillView
from flower_api.cursors import cursor_of, no_cursor, read_cursor
from flower_api.openapi import replies, reply
from flower_api.request_times import is_known_time
from flower_api.routes.schedules import BODY_PROBLEMS
from flower_api.schedule_schemas import ReasonBody, SchedulePath
from flower_engine.errors import ParameterFault, ScheduleError, TimeError
from flower_engine.flows.backfills import (
    Backfill,
    asked_backfill,
    backfills_of,
    change,
    make_backfill,
    show_backfill,
    slots_of_backfill,
)
from flower_engine.flows.moments import time_of
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.projection.definitions.backfill_rows import BackfillRow, list_backfill_slots
from flower_engine.projection.read.schedule_slots import SlotCursor

Limit = Annotated[int, Query(ge=1, le=1_000)]
BackfillPath = Annotated[str, Path(alias="id", max_length=64, description="The backfill.")]


def add_backfills(app: FastAPI, stores: PostgresStores) -> None:
    """Adds these routes."""

    @app.post(
        "/schedules/{schedule}/backfills",
        summary="Make a backfill",
        status_code=201,
        responses=replies(
            {200: (BackfillView, "What it would do"), 201: (BackfillView, "It is made")},
            problems=(*BODY_PROBLEMS, 404),
        ),
    )
    async def post_backfill(schedule: SchedulePath, body: BackfillBody, request: Request) -> Response:
        """Slots without a flow are fired, with the schedule as it is now; those that have one are rerun in
        it: what failed of one that failed, else all of it. Slots whose fate is not decided yet are left out.
        """
        asked = _asked(schedule, body, by_of(request))
        if not body.dry_run:
            return reply(BackfillView.of(await make_backfill(stores, asked)), 201)
        async with stores.postgres() as connection:
            _, slots = await slots_of_backfill(stores, connection, asked)
        view = BackfillView.of(Backfill(asked, None), slots)
        view.id = ""
        return reply(view)

    @app.get(
        "/schedules/{schedule}/backfills",
        summary="List a schedule's backfills",
        responses=replies({200: (BackfillsView, "The newest first")}, problems=(422, 503)),
    )
    async def get_backfills(schedule: SchedulePath, limit: Limit = 100) -> Response:
        found = await backfills_of(stores, schedule, limit)
        return reply(BackfillsView(schedule, [BackfillView.of(one) for one in found]))

    @app.get(
        "/backfills/{id}",
        summary="Show a backfill",
        responses=replies({200: (BackfillView, "How far it is")}, problems=(404, 422, 503)),
    )
    async def get_backfill(backfill: BackfillPath) -> Response:
        return reply(BackfillView.of(await show_backfill(stores, backfill)))

    @app.get(
        "/backfills/{id}/slots",
        summary="List a backfill's slots",
        responses=replies({200: (BackfillSlotsPage, "The oldest first")}, problems=(404, 422, 503)),
    )
    async def get_slots(
        backfill: BackfillPath,
        cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
        limit: Limit = 100,
    ) -> Response:
        found = await show_backfill(stores, backfill)
        after = None if cursor is None else read_cursor(cursor, SlotCursor).slot
        if after is not None and not is_known_time(after):
            raise no_cursor()
        async with stores.postgres() as connection:
            slots = await list_backfill_slots(connection, found.row.id, after=after, limit=limit + 1)
        last = slots[limit - 1] if len(slots) > limit else None
        going_on = None if last is None else cursor_of(SlotCursor(last.slot, ""))
        return reply(BackfillSlotsPage(found.row.id, slots[:limit], going_on))

    @app.post(
        "/backfills/{id}/pause",
        summary="Pause a backfill",
        responses=replies({200: (BackfillView, "Nothing more of it begins")}, problems=(*BODY_PROBLEMS, 404)),
    )
    async def pause(backfill: BackfillPath, request: Request, body: ReasonBody | None = None) -> Response:
        return reply(
            BackfillView.of(
                await change(stores, backfill, by_of(request), is_paused=True, reason=_reason(body))
            )
        )

    @app.post(
        "/backfills/{id}/resume",
        summary="Let a paused backfill go on",
        responses=replies({200: (BackfillView, "It goes on")}, problems=(*BODY_PROBLEMS, 404)),
    )
    async def resume(backfill: BackfillPath, request: Request, body: ReasonBody | None = None) -> Response:
        return reply(
            BackfillView.of(
                await change(stores, backfill, by_of(request), is_paused=False, reason=_reason(body))
            )
        )

    @app.post(
        "/backfills/{id}/cancel",
        summary="Cancel a backfill",
        responses=replies({200: (BackfillView, "It ends here")}, problems=(*BODY_PROBLEMS, 404)),
    )
    async def cancel(backfill: BackfillPath, request: Request, body: ReasonBody | None = None) -> Response:
        """Its flows under way go on."""
        return reply(
            BackfillView.of(
                await change(stores, backfill, by_of(request), is_cancelled=True, reason=_reason(body))
            )
        )


def _reason(body: ReasonBody | None) -> str:
    return "" if body is None else body.reason


def _asked(schedule: str, body: BackfillBody, by: str) -> BackfillRow:
    faults: list[ParameterFault] = []
    times: list[datetime] = []
    for name, text in (("from", body.first), ("to", body.last)):
        try:
            times.append(time_of(text, name))
        except TimeError as error:
            faults.append(ParameterFault(str(error), f"#/{name}"))
    if faults:
        raise ScheduleError(schedule, faults)
    return asked_backfill(
        schedule,
        times[0],
        times[1],
        by,
        which=body.which,
        newest_first=body.newest_first,
        most_at_once=body.most_at_once,
        priority=body.priority,
        reason=body.reason,
        **({} if body.id is None else {"id": body.id}),
    )
