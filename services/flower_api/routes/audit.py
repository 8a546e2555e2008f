"""``GET /audit``: who did what, and when."""

from typing import Annotated

import msgspec
from fastapi import FastAPI, Query
from starlette.responses import Response

from flower_api.cursors import cursor_of, no_cursor, read_cursor
from flower_api.openapi import replies, reply
from flower_api.path_ids import FlowIdText
from flower_api.request_times import TimeText, wrong
from flower_api.schemas import NAME_PATTERN, WorkflowName
from flower_engine.flows.moments import time_of
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.unknown_names import Names
from flower_engine.projection.read.acts import EVENTS, GROUPS, Act, ActCursor, ActFilter, list_acts
from flower_engine.projection.read.view_fields import View

_MOST = 2**53


class ActsPage(View, omit_defaults=True):
    """What people did, the newest first; `next` is the cursor of the next page. With `taskId` a page may be
    short, even empty. `warnings`: nothing is there, and nothing is known of a name that was asked for."""

    acts: list[Act]
    next: str | None
    warnings: list[str] = msgspec.field(default_factory=list)


def add_audit(app: FastAPI, stores: PostgresStores) -> None:
    """Adds the route that shows what people did."""
    names = Names(stores)

    @app.get(
        "/audit",
        summary="List what people did",
        responses=replies({200: (ActsPage, "A page of it")}, problems=(422, 503)),
    )
    async def get_audit(
        *,
        by: Annotated[
            str | None,
            Query(min_length=1, max_length=256, pattern=NAME_PATTERN, description="the name of a token"),
        ] = None,
        what: Annotated[
            list[Annotated[str, Query(max_length=64)]] | None,
            Query(
                description="an act (`flow.cancelled`) or what it begins with (`schedule`); may be given more"
                " than once"
            ),
        ] = None,
        flow: Annotated[FlowIdText | None, Query(alias="taskFlowId")] = None,
        workflow: Annotated[WorkflowName | None, Query(alias="taskId")] = None,
        since: Annotated[
            TimeText | None, Query(description="then or later; UTC where no offset is given")
        ] = None,
        until: Annotated[TimeText | None, Query(description="before then")] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> Response:
        """Registrations, operations on flows, answers and signals, as the archive tells them; changes of
        definitions, schedules, limits and hooks, operations on many flows, links and sessions. What the
        engine did by itself is not among it. `sql:NAME`: somebody who changed a table with SQL."""
        asked = ActFilter(
            by=by,
            what=tuple(what or ()),
            flow=None if flow is None else flow.lower(),
            workflow=workflow,
            since=None if since is None else time_of(since, "since"),
            until=None if until is None else time_of(until, "until"),
        )
        for one in asked.what:
            is_of_flows = one.startswith(("flow.", "task."))
            if one not in EVENTS and (one.partition(".")[0] not in GROUPS or is_of_flows):
                known = ", ".join((*GROUPS, *EVENTS))
                raise wrong("what", f"nothing is {one!r}; acts are, or begin with, one of {known}")
        behind = None if cursor is None else _read_cursor(cursor)
        async with stores.postgres() as connection:
            acts, end = await list_acts(connection, asked, behind=behind, limit=limit)
        is_empty = not acts and end is None and cursor is None
        warnings = await names.of_filter(workflow) if is_empty and workflow is not None else []
        return reply(ActsPage(acts, end and cursor_of(end), warnings))


def _read_cursor(cursor: str) -> ActCursor:
    begin = read_cursor(cursor, ActCursor)
    if begin.source not in (0, 1) or max(map(abs, (begin.ms, begin.first, begin.second))) > _MOST:
        raise no_cursor()
    return begin
