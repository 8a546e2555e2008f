"""``POST /register``: starts flows, one or many."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import Body, FastAPI, Header, Request
from starlette.responses import Response

from flower_api.access import by_of
from flower_api.idempotency_keys import known_keys
from flower_api.openapi import replies, reply
from flower_api.path_ids import TaskIdPath, workflow_of
from flower_api.plan_overrides import overridden
from flower_api.problems import ProblemError, problem_of
from flower_api.registrar import Wanted
from flower_api.request_times import ms_of, time_of
from flower_api.schemas import (
    MAX_REGISTRATIONS,
    BulkEntry,
    IdempotencyKey,
    Overrides,
    Registered,
    Registration,
    RegistrationFailed,
)
from flower_api.shortcut import shortcut
from flower_api.stores import Stores
from flower_engine.errors import UnknownWorkflowError
from flower_engine.log.durability import Durability
from flower_engine.transitions import register_transition as log
from flower_engine.transitions.register_transition import FlowPlan

_UNKNOWN = "no tasks registered"  # the seed's words
_MANY_TASKS = 500  # from here on a thread makes a plan of its own, and the event loop goes on

KeyHeader = Annotated[
    IdempotencyKey | None,
    Header(alias="Idempotency-Key", description="the same key gives the same flow; as `key` in the body"),
]


def add_registering(app: FastAPI, stores: Stores) -> None:
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
        registrations: Annotated[list[Registration], Body(max_length=MAX_REGISTRATIONS)], request: Request
    ) -> Response:
        """One that cannot be started does not stop the others. 503 (or 429, when Postgres is too far
        behind) only if none of them could be taken."""
        return reply(await _register_many(stores, registrations, by_of(request)))

    async def register_plainly(request: Request, task_id: str) -> Response:
        return await _register(stores, workflow_of(task_id), None, by_of(request))

    async def register(
        task_id: TaskIdPath, request: Request, body: Overrides | None = None, header: KeyHeader = None
    ) -> Response:
        """A flow of the workflow whose rows in ms_task_definition have this task_id; no body is needed.

        409 if the key belongs to a flow of another workflow; 429 while the workflow's flow limit is reached,
        or Postgres is further behind than it may be.
        """
        if header is not None:
            body = _with_key(body, header)
        return await _register(stores, workflow_of(task_id), body, by_of(request))

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


async def _register(stores: Stores, workflow: str, body: Overrides | None, by: str) -> Response:
    try:
        plan = await stores.plans.get(workflow)
    except UnknownWorkflowError:
        return reply(RegistrationFailed("failed", workflow, _UNKNOWN), 404)
    if body is None:
        started = await stores.registrar.start(Wanted(plan, by))
        return reply(Registered("succeeded", workflow, *_claimed(started, workflow, None)))
    known = (await known_keys(stores, [body.key])).get(body.key) if body.key else None
    if known is None:
        known = await stores.registrar.start(await _wanted(stores, plan, body, by))
    return reply(Registered("succeeded", workflow, *_claimed(known, workflow, body.key)))


async def _register_many(stores: Stores, registrations: Sequence[Registration], by: str) -> list[BulkEntry]:
    names = list(dict.fromkeys(registration.task_id for registration in registrations))
    found = await asyncio.gather(*map(stores.plans.get, names), return_exceptions=True)
    plans = dict(zip(names, found, strict=True))
    keys = [registration.key for registration in registrations if registration.key]
    known = await known_keys(stores, keys) if keys else {}
    outcomes: list[log.Registered | Wanted | BaseException] = []
    for registration in registrations:
        plan = plans[registration.task_id]
        if not isinstance(plan, FlowPlan):
            outcomes.append(plan)
        elif registration.key in known:
            outcomes.append(known[registration.key])
        else:
            try:
                outcomes.append(await _wanted(stores, plan, registration, by))
            except ProblemError as error:
                outcomes.append(error)
    wanted = [outcome for outcome in outcomes if isinstance(outcome, Wanted)]
    started = iter(await stores.registrar.start_many(wanted))
    settled = [next(started) if isinstance(outcome, Wanted) else outcome for outcome in outcomes]
    entries: list[BulkEntry] = []
    errors: list[Exception] = []
    for registration, outcome in zip(registrations, settled, strict=True):
        try:
            if isinstance(outcome, BaseException):
                raise outcome
            claimed = _claimed(outcome, registration.task_id, registration.key)
        except Exception as error:  # noqa: BLE001 # it is this entry's outcome
            entries.append(_failed(registration.task_id, error))
            errors.append(error)
        else:
            entries.append(BulkEntry("succeeded", registration.task_id, 200, *claimed))
    if errors and len(errors) == len(entries) and all(map(_is_of_stores, errors)):
        raise errors[0]
    return entries


async def _overridden(stores: Stores, plan: FlowPlan, body: Overrides) -> FlowPlan:
    """The plan as the body has it; once more with what is known anew of programs, before it is refused."""
    given = (plan, body.parameters, body.task_parameters, body.priority)
    is_given = body.parameters or body.task_parameters
    programs = {task.program for task in plan.planned} if is_given else set[str]()
    if plan.tasks <= _MANY_TASKS:
        return await stores.programs.checked(programs, lambda versions: overridden(*given, versions))
    try:
        return await asyncio.to_thread(overridden, *given, await stores.programs.versions(programs))
    except ProblemError:
        anew = await stores.programs.versions(programs, anew=True)
        return await asyncio.to_thread(overridden, *given, anew)


async def _wanted(stores: Stores, plan: FlowPlan, body: Overrides, by: str) -> Wanted:
    """The flow that a body asks for.

    Raises:
        ProblemError: its parameters or its time do not fit.
    """
    own = await _overridden(stores, plan, body)
    start_ms = None
    if body.start_at is not None:
        start_ms = ms_of(time_of(body.start_at, "startAt"))
    return Wanted(own, by, body.key or "", start_ms, round((body.delay_seconds or 0) * 1000))


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


def _claimed(
    registered: log.Registered, workflow: str, key: str | None
) -> tuple[str, bool, Durability | None]:
    """The flow, whether nothing new was started (its key was known, or the workflow's limit says skip), and
    what holds of that.

    Raises:
        ProblemError: the key belongs to another workflow, or the workflow's limit says reject.
    """
    if registered.word == "known" and registered.workflow != workflow:
        raise ProblemError(
            409,
            "key-conflict",
            f"key {key!r} belongs to flow {registered.flow} of workflow {registered.workflow!r}, not"
            f" {workflow!r}; use another key",
            taskFlowId=registered.flow,
        )
    if registered.word == "full":
        raise ProblemError(
            429,
            "flow-limit",
            f"{registered.most} flows of workflow {workflow!r} are under way, as many as may be; register"
            " again when one has ended, or raise the limit",
            headers={"Retry-After": "1"},
        )
    return registered.flow, registered.word in ("known", "skipped"), registered.durability


def _is_of_stores(error: Exception) -> bool:
    """Whether the stores cannot take any flow now, whichever it is."""
    problem = problem_of(error)
    return problem.status_code >= 500 or problem.kind == "projection-behind"


def _failed(workflow: str, error: Exception) -> BulkEntry:
    if isinstance(error, UnknownWorkflowError):
        return BulkEntry("failed", workflow, 404, description=_UNKNOWN)
    problem = problem_of(error)
    return BulkEntry("failed", workflow, problem.status_code, description=problem.detail)
