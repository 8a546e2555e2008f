"""``/hooks``: who is told when a flow fails, ends or is late; ``/hook-deliveries``: what they were told."""

from typing import Annotated

import msgspec
from fastapi import FastAPI, Query, Request
from starlette.responses import Response

from flower_api.access import by_of
from flower_api.cursors import cursor_of, no_cursor, read_cursor
from flower_api.hook_schemas import (
    DeliveriesPage,
    DeliveryCursor,
    DeliveryPath,
    DeliveryView,
    DeliveryWithBody,
    HookBody,
    HookPath,
    HooksPage,
    HookView,
    NewHookPath,
)
from flower_api.openapi import replies, reply
from flower_api.problems import ProblemError
from flower_api.request_times import is_known_time
from flower_api.schemas import WorkflowName
from flower_engine.flows.hooks import (
    find_delivery,
    find_hook,
    remove_hook,
    set_hook,
    states_of,
    tell_again,
    try_hook,
)
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.unknown_names import Names
from flower_engine.projection.hooks.deliveries import Delivery, DeliveryState, list_deliveries
from flower_engine.projection.hooks.hook_rows import list_hooks

Limit = Annotated[int, Query(ge=1, le=1_000)]
_BODY_PROBLEMS = (400, 409, 413, 415, 422, 503)


def add_hooks(app: FastAPI, stores: PostgresStores) -> None:
    """Adds the routes that show and change hooks, and what they told."""
    names = Names(stores)

    @app.get(
        "/hooks",
        summary="List hooks by name",
        responses=replies({200: (HooksPage, "A page of hooks")}, problems=(422, 503)),
    )
    async def get_hooks(
        workflow: Annotated[
            WorkflowName | None, Query(alias="taskId", description="those that tell of its flows")
        ] = None,
        cursor: Annotated[WorkflowName | None, Query(description="`next` of the page before")] = None,
        limit: Limit = 100,
    ) -> Response:
        """Each with what is wrong with it, and how its deliveries stand."""
        async with stores.postgres() as connection:
            rows = await list_hooks(connection, after=cursor, workflow=workflow, limit=limit + 1)
            states = await states_of(connection, rows[:limit])
        warnings = await names.of_filter(workflow) if not rows and cursor is None else []
        going_on = rows[limit - 1].hook.name if len(rows) > limit else None
        return reply(HooksPage([HookView.of(state) for state in states], going_on, warnings))

    @app.get(
        "/hooks/{hook}",
        summary="Show a hook",
        responses=replies({200: (HookView, "The hook")}, problems=(404, 422, 503)),
    )
    async def get_hook(hook: HookPath) -> Response:
        return reply(await _shown(stores, hook))

    @app.put(
        "/hooks/{hook}",
        summary="Add or replace a hook",
        responses=replies(
            {200: (HookView, "It is replaced"), 201: (HookView, "It is there")}, problems=_BODY_PROBLEMS
        ),
    )
    async def put_hook(hook: NewHookPath, body: HookBody, request: Request) -> Response:
        """Replaces all that it says; one that is paused stays so unless `isPaused` says otherwise. Whether
        the projector may go there, run that or has such a function, a test delivery shows."""
        if body.hook not in (None, hook):
            raise ProblemError(422, "invalid-request", f"hook is {body.hook!r}, but the path says {hook!r}")
        keeps_pause = body.is_paused is None
        is_new = await set_hook(stores, body.to_model(hook), by_of(request), keeps_pause=keeps_pause)
        warnings = await names.of_filter(body.task_id)
        return reply(await _shown(stores, hook, warnings), 201 if is_new else 200)

    @app.delete(
        "/hooks/{hook}",
        summary="Take a hook away",
        status_code=204,
        responses=replies({}, problems=(404, 422, 503)),
    )
    async def delete(hook: HookPath, request: Request) -> Response:
        """What it has not delivered yet is given up."""
        await remove_hook(stores, hook, by_of(request))
        return Response(status_code=204)

    @app.post(
        "/hooks/{hook}/test",
        summary="Try a hook",
        status_code=202,
        responses=replies({202: (DeliveryView, "It is to be delivered")}, problems=(404, 409, 422, 503)),
    )
    async def post_test(hook: HookPath, request: Request) -> Response:
        """A projector delivers it as all else, with the type `hook.test`; ask for the delivery until then."""
        return reply(DeliveryView.of(await try_hook(stores, hook, by_of(request))), 202)

    @app.get(
        "/hooks/{hook}/deliveries",
        summary="List what a hook told",
        responses=replies({200: (DeliveriesPage, "A page of deliveries")}, problems=(422, 503)),
    )
    async def get_deliveries(
        hook: HookPath,
        *,
        state: Annotated[list[DeliveryState] | None, Query(description="may be given more than once")] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
        limit: Limit = 100,
    ) -> Response:
        """The newest first; also of a hook that is gone."""
        behind = None if cursor is None else _read_cursor(cursor)
        async with stores.postgres() as connection:
            found = await list_deliveries(
                connection,
                hook,
                states=state,
                behind=None if behind is None else (behind.at, behind.id),
                limit=limit + 1,
            )
        last = found[limit - 1] if len(found) > limit else None
        going_on = None if last is None else cursor_of(DeliveryCursor(last.created_ts, last.id))
        return reply(DeliveriesPage(hook, [DeliveryView.of(one) for one in found[:limit]], going_on))

    @app.get(
        "/hook-deliveries/{id}",
        summary="Show what was told",
        responses=replies({200: (DeliveryWithBody, "The delivery")}, problems=(404, 422, 503)),
    )
    async def get_delivery(delivery: DeliveryPath) -> Response:
        async with stores.postgres() as connection:
            found, body = await find_delivery(connection, delivery)
        return reply(_with_body(found, body))

    @app.post(
        "/hook-deliveries/{id}/redeliver",
        summary="Tell it again",
        status_code=202,
        responses=replies({202: (DeliveryWithBody, "It is to be delivered")}, problems=(404, 409, 422, 503)),
    )
    async def redeliver(delivery: DeliveryPath, request: Request) -> Response:
        """Now, under the same id, and for another day; also what was taken or is given up."""
        return reply(_with_body(*await tell_again(stores, delivery, by_of(request))), 202)


async def _shown(stores: PostgresStores, name: str, warnings: list[str] | None = None) -> HookView:
    async with stores.postgres() as connection:
        (state,) = await states_of(connection, [await find_hook(connection, name)])
    return HookView.of(state, warnings)


def _with_body(found: Delivery, body: str) -> DeliveryWithBody:
    return DeliveryWithBody(**msgspec.structs.asdict(found), body=body)


def _read_cursor(cursor: str) -> DeliveryCursor:
    begin = read_cursor(cursor, DeliveryCursor)
    if not is_known_time(begin.at) or "\0" in begin.id:
        raise no_cursor()
    return begin
