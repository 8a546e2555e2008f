"""A recovery of a map of a workflow with a window: no more children go on than it lets, and none is lost."""

from typing import Any

import pytest

from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.transitions.operator_transitions import rerun
from recovery.both import Both
from recovery.test_trees import archive, settle
from scripts.engine import task
from scripts.trees import Trees

MOST = 2
ITEMS = 5


async def tell_a_story(both: Both, trees: Trees) -> str:
    """The first child is held, and to go on again; another ends, and others begin in their places."""
    engine = both.engine
    schema: Any = {"type": "object", "properties": {"n": {}}, "required": ["n"]}
    await trees.define(task(1, program="C", parameters={"n": {"$param": "n"}}), schema=schema)
    given = {"over": list(range(ITEMS)), "as": "n", "workflow": "child", "limit": MOST}
    flow = await engine.register(task(1, program="@map", parameters=given))
    await trees.settle()
    first, second = await engine.claim()
    await engine.suspend(first)
    await trees.settle()
    await rerun(engine.client, engine.partition, first.flow, by="ann", selection="failed")
    await engine.finish(second)
    await trees.settle()
    return flow


@pytest.mark.parametrize("is_whole", [False, True])
@pytest.mark.parametrize("events", range(6, 26, 3))
async def test_a_window_holds_wherever_the_archive_ends(
    both: Both, database_url: str, events: int, is_whole: bool
) -> None:
    engine, trees = both.engine, Trees(both.engine)
    flow = await tell_a_story(both, trees)
    await archive(both, database_url, events)
    if is_whole:
        await both.project()
    await both.wipe()
    await both.recover()
    await both.check()
    while True:
        await settle(both, trees)
        await trees.settle()
        flows = await both.check()
        state = flows[flow]
        children = [
            flows[child]
            for one in state.tasks[1:]
            if (child := child_flow_id(flow, one.planned.seq, one.attempt)) in flows
        ]
        if state.ended_ms is not None:
            break
        assert children
        for child in (one for one in children if one.ended_ms is None and one.suspended):
            await rerun(both.client, engine.partition, child.flow, by="ann", selection="failed")
        claims = await engine.claim(worker="another")
        assert 0 < len(claims) <= MOST
        await both.check()
        await engine.finish(*claims, worker="another")
    assert len(children) == ITEMS
