"""What the fold does with the items of maps: they come, as more tasks of the flow, and go when it is
expanded anew."""

from typing import Any

from flower_engine.model.flow_state import FlowState, FoldError, TaskState
from flower_engine.model.fold_rules import count_edges_of
from flower_engine.model.map_items import numbers_of, with_items, without_items
from flower_engine.model.map_tasks import MOST_ITEMS
from flower_engine.model.operator_events import FlowRerun
from flower_engine.model.rules import Edges
from flower_engine.model.wait_events import TaskExpanded
from flower_engine.model.wait_parameters import MAP


def items_come(flow: FlowState, event: TaskExpanded) -> None:
    """A map has its items."""
    behind = flow.task(event.task)
    planned = behind.planned
    count = len(event.values)
    if planned.program != MAP or planned.items is not None or not 0 < count <= MOST_ITEMS:
        raise FoldError(
            f"flow {flow.flow} task {event.task}: event v{event.v} gives it {count} items; its program is"
            f" {planned.program!r}, and its items are {planned.items}"
        )
    if event.first != len(flow.tasks) + 1:
        raise FoldError(
            f"flow {flow.flow} task {event.task}: event v{event.v} has items from {event.first} on; the flow"
            f" has {len(flow.tasks)} tasks"
        )
    for item in event.tasks:
        edges = Edges.of(()) if flow.ruled else None
        flow.tasks.append(TaskState(planned=item, edges=edges, came_ms=event.at))
        flow.dependents.append([event.task])
    flow.left += count
    behind.planned = with_items(planned, event.first, count)
    behind.open += count
    if flow.ruled:
        count_edges_of(flow, behind)


def items_go(flow: FlowState, event: FlowRerun) -> None:
    """Maps whose items vanish are to be expanded anew."""
    gone = set(event.gone)
    for seq in gone:
        flow.dependents[seq] = []
    maps = [task for task in flow.tasks if task.planned.items is not None and task.planned.items[0] in gone]
    for task in maps:
        items = set(numbers_of(task.planned.items))
        if not items <= gone or task.planned.seq not in set(event):
            raise FoldError(
                f"flow {flow.flow} task {task.planned.seq}: event v{event.v} takes some of its items away, or"
                " all of them while it does not run again"
            )
        gone -= items
        task.planned = without_items(task.planned)
        if flow.ruled:
            count_edges_of(flow, task)
    if gone:
        raise FoldError(
            f"flow {flow.flow}: event v{event.v} takes items away that no map has: {sorted(gone)}"
        )


ITEMS: dict[str, Any] = {"come": items_come, "go": items_go}
"""What is done, by ``Meaning.items``."""
