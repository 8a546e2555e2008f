"""``GET /approvals``, ``GET /flows/{id}/tasks/{n}/approval``: what waits for an answer of people."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from fastapi import FastAPI, Query, Request
from starlette.responses import Response

from flower_api.access import by_of, roles_of
from flower_api.cursors import cursor_of, no_cursor, read_cursor
from flower_api.openapi import replies, reply
from flower_api.path_ids import FlowIdPath
from flower_api.routes.tasks import TaskPath, Text
from flower_api.schemas import WorkflowName
from flower_engine.flows.approvals import (
    ApprovalDetail,
    ApprovalFilter,
    ApprovalView,
    find_approval,
    list_approvals,
)
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.unknown_names import Names
from flower_engine.projection.read.asked_approvals import ApprovalCursor
from flower_engine.projection.read.view_fields import View
from flower_engine.runtime.api_tokens import ApiToken


class ApprovalsPage(View, omit_defaults=True):
    """Approvals that wait for an answer, those that were asked last first; `next` is the cursor of the next
    page. A page may be short, even empty. `warnings`: nothing is there, and nothing is known of a name that
    was asked for."""

    approvals: list[ApprovalView]
    next: str | None
    warnings: list[str] = msgspec.field(default_factory=list)


def add_approvals(app: FastAPI, stores: PostgresStores, tokens: Sequence[ApiToken]) -> None:
    """Adds the routes that show approvals."""
    names = Names(stores)
    roles_by_name = {token.name: frozenset(token.roles) for token in tokens}

    @app.get(
        "/approvals",
        summary="List approvals that wait for an answer",
        responses=replies({200: (ApprovalsPage, "A page of them")}, problems=(422, 503)),
    )
    async def get_approvals(
        *,
        request: Request,
        workflow: Annotated[WorkflowName | None, Query(alias="taskId")] = None,
        role: Annotated[Text | None, Query(description="only those that ask for this name or role")] = None,
        name: Annotated[
            Text | None,
            Query(alias="for", description="only those that this name may answer, and has not answered yet"),
        ] = None,
        mine: Annotated[bool, Query(description="the same for the name of the token")] = False,
        cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    ) -> Response:
        """Of all flows, as they are projected."""
        whom = by_of(request) if mine else name
        roles = roles_of(request) if mine else roles_by_name.get(name or "", frozenset())
        asked = ApprovalFilter(workflow=workflow, role=role, name=whom, roles=roles)
        behind = None if cursor is None else _read_cursor(cursor)
        async with stores.postgres() as connection:
            found, end = await list_approvals(connection, asked, behind=behind, limit=limit)
        is_empty = not found and end is None and cursor is None
        warnings = await names.of_filter(workflow, None) if is_empty and workflow is not None else []
        return reply(ApprovalsPage(found, end and cursor_of(end), warnings))

    @app.get(
        "/flows/{task_flow_id}/tasks/{task}/approval",
        summary="Show an approval with what it shows",
        responses=replies({200: (ApprovalDetail, "The approval")}, problems=(404, 409, 422, 503)),
    )
    async def get_approval(task_flow_id: FlowIdPath, task: TaskPath) -> Response:
        """With the values of the flow that it shows beside its form; `isAsked` says whether it waits now."""
        return reply(await find_approval(stores, task_flow_id.lower(), task))


def _read_cursor(cursor: str) -> ApprovalCursor:
    begin = read_cursor(cursor, ApprovalCursor)
    if "\0" in begin.flow or abs(begin.task) > 2**31 - 1 or abs(begin.since_ms) > 2**53:
        raise no_cursor()
    return begin
