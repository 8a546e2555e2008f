"""Cleanup: which tasks a cancel and the timeout of a flow spare, so that they run afterwards.

Those are the tasks whose definition says ``finally``, and what only such tasks lead to; of a map its items,
too. While nothing else is
left of a flow it is *ending*: it ends with the last of them, when they have taken too long together, or when
it is cancelled again. A flow that is cancelled is ending, too, until the children of its tasks have ended.
"""

from collections.abc import Iterator, Sequence

from flower_engine.model.definitions.definition import PlannedTask, dependents_of
from flower_engine.model.events.operator_events import FlowEnding, FlowRerun, TaskUnignored
from flower_engine.model.folding.flow_state import FlowState, FoldError
from flower_engine.model.maps.map_items import numbers_of

DEFAULT_CLEANUP_MS = 3_600_000
"""How long a cleanup may take where the workflow does not say: an hour, in ``lua/lib/cleanup.lua``, too."""


def spared_tasks(tasks: Sequence[PlannedTask]) -> frozenset[int]:
    """The numbers of the tasks that are spared. Cost is linear in tasks and edges."""
    dependents = dependents_of(tasks)
    left = [0, *(len(task.own_dependencies) for task in tasks)]
    spared = {task.seq for task in tasks if task.finally_}
    stack = list(spared)
    while stack:
        seq = stack.pop()
        found = [
            *numbers_of(tasks[seq - 1].items)
        ]  # a map waits for its items, and does not follow from them
        for dependent in dependents[seq]:
            if seq not in numbers_of(tasks[dependent - 1].items):
                left[dependent] -= 1
                found += [] if left[dependent] else [dependent]
        new = [one for one in found if one not in spared]
        spared.update(new)
        stack += new
    return frozenset(spared)


def cleanup_of(flow: FlowState) -> frozenset[int]:
    """The tasks that a cancel or a timeout of the flow would spare now; none: it would end without a cleanup,
    as nothing of it has begun, its cleanup is done, or it is ending already."""
    if flow.is_ending or not flow.ruled or not any(task.attempt for task in flow.tasks):
        return frozenset()
    spared = _spared(flow)
    return spared if any(not flow.task(seq).has_ended for seq in spared) else frozenset()


def expect_ending(flow: FlowState, event: FlowEnding) -> None:
    """Refuses an end that leaves, or takes, other tasks than it must. The tasks have moved already.

    Raises:
        FoldError: it does.
    """
    is_over = event.ends and not event.goes_on
    spared = frozenset[int]() if is_over else _spared(flow)
    if event.cause == "again" and not event.goes_on and (flow.again is None or flow.again.task not in event):
        raise FoldError(f"flow {flow.flow}: event v{event.v} ends a round, and no task asked for another")
    wrong = sorted({*event, *event.children, *event.held_children} & spared)
    wrong += [seq for seq in _open(flow) if seq not in spared and not flow.task(seq).awaits_end]
    if wrong or (event.goes_on and flow.ending is None):
        raise FoldError(
            f"flow {flow.flow}: event v{event.v} ends all but the cleanup {sorted(spared)}, and yet not so"
            f" tasks {wrong}"
        )


def expect_cleanup(flow: FlowState, event: FlowRerun | TaskUnignored) -> None:
    """Refuses that other tasks than those of the cleanup wait again in a flow that is ending.

    Raises:
        FoldError: they do, or the event does not know of it.
    """
    if event.ending != flow.is_ending:
        raise FoldError(f"flow {flow.flow}: event v{event.v} says that it is ending: {event.ending}")
    if event.ending:
        again = set(event) if isinstance(event, FlowRerun) else {event.task, *event.behind}
        others = again - spared_tasks([task.planned for task in flow.tasks])
        if others:
            raise FoldError(f"flow {flow.flow}: event v{event.v} opens tasks {sorted(others)} of its past")


def _spared(flow: FlowState) -> frozenset[int]:
    """What its end would spare; whoever asked for another round of it is done."""
    spared = spared_tasks([task.planned for task in flow.tasks])
    return spared if flow.again is None else spared - {flow.again.task}


def _open(flow: FlowState) -> Iterator[int]:
    return (task.planned.seq for task in flow.tasks if not task.has_ended)
