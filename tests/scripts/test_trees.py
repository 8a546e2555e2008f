"""Sub-flows: a task is done by a flow of its own, and both move in one transition."""

from typing import Any

import msgspec
import pytest

from flower_engine.errors import RefusedError
from flower_engine.flows import begun_children
from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.operator_transitions import cancel, ignore, pause, prioritise, rerun, resume
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.tree_transitions import begin_children, look_at_trees
from scripts.engine import A_MINUTE_MS, Engine, task
from scripts.trees import Trees, subflow


async def test_a_child_does_the_task_and_what_it_returns_is_the_result(engine: Engine, trees: Trees) -> None:
    flow = await engine.register(subflow(1), task(2, 1))
    assert (await engine.flow(flow)).task(1).is_awaiting
    assert await engine.claim() == []
    assert await trees.step() == ["ok"]
    child = await trees.child(flow)
    state = await engine.flow(child)
    assert state.parent is not None
    assert (state.parent.flow, state.parent.task, state.parent.trunk) == (flow, 1, flow)
    assert state.order == (await engine.flow(flow)).order
    await engine.check()
    (first,) = await engine.claim()
    assert (first.flow, first.task) == (child, 1)
    await engine.finish(first)
    (second,) = await engine.claim()
    await engine.finish(second, payload=b'{"rows":7}')
    await trees.settle()
    (after,) = await engine.claim()
    assert (after.flow, after.task) == (flow, 2)
    assert (await engine.flow(flow)).task(1).result == b'{"rows":7}'
    assert (await engine.flow(child)).ended_ms is not None
    await engine.finish(after)


async def test_a_hand_in_that_is_repeated_registers_nothing_twice(engine: Engine, trees: Trees) -> None:
    await engine.register(subflow(1))
    _, due = await look_at_trees(engine.client, engine.partition)
    begun = [(one, made) for one in due if (made := await trees.plans.begin(one)) is not None]
    for _ in range(2):
        assert await begin_children(engine.client, engine.partition, begun) == ["ok"]
    assert len(await engine.flows()) == 2
    await engine.check()


async def test_what_a_child_is_given_comes_from_results_and_is_checked(engine: Engine, trees: Trees) -> None:
    schema = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}
    await trees.define(
        task(1, program="C", parameters={"at": {"$param": "day"}}), schema=schema, returns={"$param": "day"}
    )
    given = {"day": {"$from": "first", "path": "/when"}}
    fits = await engine.register(task(1, task_name="first"), subflow(2, 1, given=given))
    does_not = await engine.register(task(1, task_name="first"), subflow(2, 1, given=given))
    claims = {claim.flow: claim for claim in await engine.claim()}
    await engine.finish(claims[fits], payload=b'{"when":"2026-01-05"}')
    await engine.finish(claims[does_not], payload=b'{"when":5}')
    await trees.settle()
    (claim,) = await engine.claim()
    assert msgspec.json.decode(claim.message)["parameters"] == {"at": "2026-01-05"}
    await engine.finish(claim)
    await trees.settle()
    assert (await engine.flow(fits)).task(2).result == b'"2026-01-05"'
    refused = (await engine.flow(does_not)).task(2)
    assert refused.status is Status.SUSPEND
    assert refused.error is not None
    assert "does not take what its child is given" in refused.error.message


async def test_a_child_in_which_nothing_goes_on_suspends_its_task_and_lifts_it_again(
    engine: Engine, trees: Trees
) -> None:
    flow = await engine.register(subflow(1))
    await trees.settle()
    child = await trees.child(flow)
    await engine.suspend(*await engine.claim())
    held = (await engine.flow(flow)).task(1)
    assert held.status is Status.SUSPEND
    assert held.error is not None
    assert (held.error.type, child in held.error.message) == ("ChildSuspended", True)
    await engine.check()
    await rerun(engine.client, engine.partition, child, by="ann", selection="failed")
    lifted = (await engine.flow(flow)).task(1)
    assert (lifted.status, lifted.attempt, lifted.error, lifted.is_awaiting) == (Status.WAIT, 1, None, True)
    await engine.check()
    await engine.work_off()
    await trees.settle()
    assert (await engine.flow(flow)).ended_ms is not None


async def test_what_is_passed_over_in_a_stopped_child_may_end_it_and_its_parent_at_once(
    engine: Engine, trees: Trees
) -> None:
    await trees.define(task(1, program="C"))
    flow = await engine.register(subflow(1))
    await trees.settle()
    child = await trees.child(flow)
    await engine.suspend(*await engine.claim())
    await ignore(engine.client, engine.partition, child, by="ann", tasks=[1])
    assert (await engine.flow(flow)).ended_ms is not None


async def test_a_rerun_of_the_task_begins_another_child_and_the_old_one_counts_no_more(
    engine: Engine, trees: Trees
) -> None:
    """prefect#22259: a retry takes the result of another attempt's child."""
    flow = await engine.register(subflow(1), task(2, 1))
    await trees.settle()
    old = await trees.child(flow)
    (late,) = await engine.claim()
    await rerun(engine.client, engine.partition, flow, by="ann", selection=[1])
    await engine.check()
    await trees.settle()
    new = await trees.child(flow, attempt=2)
    assert (await engine.flow(old)).cancelled is not None
    assert await engine.finish(late, payload=b'"old"') in (["stale"], ["absent"])
    await engine.finish(*await engine.claim())
    await engine.finish(*await engine.claim(), payload=b'"new"')
    await trees.settle()
    assert (await engine.flow(flow)).task(1).result == b'"new"'
    assert (await engine.flow(new)).ended_ms is not None
    await engine.finish(*await engine.claim())


async def test_a_cancel_reaches_every_child(engine: Engine, trees: Trees) -> None:
    """prefect#10339, #12864: a cancelled parent leaves its children running."""
    await trees.define(subflow(1, workflow="leaf"), name="middle")
    await trees.define(task(1, program="C"), name="leaf")
    flow = await engine.register(subflow(1, workflow="middle"), subflow(2, workflow="leaf"))
    await trees.settle()
    assert len(await engine.claim()) == 2
    await cancel(engine.client, engine.partition, flow, by="ann", reason="enough")
    await trees.settle()
    assert all(one.cancelled is not None for one in (await engine.flows()).values())


async def test_a_task_that_is_passed_over_leaves_no_child_behind(engine: Engine, trees: Trees) -> None:
    for is_stopped in (False, True):
        flow = await engine.register(subflow(1))
        await trees.settle()
        child = await trees.child(flow)
        if is_stopped:
            await engine.suspend(*await engine.claim())
        await ignore(engine.client, engine.partition, flow, by="ann", tasks=[1])
        await trees.settle()
        assert (await engine.flow(child)).cancelled is not None
        await engine.check()


async def test_a_child_that_somebody_cancels_suspends_its_task(engine: Engine, trees: Trees) -> None:
    flow = await engine.register(subflow(1))
    await trees.settle()
    await cancel(engine.client, engine.partition, await trees.child(flow), by="ann", reason="no")
    held = (await engine.flow(flow)).task(1)
    assert held.error is not None
    assert (held.status, held.error.type) == (Status.SUSPEND, "ChildCancelled")
    await engine.check()


async def test_a_cancelled_child_may_be_taken_up_again_while_its_task_is_held_for_it(
    engine: Engine, trees: Trees
) -> None:
    flow = await engine.register(subflow(1))
    await trees.settle()
    child = await trees.child(flow)
    await cancel(engine.client, engine.partition, child, by="ann", reason="no")
    restored = await engine.restored(child)
    await rerun(engine.client, engine.partition, child, by="ann", selection=[1, 2, 3], restored=restored)
    assert await trees.status(flow, 1) is Status.WAIT
    await engine.check()
    await engine.work_off()
    await trees.settle()
    assert (await engine.flow(flow)).ended_ms is not None


async def test_a_child_whose_task_is_final_is_not_rerun(engine: Engine, trees: Trees) -> None:
    flow = await engine.register(subflow(1), task(2, 1))
    await trees.settle()
    child = await trees.child(flow)
    await engine.finish(*await engine.claim())
    await engine.finish(*await engine.claim())
    await trees.settle()
    restored = await engine.restored(child)
    with pytest.raises(RefusedError, match=f"task 1 of flow {flow}"):
        await rerun(engine.client, engine.partition, child, by="ann", selection=[1], restored=restored)
    await engine.check()
    await engine.work_off()


async def test_a_pause_goes_down_and_its_end_does(engine: Engine, trees: Trees) -> None:
    flow = await engine.register(subflow(1))
    await trees.settle()
    child = await trees.child(flow)
    await pause(engine.client, engine.partition, flow, by="ann", reason="wait")
    await trees.settle()
    assert (await engine.flow(child)).paused is not None
    assert await engine.claim() == []
    await resume(engine.client, engine.partition, flow, by="ann")
    await trees.settle()
    assert (await engine.flow(child)).paused is None
    assert len(await engine.claim()) == 1


async def test_no_child_begins_in_a_pause(engine: Engine, trees: Trees) -> None:
    flow = await engine.register(subflow(1))
    await pause(engine.client, engine.partition, flow, by="ann", reason="wait")
    assert await trees.step() == []
    await engine.check()


async def test_a_child_that_was_held_back_by_a_pause_begins_when_it_is_over(
    engine: Engine, trees: Trees
) -> None:
    """And not when its task is looked at again, which is a second later."""
    flow = await engine.register(subflow(1))
    await pause(engine.client, engine.partition, flow, by="ann", reason="wait")
    assert await trees.step() == []
    await resume(engine.client, engine.partition, flow, by="ann")
    assert await trees.step() == ["ok"]
    await engine.check()


async def test_children_have_the_priority_of_their_parent(engine: Engine, trees: Trees) -> None:
    flow = await engine.register(subflow(1, priority=-3))
    await trees.settle()
    child = await trees.child(flow)
    assert {one.planned.priority for one in (await engine.flow(child)).tasks} == {-3}
    await prioritise(engine.client, engine.partition, flow, by="ann", priority=5)
    await trees.settle()
    assert {one.planned.priority for one in (await engine.flow(child)).tasks} == {5}


@pytest.mark.parametrize("fair_by", [None, "region"])
async def test_children_have_the_fair_key_of_their_parent_where_their_workflow_says_none(
    engine: Engine, trees: Trees, fair_by: str | None
) -> None:
    """And times that their own workflow says, for all of it and for its cleanup, either way."""
    trees.definitions.put_control(FlowControl(scope="workflow", name="fair", fair_by=fair_by))
    times = {"timeout_ms": 60_000, "cleanup_timeout_ms": 5_000}
    await trees.define(task(1, parameters={"region": "north"}), name="fair", **times)
    said: dict[str, Any] = {"program": "@flow", "parameters": {"workflow": "fair"}, "fair_key": "ada"}
    parent = (await engine.start(FlowPlan("w", [PlannedTask(seq=1, task_seq=1, **said)]))).flow
    await trees.settle()
    child = await engine.flow(await trees.child(parent))
    assert child.task(1).planned.fair_key == ("ada" if fair_by is None else "north")
    assert (child.registered.timeout_ms, child.registered.cleanup_ms) == (60_000, 5_000)
    await engine.check()


async def test_a_limit_of_one_flow_lets_children_take_turns(engine: Engine, trees: Trees) -> None:
    """kestra#19705: a flow limit of 1 and children stand still for ever."""
    await engine.control(FlowControl(scope="workflow", name="child", max_flows=1, at_max_flows="reject"))
    flow = await engine.register(subflow(1), subflow(2), subflow(3))
    await trees.settle()
    await engine.check()
    for _ in range(3):
        (claim,) = await engine.claim()
        await engine.finish(claim)
        (claim,) = await engine.claim()
        await engine.finish(claim)
        await trees.settle()
    assert (await engine.flow(flow)).ended_ms is not None


async def test_where_the_oldest_is_cancelled_for_a_newer_flow_it_may_be_a_child(
    engine: Engine, trees: Trees
) -> None:
    await engine.control(
        FlowControl(scope="workflow", name="child", max_flows=1, at_max_flows="cancel_oldest")
    )
    parent = await engine.register(subflow(1), subflow(2))
    await trees.settle()
    await engine.check()
    first, second = await trees.child(parent), await trees.child(parent, 2)
    assert {claim.flow for claim in await engine.claim(9)} == {first}, "the second waits in line"
    trunk = await engine.register(task(1), workflow="child")
    states = await engine.flows()
    assert states[first].cancelled is not None
    assert (states[second].cancelled, states[trunk].cancelled) == (None, None)
    await engine.check()


async def test_a_child_that_gives_up_a_task_suspends_its_parents(engine: Engine, trees: Trees) -> None:
    await trees.define(task(1, program="C", on_failure="give_up"))
    flow = await engine.register(subflow(1, on_failure="pass", stand_in=0), task(2, 1))
    await trees.settle()
    await engine.suspend(*await engine.claim())
    passed = (await engine.flow(flow)).task(1)
    assert (passed.status, passed.result) == (Status.IGNORE, b"0")
    (claim,) = await engine.claim()
    assert claim.task == 2
    await engine.finish(claim)


async def test_a_task_that_gives_up_cancels_its_stopped_child(engine: Engine, trees: Trees) -> None:
    flow = await engine.register(subflow(1, on_failure="give_up"))
    await trees.settle()
    await engine.suspend(*await engine.claim())
    assert (await engine.flow(flow)).ended_ms is not None
    await trees.settle()
    assert (await engine.flow(await trees.child(flow))).cancelled is not None


async def test_where_waits_keep_their_answers_children_begin_and_return_anew(
    engine: Engine, trees: Trees
) -> None:
    async def again(flow: str, *tasks: int) -> None:
        restored = await engine.restored(flow)
        where = (engine.client, engine.partition, flow)
        await rerun(
            *where, by="ann", selection=tasks, scope="dependents", keep_answers=True, restored=restored
        )

    await trees.define(task(1), task(2, on_failure="give_up"), returns={"$from": 1})
    flow = await engine.register(task(1), subflow(2, 1), task(3, 2))
    await engine.finish(*await engine.claim())
    await trees.settle()
    child = await trees.child(flow, 2)
    first, second = await engine.claim()
    await engine.finish(first)
    await engine.suspend(second)
    await trees.settle()
    assert await trees.status(flow, 2) is Status.SUSPEND
    assert await trees.status(child, 3) is Status.FINISH
    await again(child, 1, 2)
    assert await trees.status(child, 3) is Status.WAIT  # it would return what it had
    await engine.finish(*await engine.claim())
    await trees.settle()
    await engine.finish(*await engine.claim())
    assert await trees.status(flow, 3) is Status.FINISH
    await again(flow, 1)
    assert {one.status for one in (await engine.flow(flow)).tasks} == {Status.WAIT}
    await engine.check()


async def test_a_flow_that_takes_too_long_takes_its_children_along(engine: Engine, trees: Trees) -> None:
    flow = await engine.register(subflow(1), timeout_ms=60_000)
    await trees.settle()
    await engine.bring_due()
    await trees.settle()
    assert (await engine.flow(await trees.child(flow))).cancelled is not None
    await engine.check()
    await cancel(engine.client, engine.partition, flow, by="ann", reason="")


async def test_a_workflow_that_is_not_there_suspends_in_words(engine: Engine, trees: Trees) -> None:
    flow = await engine.register(subflow(1, workflow="nowhere"))
    await trees.settle()
    error = (await engine.flow(flow)).task(1).error
    assert error is not None
    assert "no workflow 'nowhere'" in error.message
    await engine.check()


def test_the_id_of_a_child_lies_in_the_partition_of_its_parent() -> None:
    parent = "018f3c5e-7a10-7005-8abc-0123456789ab"
    child = child_flow_id(parent, 3, 2)
    assert child[:19] == parent[:19]
    assert child != child_flow_id(parent, 3, 1)


async def test_children_that_are_given_nothing_and_have_parents_alike_begin_by_one_plan(
    engine: Engine, trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(begun_children, "_KEPT_MS", A_MINUTE_MS)
    await trees.define(task(1))
    await engine.register(subflow(1), subflow(2), subflow(3, priority=-5))
    begun = [await trees.plans.begin(one) for one in await trees.handed()]
    first, second, third = (one.plan for one in begun if one is not None)
    assert first is second
    assert third is not None
    assert third is not first
    assert [one.priority for one in third.planned] == [-5]
    await trees.look_again()
    await trees.settle()
    assert [claim.task for claim in await engine.claim()] == [1, 1, 1]
    await engine.check()


@pytest.mark.parametrize("rule", ["ready", "settled", "any"])
async def test_what_was_held_for_its_child_behind_an_opened_task_awaits_that_child_again(
    engine: Engine, trees: Trees, rule: str
) -> None:
    _, middle, (_, second) = await trees.held_behind_what_was_opened(rule)
    where = (engine.client, engine.partition)
    await rerun(*where, second, by="ann", selection="failed")
    await engine.check()
    await ignore(*where, middle, by="ann", tasks=[3], reason="")  # rules are asked of all tasks again
    await engine.check()
    assert (await engine.flow(middle)).task(2).child == 1
    while claims := await engine.claim():
        await engine.finish(*claims)
        await trees.settle()
    assert [one.attempt for one in (await engine.flow(middle)).tasks[:2]] == [1, 1]
    await trees.look_again()
    await trees.settle()
