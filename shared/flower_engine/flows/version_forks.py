"""Forks with another version of their workflow: what of the old flow still holds in the new one."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from flower_engine.errors import RefusedError
from flower_engine.flows.forked_items import forked_items
from flower_engine.flows.parameter_changes import Change, checked_changes, warnings_of
from flower_engine.flows.stores import Stores
from flower_engine.flows.version_bodies import is_same, version_bodies
from flower_engine.flows.version_reruns import changed
from flower_engine.model.definitions.definition import PlannedTask, dependents_of
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.folding.item_states import of_fork, without_item_tasks
from flower_engine.model.tasks.end_kinds import NOT_TAKEN, UNMET, UNNEEDED
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.register_transition import FlowPlan


class VersionFork(NamedTuple):
    """The plan of the new flow, and what could not be checked."""

    plan: FlowPlan
    warnings: list[str]


async def version_fork(
    stores: Stores,
    state: FlowState,
    tasks: Sequence[int],
    version: str,
    *,
    changes: Mapping[int, Change],
    parameters: Mapping[str, Any],
) -> VersionFork:
    """A flow of another version, which takes over what is final in this one and is unchanged together with
    all before it, but for ``tasks`` (of the old flow) and all behind them.

    A task is the old one of its name, or else of its taskSeq; unchanged: with the same program, parameters
    and dependencies. Parameters and priorities that the old flow was registered with, rerun with or forked
    with, instead of those of its definition, go on to the same tasks. On top of these come the ``changes`` of
    tasks of the old flow; ``parameters`` are those of the flow that it does not take from the old one.

    Raises:
        RefusedError: the old flow names no version, so nobody knows what was given to it; or nothing would
            run; or a task that is to be changed is not in the version.
        UnknownVersionError, AmbiguousVersionError: there is no such version, or several are meant.
        DefinitionError: that version cannot be run (any more).
        ParametersError: it takes other parameters than the old flow has or is given, or a task or its program
            cannot take the changes; names all of them.
    """
    whole, asked = state, set(tasks)
    tasks, state = of_fork(state, tasks), without_item_tasks(state)
    found = await version_bodies(stores, state, version, parameters)
    new, defined = found.plan, found.tasks
    same = _same_tasks(defined, state.tasks)
    planned = [
        found.body(task, state.tasks[same[task.seq] - 1].planned) if task.seq in same else task
        for task in defined
    ]
    planned, warnings = await _with_changes(stores, state, planned, same, changes)
    kept = _unchanged(planned, state, same) - _behind(planned, same, tasks)
    if len(kept) == len(planned):
        raise RefusedError(
            f"flow {state.flow}: everything in version {new.definition[:8]} is as the flow has done it, so"
            " nothing would run: name tasks to begin with",
            "nothing",
        )
    old_of = {seq: state.tasks[same[seq] - 1] for seq in kept}
    plan = FlowPlan(
        state.workflow,
        [new.keying.keyed(task) for task in planned],
        timeout_ms=new.timeout_ms,
        cleanup_ms=new.cleanup_ms,
        forked_from=state.flow,
        taken={
            seq: task.blob or task.result or b"null"
            for seq, task in old_of.items()
            if task.status is Status.FINISH
        },
        ignored=[
            seq
            for seq, task in old_of.items()
            if task.status is Status.IGNORE and task.ended_as not in (NOT_TAKEN, UNMET, UNNEEDED)
        ],
        stand_ins={
            seq: task.result
            for seq, task in old_of.items()
            if task.status is Status.IGNORE and task.result is not None
        },
        earlier=forked_items(whole, planned, same, kept, asked),
        parameters=found.values,
        definition=new.definition,
        pin=new.pin,
    )
    return VersionFork(plan, warnings)


async def _with_changes(
    stores: Stores,
    state: FlowState,
    planned: Sequence[PlannedTask],
    same: Mapping[int, int],
    changes: Mapping[int, Change],
) -> tuple[list[PlannedTask], list[str]]:
    """The tasks with the changes, which are by number of the old flow's."""
    new_of = {old: seq for seq, old in same.items()}
    for old in changes:
        if old not in new_of:
            raise RefusedError(
                f"flow {state.flow}: its task {old} is not in that version, so it cannot be given parameters",
                "unknown",
            )
    wanted = {old: planned[new_of[old] - 1] for old in changes}
    programs = {old: task.program for old, task in wanted.items()}
    given = await stores.programs.checked(
        programs.values(),
        lambda live: checked_changes(
            {old: (task.program, task.parameters, task.refs) for old, task in wanted.items()}, changes, live
        ),
    )
    of_new = {new_of[old]: one for old, one in given.items()}
    return [changed(task, of_new.get(task.seq)) for task in planned], warnings_of(programs, given)


def _same_tasks(new: Sequence[PlannedTask], old: Sequence[TaskState]) -> dict[int, int]:
    """By seq of a new task that of the old one which it is."""
    by_name = {task.planned.task_name: task.planned for task in old if task.planned.task_name}
    by_number = {task.planned.task_seq: task.planned for task in old}
    named = {task.seq: by_name[task.task_name] for task in new if task.task_name in by_name}
    taken = {task.seq for task in named.values()}
    found = {seq: task.seq for seq, task in named.items()}
    for task in new:
        other = by_number.get(task.task_seq)
        is_free = other is not None and other.seq not in taken and not (task.task_name and other.task_name)
        if task.seq not in found and other is not None and is_free:
            found[task.seq] = other.seq
    return found


def _unchanged(planned: Sequence[PlannedTask], state: FlowState, same: Mapping[int, int]) -> set[int]:
    """The tasks that are final in the old flow, and unchanged together with all before them."""
    found: set[int] = set()
    open_count = {task.seq: len(task.depends_on) for task in planned}
    dependents = dependents_of(planned)
    free = [task for task in planned if not task.depends_on]
    while free:
        task = free.pop()
        for dependent in dependents[task.seq]:
            open_count[dependent] -= 1
            if not open_count[dependent]:
                free.append(planned[dependent - 1])
        if task.seq not in same or not found.issuperset(task.depends_on):
            continue
        old = state.tasks[same[task.seq] - 1]
        if old.status.is_final and _does_the_same(task, old.planned, same):
            found.add(task.seq)
    return found


def _does_the_same(new: PlannedTask, old: PlannedTask, same: Mapping[int, int]) -> bool:
    return (
        new.program == old.program
        and {same[seq] for seq in new.depends_on} == set(old.depends_on)
        and (new.when and (same[new.when[0]], new.when[1])) == old.when
        and {name: same[seq] for name, seq in new.reads.items()} == old.reads
        and is_same(new.parameters, old.parameters)
    )


def _behind(planned: Sequence[PlannedTask], same: Mapping[int, int], tasks: Collection[int]) -> set[int]:
    """The new tasks that are these of the old flow, and all that depends on them."""
    dependents = dependents_of(planned)
    left = [seq for seq, old in same.items() if old in tasks]
    found = set(left)
    while left:
        for dependent in dependents[left.pop()]:
            if dependent not in found:
                found.add(dependent)
                left.append(dependent)
    return found
