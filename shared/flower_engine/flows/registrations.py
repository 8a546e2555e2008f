"""Registrations: flows that are asked for by the names of their workflows."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.errors import (
    FlowLimitError,
    KeyConflictError,
    ParametersError,
    StoreUnavailableError,
    TimeError,
)
from flower_engine.flows.bound_plans import bound_by_default
from flower_engine.flows.idempotency_keys import known_keys
from flower_engine.flows.moments import time_of
from flower_engine.flows.open_parameters import is_complete, refuse_open
from flower_engine.flows.plan_overrides import overridden
from flower_engine.flows.registrar import Wanted
from flower_engine.flows.stores import Stores
from flower_engine.log.durability import Durability
from flower_engine.model.values.times import ms_of
from flower_engine.transitions.register_transition import FlowPlan, Registered

_MANY_TASKS = 500  # from here on a thread makes a plan of its own, and the event loop goes on


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """How a flow differs from its workflow's definition, and when it starts.

    ``parameters`` are those that the workflow says its flows take; else each replaces those of tasks that
    define them. ``task_parameters`` (by taskSeq or name) sets those of one task. Nothing starts before
    ``start_at`` (ISO 8601), or before ``delay_seconds`` have passed. The same ``key`` gives the same flow.
    ``version``: that of the workflow, "" for its definition of now; see
    ``flows/versions.py``. ``traceparent``: the span for which it is asked for, as events carry it.
    """

    parameters: Mapping[str, Any] = {}
    task_parameters: Mapping[str, Mapping[str, Any]] = {}
    priority: int | None = None
    start_at: str | None = None
    delay_seconds: float | None = None
    key: str | None = None
    version: str = ""
    traceparent: str = ""


class Started(msgspec.Struct, frozen=True, gc=False):
    """A flow that is registered; ``is_known``: nothing new was started, as its key was known or the
    workflow's limit says skip. ``durability``: what held of the registration."""

    flow: str
    is_known: bool
    durability: Durability | None


async def start(
    stores: Stores, workflow: str, by: str, asked: Asked | None = None, *, traceparent: str = ""
) -> Started:
    """Registers a flow of the workflow, for somebody. ``traceparent``: where ``asked`` says none.

    Raises:
        UnknownWorkflowError, DefinitionError: there is no such workflow, or it cannot be run.
        UnknownVersionError, AmbiguousVersionError: it has no such version, or several are meant.
        ParametersError, TimeError: what is asked does not fit.
        KeyConflictError: the key belongs to a flow of another workflow.
        FlowLimitError: as many flows are under way as may be, and the workflow's limit says reject.
        LostError, StoreUnavailableError, ProjectionBehindError, psycopg.Error, RedisError: it was not
            started, or nobody knows.
    """
    plan = await stores.plans.get(workflow, "" if asked is None else asked.version)
    if asked is None:
        if plan.takes is not None:
            is_large = plan.tasks > _MANY_TASKS and plan.bound is None
            plan = await asyncio.to_thread(bound_by_default, plan) if is_large else bound_by_default(plan)
        await refuse_open(stores.programs, plan)
        wanted = Wanted(plan, by, traceparent=traceparent)
        return started(await stores.registrar.start(wanted), workflow, None)
    known = (await known_keys(stores, [asked.key])).get(asked.key) if asked.key else None
    if known is None:
        known = await stores.registrar.start(await _wanted(stores, plan, asked, by, traceparent))
    return started(known, workflow, asked.key)


async def start_many(
    stores: Stores, flows: Sequence[tuple[str, Asked]], by: str, *, traceparent: str = ""
) -> list[Started | Exception]:
    """Registers flows of these workflows; one that cannot be started does not stop the others.
    ``traceparent``: of those that say none themselves.

    Returns:
        What became of each, in order; errors are those that :func:`start` raises.

    Raises:
        LostError, StoreUnavailableError, psycopg.Error, RedisError: none was started, or nobody knows.
    """
    wanted_plans = list(dict.fromkeys((workflow, asked.version) for workflow, asked in flows))
    calls = (stores.plans.get(*one) for one in wanted_plans)
    plans = dict(zip(wanted_plans, await asyncio.gather(*calls, return_exceptions=True), strict=True))
    keys = [asked.key for _, asked in flows if asked.key]
    known = await known_keys(stores, keys) if keys else {}
    outcomes: list[Registered | Wanted | BaseException] = []
    for workflow, asked in flows:
        plan = plans[workflow, asked.version]
        if not isinstance(plan, FlowPlan):
            outcomes.append(plan)
        elif asked.key in known:
            outcomes.append(known[asked.key])
        else:
            try:
                outcomes.append(await _wanted(stores, plan, asked, by, traceparent))
            except (ParametersError, TimeError, StoreUnavailableError) as error:
                outcomes.append(error)
    wanted = [outcome for outcome in outcomes if isinstance(outcome, Wanted)]
    registered = iter(await stores.registrar.start_many(wanted))
    settled = [next(registered) if isinstance(outcome, Wanted) else outcome for outcome in outcomes]
    return [
        _outcome(outcome, workflow, asked.key)
        for (workflow, asked), outcome in zip(flows, settled, strict=True)
    ]


def _outcome(outcome: Registered | BaseException, workflow: str, key: str | None) -> Started | Exception:
    if isinstance(outcome, Exception):
        return outcome
    if isinstance(outcome, BaseException):
        raise outcome  # whoever asks goes away
    try:
        return started(outcome, workflow, key)
    except (KeyConflictError, FlowLimitError) as error:
        return error


async def _wanted(stores: Stores, plan: FlowPlan, asked: Asked, by: str, traceparent: str) -> Wanted:
    own = await _overridden(stores, plan, asked)
    if own is plan or not await is_complete(stores.programs, plan):
        await refuse_open(stores.programs, own)
    start_ms = None if asked.start_at is None else ms_of(time_of(asked.start_at, "startAt"))
    delay_ms = round((asked.delay_seconds or 0) * 1000)
    return Wanted(own, by, asked.key or "", start_ms, delay_ms, asked.traceparent or traceparent)


async def _overridden(stores: Stores, plan: FlowPlan, asked: Asked) -> FlowPlan:
    """The plan as it is asked for; once more with what is known anew of programs, before it is refused."""
    given = (plan, asked.parameters, asked.task_parameters, asked.priority)
    is_given = asked.parameters or asked.task_parameters
    programs = {task.program for task in plan.planned} if is_given else set[str]()
    if plan.tasks <= _MANY_TASKS:
        return await stores.programs.checked(programs, lambda versions: overridden(*given, versions))
    try:
        return await asyncio.to_thread(overridden, *given, await stores.programs.versions(programs))
    except ParametersError:
        anew = await stores.programs.versions(programs, anew=True)
        return await asyncio.to_thread(overridden, *given, anew)


def started(registered: Registered, workflow: str, key: str | None) -> Started:
    """What a registration comes to for who asked for it.

    Raises:
        KeyConflictError, FlowLimitError: nothing was started for them.
    """
    if registered.word == "known" and registered.workflow != workflow:
        raise KeyConflictError(key or "", registered.flow, registered.workflow, workflow)
    if registered.word == "full":
        raise FlowLimitError(workflow, registered.most)
    return Started(registered.flow, registered.word in ("known", "skipped"), registered.durability)
