"""What a rerun means for the items of maps, from the state of a flow alone."""

from collections.abc import Set

from flower_engine.model.flow_state import FlowState
from flower_engine.model.map_items import numbers_of
from flower_engine.model.status import Status


def items(flow: FlowState, seq: int) -> range:
    """The items of a map; of other tasks none."""
    return numbers_of(flow.task(seq).planned.items)


def began_with(flow: FlowState, behind: int, seq: int) -> bool:
    """Whether a map has its items, and waits, because of what another task than these has given."""
    task = flow.task(behind)
    return task.status is Status.WAIT and bool(items(flow, behind)) and seq not in items(flow, behind)


def vanished(flow: FlowState, seq: int) -> bool:
    return flow.task(seq).ended_as == "v"


def gone(flow: FlowState, again: Set[int], named: Set[int]) -> set[int]:
    """The items that vanish when these tasks run again; ``named``: those that are asked for, or are
    changed."""
    found: set[int] = set()
    for seq in again:
        own = set(items(flow, seq))
        before = set(flow.task(seq).planned.depends_on) - own
        if seq in named or before & again:
            found |= own
    return found
