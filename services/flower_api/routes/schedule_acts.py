"""What is done with a schedule beside defining it: paused, resumed, triggered, previewed."""

import asyncio
from typing import Annotated

from fastapi import FastAPI, Query, Request
from starlette.responses import Response

from flower_api.access import by_of
from flower_api.openapi import replies, reply
from flower_api.request_times import TimeText, wrong
from flower_api.routes.schedules import BODY_PROBLEMS, shown
from flower_api.schedule_schemas import (
    PauseBody,
    PreviewedSlotView,
    PreviewView,
    SchedulePath,
    ScheduleView,
    TriggerBody,
    WhenBody,
)
from flower_api.schemas import KeyHeader, Registered
from flower_engine.errors import ScheduleError
from flower_engine.flows.moments import time_of
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.schedules import Pause, find_schedule, set_pause, trigger
from flower_engine.model.values.times import ms_of
from flower_engine.projection.read.view_fields import moment
from flower_engine.schedules.preview import preview
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.schedule_document import fault_of
from flower_engine.schedules.zones import UnknownZoneError

Count = Annotated[int, Query(ge=1, le=1_000, description="slots at most")]
After = Annotated[TimeText | None, Query(description="slots behind this time; absent: behind now")]
OtherZone = Annotated[str, Query(alias="otherTimezone", max_length=256, description="the other clock")]


def add_schedule_acts(app: FastAPI, stores: PostgresStores) -> None:
    """Adds these routes."""

    @app.post(
        "/schedule-preview",
        summary="See when a schedule would fire",
        responses=replies({200: (PreviewView, "The next slots")}, problems=(400, 413, 415, 422, 503)),
    )
    async def post_preview(
        body: WhenBody, count: Count = 10, after: After = None, other: OtherZone = "UTC"
    ) -> Response:
        """Of a definition that need not be in use. Nothing is changed, and its workflow is not looked at."""
        return reply(await _previewed(body.to_model("preview"), count, after, other))

    @app.post(
        "/schedules/{schedule}/pause",
        summary="Pause a schedule",
        responses=replies({200: (ScheduleView, "It is paused")}, problems=(*BODY_PROBLEMS, 404)),
    )
    async def pause(schedule: SchedulePath, request: Request, body: PauseBody | None = None) -> Response:
        """Its slots are skipped until it is resumed; flows under way go on."""
        wanted = body or PauseBody()
        await set_pause(stores, schedule, Pause(True, wanted.reason), by_of(request), wanted.version)
        return reply(await shown(stores, schedule))

    @app.post(
        "/schedules/{schedule}/resume",
        summary="Let a paused schedule go on",
        responses=replies({200: (ScheduleView, "It goes on")}, problems=(*BODY_PROBLEMS, 404)),
    )
    async def resume(schedule: SchedulePath, request: Request, body: PauseBody | None = None) -> Response:
        """From its next slot on; those that were skipped stay so. 409 if it is not paused."""
        wanted = body or PauseBody()
        await set_pause(stores, schedule, Pause(False, wanted.reason), by_of(request), wanted.version)
        return reply(await shown(stores, schedule))

    @app.post(
        "/schedules/{schedule}/trigger",
        summary="Start a flow of a schedule now",
        responses=replies({200: (Registered, "The flow is registered")}, problems=(*BODY_PROBLEMS, 404, 429)),
    )
    async def post_trigger(
        schedule: SchedulePath, request: Request, body: TriggerBody | None = None, key: KeyHeader = None
    ) -> Response:
        """With its parameters, whether it is paused or not, and beside its slots: none of them is touched."""
        slot = None if body is None else body.slot
        slot_ms = stores.now_ms() if slot is None else ms_of(time_of(slot, "slot"))
        workflow, begun = await trigger(stores, schedule, by_of(request), slot_ms, key)
        return reply(Registered("succeeded", workflow, begun.flow, begun.is_known, begun.durability))

    @app.get(
        "/schedules/{schedule}/preview",
        summary="See when a schedule fires next",
        responses=replies({200: (PreviewView, "The next slots")}, problems=(404, 422, 503)),
    )
    async def get_preview(
        schedule: SchedulePath, count: Count = 10, after: After = None, other: OtherZone = "UTC"
    ) -> Response:
        """On both clocks, with what a change of clocks does to them. 422 if something is wrong with it."""
        async with stores.postgres() as connection:
            row = await find_schedule(connection, schedule)
        if row.problems:
            raise ScheduleError(schedule, [fault_of(problem) for problem in row.problems])
        return reply(await _previewed(row.schedule, count, after, other))

    async def _previewed(schedule: Schedule, count: int, after: str | None, other: str) -> PreviewView:
        after_ms = stores.now_ms() if after is None else ms_of(time_of(after, "after"))
        try:
            found = await asyncio.to_thread(preview, schedule, after_ms, count, other_zone=other)
        except UnknownZoneError as error:
            raise wrong("otherTimezone", str(error)) from None
        slots = [
            PreviewedSlotView(moment(one.slot_ms), moment(one.due_ms), one.local, one.other, one.shift)
            for one in found
        ]
        return PreviewView(schedule.timezone, other, slots)
