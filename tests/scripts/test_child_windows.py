"""Windows of maps of workflows: so many children of a map go on at once; others begin as those end."""

from collections.abc import Sequence
from typing import Any

import pytest

from flower_engine.flows.memory_sources import MemoryDefinitions
from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.definitions.definition import TaskDefinition
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status
from flower_engine.model.waits.wait_parameters import SUBFLOW
from flower_engine.runtime.deciding import Decider
from flower_engine.transitions.operator_transitions import cancel, ignore, pause, rerun, resume
from scripts.engine import Engine, task
from scripts.trees import Trees, subflow


@pytest.fixture
async def trees(engine: Engine) -> Trees:
    """With a child of one task."""
    found = Trees(engine)
    assert isinstance(found.definitions, MemoryDefinitions)
    schema: Any = {"type": "object", "properties": {"n": {}}, "required": ["n"]}
    await found.define(task(1, parameters={"at": {"$param": "n"}}), schema=schema)
    return found


def windowed(over: Any, limit: int, seq: int = 1, **more: Any) -> TaskDefinition:
    """A map each of whose items a child does, so many of them at once."""
    given = {"over": over, "workflow": "child", "as": "n", "limit": limit, **more}
    return task(seq, program="@map", parameters=given)


async def children(engine: Engine, flow: str) -> dict[int, FlowState]:
    """The children of a flow's items that have begun, of their last attempts, by item."""
    flows = await engine.flows()
    found: dict[int, FlowState] = {}
    for one in flows[flow].tasks:
        if one.planned.program == SUBFLOW and one.attempt:
            child = flows.get(child_flow_id(flow, one.planned.seq, one.attempt))
            if child is not None:
                found[one.planned.seq] = child
    return found


async def going_on(engine: Engine, flow: str) -> list[int]:
    """Items whose children have begun and not ended."""
    return [item for item, child in (await children(engine, flow)).items() if child.ended_ms is None]


async def stands(engine: Engine, flow: str) -> Sequence[Status]:
    return [one.status for one in (await engine.flow(flow)).tasks]


async def test_so_many_children_begin_and_another_one_as_each_ends(engine: Engine, trees: Trees) -> None:
    flow = await engine.register(windowed([1, 2, 3, 4, 5], 2))
    await trees.settle()
    assert await going_on(engine, flow) == [2, 3]
    await engine.check()
    first, second = await engine.claim()
    await engine.finish(second)
    await trees.settle()
    assert await going_on(engine, flow) == [2, 4]
    await engine.finish(first)
    await trees.settle()
    assert await going_on(engine, flow) == [4, 5]
    await engine.check()
    while (await engine.flow(flow)).ended_ms is None:
        assert len(await engine.work_off()) <= 2
        await trees.settle()
    assert len(await children(engine, flow)) == 5
    await engine.check()


async def test_a_child_in_which_nothing_goes_on_gives_its_place(engine: Engine, trees: Trees) -> None:
    flow = await engine.register(windowed([1, 2, 3], 1))
    await trees.settle()
    await engine.suspend(*await engine.claim())
    await engine.check()
    await trees.settle()
    assert await going_on(engine, flow) == [2, 3]
    assert (await stands(engine, flow))[1:] == [Status.SUSPEND, Status.WAIT, Status.WAIT]
    await engine.check()


async def test_a_child_that_is_to_go_on_again_waits_for_a_place(engine: Engine, trees: Trees) -> None:
    flow = await engine.register(windowed([1, 2, 3], 1))
    await trees.settle()
    await engine.suspend(*await engine.claim())
    await trees.settle()
    (second,) = await engine.claim()
    held = (await children(engine, flow))[2].flow
    await rerun(engine.client, engine.partition, held, by="ann", selection="failed")
    assert (await stands(engine, flow))[1] is Status.WAIT
    assert await engine.claim(worker="w2") == []
    await engine.check()
    await engine.finish(second)
    (again,) = await engine.claim()
    assert again.flow == held  # the lowest item that waits
    await engine.check()
    await engine.finish(again)
    await trees.settle()
    assert await going_on(engine, flow) == [4]
    await engine.work_off()
    await trees.settle()
    assert (await engine.flow(flow)).ended_ms is not None
    await engine.check()


async def test_all_that_failed_go_on_again_one_after_the_other(engine: Engine, trees: Trees) -> None:
    """Where many failed, as what they need was away, a rerun of all is the moment to keep to the window."""
    flow = await engine.register(windowed([1, 2, 3, 4, 5, 6], 2))
    for _ in range(3):
        await trees.settle()
        await engine.suspend(*await engine.claim())
    await trees.settle()
    assert (await stands(engine, flow))[1:] == [Status.SUSPEND] * 6
    await engine.check()
    for child in (await children(engine, flow)).values():
        await rerun(engine.client, engine.partition, child.flow, by="ann", selection="failed")
        await engine.check()
    for _ in range(3):
        claims = await engine.claim()
        assert len(claims) == 2
        await engine.finish(*claims)
        await engine.check()
    await trees.settle()
    assert (await engine.flow(flow)).ended_ms is not None


async def test_whoever_waits_for_a_place_ends_and_is_passed_over_as_others(
    engine: Engine, trees: Trees
) -> None:
    flow = await engine.register(windowed([1, 2, 3, 4], 1))
    await trees.settle()
    await ignore(engine.client, engine.partition, flow, tasks=[3], by="ann", reason="")
    await engine.check()
    (claim,) = await engine.claim()
    await engine.suspend(claim)
    held = (await children(engine, flow))[2].flow
    await trees.settle()
    assert await going_on(engine, flow) == [2, 4]
    await rerun(engine.client, engine.partition, held, by="ann", selection="failed")
    await engine.check()
    await cancel(engine.client, engine.partition, held, by="ann", reason="")
    await engine.check()
    await cancel(engine.client, engine.partition, flow, by="ann", reason="")
    await engine.check()
    await trees.settle()
    assert (await engine.flow(flow)).ended_ms is not None
    assert await engine.claim() == []
    await engine.check()
    assert not [name for name in await engine.key_names() if "side:" in name]


async def test_an_item_that_is_passed_over_gives_its_place_when_its_child_has_ended(
    engine: Engine, trees: Trees
) -> None:
    flow = await engine.register(windowed([1, 2, 3], 1))
    await trees.settle()
    await ignore(engine.client, engine.partition, flow, tasks=[2], by="ann", reason="")
    assert await going_on(engine, flow) == [2]
    await engine.check()
    await trees.settle()
    assert await going_on(engine, flow) == [3]
    await engine.check()


async def test_a_pause_holds_whoever_waits_and_whoever_goes_on(engine: Engine, trees: Trees) -> None:
    flow = await engine.register(windowed([1, 2, 3], 2))
    await Decider(engine.client, engine.partition, "test").run_once()
    await pause(engine.client, engine.partition, flow, by="ann", reason="")
    await engine.check()
    assert await trees.step() == []
    await resume(engine.client, engine.partition, flow, by="ann")
    await trees.look_again()
    await trees.settle()
    assert await going_on(engine, flow) == [2, 3]
    await engine.check()


async def test_a_window_and_a_limit_of_flows_hold_together(engine: Engine, trees: Trees) -> None:
    """Whoever has a place of the workflow waits for no window, so none waits for one that waits for it."""
    limit = FlowControl(scope="workflow", name="child", max_flows=1)
    await engine.control(limit)
    trees.definitions.put_control(limit)
    flow = await engine.register(windowed([1, 2, 3, 4], 2))
    await trees.settle()
    assert await going_on(engine, flow) == [2, 3]
    await engine.suspend(*await engine.claim())
    await engine.check()
    await trees.settle()
    assert await going_on(engine, flow) == [2, 3, 4]
    held = (await children(engine, flow))[2].flow
    await rerun(engine.client, engine.partition, held, by="ann", selection="failed")
    await engine.check()
    while (await engine.flow(flow)).ended_ms is None:
        claims = await engine.claim()
        assert len(claims) == 1
        await engine.finish(*claims)
        await trees.settle()
        await engine.check()


async def test_an_item_that_runs_again_waits_behind_those_before_it(engine: Engine, trees: Trees) -> None:
    flow = await engine.register(windowed([1, 2, 3], 1))
    await trees.settle()
    await engine.finish(*await engine.claim())
    await trees.settle()
    await rerun(engine.client, engine.partition, flow, by="ann", selection=[2])
    await engine.check()
    assert await going_on(engine, flow) == [3]
    await engine.work_off()
    await trees.settle()
    assert await going_on(engine, flow) == [2]
    await engine.check()


async def test_a_child_begins_once_whoever_is_handed_it(engine: Engine, trees: Trees) -> None:
    """Two watchers were given the same children, and one is late: what has no place does not begin."""
    flow = await engine.register(windowed([1, 2, 3], 1))
    await Decider(engine.client, engine.partition, "test").run_once()
    first = await trees.handed()
    assert await trees.begin(first) == ["ok"]
    assert await trees.begin(first) == ["ok"]  # a lost reply: it is there already
    await engine.finish(*await engine.claim())
    assert await trees.begin(first) == ["stale"]
    second = await trees.handed()
    await ignore(engine.client, engine.partition, flow, tasks=[3], by="ann", reason="")
    assert await trees.begin(second) == ["stale"]
    await engine.check()
    await trees.settle()
    assert await going_on(engine, flow) == [4]


async def test_a_grandchild_that_runs_again_goes_on_while_the_child_above_it_waits_for_a_place(
    engine: Engine,
) -> None:
    """A window bounds children of its map: what comes behind the grandchild, in the child, waits."""
    trees = Trees(engine)
    await trees.define(task(1, program="L"), name="leaf")
    schema: Any = {"type": "object", "properties": {"n": {}}, "required": ["n"]}
    await trees.define(subflow(1, workflow="leaf"), task(2, 1, program="C"), schema=schema)
    flow = await engine.register(windowed([1, 2], 1))
    await trees.settle()
    (first,) = await engine.claim()
    await engine.suspend(first)
    await trees.settle()
    (second,) = await engine.claim()
    await rerun(engine.client, engine.partition, first.flow, by="ann", selection="failed")
    await trees.settle()
    await engine.check()
    held, other = (await children(engine, flow))[2], (await children(engine, flow))[3]
    assert (held.task(1).status, (await stands(engine, flow))[1]) == (Status.WAIT, Status.WAIT)
    (again,) = await engine.claim()
    assert again.flow == first.flow
    await engine.finish(again)
    await trees.settle()
    assert (await engine.flow(held.flow)).task(1).status is Status.FINISH
    assert await engine.claim() == []  # the child above it has no place
    await engine.check()
    await engine.finish(second)
    (behind,) = await engine.claim()
    assert (behind.flow, behind.task) == (other.flow, 2)
    await engine.finish(behind)
    (waited,) = await engine.claim()
    assert (waited.flow, waited.task) == (held.flow, 2)
    await engine.finish(waited)
    await trees.settle()
    assert (await engine.flow(flow)).ended_ms is not None
    await engine.check()


@pytest.mark.parametrize("limit", [1, 3])
async def test_a_cancelled_flow_in_which_a_map_was_passed_over_before_its_items_ended_is_verified(
    engine: Engine, trees: Trees, limit: int
) -> None:
    flow = await engine.register(windowed([1, 2, 3], limit), task(2, 1))
    await trees.settle()
    where = (engine.client, engine.partition, flow)
    await ignore(*where, by="ann", tasks=[1], reason="")
    await engine.check()
    await rerun(*where, by="ann", selection=[4])
    await engine.check()
    await cancel(*where, by="ann", reason="")
    await engine.check()
    await trees.settle()
    assert (await engine.flow(flow)).ended_ms is not None
    await engine.check()
