"""A flow without the items of its maps: as it was registered, and as a fork of it is."""

from collections.abc import Iterable

import msgspec

from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.maps.map_items import without_items
from flower_engine.model.tasks.end_kinds import VANISHED


def without_item_tasks(flow: FlowState) -> FlowState:
    """The flow with those of its tasks alone that its definition has, which come first. A map that has ended
    has its result; one that has not is to be expanded."""
    tasks = [task for task in flow.tasks if task.planned.item is None and task.ended_as != VANISHED]
    if len(tasks) == len(flow.tasks):
        return flow
    bare = [
        msgspec.structs.replace(task, planned=without_items(task.planned), earlier=(), is_matched=False)
        for task in tasks
    ]
    return msgspec.structs.replace(flow, tasks=bare, dependents=flow.dependents[: len(tasks) + 1])


def of_fork(flow: FlowState, tasks: Iterable[int]) -> list[int]:
    """Tasks that a fork is to begin with; for an item its map."""
    found = (flow.task(seq).planned for seq in tasks)
    return list(dict.fromkeys(one.item[0] if one.item is not None else one.seq for one in found))
