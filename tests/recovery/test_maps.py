"""Maps after a loss of Redis, and with a replay of the tables: their items are there as all tasks are."""

import msgspec
import pytest

from flower_engine.flows.matched_maps import earlier_of
from flower_engine.runtime.deciding import Decider
from flower_engine.transitions.operator_transitions import rerun
from recovery.both import Both
from scripts.engine import task

OVER = {"over": {"$from": 1}, "program": "A", "as": "n"}
MAPPED = (task(1), task(2, program="@map", parameters=OVER), task(3, 2, parameters={"all": {"$from": 2}}))


@pytest.mark.parametrize("stage", ["to be expanded", "with items", "to be gathered", "expanded anew"])
async def test_a_map_goes_on_after_a_recovery_wherever_it_was(both: Both, stage: str) -> None:
    engine = both.engine
    decider = Decider(engine.client, engine.partition, "w1")
    flow = await engine.register(*MAPPED)
    (claim,) = await engine.claim()
    await engine.finish(claim, payload=b"[7,8]")
    if stage != "to be expanded":
        await decider.run_once()
        first, second = await engine.claim()
        await engine.finish(first, payload=b"1")
        if stage == "to be gathered":
            await engine.finish(second, payload=b"2")
        elif stage == "expanded anew":
            await engine.suspend(second)
            await rerun(engine.client, engine.partition, flow, by="ann", selection=[2])
            await decider.run_once()
    await both.project()
    await both.wipe()
    await both.recover()
    await both.check()
    decider = Decider(both.client, both.engine.partition, "w1")
    for _ in range(3):
        await decider.run_once()
        for claim in await both.engine.claim(worker="w2"):
            await both.engine.finish(claim, worker="w2", payload=b"%d" % claim.task)
        if (await both.flows())[flow].ended_ms is not None:
            break
    lists = {"with items": [1, 5], "to be gathered": [1, 2], "expanded anew": [6, 7]}
    found = (await both.check())[flow]
    assert msgspec.json.decode(found.task(2).result or b"") == lists.get(stage, [4, 5])
    assert found.ended_ms is not None


@pytest.mark.parametrize("stage", ["to be expanded", "with items"])
async def test_items_take_over_what_the_same_ones_came_to_after_a_recovery_too(
    both: Both, stage: str
) -> None:
    engine = both.engine
    decider = Decider(engine.client, engine.partition, "w1")
    flow = await engine.register(*MAPPED)
    await engine.finish(*await engine.claim(), payload=b"[7,8]")
    await decider.run_once()
    first, second = await engine.claim()
    await engine.finish(first, payload=b"1")
    await engine.suspend(second)
    earlier = earlier_of(await engine.flow(flow), [2])
    where = (engine.client, engine.partition, flow)
    await rerun(*where, by="ann", selection=[2], scope="changed", earlier=earlier)
    if stage == "with items":
        await decider.run_once()
    await both.project()
    await both.wipe()
    await both.recover()
    await both.check()
    decider = Decider(both.client, both.engine.partition, "w1")
    for _ in range(3):
        await decider.run_once()
        for claim in await both.engine.claim(worker="w2"):
            await both.engine.finish(claim, worker="w2", payload=b"%d" % claim.task)
    found = (await both.check())[flow]
    assert [(one.taken_from, one.attempt, one.result) for one in found.tasks[5:]] == [
        (4, 0, b"1"),
        (0, 1, b"7"),
    ]
    assert msgspec.json.decode(found.task(2).result or b"") == [1, 7]
    assert found.ended_ms is not None
