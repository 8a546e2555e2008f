"""Every item of a map stands somewhere, once: the states of its items together are as many as it has."""

from collections import Counter
from collections.abc import Iterator

from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.invariants.partition_state import LiveFlow
from flower_engine.model.maps.map_items import numbers_of
from flower_engine.model.tasks.end_kinds import VANISHED


def item_differences(flow: FlowState, held: LiveFlow) -> Iterator[str]:
    """Where items are none of their map, or Redis counts other items, or other ends, than there are."""
    yield from _earlier_differences(flow, held)
    belongs = {task.planned.seq: task.planned.item for task in flow.tasks if task.ended_as != VANISHED}
    for task in flow.tasks:
        if task.planned.items is None:
            continue
        where = f"flow {flow.flow} task {task.planned.seq}"
        numbers = numbers_of(task.planned.items)
        found = {seq: belongs.pop(seq, None) for seq in numbers}
        expected = {seq: (task.planned.seq, index) for index, seq in enumerate(numbers)}
        if found != expected:
            yield f"{where}: its items are {found}, should be {expected}"
        states = Counter(held.tasks[seq - 1].status for seq in numbers if seq <= len(held.tasks))
        if states.total() != task.planned.items[1]:
            yield f"{where}: the states of its items are {dict(states)}, and it has {task.planned.items[1]}"
    lost = sorted(seq for seq, item in belongs.items() if item is not None)
    if lost:
        yield f"flow {flow.flow}: tasks {lost} are items of no map"
    ended = sum(task.has_ended for task in flow.tasks)
    if (held.left, held.done) != (len(flow.tasks) - ended, ended):
        yield f"flow {flow.flow}: {held.done} tasks have ended, {held.left} are left; by its events {ended}"


def _earlier_differences(flow: FlowState, held: LiveFlow) -> Iterator[str]:
    """Where Redis has other earlier items for a map, or an item took over what is not the same."""
    taken = Counter(task.taken_from for task in flow.tasks if task.taken_from)
    for task, found in zip(flow.tasks, held.tasks, strict=False):
        where = f"flow {flow.flow} task {task.planned.seq}"
        expected = tuple(one.seq for one in task.earlier) if task.is_matched else None
        if found.earlier != expected:
            yield f"{where}: its earlier items are {found.earlier}, should be {expected}"
        if task.taken_from <= 0:  # or of the flow that it is forked from
            continue
        before = flow.task(task.taken_from)
        if before.ended_as != VANISHED or taken[task.taken_from] > 1:
            yield f"{where}: it took over task {task.taken_from}, which has not vanished, or others did, too"
        over, over_before = _gone_along(task), _gone_along(before)
        if over and over_before not in (over, flow.task(over).taken_from):
            yield f"{where}: it took over task {task.taken_from}, which went along another item than its own"


def _gone_along(task: TaskState) -> int:
    """The item that an item goes along; 0: none."""
    return next(iter(task.planned.reads.values()), 0)
