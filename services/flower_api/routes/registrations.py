"""``POST /register``: starts flows, one or many."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Body, FastAPI, Request
from starlette.responses import Response

from flower_api.access import by_of
from flower_api.error_answers import problem_of
from flower_api.openapi import replies, reply
from flower_api.path_ids import TaskIdPath, workflow_of
from flower_api.problems import ProblemError, type_of
from flower_api.schemas import (
    MAX_REGISTRATIONS,
    BulkEntry,
    KeyHeader,
    Overrides,
    Registered,
    Registration,
    RegistrationFailed,
    TraceparentHeader,
)
from flower_api.shortcut import shortcut
from flower_engine.errors import UnknownWorkflowError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.registrations import Asked, Started, start, start_many
from flower_engine.traces.traceparent import settled_traceparent

_UNKNOWN = "no tasks registered"  # the seed's words


def add_registering(app: FastAPI, stores: PostgresStores) -> None:
    """Adds the routes that start flows."""

    @app.post(
        "/register",
        summary="Start many flows",
        responses=replies(
            {200: (list[BulkEntry], "What became of each registration, in the order given")},
            problems=(400, 413, 415, 422, 429, 503),
        ),
    )
    @app.post("/register/", include_in_schema=False)
    async def register_many(
        registrations: Annotated[list[Registration], Body(max_length=MAX_REGISTRATIONS)],
        request: Request,
        traceparent: TraceparentHeader = None,
    ) -> Response:
        """One that cannot be started does not stop the others. 503 (or 429, when Postgres is too far
        behind) only if none of them could be taken."""
        flows = [(registration.task_id, _asked(registration)) for registration in registrations]
        caller = _caller(traceparent)
        started = await start_many(stores, flows, by_of(request), traceparent=caller)
        return reply(_entries(registrations, started))

    async def register_plainly(request: Request, task_id: str) -> Response:
        workflow = workflow_of(task_id)
        try:
            caller = _caller(request.headers.get("traceparent"))
            one = await start(stores, workflow, by_of(request), traceparent=caller)
        except UnknownWorkflowError:
            return _unknown(workflow)
        return reply(Registered("succeeded", workflow, one.flow, one.is_known, one.durability))

    async def register(
        task_id: TaskIdPath,
        request: Request,
        body: Overrides | None = None,
        header: KeyHeader = None,
        traceparent: TraceparentHeader = None,
    ) -> Response:
        """A flow of the workflow whose rows in ms_task_definition have this task_id; no body is needed.

        409 if the key belongs to a flow of another workflow; 429 while the workflow's flow limit is reached,
        or Postgres is further behind than it may be.
        """
        if header is not None:
            body = _with_key(body, header)
        workflow = workflow_of(task_id)
        asked = None if body is None else _asked(body)
        try:
            caller = _caller(traceparent)
            one = await start(stores, workflow, by_of(request), asked, traceparent=caller)
        except UnknownWorkflowError:
            return _unknown(workflow)
        return reply(Registered("succeeded", workflow, one.flow, one.is_known, one.durability))

    app.router.add_api_route(
        "/register/{task_id:rest}",
        register,
        methods=["POST"],
        summary="Start a flow",
        responses=replies(
            {
                200: (Registered, "The flow is started, or its key was known"),
                404: (RegistrationFailed, "No task definition has this task_id"),
            },
            problems=(400, 409, 413, 415, 422, 429, 503),
        ),
        route_class_override=shortcut(register_plainly),
    )


def _unknown(workflow: str) -> Response:
    return reply(RegistrationFailed("failed", workflow, _UNKNOWN), 404)


def _asked(body: Overrides) -> Asked:
    return Asked(
        parameters=body.parameters,
        task_parameters=body.task_parameters,
        priority=body.priority,
        start_at=body.start_at,
        delay_seconds=body.delay_seconds,
        key=body.key,
        version="" if body.workflow_version is None else str(body.workflow_version),
        traceparent=body.traceparent or "",
    )


def _caller(header: str | None) -> str:
    """The header as events carry it; "": there is none, or it says nothing, and is ignored as W3C says."""
    return "" if header is None else settled_traceparent(header.strip()) or ""


def _entries(
    registrations: Sequence[Registration], outcomes: Sequence[Started | Exception]
) -> list[BulkEntry]:
    """An entry for each registration; raises the first error where the stores could take none of them."""
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if errors and len(errors) == len(outcomes) and all(map(_is_of_stores, errors)):
        raise errors[0]
    return [
        _entry(registration.task_id, outcome)
        for registration, outcome in zip(registrations, outcomes, strict=True)
    ]


def _entry(workflow: str, outcome: Started | Exception) -> BulkEntry:
    if isinstance(outcome, Exception):
        return _failed(workflow, outcome)
    flow, is_known, durability = outcome.flow, outcome.is_known, outcome.durability
    return BulkEntry("succeeded", workflow, 200, flow, is_known, durability)


def _with_key(body: Overrides | None, key: str) -> Overrides:
    """The body, with the header's key.

    Raises:
        ProblemError: the body has another one.
    """
    if body is None:
        return Overrides.model_validate({"key": key})
    if body.key not in (None, key):
        raise ProblemError(422, "invalid-request", "Idempotency-Key and the body's key differ; give one")
    return body.model_copy(update={"key": key})


def _is_of_stores(error: Exception) -> bool:
    """Whether the stores cannot take any flow now, whichever it is."""
    problem = problem_of(error)
    return problem.status_code >= 500 or problem.kind == "projection-behind"


def _failed(workflow: str, error: Exception) -> BulkEntry:
    if isinstance(error, UnknownWorkflowError):
        return BulkEntry("failed", workflow, 404, description=_UNKNOWN, type=type_of("unknown-workflow"))
    problem = problem_of(error)
    return BulkEntry(
        "failed", workflow, problem.status_code, description=problem.detail, type=type_of(problem.kind)
    )
