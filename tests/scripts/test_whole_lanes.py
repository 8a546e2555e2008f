"""A lane in which one flow is alone goes, or becomes another, as a whole; what others have in it stays."""

from typing import Any

import pytest

from flower_engine.runtime.deciding import Decider
from flower_engine.transitions.operator_transitions import ignore, pause, prioritise, rerun, resume
from scripts.engine import Engine, task

OVER = {"over": {"$from": 1}, "program": "A", "as": "n", "tolerate": 0.9}
MAPPED = (task(1, program="B"), task(2, 1, program="@map", parameters=OVER), task(3, 2, program="A"))
ITEMS = [4, 5, 6, 7]


async def _mapped(engine: Engine) -> str:
    """A flow whose items wait for a worker."""
    flow = await engine.register(*MAPPED)
    await engine.finish(*await engine.claim(programs=("B",)), payload=b"[1,2,3,4]")
    while await Decider(engine.client, engine.partition, "w1").run_once():
        pass
    await engine.exchange("w1", wanted=0)
    assert [one.planned.seq for one in (await engine.flow(flow)).tasks if one.is_ready] == ITEMS
    return flow


async def _two(engine: Engine, *, is_alone: bool) -> tuple[str, set[tuple[str, int]]]:
    """Such a flow; and what another one has in the same lane, if there is one."""
    flow = await _mapped(engine)
    if is_alone:
        return flow, set()
    other = await engine.register(task(1, program="A"), task(2, program="A"))
    return flow, {(other, 1), (other, 2)}


async def _claimed(engine: Engine) -> list[tuple[str, int]]:
    return [(one.flow, one.task) for one in await engine.claim()]


@pytest.mark.parametrize("is_alone", [True, False])
async def test_another_priority_moves_the_lane_of_a_flow_and_nothing_else(
    engine: Engine, is_alone: bool
) -> None:
    flow, others = await _two(engine, is_alone=is_alone)
    where: Any = (engine.client, engine.partition, flow)
    await prioritise(*where, by="ann", priority=5)
    await engine.check()
    await prioritise(*where, by="ann", priority=-5)
    await engine.check()
    claimed = await _claimed(engine)
    assert claimed[:4] == [(flow, item) for item in ITEMS]
    assert {*claimed[4:]} == others


async def test_a_lane_of_the_new_priority_that_is_there_already_takes_the_tasks_in(engine: Engine) -> None:
    first, second = await _mapped(engine), await _mapped(engine)
    for flow in (first, second):
        await prioritise(engine.client, engine.partition, flow, by="ann", priority=5)
        await engine.check()
    assert {*await _claimed(engine)} == {(flow, item) for flow in (first, second) for item in ITEMS}


@pytest.mark.parametrize("is_alone", [True, False])
async def test_items_that_are_passed_over_leave_their_lane_and_no_others_do(
    engine: Engine, is_alone: bool
) -> None:
    flow, others = await _two(engine, is_alone=is_alone)
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=ITEMS[1:])
    await engine.check()
    assert {*await _claimed(engine)} == {(flow, ITEMS[0]), *others}
    await engine.check()


@pytest.mark.parametrize("is_alone", [True, False])
@pytest.mark.parametrize("is_paused", [False, True])
async def test_items_that_vanish_leave_their_lane_and_no_others_do(
    engine: Engine, is_alone: bool, is_paused: bool
) -> None:
    flow, others = await _two(engine, is_alone=is_alone)
    where: Any = (engine.client, engine.partition, flow)
    if is_paused:
        await pause(*where, by="ann")
    await rerun(*where, by="ann", selection="all")
    await engine.check()
    if is_paused:
        await resume(*where, by="ann")
        await engine.check()
    assert {*await _claimed(engine)} == {(flow, 1), *others}


async def test_an_item_that_runs_is_no_reason_to_leave_others_in_their_lane(engine: Engine) -> None:
    flow, others = await _two(engine, is_alone=False)
    (runs,) = await engine.claim(wanted=1)
    left = [item for item in ITEMS if (runs.flow, runs.task) != (flow, item)]
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=left)
    await engine.check()
    assert {*await _claimed(engine)} == others - {(runs.flow, runs.task)}
