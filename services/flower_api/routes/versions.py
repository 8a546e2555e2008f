"""``/workflows/{task_id}/versions``: what a workflow was and is."""

import asyncio
from contextlib import suppress
from typing import Annotated

from fastapi import FastAPI, Path, Query, Request
from starlette.responses import Response

from flower_api.openapi import replies, reply
from flower_api.path_ids import TaskIdPath, belongs_to_name
from flower_api.problems import ProblemError
from flower_api.routes.workflows import show_workflow, unknown_workflow
from flower_api.schemas import VersionDetail, VersionsPage, VersionView
from flower_engine.errors import DefinitionError, UnknownVersionError, UnknownWorkflowError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.unknown_names import Names
from flower_engine.flows.versions import find_version
from flower_engine.model.definitions.dag_layout import DagLayout, lay_out
from flower_engine.model.definitions.definition import WorkflowDefinition, plan_flow
from flower_engine.model.definitions.definition_differences import differences
from flower_engine.model.definitions.workflow_document import WorkflowDocument
from flower_engine.model.definitions.workflow_versions import definition_of, plain_document

Limit = Annotated[int, Query(ge=1, le=1_000)]
Cursor = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="`next` of the page before")]
Which = Annotated[
    str,
    Path(
        max_length=64,
        description="a number, a hash or its first 8 characters or more, or `newest`",
    ),
]


def add_versions(app: FastAPI, stores: PostgresStores) -> None:
    """Adds the routes that show versions, in front of that of a workflow, whose name may hold slashes."""

    @app.get(
        "/workflows/{task_id:rest}/versions",
        summary="List a workflow's versions",
        responses=replies({200: (VersionsPage, "A page of versions")}, problems=(404, 422, 503)),
    )
    async def get_versions(
        task_id: TaskIdPath,
        request: Request,
        cursor: Annotated[
            int | None, Query(ge=1, le=2**31 - 1, description="`next` of the page before")
        ] = None,
        limit: Limit = 100,
    ) -> Response:
        """The highest number first. Those of a workflow that was deleted stay. (A workflow whose own name
        ends in `/versions` is asked for with `%2Fversions`.)"""
        if belongs_to_name(request, 1):
            return await show_workflow(stores, f"{task_id}/versions")
        await _keep_what_is(task_id)
        found = await stores.definitions.versions(task_id, cursor, limit + 1)
        if not found and cursor is None:
            raise await unknown_workflow(Names(stores), task_id)
        versions = [VersionView.of(version) for version in found[:limit]]
        return reply(VersionsPage(task_id, versions, None if len(found) <= limit else versions[-1].number))

    @app.get(
        "/workflows/{task_id:rest}/versions/{version}",
        summary="Show a version of a workflow",
        responses=replies({200: (VersionDetail, "The version")}, problems=(404, 409, 422, 503)),
    )
    async def get_version(
        task_id: TaskIdPath,
        version: Which,
        request: Request,
        *,
        layout: Annotated[bool, Query(description="with how its graph is drawn")] = False,
        other: Annotated[
            str | None,
            Query(
                alias="differencesFrom",
                max_length=64,
                description="with what is different from this version: a number, a hash or its first 8"
                " characters or more",
            ),
        ] = None,
    ) -> Response:
        """409 if the hashes of several versions begin so."""
        if belongs_to_name(request, 2):
            return await show_workflow(stores, f"{task_id}/versions/{version}")
        await _keep_what_is(task_id)
        try:
            found = await find_version(stores.definitions, task_id, version)
            before = None if other is None else await find_version(stores.definitions, task_id, other)
        except UnknownVersionError as error:
            raise ProblemError(404, "unknown-version", str(error)) from None
        definition = definition_of(task_id, found.canonical)
        detail = VersionDetail.of(found, definition=WorkflowDocument.of(definition))
        if layout:
            detail.layout = await asyncio.to_thread(_layout_of, definition)
        if before is not None:
            old = definition_of(task_id, before.canonical)
            detail.differences = await asyncio.to_thread(
                differences, plain_document(old), plain_document(definition)
            )
        return reply(detail)

    async def _keep_what_is(workflow: str) -> None:
        """Rows that were edited with SQL are a version as soon as somebody looks."""
        with suppress(UnknownWorkflowError, DefinitionError):
            await stores.plans.get(workflow)


def _layout_of(definition: WorkflowDefinition) -> DagLayout:
    return lay_out([task.depends_on for task in plan_flow(definition)])
