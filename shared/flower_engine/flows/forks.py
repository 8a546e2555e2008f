"""Forks: a new flow that takes over what an old one has done, up to some tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.errors import RefusedError
from flower_engine.flows.effects import Effect, moved_on
from flower_engine.flows.fork_effects import effect_of_fork
from flower_engine.flows.forked_items import forked_items
from flower_engine.flows.given_parameters import Given
from flower_engine.flows.held_up import HoldingUp
from flower_engine.flows.history import find_state
from flower_engine.flows.idempotency_keys import known_anywhere
from flower_engine.flows.parameter_changes import Change, checked_changes, warnings_of
from flower_engine.flows.registrar import Wanted, refuse_several_pins
from flower_engine.flows.registrations import started
from flower_engine.flows.result_blobs import keep_blobs
from flower_engine.flows.stores import Stores
from flower_engine.flows.taken_over import taken_over
from flower_engine.flows.version_forks import VersionFork, version_fork
from flower_engine.flows.version_reruns import behind, changed
from flower_engine.flows.workflow_definitions import keying_of, pin_of
from flower_engine.model.definitions.definition import Keying, PlannedTask, with_parameters
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.item_states import of_fork, without_item_tasks
from flower_engine.model.tasks.status import Status
from flower_engine.projection.read.view_fields import View
from flower_engine.transitions.register_transition import FlowPlan, Registered


class Forked(View, omit_defaults=True):
    """The new flow, and the one it was forked from. ``warnings``: what of it could not be checked."""

    task_flow_id: str
    task_id: str
    forked_from: str
    warnings: list[str] = msgspec.field(default_factory=list)


class ForkedEffect(msgspec.Struct, frozen=True):
    """What a fork would do, by the numbers of the new flow's tasks, and what could not be checked. ``names``:
    what these are called, where they may be others than those of the old flow."""

    effect: Effect
    warnings: list[str]
    names: dict[int, str] = {}


class Forking(msgspec.Struct, frozen=True, kw_only=True):
    """A fork of a flow: these ``tasks`` and all behind them run, and whatever else is not final yet.

    The same ``key`` gives the same flow. ``version``: of the workflow, another one than the flow's own; see
    ``version_forks.py``. ``parameters``: of the flow, for which a version must be given. ``seen``: the
    version of the old flow that the caller has seen; refused if there is a newer one.
    """

    flow: str
    tasks: Sequence[int]
    changes: Mapping[int, Change] = {}
    key: str = ""
    version: str = ""
    parameters: Mapping[str, Any] = {}
    seen: int | None = None


async def fork(stores: Stores, wanted: Forking, by: str) -> Forked:
    """Starts the new flow, for somebody.

    Raises:
        UnknownFlowError: there is no such flow.
        RefusedError: it has no such task.
        MovedError: it is not of the version that was seen.
        ParametersError: a task or its program cannot take the parameters.
        KeyConflictError: the key belongs to a flow of another workflow.
        FlowLimitError: as many flows of its workflow are under way as may be.
        Others: see ``version_fork``.
    """
    state = await _forked_state(stores, wanted)
    known = await _known(stores, wanted, state)
    warnings: list[str] = []
    if known is None:
        plan, warnings = await _plan(stores, state, wanted)
        await keep_blobs(stores, [task.blob or task.result or b"" for task in state.tasks])
        known = await stores.registrar.start(Wanted(plan, by, wanted.key))
    begun = started(known, state.workflow, wanted.key)
    if known.word == "skipped":
        said = f"flow {begun.flow} of its workflow is under way, whose limit says skip: no other was begun"
        warnings = [*warnings, said]
    return Forked(begun.flow, state.workflow, wanted.flow, warnings)


async def effect_of_forking(stores: Stores, wanted: Forking) -> ForkedEffect:
    """What :func:`fork` would do; raises as it does. Nothing is done."""
    state = await _forked_state(stores, wanted)
    known = await _known(stores, wanted, state)
    if known is not None:
        started(known, state.workflow, wanted.key)
        told = f"flow {known.flow} has this key already: it would be that one, and nothing would begin"
        return ForkedEffect(Effect(version=state.version), [told])
    plan, warnings = await _plan(stores, state, wanted)
    refuse_several_pins(plan)
    effect = effect_of_fork(state, plan)
    partitions = stores.registrar.partitions_for(Wanted(plan, key=wanted.key))
    limited = await HoldingUp(stores).tell_of_new(partitions, effect)
    names = {task.seq: task.task_name or task.program for task in plan.planned} if wanted.version else {}
    return ForkedEffect(effect, [*warnings, *limited], names)


async def _forked_state(stores: Stores, wanted: Forking) -> FlowState:
    flow = wanted.flow
    state = await find_state(stores, stores.partition_of(flow), flow)
    for task in wanted.tasks:
        if task > len(state.tasks):
            raise RefusedError(f"flow {flow}: it has no task {task}", "unknown")
    for task in wanted.changes:
        if task <= len(state.tasks) and state.task(task).planned.item is not None:
            raise RefusedError(
                f"flow {flow}: task {task} is an item, which a fork makes anew: it cannot be given"
                " parameters",
                "unknown",
            )
    return state


async def _known(stores: Stores, wanted: Forking, state: FlowState) -> Registered | None:
    """The flow that has the key already.

    Raises:
        MovedError: none has it, and the flow has moved on.
    """
    known = await known_anywhere(stores, wanted.key) if wanted.key else None
    if known is None and wanted.seen is not None and wanted.seen != state.version:
        raise moved_on(state)
    return known


async def _plan(stores: Stores, state: FlowState, wanted: Forking) -> VersionFork:
    if not wanted.version:
        return await _fork_as_it_is(stores, state, wanted.tasks, wanted.changes)
    return await version_fork(
        stores,
        state,
        wanted.tasks,
        wanted.version,
        changes=wanted.changes,
        parameters=wanted.parameters,
    )


async def _fork_as_it_is(
    stores: Stores, state: FlowState, tasks: Sequence[int], changes: Mapping[int, Change]
) -> VersionFork:
    """The same for a flow of the version that each task is of."""
    planned = {task.planned.seq: task.planned for task in state.tasks}
    programs = {seq: planned[seq].program for seq in changes}
    given = await stores.programs.checked(
        programs.values(),
        lambda versions: checked_changes(
            {seq: (planned[seq].program, planned[seq].parameters, planned[seq].refs) for seq in changes},
            changes,
            versions,
        ),
    )
    now = await keying_of(stores, state.workflow), await pin_of(stores, state.workflow)
    plan = plan_of_fork(state, tasks, given, *now)
    return VersionFork(plan, warnings_of(programs, given))


def plan_of_fork(
    state: FlowState, tasks: Sequence[int], given: Mapping[int, Given], keying: Keying, pin: str | None = None
) -> FlowPlan:
    """The plan of a flow that takes over from this one all that is final and not behind ``tasks``, with what
    is ``given`` of parameters.

    It waits and is counted by the keys of its own parameters, as limits and fairness ask for them now.
    """
    whole, asked = state, set(tasks)
    tasks, state = of_fork(state, tasks), without_item_tasks(state)
    runs = behind(state, tasks)
    planned = [keying.keyed(_changed(task.planned, given.get(task.planned.seq))) for task in state.tasks]
    kept = taken_over(state, runs)
    plan = FlowPlan(
        state.workflow,
        planned,
        timeout_ms=state.registered.timeout_ms or None,
        cleanup_ms=state.registered.cleanup_ms or None,
        forked_from=state.flow,
        taken={
            task.planned.seq: task.blob or task.result or b"null"
            for task in kept
            if task.status is Status.FINISH
        },
        ignored=[task.planned.seq for task in kept if task.status is Status.IGNORE],
        stand_ins={
            task.planned.seq: task.result
            for task in kept
            if task.status is Status.IGNORE and task.result is not None
        },
        earlier=forked_items(
            whole,
            planned,
            {task.seq: task.seq for task in planned},
            {task.planned.seq for task in kept if task.status.is_final},
            asked,
        ),
        parameters=state.registered.parameters,
        definition=state.registered.definition,
        pin=pin,
    )
    if not plan.starts_something:
        raise RefusedError(
            f"flow {state.flow}: rules pass over all that would run: begin with what is before it", "nothing"
        )
    return plan


def _changed(task: PlannedTask, given: Given | None) -> PlannedTask:
    if given is None and task.reads:
        # A rerun may have given it values in place of references: those are read no more.
        return with_parameters(task, task.parameters)
    return changed(task, given)
