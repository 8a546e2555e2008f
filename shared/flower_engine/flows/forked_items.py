"""Items that a fork takes over: their maps are expanded anew in it, and matched with those that they had."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from flower_engine.flows.matched_maps import MOST_EARLIER_BYTES
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.maps.earlier_items import EarlierItem, earlier_text, input_of, over_of
from flower_engine.model.maps.map_items import numbers_of
from flower_engine.model.tasks.status import Status
from flower_engine.model.waits.wait_parameters import MAP


def forked_items(
    flow: FlowState,
    planned: Sequence[PlannedTask],
    old_of: Mapping[int, int],
    kept: Collection[int],
    asked: Collection[int],
) -> dict[int, list[EarlierItem]]:
    """What the maps of a fork are matched with: of ``flow``, which has its items still, what these came to.

    ``planned``: the tasks of the fork; ``old_of``: by number of one of them that of the old one that it is;
    ``kept``: those that the fork takes over; ``asked``: tasks of the old flow that it is to begin with, and
    items, which run. Only maps are matched that are not asked for and before which nothing runs but the map
    that they go along. What does not fit into Redis runs.
    """
    found: dict[int, list[EarlierItem]] = {}
    left = MOST_EARLIER_BYTES
    for task in planned:
        if task.program != MAP or task.seq in kept or task.seq not in old_of or old_of[task.seq] in asked:
            continue
        old = flow.task(old_of[task.seq]).planned
        before = [seq for seq in task.depends_on if seq not in kept]
        goes_along = old.along and [old_of.get(seq) for seq in before] == [old.along] and before[0] in found
        if before and not goes_along:
            continue
        items = [one for one in _items(flow, old) if -one.seq not in asked]
        size = len(earlier_text(items))
        if items and size <= left:
            found[task.seq] = items
            left -= size
    return found


def _items(flow: FlowState, of_map: PlannedTask) -> Iterator[EarlierItem]:
    for seq in numbers_of(of_map.items):
        task = flow.task(seq)
        if task.status is not Status.FINISH:
            continue
        given = input_of(task.planned.program, task.planned.parameters, -over_of(task.planned))
        if task.blob is not None:
            yield EarlierItem(-seq, given, blob=task.blob)
        elif task.result is not None:
            yield EarlierItem(-seq, given, msgspec.Raw(task.result))
