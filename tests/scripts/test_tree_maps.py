"""Maps of workflows: each item is a child."""

from typing import Any

import msgspec

from flower_engine.flows.trees import tree_below
from flower_engine.log.client import send
from flower_engine.model.definitions.child_plans import plan_child, with_versions
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.tasks.status import Status
from flower_engine.runtime.deciding import Decider
from flower_engine.transitions.operator_transitions import cancel, rerun
from flower_engine.transitions.tree_transitions import begin_children, look_at_trees
from scripts.engine import Engine, task
from scripts.trees import Trees, mapped, subflow


async def _of_days(trees: Trees) -> None:
    schema: Any = {"type": "object", "properties": {"day": {}, "n": {}}, "required": ["day", "n"]}
    await trees.define(
        task(1, program="C", parameters={"at": {"$param": "day"}, "n": {"$param": "n"}}, task_name="one"),
        schema=schema,
        returns={"$from": "one"},
    )


async def test_each_item_of_a_map_of_a_workflow_is_a_child(engine: Engine, trees: Trees) -> None:
    await _of_days(trees)
    flow = await engine.register(mapped(1, over=["mon", "tue"]), task(2, 1))
    await trees.settle()
    state = await engine.flow(flow)
    assert [item.is_awaiting for item in state.tasks[2:]] == [True, True]
    await engine.check()
    claims = {msgspec.json.decode(one.message)["parameters"]["at"]: one for one in await engine.claim()}
    assert {claims["mon"].flow, claims["tue"].flow} == {
        await trees.child(flow, 3),
        await trees.child(flow, 4),
    }
    await engine.finish(claims["tue"], payload=b"2")
    await engine.suspend(claims["mon"])
    held = (await engine.flow(flow)).task(3)
    assert held.is_held_for_child
    await engine.check()
    await rerun(engine.client, engine.partition, claims["mon"].flow, by="ann", selection="failed")
    await engine.finish(*await engine.claim(), payload=b"1")
    await trees.settle()
    assert (await engine.flow(flow)).task(1).result == b"[1,2]"
    (after,) = await engine.claim()
    assert after.task == 2
    await engine.finish(after)


async def test_items_that_vanish_leave_no_child_behind(engine: Engine, trees: Trees) -> None:
    await _of_days(trees)
    flow = await engine.register(task(1, task_name="days"), mapped(2, 1, over={"$from": "days"}))
    await engine.finish(*await engine.claim(), payload=b'["mon","tue"]')
    await trees.settle()
    children = [await trees.child(flow, item) for item in (3, 4)]
    await engine.suspend((await engine.claim())[0])  # one is held for its child, the other awaits it
    await rerun(engine.client, engine.partition, flow, by="ann", selection=[1])
    await engine.check()
    await trees.settle()
    flows = await engine.flows()
    assert all(flows[child].cancelled is not None for child in children)
    await engine.finish(*await engine.claim(), payload=b'["wed"]')
    await trees.settle()
    await trees.child(flow, 5)
    await engine.finish(*await engine.claim(), payload=b"3")
    await trees.settle()
    assert (await engine.flow(flow)).task(2).result == b"[3]"
    await engine.check()


async def test_items_that_children_do_know_the_versions_of_their_tree(engine: Engine, trees: Trees) -> None:
    await _of_days(trees)
    await trees.define(mapped(1, over=["mon"]), name="middle")
    middle = await trees.definitions.read("middle")
    assert middle is not None
    tree, _ = await tree_below(middle, trees.definitions.read)
    (planned,) = with_versions(plan_child(middle), tree)
    assert planned.parameters["version"] == tree["child"].version
    flow = await engine.register(subflow(1, workflow="middle"))
    await trees.settle()
    item = (await engine.flow(await trees.child(flow))).tasks[-1]
    assert item.planned.parameters["version"] == tree["child"].version
    await engine.work_off()
    await trees.settle()
    assert (await engine.flow(flow)).ended_ms is not None


async def test_no_child_begins_while_too_many_items_of_its_map_were_given_up(
    engine: Engine, trees: Trees
) -> None:
    await _of_days(trees)
    given = {"over": ["mon", "tue"], "workflow": "child", "as": "day", "parameters": {"n": 1}, "tolerate": 0}
    flow = await engine.register(task(1, program="@map", parameters=given))
    await Decider(engine.client, engine.partition, "test").run_once()
    _, due = await look_at_trees(engine.client, engine.partition)
    begun = [(one, made) for one in due[:1] if (made := await trees.plans.begin(one)) is not None]
    await begin_children(engine.client, engine.partition, begun)
    await engine.suspend(*await engine.claim())
    await trees.settle()
    assert (await engine.flow(flow)).task(1).status is Status.SUSPEND
    for member in await send(engine.client, "ZRANGE", engine.keys.tree, 0, -1):
        await send(engine.client, "ZADD", engine.keys.tree, 0, member)
    assert await trees.step() == []
    await rerun(engine.client, engine.partition, flow, by="ann", selection=[2])  # the map is held no more
    await engine.check()
    for member in await send(engine.client, "ZRANGE", engine.keys.tree, 0, -1):
        await send(engine.client, "ZADD", engine.keys.tree, 0, member)
    await trees.settle()
    assert len(await engine.claim()) == 2
    await cancel(engine.client, engine.partition, flow, by="ann", reason="")
    await trees.settle()


async def test_a_limit_per_key_holds_for_the_children_of_a_map(engine: Engine, trees: Trees) -> None:
    limit = FlowControl(scope="workflow", name="child", limit_by="at", max_per_key=1)
    await engine.control(limit)
    trees.definitions.put_control(limit)
    await _of_days(trees)
    flow = await engine.register(mapped(1, over=["mon", "mon", "tue"]))
    await trees.settle()
    at_once = await engine.claim()
    days = [msgspec.json.decode(one.message)["parameters"]["at"] for one in at_once]
    assert sorted(days) == ["mon", "tue"]
    await engine.finish(*at_once, payload=b"1")
    await engine.finish(*await engine.claim(), payload=b"1")
    await trees.settle()
    assert (await engine.flow(flow)).task(1).result == b"[1,1,1]"
