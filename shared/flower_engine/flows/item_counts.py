"""How the items of a flow's maps stand, counted: thousands of them are told in a line."""

from flower_engine.model.tasks.status import Status
from flower_engine.projection.read.views import FlowView, ItemCounts, TaskView
from flower_engine.projection.read.wait_views import ItemsOpen

_MOST_NAMED = 10
_FIELDS = {
    Status.WAIT: "waiting",
    Status.RUNNING: "running",
    Status.SUSPEND: "failed",
    Status.FINISH: "finished",
    Status.IGNORE: "ignored",
}


def tell_items(flow: FlowView) -> None:
    """Counts the items of each map, but for those that vanished."""
    for task in flow.tasks:
        task.items = None
    for task in flow.tasks:
        if task.item_of is None or task.ended_as == "vanished" or not 0 < task.item_of <= len(flow.tasks):
            continue
        of = flow.tasks[task.item_of - 1]
        if of.items is None:
            of.items = ItemCounts()
        of.items.count += 1
        field = _FIELDS[Status(task.exec_status)]
        setattr(of.items, field, getattr(of.items, field) + 1)


def items_open(items: ItemCounts) -> bool:
    """Whether some have not ended."""
    return items.finished + items.ignored < items.count


def what_of_items(flow: FlowView, task: TaskView) -> ItemsOpen:
    """What a map waits for."""
    assert task.items is not None
    failed = [
        one.task_exec_seq
        for one in flow.tasks
        if one.item_of == task.task_exec_seq and one.exec_status == Status.SUSPEND
    ]
    counts = task.items
    return ItemsOpen(counts.count, counts.waiting, counts.running, counts.failed, failed[:_MOST_NAMED])
