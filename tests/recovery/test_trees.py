"""A recovery puts parents and children back, wherever the archive ends between their events."""

from typing import Any

import msgspec
import pytest

from flower_engine.flows.ended_children import outcome_of_child
from flower_engine.log.client import send
from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.maps.decision_outcomes import Decided
from flower_engine.model.tasks.status import Status
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.projection.database import connect
from flower_engine.transitions.decision_transitions import decide, due_decisions
from flower_engine.transitions.operator_transitions import cancel, rerun
from flower_engine.transitions.tree_transitions import Begun, begin_children, look_at_trees
from flower_projector.log_follower import Follower
from recovery.both import Both
from scripts.engine import task
from scripts.trees import Trees, subflow


async def settle(both: Both, trees: Trees) -> None:
    """What a watcher does for trees after a recovery: of children in doubt it looks the history up."""
    partition = both.engine.partition
    while True:
        more, due = await look_at_trees(both.client, partition)
        flows = await both.flows() if any(one.is_in_doubt for one in due) else {}
        begun: list[tuple[object, Begun]] = []
        for one in due:
            known = flows.get(child_flow_id(one.flow, one.task, one.attempt)) if one.is_in_doubt else None
            made = await trees.plans.begin(one) if known is None else outcome_of_child(known)
            assert made is not None
            begun.append((one, made))
        if begun:
            await begin_children(both.client, partition, begun)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        if not begun and not more:
            return


async def archive(both: Both, database_url: str, events: int) -> None:
    """So many events of the log are archived, and no more."""
    async with await connect(database_url, "projector") as connection:
        follower = Follower(both.client, connection, both.engine.partition, 1)
        for _ in range(events):
            await follower.run_once()


@pytest.mark.parametrize("events", range(3, 14))
async def test_a_tree_goes_on_wherever_the_archive_ends(both: Both, database_url: str, events: int) -> None:
    engine = both.engine
    trees = Trees(engine)
    await trees.define(task(1, program="C"))
    flow = await engine.register(subflow(1), task(2, 1))
    await settle(both, trees)
    child = child_flow_id(flow, 1, 1)
    await engine.suspend(*await engine.claim())
    await rerun(engine.client, engine.partition, child, by="ann", selection="failed")
    await engine.finish(*await engine.claim())
    await engine.finish(*await engine.claim())
    assert (await engine.flow(flow)).ended_ms is not None
    await archive(both, database_url, events)
    assert await both.count("SELECT count(*) FROM kr_event") == events
    await both.wipe()
    await both.recover()
    await settle(both, trees)
    await both.check()
    if (await both.flows())[flow].task(1).status is Status.SUSPEND:
        await rerun(both.client, engine.partition, child, by="ann", selection="failed")
    await settle(both, trees)
    await engine.work_off()
    await settle(both, trees)
    await engine.work_off()
    state = (await both.check())[flow]
    assert state.ended_ms is not None
    assert state.task(1).attempt == 1


async def test_a_child_whose_task_was_rerun_is_cancelled_after_a_recovery(both: Both) -> None:
    engine = both.engine
    trees = Trees(engine)
    await trees.define(task(1, program="C"))
    flow = await engine.register(subflow(1))
    await settle(both, trees)
    await rerun(engine.client, engine.partition, flow, by="ann", selection=[1])
    await both.project()  # the child is not cancelled yet
    await both.wipe()
    await both.recover()
    await settle(both, trees)
    flows = await both.check()
    assert flows[child_flow_id(flow, 1, 1)].cancelled is not None
    assert flows[child_flow_id(flow, 1, 2)].ended_ms is None


@pytest.mark.parametrize("is_wiped", [False, True])
async def test_a_task_that_was_opened_for_a_child_which_nobody_takes_up_ends_as_it_had(
    both: Both, is_wiped: bool
) -> None:
    engine = both.engine
    trees = Trees(engine)
    await trees.define(task(1, program="C", task_name="rows"), returns={"$from": "rows"})
    flow = await engine.register(subflow(1), task(2, 1))
    await settle(both, trees)
    await engine.finish(*await engine.claim(), payload=b"7")
    await trees.settle()
    await engine.finish(*await engine.claim())
    restored = await engine.restored(flow)
    await rerun(
        engine.client,
        engine.partition,
        flow,
        by="ann",
        selection=[1],
        scope="dependents",
        children="keep",
        restored=restored,
    )
    await engine.check()
    opened = await engine.flow(flow)
    assert (opened.task(1).is_awaiting, opened.task(1).attempt) == (True, 1)
    assert not opened.task(2).is_ready
    if is_wiped:
        await both.project()
        await both.wipe()
        await both.recover()
    else:
        await send(engine.client, "ZADD", engine.keys.tree, 0, f"{flow}:1?")
    await settle(both, trees)
    state = (await both.check())[flow]
    assert (state.task(1).result, state.task(1).attempt) == (b"7", 1)
    assert state.task(2).is_ready


@pytest.mark.parametrize("rule", ["ready", "any"])
async def test_what_waits_for_the_end_of_its_child_behind_an_opened_task_does_so_after_a_recovery(
    both: Both, rule: str
) -> None:
    engine = both.engine
    trees = Trees(engine)
    flow, middle, children = await trees.held_behind_what_was_opened(rule)
    await cancel(engine.client, engine.partition, flow, by="ann", reason="")
    await settle(both, trees)
    await both.project()
    await both.wipe()
    await both.recover()
    await settle(both, trees)
    state = (await both.check())[middle]
    assert [one.awaits_end for one in state.tasks] == [True, True, False]
    claims = await engine.claim(wanted=3)
    assert sorted(claim.flow for claim in claims) == sorted(children)
    for claim in claims:
        await engine.finish(claim)
    await settle(both, trees)
    state = (await both.check())[middle]
    assert [one.ended_as for one in state.tasks] == ["c", "c", "c" if rule == "ready" else ""]


async def test_items_that_children_do_go_on_after_a_recovery(both: Both) -> None:
    engine = both.engine
    trees = Trees(engine)
    schema: Any = {"type": "object", "properties": {"n": {}}, "required": ["n"]}
    await trees.define(task(1, program="C", parameters={"n": {"$param": "n"}}), schema=schema)
    given = {"over": [1, 2], "as": "n", "workflow": "child"}
    flow = await engine.register(task(1, program="@map", parameters=given))
    await trees.settle()
    (first, _) = await engine.claim()
    await engine.finish(first)
    await both.project()
    await both.wipe()
    await both.recover()
    await settle(both, trees)
    await both.check()
    await engine.work_off()
    await trees.settle()
    state = (await both.check())[flow]
    assert msgspec.json.decode(state.task(1).result or b"") == [None, None]
    assert [item.attempt for item in state.tasks[1:]] == [1, 1]


async def test_what_a_child_returned_in_a_blob_is_found_after_a_recovery(both: Both) -> None:
    engine = both.engine
    trees = Trees(engine)
    await trees.define(task(1, program="C", task_name="rows"), returns={"$from": "rows"})
    flow = await engine.register(subflow(1), task(2, 1))
    await settle(both, trees)
    await engine.finish(*await engine.claim())
    (due,) = await due_decisions(engine.client, engine.partition)
    ref = BlobRef(sha256="a" * 64, bytes=70_000, store="api")
    stored = Decided("stored", msgspec.json.encode(ref))
    assert await decide(engine.client, engine.partition, "w", [(due, stored)]) == ["ok"]
    assert (await engine.flow(flow)).task(1).blob == ref
    child = await engine.flow(child_flow_id(flow, 1, 1))
    assert outcome_of_child(child) == Begun("stored", payload=stored.payload)
    await both.project()
    await both.wipe()
    await both.recover()
    state = (await both.check())[flow]
    assert state.task(1).blob == ref
    (claim,) = await engine.claim()
    await engine.finish(claim)
