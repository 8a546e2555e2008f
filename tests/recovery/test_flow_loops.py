"""A recovery in the middle of a loop of a sub-flow: the round that was asked for begins, and no other."""

import pytest

from flower_engine.model.definitions.child_flows import child_flow_id
from recovery.both import Both
from recovery.test_trees import archive, settle
from scripts.engine import task
from scripts.trees import Trees, subflow


@pytest.mark.parametrize("events", range(4, 17))
async def test_a_loop_of_a_sub_flow_goes_on_wherever_the_archive_ends(
    both: Both, database_url: str, events: int
) -> None:
    engine = both.engine
    trees = Trees(engine)
    await trees.define(task(1, program="C"), task(2, 1, program="C"))
    flow = await engine.register(subflow(1), task(2, 1))
    await settle(both, trees)
    assert await engine.flow_again(*await engine.claim()) == ["ok"]
    await engine.fire()
    await settle(both, trees)
    second = child_flow_id(flow, 1, 2)
    (claim,) = await engine.claim()
    assert claim.flow == second
    await engine.finish(claim)
    await engine.work_off()
    assert (await engine.flow(flow)).task(1).round == 1
    await engine.work_off()
    assert (await engine.flow(flow)).ended_ms is not None
    await archive(both, database_url, events)
    assert await both.count("SELECT count(*) FROM kr_event") == events
    await both.wipe()
    await both.recover()
    await settle(both, trees)
    await both.check()
    asked = (await both.flows())[child_flow_id(flow, 1, 1)].again is not None
    await engine.fire()
    await settle(both, trees)
    while await engine.work_off():
        await settle(both, trees)
    state = (await both.check())[flow]
    assert state.ended_ms is not None
    assert state.task(1).round == (1 if asked else 0)
    assert state.task(1).attempt == (2 if asked else 1)
    assert (second in await both.flows()) == asked
