"""``/workflows``: what can be run."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from fastapi import FastAPI, Query, Request
from starlette.responses import Response

from flower_api.access import by_of
from flower_api.definition_schemas import DefinedView, WorkflowBody
from flower_api.openapi import replies, reply
from flower_api.path_ids import TaskIdPath, workflow_of
from flower_api.problems import ProblemError
from flower_api.role_warnings import warnings_of_roles
from flower_api.schemas import WorkflowEntry, WorkflowName, WorkflowsPage
from flower_engine.errors import DefinitionError, UnknownWorkflowError
from flower_engine.flows.definition_checks import verdicts_on
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.trees import problems_of_trees
from flower_engine.flows.unknown_names import Names
from flower_engine.flows.workflow_definitions import define, delete_definition
from flower_engine.model.definitions.rule_warnings import warnings_of_rules
from flower_engine.model.definitions.workflow_document import WorkflowDocument
from flower_engine.projection.definitions.definition_rows import list_workflows
from flower_engine.runtime.api_tokens import ApiToken

Limit = Annotated[int, Query(ge=1, le=1_000)]


def add_workflows(app: FastAPI, stores: PostgresStores, tokens: Sequence[ApiToken]) -> None:
    """Adds the routes that show and change definitions."""
    names = Names(stores)

    @app.get(
        "/workflows",
        summary="List workflows by name",
        responses=replies({200: (WorkflowsPage, "A page of workflows")}, problems=(422, 503)),
    )
    async def get_workflows(
        cursor: Annotated[WorkflowName | None, Query(description="`next` of the page before")] = None,
        limit: Limit = 100,
    ) -> Response:
        async with stores.postgres() as connection:
            found = await list_workflows(connection, after=cursor, limit=limit + 1)
        entries = [
            WorkflowEntry(workflow.name, workflow.tasks, workflow.problem) for workflow in found[:limit]
        ]
        return reply(WorkflowsPage(entries, None if len(found) <= limit else entries[-1].task_id))

    @app.get(
        "/workflows/{task_id:rest}",
        summary="Show a workflow's definition",
        responses=replies({200: (WorkflowDocument, "The definition")}, problems=(404, 422, 503)),
    )
    async def get_workflow(task_id: TaskIdPath) -> Response:
        """422 if its rows, edited with SQL, cannot be understood."""
        return await show_workflow(stores, workflow_of(task_id))

    @app.put(
        "/workflows/{task_id:rest}",
        summary="Define or replace a workflow",
        responses=replies(
            {
                200: (DefinedView, "The workflow is replaced as a whole"),
                201: (DefinedView, "The workflow is defined"),
            },
            problems=(400, 409, 413, 415, 422, 503),
        ),
    )
    async def put(task_id: TaskIdPath, body: WorkflowBody, request: Request) -> Response:
        """Replaces all its rows in one transaction. Flows under way keep the definition they began with.
        422, too, if no live version of a program takes the parameters that a task gives it."""
        name = task_id  # as it stands: one that ends in a slash is refused, not defined under another name
        if body.task_id not in (None, name):
            raise ProblemError(
                422, "invalid-request", f"taskId is {body.task_id!r}, but the path says {name!r}"
            )
        definition = body.to_model(name)
        verdict = (await verdicts_on(stores.programs, [definition]))[definition.name]
        problems = [
            *verdict.problems,
            *(await problems_of_trees(stores.definitions, [definition])).get(name, ()),
        ]
        if problems:
            raise DefinitionError(definition.name, problems)
        is_new = await define(stores, definition, by_of(request))
        defined = DefinedView.of(definition)
        warnings = [*await names.of_definition(definition), *warnings_of_rules(definition)]
        warnings += warnings_of_roles(definition, tokens)
        defined.warnings = [*warnings, *verdict.warnings] or msgspec.UNSET
        return reply(defined, 201 if is_new else 200)

    @app.delete(
        "/workflows/{task_id:rest}",
        summary="Delete a workflow's definition",
        status_code=204,
        responses=replies({}, problems=(404, 422, 503)),
    )
    async def delete(task_id: TaskIdPath, request: Request) -> Response:
        """Its flows stay, and those under way go on."""
        name = workflow_of(task_id)
        if not await delete_definition(stores, name, by_of(request)):
            raise await unknown_workflow(names, name)
        return Response(status_code=204)


async def show_workflow(stores: PostgresStores, name: str) -> Response:
    """The answer to who asks for the definition.

    Raises:
        UnknownWorkflowError: there is none.
    """
    definition = await stores.definitions.read(name)
    if definition is None:
        raise await unknown_workflow(Names(stores), name)
    return reply(WorkflowDocument.of(definition))


async def unknown_workflow(names: Names, name: str) -> UnknownWorkflowError:
    """The error that says so, with the nearest names."""
    near = await names.near_workflow(name)
    return UnknownWorkflowError(f"no task definition has the task_id {name!r}{near}")
