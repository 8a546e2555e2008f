"""What a rerun means for the items of maps, from the state of a flow alone."""

from collections.abc import Set

from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.maps.map_items import numbers_of
from flower_engine.model.tasks.status import Status


def items(flow: FlowState, seq: int) -> range:
    """The items of a map; of other tasks none."""
    return numbers_of(flow.task(seq).planned.items)


def began_with(flow: FlowState, behind: int, seq: int) -> bool:
    """Whether a map has its items, and waits, because of what another task than these has given."""
    task = flow.task(behind)
    is_other = seq not in items(flow, behind) and seq != task.planned.along
    return task.status is Status.WAIT and bool(items(flow, behind)) and is_other


def vanished(flow: FlowState, seq: int) -> bool:
    return flow.task(seq).ended_as == "v"


def anew(flow: FlowState, again: Set[int], named: Set[int]) -> set[int]:
    """The maps that are expanded anew when these tasks run again; ``named``: those that are asked for, but
    for those that go along others, or are changed."""
    found: set[int] = set()
    for seq in again:
        planned, own = flow.task(seq).planned, set(items(flow, seq))
        before = set(planned.depends_on) - own - {planned.along}
        if own and (seq in named or before & again):
            found.add(seq)
    for _ in flow.tasks if found else ():  # along the longest chain there is
        found |= {task.planned.seq for task in flow.tasks if task.planned.along in found}
    return found


def gone(flow: FlowState, again: Set[int], named: Set[int]) -> set[int]:
    """The items that vanish then."""
    return {item for seq in anew(flow, again, named) for item in items(flow, seq)}


def with_items_along(flow: FlowState, tasks: Set[int], changed: Set[int]) -> set[int]:
    """These tasks; of a map that goes along another one its items, too."""
    maps = {seq for seq in tasks if flow.task(seq).planned.along and seq not in changed}
    return set(tasks) | {item for seq in maps for item in items(flow, seq)}
