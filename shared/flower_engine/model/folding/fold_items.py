"""What the fold does with the items of maps: they come, as more tasks of the flow, and go when it is
expanded anew."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from flower_engine.model.definitions.map_tasks import ALIGNED, MOST_ITEMS
from flower_engine.model.events.operator_events import FlowRerun
from flower_engine.model.events.wait_events import TaskExpanded
from flower_engine.model.folding.flow_state import FlowState, FoldError, TaskState
from flower_engine.model.folding.fold_rules import count_edges_of
from flower_engine.model.maps.earlier_items import EarlierItem, TakenItem, input_of_item
from flower_engine.model.maps.map_items import numbers_of, with_items, without_items
from flower_engine.model.tasks.rules import Edges
from flower_engine.model.tasks.status import Status
from flower_engine.model.waits.wait_parameters import MAP


def items_come(flow: FlowState, event: TaskExpanded) -> None:
    """A map has its items."""
    count = len(event.values)
    if event.first != len(flow.tasks) + 1:
        raise FoldError(
            f"flow {flow.flow} task {event.task}: event v{event.v} has items from {event.first} on; the flow"
            f" has {len(flow.tasks)} tasks"
        )
    along = {one.task: one.over for one in event.chain}
    for came in event.maps:
        _expect_map(flow, event, came.task, along.get(came.task, 0), count)
    taken = event.taken_by
    known = {came.task: {one.seq for one in flow.task(came.task).earlier} for came in event.maps if taken}
    if not taken.keys() <= set(event.numbers):
        raise FoldError(f"flow {flow.flow}: event v{event.v} has results for others than its items")
    for item in event.tasks:
        edges = Edges.of(()) if flow.ruled else None
        before = item.depends_on
        task = TaskState(planned=item, edges=edges, came_ms=event.at)
        task.open = sum(not flow.task(seq).has_ended for seq in before)
        assert item.item is not None
        if (one := taken.get(item.seq)) is not None:
            _take_over(flow, event, task, one, known[item.item[0]])
        flow.tasks.append(task)
        flow.dependents.append([item.item[0]])
        for seq in before:
            flow.dependents[seq].append(item.seq)
        if flow.ruled and before:
            count_edges_of(flow, task)
    flow.left += len(event.numbers) - len(taken)
    for came in event.maps:
        behind = flow.task(came.task)
        behind.planned = with_items(behind.planned, came.first, count, along.get(came.task, 0))
        numbers = range(came.first, came.first + count)
        behind.open += sum(seq not in taken for seq in numbers)
        over = {taken[seq].of for seq in numbers if seq in taken}
        behind.earlier = tuple(one for one in behind.earlier if one.seq not in over)
        behind.is_matched = False
        if flow.ruled:
            count_edges_of(flow, behind)


def _take_over(
    flow: FlowState, event: TaskExpanded, task: TaskState, one: TakenItem, known: set[int]
) -> None:
    """An item has what the same one came to that its map had before; that of another one it never gets.
    ``known``: the earlier items of its map that no other one took over."""
    assert task.planned.item is not None
    before = flow.task(one.of).planned if one.of > 0 else task.planned  # else of the flow it is forked from
    is_matched = flow.task(task.planned.item[0]).is_matched and one.of in known
    known.discard(one.of)
    if not is_matched or (before.item_key, before.program) != (task.planned.item_key, task.planned.program):
        raise FoldError(
            f"flow {flow.flow} task {task.planned.seq}: event v{event.v} has it take over task {one.of},"
            " which is no earlier item of its map that is the same"
        )
    task.status, task.finished_ms, task.taken_from = Status.FINISH, event.at, one.of
    task.result, task.blob = (bytes(one.result), None) if one.blob is None else (None, one.blob)


def note_earlier(flow: FlowState, event: FlowRerun) -> None:
    """Of maps that are to be expanded (anew): what the items that they had came to, if others may take it
    over; what was kept so before is kept no more, if not."""
    again, gone, matches = set(event), set(event.gone), set(event.matches)
    if not matches <= again:
        raise FoldError(f"flow {flow.flow}: event v{event.v} matches maps that do not run again")
    for seq in again:
        task = flow.task(seq)
        items = numbers_of(task.planned.items)
        if task.planned.program == MAP and (not items or items[0] in gone):
            task.is_matched = seq in matches
            task.earlier = earlier_after(flow, seq) if task.is_matched else ()
        elif seq in matches:
            raise FoldError(f"flow {flow.flow} task {seq}: event v{event.v} matches what is not expanded")


def earlier_after(flow: FlowState, seq: int) -> tuple[EarlierItem, ...]:
    """The earlier items of a map, once those that it has are among them."""
    task = flow.task(seq)
    return (*task.earlier, *_finished(map(flow.task, numbers_of(task.planned.items))))


def _finished(items: Iterable[TaskState]) -> Iterator[EarlierItem]:
    for task in items:
        if task.status is not Status.FINISH:
            continue
        seq, given = task.planned.seq, input_of_item(task.planned)
        if task.blob is not None:
            yield EarlierItem(seq, given, blob=task.blob)
        elif task.result is not None:  # else it went with a history
            yield EarlierItem(seq, given, msgspec.Raw(task.result))


def _expect_map(flow: FlowState, event: TaskExpanded, seq: int, along: int, count: int) -> None:
    """Refuses items for what is no map, or has its own, or goes along another one than is said."""
    task = flow.task(seq)
    planned = task.planned
    if planned.program != MAP or planned.items is not None or not 0 < count <= MOST_ITEMS:
        raise FoldError(
            f"flow {flow.flow} task {seq}: event v{event.v} gives it {count} items; its program is"
            f" {planned.program!r}, and its items are {planned.items}"
        )
    is_aligned = planned.depends_on == (along,) and planned.parameters.get(ALIGNED) is True
    if along and not (is_aligned and task.status is Status.WAIT and task.open == 1):
        raise FoldError(
            f"flow {flow.flow} task {seq}: event v{event.v} has it go along map {along}; it is"
            f" {task.status.word}, depends on {planned.depends_on}, and is no map that is aligned with that"
        )


def items_go(flow: FlowState, event: FlowRerun) -> None:
    """Maps whose items vanish are to be expanded anew."""
    gone = set(event.gone)
    for seq in gone:
        _leave(flow, flow.task(seq), gone)
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
    anew = {task.planned.seq for task in maps}
    for task in flow.tasks:
        if task.planned.along in anew:
            raise FoldError(
                f"flow {flow.flow} task {task.planned.seq}: event v{event.v} takes away the items that its"
                " own go along, and leaves these"
            )


def _leave(flow: FlowState, item: TaskState, gone: set[int]) -> None:
    """An item that vanishes waits for nothing any more, and nothing for it."""
    flow.dependents[item.planned.seq] = []
    for seq in item.planned.depends_on:
        if seq not in gone:
            flow.dependents[seq].remove(item.planned.seq)
    if item.planned.depends_on:
        item.planned = msgspec.structs.replace(item.planned, depends_on=())
        item.open, item.edges = 0, Edges.of(()) if flow.ruled else None


ITEMS: dict[str, Any] = {"come": items_come, "go": items_go}
"""What is done, by ``Meaning.items``."""
