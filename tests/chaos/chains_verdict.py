"""What must be true of maps that go along each other when a storm is over."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from flower_engine.model.events.attempt_events import TaskStarted
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold import fold_one
from flower_engine.model.maps.map_items import numbers_of
from flower_engine.model.tasks.status import Status

WORKFLOW = "chaining"


def judge_chains(flows: Mapping[str, FlowState], events: Sequence[AnyEvent]) -> Iterator[str]:
    """No item began before the one with its index in the map before it had ended; the list of each map has
    what each of its items came to once, in their order, and nothing else."""
    yield from _began_too_early(events)
    has_chained = False
    for flow in flows.values():
        for task in flow.tasks:
            planned = task.planned
            if not planned.along or task.status is not Status.FINISH or task.result is None:
                continue
            has_chained = True
            where = f"flow {flow.flow} map {planned.seq}"
            items = [flow.task(seq) for seq in numbers_of(planned.items)]
            before = numbers_of(flow.task(planned.along).planned.items)
            if [one.planned.depends_on for one in items] != [(seq,) for seq in before]:
                yield f"{where}: its items do not wait for those of map {planned.along}, each for its own"
            # Elements are 0, 1, 2..., which each item hands on: so what it came to is its index.
            came = [one.planned.item[1] for one in items if one.planned.item and one.status is Status.FINISH]
            listed = msgspec.json.decode(task.result)
            if listed != came:
                yield f"{where} lists {listed}, and its items came to {came}"
    if not has_chained:
        yield "no chain of maps came to its end"


def _began_too_early(events: Sequence[AnyEvent]) -> Iterator[str]:
    flows: dict[str, FlowState] = {}
    for event in events:
        fold_one(flows, event)
        if not isinstance(event, TaskStarted) or flows[event.flow].workflow != WORKFLOW:
            continue
        flow = flows[event.flow]
        planned = flow.task(event.task).planned
        if planned.item is None or not flow.task(planned.item[0]).planned.along:
            continue
        for seq in planned.depends_on:
            if flow.task(seq).status not in (Status.FINISH, Status.IGNORE):
                status = flow.task(seq).status.word
                yield f"flow {event.flow}: item {event.task} began, and the one before it, {seq}, is {status}"
