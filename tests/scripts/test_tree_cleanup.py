"""A flow that has ended waits for its children, and for what these clean up."""

from typing import Any

import msgspec
import pytest

from flower_engine.flows.ended_children import outcome_of_child
from flower_engine.log.client import send
from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.definitions.definition import WorkflowDefinition
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.operator_transitions import cancel, rerun
from scripts.engine import Engine, task
from scripts.trees import Trees, subflow


def _cleaned(trees: Trees) -> Any:
    """A child that locks and unlocks, whatever comes between."""
    return trees.define(
        task(1, program="C"),
        task(2, 1, program="D", task_name="done"),
        task(3, 2, program="E", finally_=True, rule="settled"),
        returns={"$from": "done", "optional": True},
    )


async def _cancelled(trees: Trees) -> tuple[str, str]:
    """A flow whose cancel waits for the cleanup of its child, and that child."""
    engine = trees.engine
    await _cleaned(trees)
    flow = await engine.register(subflow(1))
    await trees.settle()
    child = await trees.child(flow)
    await engine.finish(*await engine.claim())
    await cancel(engine.client, engine.partition, flow, by="ann", reason="enough")
    await trees.settle()
    return flow, child


async def test_a_child_that_is_cancelled_is_awaited_until_it_has_cleaned_up(
    engine: Engine, trees: Trees
) -> None:
    await _cleaned(trees)
    flow = await engine.register(subflow(1, on_failure="give_up"), task(2, 1, rule="settled"))
    await trees.settle()
    child = await trees.child(flow)
    await engine.finish(*await engine.claim())
    await cancel(engine.client, engine.partition, child, by="ann", reason="no")
    await trees.settle()
    assert (await engine.flow(child)).is_ending
    assert (await engine.flow(flow)).task(1).is_awaiting
    await engine.check()
    (cleanup,) = await engine.claim()
    assert (cleanup.flow, cleanup.task) == (child, 3)
    await engine.finish(cleanup)
    error = (await engine.flow(flow)).task(1).error
    assert error is not None
    assert error.type == "ChildCancelled"
    (after,) = await engine.claim()
    assert (after.flow, after.task) == (flow, 2)
    await engine.finish(after)


async def test_another_child_begins_when_the_one_before_has_cleaned_up(engine: Engine, trees: Trees) -> None:
    await _cleaned(trees)
    flow = await engine.register(subflow(1))
    await trees.settle()
    old = await trees.child(flow)
    await engine.finish(*await engine.claim())
    for attempt in (2, 3):  # the second has not begun when the third is asked for
        await rerun(engine.client, engine.partition, flow, by="ann", selection=[1])
        await trees.settle()
        assert child_flow_id(flow, 1, attempt) not in await engine.flows()
        await engine.check()
    assert (await engine.flow(old)).is_ending
    (cleanup,) = await engine.claim()
    assert (cleanup.flow, cleanup.task) == (old, 3)
    await engine.finish(cleanup)
    await trees.settle()
    new = await trees.child(flow, attempt=3)
    (first,) = await engine.claim()
    assert (first.flow, first.task) == (new, 1)
    await engine.check()


async def test_a_child_that_cleans_up_is_not_cut_off_by_who_looks_at_it_again(
    engine: Engine, trees: Trees
) -> None:
    _, child = await _cancelled(trees)
    await send(engine.client, "ZADD", engine.keys.tree, 0, f"{child}:0")  # as a recovery does
    await trees.settle()
    (cleanup,) = await engine.claim()
    assert (cleanup.flow, cleanup.task) == (child, 3)
    await engine.finish(cleanup)
    assert (await engine.flow(child)).ended_ms is not None
    await engine.check()


async def test_a_flow_that_is_cancelled_has_ended_when_its_children_have_cleaned_up(
    engine: Engine, trees: Trees
) -> None:
    await _cleaned(trees)
    await trees.define(subflow(1), task(2, 1, program="F"), name="middle")
    flow = await engine.register(subflow(1, workflow="middle"), subflow(2, workflow="middle"), task(3))
    await trees.settle()
    middles = [await trees.child(flow, seq) for seq in (1, 2)]
    leaves = [await trees.child(one) for one in middles]
    (first,) = await engine.claim(wanted=1)
    await engine.finish(first)  # the other leaf has not begun: it ends at once
    is_other = leaves.index(first.flow) == 1
    await cancel(engine.client, engine.partition, flow, by="ann", reason="enough")
    await engine.check()
    before = await engine.flow(flow)
    assert before.is_ending
    assert [task.ended_as for task in before.tasks] == ["", "", "c"]
    assert [task.awaits_end for task in before.tasks] == [True, True, False]
    await trees.settle()
    flows = await engine.flows()
    goes_on = [is_other, not is_other]
    assert [flows[one].ended_ms is not None for one in (*middles, *leaves)] == [*goes_on, *goes_on]
    assert [task.ended_as == "c" for task in flows[flow].tasks] == [*goes_on, True]
    await engine.check()
    (cleanup,) = await engine.claim()
    assert (cleanup.flow, cleanup.task) == (first.flow, 3)
    await engine.finish(cleanup)  # in the same script its parent ends, and the trunk
    flows = await engine.flows()
    assert all(flows[one].ended_ms is not None for one in (*middles, *leaves))
    assert (flows[flow].ended_ms is not None, flows[flow].status) == (True, Status.IGNORE)
    cancelled = flows[flow].cancelled
    assert cancelled is not None
    assert (cancelled.by, cancelled.reason) == ("ann", "enough")


async def test_a_cleanup_behind_a_child_begins_when_that_has_cleaned_up(engine: Engine, trees: Trees) -> None:
    await _cleaned(trees)
    flow = await engine.register(
        subflow(1), task(2, 1, program="F", finally_=True, rule="settled"), task(3, 1)
    )
    await trees.settle()
    child = await trees.child(flow)
    await engine.finish(*await engine.claim())
    await engine.suspend(*await engine.claim())  # nothing goes on in it: its task is held
    await cancel(engine.client, engine.partition, flow, by="ann", reason="")
    await engine.check()
    assert (await engine.flow(flow)).task(1).awaits_end
    await trees.settle()
    (cleanup,) = await engine.claim()
    assert (cleanup.flow, cleanup.task) == (child, 3)
    await engine.finish(cleanup)
    await engine.check()
    (cleanup,) = await engine.claim()
    assert (cleanup.flow, cleanup.task) == (flow, 2)
    await engine.finish(cleanup)
    assert (await engine.flow(flow)).ended_ms is not None


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "last"])
@pytest.mark.parametrize("rule", ["ready", "settled", "finished", "any"])
async def test_what_was_held_for_its_child_behind_an_opened_task_waits_for_the_end_of_that_child(
    engine: Engine, trees: Trees, rule: str, is_first: bool
) -> None:
    flow, middle, children = await trees.held_behind_what_was_opened(rule)
    await engine.check()
    await cancel(engine.client, engine.partition, flow, by="ann", reason="")
    await trees.settle()
    await engine.check()
    assert [one.awaits_end for one in (await engine.flow(middle)).tasks] == [True, True, False]
    cleanups = {claim.flow: claim for claim in await engine.claim(wanted=3)}
    for child in children if is_first else reversed(children):
        assert (await engine.flow(middle)).left - len(cleanups) == (rule != "ready")
        await engine.finish(cleanups.pop(child))
        await engine.check()
    assert [one.ended_as for one in (await engine.flow(middle)).tasks[:2]] == ["c", "c"]
    if rule != "ready":
        await engine.suspend(*await engine.claim())  # nothing goes on in it then
        await engine.check()
    assert ((await engine.flow(flow)).ended_ms is not None) == (rule == "ready")


async def test_a_second_cancel_ends_a_flow_whose_children_clean_up(engine: Engine, trees: Trees) -> None:
    await _cleaned(trees)
    flow = await engine.register(subflow(1))
    await trees.settle()
    child = await trees.child(flow)
    await engine.finish(*await engine.claim())
    for _ in range(2):
        await cancel(engine.client, engine.partition, flow, by="ann", reason="")
        await trees.settle()
    flows = await engine.flows()
    assert (flows[flow].ended_ms is not None, flows[child].is_ending) == (True, True)
    await engine.finish(*await engine.claim())
    await engine.check()


async def test_a_flow_waits_for_the_end_of_its_children_as_long_as_for_its_own_cleanup(
    engine: Engine, trees: Trees
) -> None:
    await _cleaned(trees)
    flow = await engine.register(subflow(1), cleanup_ms=60_000)
    await trees.settle()
    await engine.finish(*await engine.claim())
    await cancel(engine.client, engine.partition, flow, by="ann", reason="")
    await trees.settle()
    (cleanup,) = await engine.claim()
    await send(engine.client, "ZADD", engine.keys.timers, 1, f"f:{flow}")
    await engine.fire()
    assert (await engine.flow(flow)).ended_ms is not None
    await engine.finish(cleanup)
    await trees.settle()


async def test_who_has_waited_for_a_child_that_a_loss_took_ends_when_somebody_looks(
    engine: Engine, trees: Trees
) -> None:
    flow, child = await _cancelled(trees)
    await send(engine.client, "ZADD", engine.keys.tree, 0, f"{flow}:1?")  # as a recovery does
    await trees.settle()
    assert (await engine.flow(flow)).is_ending
    await engine.finish(*await engine.claim())
    assert (await engine.flow(flow)).ended_ms is not None
    assert (await engine.flow(child)).ended_ms is not None


async def test_a_child_that_took_too_long_says_so_when_it_has_cleaned_up(
    engine: Engine, trees: Trees
) -> None:
    await _cleaned(trees)
    definition = WorkflowDefinition(
        name="child", tasks=(task(1, program="C"), task(2, 1, program="E", finally_=True)), timeout_ms=60_000
    )
    await trees.definitions.put(definition, "test")
    flow = await engine.register(subflow(1))
    await trees.settle()
    child = await trees.child(flow)
    await engine.claim()
    await engine.bring_due()
    assert (await engine.flow(child)).is_ending
    assert (await engine.flow(flow)).task(1).is_awaiting
    await engine.finish(*await engine.claim())
    error = (await engine.flow(flow)).task(1).error
    assert error is not None
    assert (error.type, "took too long" in error.message) == ("ChildFailed", True)
    outcome = outcome_of_child(await engine.flow(child))  # the same after a recovery
    assert outcome.payload == msgspec.json.encode(error)


async def test_a_task_whose_cleanup_took_too_long_runs_again_in_a_flow_without_rules(
    engine: Engine, trees: Trees
) -> None:
    """Redis did not know that it was given up: its flow was gone with the rerun."""
    await _cleaned(trees)
    flow = await engine.register(subflow(1), task(2, 1))
    await trees.settle()
    await engine.finish(*await engine.claim())
    await cancel(engine.client, engine.partition, flow, by="ann", reason="no")
    await trees.settle()
    assert (await engine.flow(flow)).is_ending
    await engine.bring_due()
    ended = await engine.flow(flow)
    assert (ended.ended_ms is not None, ended.task(1).ended_as) == (True, "x")
    restored = await engine.restored(flow)
    asked: dict[str, Any] = {"by": "ann", "selection": [1], "scope": "only", "restored": restored}
    await rerun(engine.client, engine.partition, flow, **asked)
    await engine.check()
    assert (await engine.flow(flow)).task(1).status is Status.WAIT
