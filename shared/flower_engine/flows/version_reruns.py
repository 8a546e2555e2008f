"""Reruns with another version of their workflow: the bodies of what runs again are those of that version."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from flower_engine.errors import RefusedError
from flower_engine.flows.given_parameters import Given
from flower_engine.flows.parameter_changes import Change, checked_changes, warnings_of
from flower_engine.flows.stores import Stores
from flower_engine.flows.version_bodies import VersionBodies, in_thread_if_many, is_same, version_bodies
from flower_engine.model.definitions.definition import Keying, PlannedTask, with_parameters
from flower_engine.model.definitions.task_places import place_differences
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.item_states import without_item_tasks
from flower_engine.transitions.operator_transitions import Body
from flower_engine.transitions.task_fields import decode_message


class Bodies(NamedTuple):
    """The bodies for the transition, by task, and what could not be checked."""

    by_task: Mapping[int, Body] = {}
    warnings: tuple[str, ...] = ()


def may_run_again(state: FlowState, selection: Sequence[int] | str) -> Collection[int]:
    """The tasks that a rerun of these may concern, whatever its scope.

    Raises:
        RefusedError: there is no such task.
    """
    if isinstance(selection, str):
        return range(1, len(state.tasks) + 1)
    for task in selection:
        if not 1 <= task <= len(state.tasks):
            raise RefusedError(f"flow {state.flow}: it has no task {task}", "unknown")
    return behind(state, selection)


def are_messages_of(state: FlowState, messages: Mapping[int, bytes]) -> bool:
    """Whether the messages say of their tasks what the state does."""
    for seq, message in messages.items():
        said, planned = decode_message(message), state.task(seq).planned
        if said.definition != planned.definition or not is_same(said.parameters, planned.parameters):
            return False
    return True


async def bodies_of_rerun(
    stores: Stores,
    state: FlowState,
    messages: Mapping[int, bytes],
    version: str,
    changes: Mapping[int, Change],
) -> Bodies:
    """What this version makes of the tasks of the flow that have ``messages`` (those that may run again),
    with the parameters of the flow, what its tasks were given, and ``changes`` on top.

    The transition refuses bodies of tasks of which message or lane are others by then: whatever changes a
    task changes one of these. So the state must be as new as the messages.

    Raises:
        RefusedError: the version has other tasks or edges; names the first. Or the flow names no version.
        ParametersError: the version takes other parameters than the flow has, or a task or its program cannot
            take the changes.
        UnknownVersionError, AmbiguousVersionError: there is no such version, or several are meant.
        DefinitionError: that version, or the flow's own, cannot be run (any more).
    """
    found = await version_bodies(stores, state, version)
    now = [task.planned for task in state.tasks]
    defined = [task.planned for task in without_item_tasks(state).tasks]
    differences = place_differences(defined, found.tasks)
    if differences:
        raise RefusedError(
            f"flow {state.flow}: version {found.plan.definition[:8]} has other tasks or dependencies:"
            f" {'; '.join(differences)}. Fork the flow with that version instead",
            "other-tasks",
        )

    def body(seq: int) -> PlannedTask:
        return found.body(found.tasks[seq - 1], now[seq - 1]) if seq <= len(defined) else now[seq - 1]

    new = await in_thread_if_many(len(messages), lambda: {seq: body(seq) for seq in messages})
    programs = {seq: new[seq].program for seq in changes}
    given = await stores.programs.checked(
        programs.values(),
        lambda live: checked_changes(
            {seq: (new[seq].program, new[seq].parameters, new[seq].refs) for seq in changes}, changes, live
        ),
    )

    def made() -> dict[int, Body]:
        return {
            seq: Body.of(
                state.workflow,
                now[seq - 1],
                message,
                _other(found, now[seq - 1], changed(new[seq], given.get(seq)), found.plan.keying),
            )
            for seq, message in messages.items()
        }

    return Bodies(await in_thread_if_many(len(messages), made), tuple(warnings_of(programs, given)))


def changed(task: PlannedTask, given: Given | None) -> PlannedTask:
    """The task with what it is given of parameters."""
    if given is None:
        return task
    kept = {name: value for name, value in task.parameters.items() if name not in given.unset}
    return with_parameters(task, {**kept, **given.values})


def behind(state: FlowState, tasks: Collection[int]) -> set[int]:
    """These tasks and all that depends on them."""
    found, left = set(tasks), list(tasks)
    while left:
        for dependent in state.dependents[left.pop()]:
            if dependent not in found:
                found.add(dependent)
                left.append(dependent)
    return found


def _other(found: VersionBodies, now: PlannedTask, new: PlannedTask, keying: Keying) -> PlannedTask | None:
    """The new body; None: the task is of that version, and was given nothing else."""
    if now.item is not None or now.seq > len(found.tasks):
        return None  # what its map gave it
    if found.version_of(now) != found.plan.definition:
        definition = found.plan.definition
    elif is_same(new.parameters, now.parameters):
        return None
    else:
        definition = now.definition
    return msgspec.structs.replace(keying.keyed(new), definition=definition)
