"""What must be true of maps that go along each other when a storm is over."""

from collections.abc import Iterator, Mapping

import msgspec

from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.maps.map_items import numbers_of
from flower_engine.model.tasks.status import Status


def judge_chains(flows: Mapping[str, FlowState]) -> Iterator[str]:
    """Each item waits for the one with its index in the map before, alone (that it began behind it the fold
    says, which refuses what begins too early); the list of each map has what each of its items came to once,
    in their order, and nothing else."""
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
