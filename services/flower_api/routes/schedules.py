"""``/schedules``: when flows begin by themselves."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import FastAPI, Query, Request
from starlette.responses import Response

from flower_api.access import by_of
from flower_api.openapi import replies, reply
from flower_api.problems import ProblemError
from flower_api.schedule_schemas import (
    NewScheduleBody,
    NewSchedulePath,
    ScheduleBody,
    SchedulePath,
    SchedulesPage,
    ScheduleView,
)
from flower_api.schemas import WorkflowName
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.schedule_states import states_of
from flower_engine.flows.schedules import (
    Pause,
    create,
    find_schedule,
    put,
    remove,
)
from flower_engine.flows.unknown_names import Names
from flower_engine.projection.definitions.schedule_rows import list_schedules

Limit = Annotated[int, Query(ge=1, le=1_000)]
_SHOWN_SLOTS = 5
BODY_PROBLEMS = (400, 409, 413, 415, 422, 503)
"""What else a call may answer that takes a schedule."""


def add_schedules(app: FastAPI, stores: PostgresStores) -> None:
    """Adds the routes that show and change schedules."""
    names = Names(stores)

    @app.get(
        "/schedules",
        summary="List schedules by name",
        responses=replies({200: (SchedulesPage, "A page of schedules")}, problems=(422, 503)),
    )
    async def get_schedules(
        workflow: Annotated[WorkflowName | None, Query(alias="taskId")] = None,
        cursor: Annotated[WorkflowName | None, Query(description="`next` of the page before")] = None,
        limit: Limit = 100,
    ) -> Response:
        """Each with why it does not fire, if something is wrong with it. (Whether its parameters fit a
        workflow of more than 500 tasks is only looked at where it is shown alone.)"""
        async with stores.postgres() as connection:
            rows = await list_schedules(connection, after=cursor, workflow=workflow, limit=limit + 1)
        states = await states_of(stores, rows[:limit], slots=1)
        warnings = await names.of_filter(workflow) if not rows and cursor is None else []
        is_last = len(rows) <= limit
        views = [ScheduleView.of(state) for state in states]
        return reply(SchedulesPage(views, None if is_last else rows[limit - 1].name, warnings))

    @app.post(
        "/schedules",
        summary="Add a schedule",
        status_code=201,
        responses=replies({201: (ScheduleView, "It is there")}, problems=BODY_PROBLEMS),
    )
    async def post_schedule(body: NewScheduleBody, request: Request) -> Response:
        """409 if there is one of its name."""
        schedule = body.to_model(body.schedule)
        paused = Pause(body.is_paused, body.reason)
        warnings = await create(stores, schedule, by_of(request), paused)
        return reply(await shown(stores, schedule.name, warnings), 201)

    @app.get(
        "/schedules/{schedule}",
        summary="Show a schedule",
        responses=replies({200: (ScheduleView, "The schedule")}, problems=(404, 422, 503)),
    )
    async def get_schedule(schedule: SchedulePath) -> Response:
        return reply(await shown(stores, schedule))

    @app.put(
        "/schedules/{schedule}",
        summary="Add or replace a schedule",
        responses=replies(
            {200: (ScheduleView, "It is replaced"), 201: (ScheduleView, "It is there")},
            problems=(*BODY_PROBLEMS, 404),
        ),
    )
    async def put_schedule(schedule: NewSchedulePath, body: ScheduleBody, request: Request) -> Response:
        """Replaces all that it says; one that is paused stays so unless `isPaused` says otherwise. Where it
        says anew when it fires, no slot before this is caught up on. 409 if it has changed since `version`.
        """
        if body.schedule not in (None, schedule):
            raise ProblemError(
                422, "invalid-request", f"schedule is {body.schedule!r}, but the path says {schedule!r}"
            )
        pause = None if body.is_paused is None else Pause(body.is_paused, body.reason)
        is_new, warnings = await put(
            stores, body.to_model(schedule), by_of(request), pause=pause, version=body.version
        )
        return reply(await shown(stores, schedule, warnings), 201 if is_new else 200)

    @app.delete(
        "/schedules/{schedule}",
        summary="Take a schedule away",
        status_code=204,
        responses=replies({}, problems=(404, 409, 422, 503)),
    )
    async def delete(
        schedule: SchedulePath,
        request: Request,
        version: Annotated[
            int | None, Query(ge=0, le=2**53 - 1, description="refuse if it has changed since")
        ] = None,
    ) -> Response:
        """Its flows go on; what became of its slots is kept for as long as that of others."""
        await remove(stores, schedule, by_of(request), version)
        return Response(status_code=204)


async def shown(stores: PostgresStores, name: str, warnings: Sequence[str] = ()) -> ScheduleView:
    """A schedule as it stands.

    Raises:
        UnknownScheduleError: there is none.
    """
    async with stores.postgres() as connection:
        row = await find_schedule(connection, name)
    (state,) = await states_of(stores, [row], slots=_SHOWN_SLOTS, in_full=True)
    return ScheduleView.of(state, warnings)
