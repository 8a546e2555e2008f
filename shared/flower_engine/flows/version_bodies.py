"""Another version of the workflow of a flow: what is defined there, with what the flow was given."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from flower_engine.errors import ParameterFault, ParametersError, RefusedError
from flower_engine.flows.plan_overrides import faults_of
from flower_engine.flows.stores import Stores
from flower_engine.model.definitions.definition import PlannedTask, with_parameters
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.parameters.references import escaped
from flower_engine.model.values.quoting import short
from flower_engine.transitions.register_transition import FlowPlan

_MANY_TASKS = 500
Made = TypeVar("Made")
_encode = msgspec.json.Encoder(order="sorted").encode


class VersionBodies:
    """The tasks of a version with the parameters of a flow, and with what the flow's tasks were given.

    ``plan`` is that of the version, ``values`` are the flow's parameters as the version takes them, and
    ``tasks`` its tasks with these.
    """

    def __init__(
        self,
        plan: FlowPlan,
        values: dict[str, Any],
        tasks: tuple[PlannedTask, ...],
        defined: Mapping[str, Mapping[int, PlannedTask]],
        own: str,
    ) -> None:
        """``defined``: by hash of a version that the flow's tasks are of, its tasks with the flow's
        parameters; ``own``: that of the flow."""
        self.plan, self.values, self.tasks = plan, values, tasks
        self._defined, self._own = defined, own

    def body(self, new: PlannedTask, now: PlannedTask) -> PlannedTask:
        """The version's task with what the flow's task, which it is, has otherwise than the version says that
        this one is of: parameters, priority."""
        defined = self._defined[now.definition or self._own].get(now.seq)
        return new if defined is None else _with_what_was_given(new, defined, now)

    def version_of(self, now: PlannedTask) -> str:
        """The hash of the version that the flow's task is of."""
        return now.definition or self._own


async def version_bodies(
    stores: Stores, state: FlowState, version: str, given: Mapping[str, Any] | None = None
) -> VersionBodies:
    """The bodies of this version for the flow. What the version has no parameter for is left out of the
    flow's; ``given``: values of its parameters in place of the flow's own.

    Raises:
        RefusedError: the flow names no version, so nobody knows what was given to it.
        UnknownVersionError, AmbiguousVersionError: there is no such version, or several are meant.
        DefinitionError: that version, or one that its tasks are of, cannot be run (any more).
        ParametersError: the version takes other parameters than the flow has or is given; names all of them.
    """
    own = state.registered.definition
    if not own:
        raise RefusedError(
            f"flow {state.flow}: it names no version of its workflow, so what it was given cannot be told"
            " from what was defined: fork or rerun it as it is, or register it anew",
            "no-version",
        )
    hashes = {own, *(task.planned.definition or own for task in state.tasks)}
    olds = {one: await stores.plans.get(state.workflow, one) for one in sorted(hashes)}
    new = await stores.plans.get(state.workflow, version)
    values = _values(new, state.registered.parameters, given or {})

    def made() -> VersionBodies:
        defined = {
            one: {task.seq: task for task in _bound(old, _own_values(old, state))}
            for one, old in olds.items()
        }
        return VersionBodies(new, values, _bound(new, values), defined, own)

    return await in_thread_if_many(len(state.tasks), made)


async def in_thread_if_many(tasks: int, make: Callable[[], Made]) -> Made:
    """What is made of so many tasks; of many in a thread, and the event loop goes on."""
    return await asyncio.to_thread(make) if tasks > _MANY_TASKS else make()


def _values(plan: FlowPlan, own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The flow's parameters as the version takes them.

    Raises:
        ParametersError: it does not.
    """
    at = "#/flowParameters" if given else "#/parameters"
    faults = faults_of(given, at)
    if plan.takes is None:
        values, others = dict(own), given
    else:
        values, rest, wrong = plan.takes.taken({**plan.takes.known(own), **given}, at)
        others = {name: rest[name] for name in given if name in rest}
        faults += wrong
    faults += [
        ParameterFault(f"version {plan.definition[:8]} has no parameter {short(name)!r} of flows", at)
        for name in others
    ]
    if faults:
        raise ParametersError(faults)
    return values


def is_same(one: object, other: object) -> bool:
    """Whether both are the same JSON."""
    return _encode(one) == _encode(other)


def _bound(plan: FlowPlan, values: Mapping[str, Any]) -> tuple[PlannedTask, ...]:
    takes = plan.takes
    return plan.planned if takes is None else tuple(takes.bind(task, values) for task in plan.planned)


def _own_values(plan: FlowPlan, state: FlowState) -> Mapping[str, Any]:
    """The flow's parameters as one of its versions took them."""
    own = state.registered.parameters
    return own if plan.takes is None else plan.takes.taken(own, "#/parameters")[0]


def _with_what_was_given(new: PlannedTask, defined: PlannedTask, now: PlannedTask) -> PlannedTask:
    """The new task with what the flow's has otherwise than its own definition says."""
    before, has, parameters = _among_references(defined), _among_references(now), _among_references(new)
    is_given = False
    for name in {*before, *has}:
        if name not in has:
            is_given = is_given or name in parameters
            parameters.pop(name, None)
        elif name not in before or not is_same(before[name], has[name]):
            parameters[name] = has[name]
            is_given = True
    if is_given:
        new = with_parameters(msgspec.structs.replace(new, refs=True), parameters)
    return new if now.priority == defined.priority else msgspec.structs.replace(new, priority=now.priority)


def _among_references(task: PlannedTask) -> dict[str, Any]:
    """The parameters as they stand among references: what is data in one task stays data in another."""
    if task.refs:
        return dict(task.parameters)
    return {name: escaped(value) for name, value in task.parameters.items()}
