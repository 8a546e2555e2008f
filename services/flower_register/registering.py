"""``POST /register``: starts flows, one or many."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import Body, FastAPI
from starlette.responses import Response

from flower_engine.errors import UnknownWorkflowError
from flower_engine.log.registering import FlowPlan
from flower_register.openapi import replies, reply
from flower_register.paths import TaskIdPath, workflow_of
from flower_register.problems import problem_of
from flower_register.schemas import (
    MAX_REGISTRATIONS,
    BulkEntry,
    Registered,
    Registration,
    RegistrationFailed,
)
from flower_register.stores import Stores

_UNKNOWN = "no tasks registered"  # the seed's words


def add_registering(app: FastAPI, stores: Stores) -> None:
    """Adds the routes that start flows."""

    @app.post(
        "/register",
        summary="Start many flows",
        responses=replies(
            {200: (list[BulkEntry], "What became of each registration, in the order given")},
            problems=(400, 413, 415, 422, 503),
        ),
    )
    @app.post("/register/", include_in_schema=False)
    async def register_many(
        registrations: Annotated[list[Registration], Body(max_length=MAX_REGISTRATIONS)],
    ) -> Response:
        """One that cannot be started does not stop the others. 503 only if no store took any of them."""
        entries = await _register_many(stores, [registration.task_id for registration in registrations])
        return reply(entries)

    @app.post(
        "/register/{task_id:rest}",
        summary="Start a flow",
        responses=replies(
            {
                200: (Registered, "The flow is started"),
                404: (RegistrationFailed, "No task definition has this task_id"),
            },
            problems=(422, 503),
        ),
    )
    async def register(task_id: TaskIdPath) -> Response:
        """A flow of the workflow whose rows in ms_task_definition have this task_id."""
        workflow = workflow_of(task_id)
        try:
            plan = await stores.plans.get(workflow)
        except UnknownWorkflowError:
            return reply(RegistrationFailed("failed", workflow, _UNKNOWN), 404)
        return reply(Registered("succeeded", workflow, await stores.registrar.start(plan)))


async def _register_many(stores: Stores, workflows: Sequence[str]) -> list[BulkEntry]:
    names = list(dict.fromkeys(workflows))
    found = await asyncio.gather(*map(stores.plans.get, names), return_exceptions=True)
    plans = dict(zip(names, found, strict=True))
    wanted = [plan for name in workflows if isinstance(plan := plans[name], FlowPlan)]
    started = iter(await stores.registrar.start_many(wanted))
    entries: list[BulkEntry] = []
    errors: list[BaseException] = []
    for name in workflows:
        plan = plans[name]
        outcome = next(started) if isinstance(plan, FlowPlan) else plan
        if isinstance(outcome, str):
            entries.append(BulkEntry("succeeded", name, 200, task_flow_id=outcome))
        else:
            entries.append(_failed(name, outcome))
            errors.append(outcome)
    if errors and all(entry.code >= 500 for entry in entries):
        raise errors[0]
    return entries


def _failed(workflow: str, error: BaseException) -> BulkEntry:
    if not isinstance(error, Exception):  # the service is being stopped at once
        raise error
    if isinstance(error, UnknownWorkflowError):
        return BulkEntry("failed", workflow, 404, description=_UNKNOWN)
    problem = problem_of(error)
    return BulkEntry("failed", workflow, problem.status_code, description=problem.detail)
