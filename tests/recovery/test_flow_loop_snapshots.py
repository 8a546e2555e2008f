"""Postgres lost what led there, in the middle of a loop of a sub-flow: from the snapshots of both flows the
loop goes on, with what was asked for, and without a round too many."""

import pytest

from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.runtime.settings import Settings
from recovery.both import Both
from recovery.bridged import agree, back_up, bridge, restore
from recovery.test_trees import settle
from scripts.engine import task
from scripts.trees import Trees, subflow

LATER_MS = 600
SCHEMA = {"type": "object", "properties": {"page": {"type": "integer"}}}


@pytest.mark.parametrize(
    "point", ["asked", "asked for later", "waits for its time", "is to begin", "has begun", "has ended"]
)
async def test_a_loop_of_a_sub_flow_goes_on_from_a_snapshot(
    both: Both, settings: Settings, point: str
) -> None:
    engine = both.engine
    trees = Trees(engine)
    await trees.define(task(1, program="C"), task(2, 1, program="C"), schema=SCHEMA)
    await engine.register(task(1))
    await engine.work_off()
    await back_up(both)
    flow = await engine.register(subflow(1, given={"page": 1}), task(2, 1))
    await settle(both, trees)
    after_ms = LATER_MS if point in ("asked for later", "waits for its time") else 0
    assert await engine.flow_again(*await engine.claim(), given=b'{"page":2}', after_ms=after_ms) == ["ok"]
    first, second = child_flow_id(flow, 1, 1), child_flow_id(flow, 1, 2)
    if not point.startswith("asked"):
        await engine.fire()
        assert (await engine.flow(first)).ended_ms is not None
    if point in ("has begun", "has ended"):
        await settle(both, trees)
    if point == "has ended":
        for _ in range(2):
            await engine.finish(*await engine.claim(programs=("C",)))
    before = (await engine.flow(flow)).task(1)

    await restore(both, kept=1)
    await bridge(both, settings)

    flows = await agree(both, settings)
    found = flows[flow].task(1)
    assert (found.status, found.round, found.again_ms) == (before.status, before.round, before.again_ms)
    asks = flows[first].again if first in flows else None
    assert (asks is not None) == point.startswith("asked")
    assert (found.again_ms is not None) == (point == "waits for its time")
    await engine.bring_due()
    await settle(both, trees)
    await engine.bring_due()
    await settle(both, trees)
    while await engine.work_off():
        await settle(both, trees)
    flows = await agree(both, settings)
    state = flows[flow]
    assert state.ended_ms is not None
    assert (state.task(1).round, state.task(1).attempt) == (1, 2)
    assert child_flow_id(flow, 1, 3) not in flows
    if point != "has ended":  # what began and ended in the gap is not known any more
        assert flows[second].registered.parameters == {"page": 2}
