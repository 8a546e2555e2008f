"""Forks: a new flow that takes over what an old one has done, up to some tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.errors import RefusedError
from flower_engine.log.registering import FlowPlan
from flower_engine.model.fold import FlowState
from flower_engine.model.status import Status
from flower_register.operating import Operator
from flower_register.registrar import Wanted
from flower_register.schemas import Forked
from flower_register.stores import Stores


async def fork(
    stores: Stores, flow_id: str, by: str, tasks: Sequence[int], changes: Mapping[int, Mapping[str, Any]]
) -> Forked:
    """Starts a flow in which these tasks and all behind them run, and whatever else is not final yet.

    Raises:
        UnknownFlowError: there is no such flow.
        RefusedError: it has no such task.
    """
    state = await Operator(stores, flow_id, by).state()
    for task in tasks:
        if task > len(state.tasks):
            raise RefusedError(f"flow {flow_id}: it has no task {task}", "unknown")
    started = await stores.registrar.start(Wanted(_plan(state, tasks, changes), by))
    return Forked(started.flow, state.workflow, flow_id)


def _plan(state: FlowState, tasks: Sequence[int], changes: Mapping[int, Mapping[str, Any]]) -> FlowPlan:
    runs = _with_dependents(state, tasks)
    planned = [
        msgspec.structs.replace(
            task.planned,
            parameters={**task.planned.parameters, **changes.get(task.planned.seq, {})},
        )
        for task in state.tasks
    ]
    kept = [task for task in state.tasks if task.planned.seq not in runs]
    return FlowPlan(
        state.workflow,
        planned,
        timeout_ms=state.registered.timeout_ms or None,
        forked_from=state.flow,
        taken={task.planned.seq: task.result or b"null" for task in kept if task.status is Status.FINISH},
        ignored=[task.planned.seq for task in kept if task.status is Status.IGNORE],
    )


def _with_dependents(state: FlowState, tasks: Sequence[int]) -> set[int]:
    found, left = set(tasks), list(tasks)
    while left:
        for dependent in state.dependents[left.pop()]:
            if dependent not in found:
                found.add(dependent)
                left.append(dependent)
    return found
