"""Bodies of another version for a flow, as the API works them out."""

from typing import Any

import msgspec

from flower_engine.transitions.operator_transitions import Body, read_messages
from scripts.engine import Engine


async def bodies(engine: Engine, flow: str, *, of: set[int] | None = None, **other: Any) -> dict[int, Body]:
    """Those of all tasks of a flow; of some of them (None: all) with these fields."""
    engine.programs.add("B")
    state = await engine.flow(flow)
    found = (
        (await engine.restored(flow)).messages(range(1, len(state.tasks) + 1))
        if state.ended_ms is not None
        else await read_messages(
            engine.client, engine.partition, flow, [each.planned.seq for each in state.tasks]
        )
    )
    assert found is not None
    return {
        each.planned.seq: Body.of(
            state.workflow,
            each.planned,
            found[each.planned.seq],
            msgspec.structs.replace(each.planned, **other) if of is None or each.planned.seq in of else None,
        )
        for each in state.tasks
    }
