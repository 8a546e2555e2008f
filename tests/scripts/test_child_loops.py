"""Loops of sub-flows: a program asks for another round of its flow, and its parent's task begins that."""

from typing import Any

import msgspec
import pytest

from flower_engine.errors import RefusedError
from flower_engine.flows.ended_children import outcome_of_child
from flower_engine.flows.operation_effects import effect_of_rerun
from flower_engine.log.client import send
from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.events.attempt_events import FlowAgain, TaskAgain
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.transitions.operator_transitions import cancel, ignore, pause, rerun, resume, unignore
from flower_engine.transitions.tree_transitions import Begun, DueChild, begin_children
from flower_engine.transitions.worker_transitions import Claim, Outcome, OutcomeKind
from scripts.engine import Engine, task
from scripts.trees import Trees, subflow

RETURNS = {"$from": "last"}
FIRST_TIMEOUT = 2**50
"""The score of a timeout that has been due for long."""


@pytest.fixture
async def trees(engine: Engine) -> Trees:
    trees = Trees(engine)
    await trees.define(task(1), task(2, 1, task_name="last"), returns=RETURNS)
    return trees


async def _round(trees: Trees, *claims: Claim, given: bytes = b"{}", after_ms: int = 0) -> None:
    """They ask for another round, and this one ends."""
    assert set(await trees.engine.flow_again(*claims, given=given, after_ms=after_ms)) == {"ok"}
    await trees.engine.check()
    await trees.engine.fire()
    await trees.engine.check()
    await trees.settle()
    await trees.engine.check()


def _given(flow: FlowState) -> dict[str, Any]:
    return flow.registered.parameters


async def test_a_flow_gets_another_round_and_the_result_is_that_of_the_last(trees: Trees) -> None:
    engine = trees.engine
    flow = await engine.register(subflow(1), task(2, 1))
    await trees.settle()
    first = await trees.child(flow)
    await _round(trees, *await engine.claim())
    over = await engine.flow(first)
    assert over.ended_ms is not None
    assert [one.status for one in over.tasks] == [Status.IGNORE] * 3
    parent = (await engine.flow(flow)).task(1)
    assert (parent.status, parent.attempt, parent.round, parent.is_awaiting) == (Status.WAIT, 2, 1, True)
    second = await trees.child(flow, attempt=2)
    registered = (await engine.flow(second)).registered
    assert (registered.parent_round, registered.parent_attempt) == (1, 2)
    claims = await engine.work_off()
    assert {claim.flow for claim in claims} == {second}
    await trees.settle()
    await engine.check()
    assert (await engine.flow(flow)).task(1).result is not None
    assert [claim.task for claim in await engine.work_off()] == [2]
    assert (await engine.flow(flow)).ended_ms is not None
    await engine.check()


async def test_what_is_given_lies_over_what_the_task_gives_its_child(engine: Engine) -> None:
    trees = Trees(engine)
    schema = {"type": "object", "properties": {"page": {"type": "integer"}, "size": {"type": "integer"}}}
    await trees.define(task(1), schema=schema)
    flow = await engine.register(subflow(1, given={"page": 1, "size": 50}))
    await trees.settle()
    await _round(trees, *await engine.claim(), given=b'{"page":2}')
    child = await engine.flow(await trees.child(flow, attempt=2))
    assert _given(child) == {"page": 2, "size": 50}
    await _round(trees, *await engine.claim(), given=b'{"size":60}')
    child = await engine.flow(await trees.child(flow, attempt=3))
    assert _given(child) == {"page": 1, "size": 60}
    await _round(trees, *await engine.claim(), given=b'{"page":"two"}')
    held = (await engine.flow(flow)).task(1)
    assert held.error is not None
    assert (held.status, held.error.type, held.round) == (Status.SUSPEND, "ParameterError", 3)
    await engine.check()


async def test_a_later_round_waits_for_its_time_without_a_child(trees: Trees) -> None:
    engine = trees.engine
    flow = await engine.register(subflow(1))
    await trees.settle()
    await _round(trees, *await engine.claim(), after_ms=1)
    await engine.bring_due()
    await trees.settle()
    await trees.child(flow, attempt=2)
    await _round(trees, *await engine.claim(), after_ms=3_600_000)
    waiting = (await engine.flow(flow)).task(1)
    assert (waiting.status, waiting.attempt, waiting.is_awaiting) == (Status.WAIT, 2, False)
    assert waiting.again_ms is not None
    assert child_flow_id(flow, 1, 3) not in await engine.flows()
    await engine.check()


async def test_what_stands_behind_or_beside_the_one_that_asks_is_cut_off(engine: Engine) -> None:
    trees = Trees(engine)
    await trees.define(task(1), task(2, 1), task(3), task(4, 3))
    flow = await engine.register(subflow(1))
    await trees.settle()
    first, beside = sorted(await engine.claim(), key=lambda claim: claim.task)
    await _round(trees, first)
    child = await engine.flow(await trees.child(flow))
    assert [one.ended_as for one in child.tasks] == ["c"] * 4
    assert {one.ignore_reason for one in child.tasks} == {"task 1 asked for another round of the flow"}
    assert await engine.finish(beside) == ["stale"]
    assert {claim.task for claim in await engine.claim()} == {1, 3}  # of the next round
    await engine.check()


async def test_a_cleanup_of_the_round_is_done_before_the_next_one_begins(engine: Engine) -> None:
    trees = Trees(engine)
    await trees.define(task(1), task(2, 1), task(3, 1, program="C", rule="settled", finally_=True))
    flow = await engine.register(subflow(1))
    await trees.settle()
    await _round(trees, *await engine.claim())
    child = await engine.flow(await trees.child(flow))
    assert child.ending is not None
    assert (child.ending.cause, child.task(2).ended_as) == ("again", "c")
    assert child_flow_id(flow, 1, 2) not in await engine.flows()
    (cleanup,) = await engine.claim()
    assert (cleanup.flow, cleanup.task) == (child.flow, 3)
    assert await engine.flow_again(cleanup) == ["ok"]  # it may not: its flow is ending
    held = (await engine.flow(child.flow)).task(3)
    assert held.error is not None
    assert (held.status, held.error.type) == (Status.SUSPEND, "FlowIsEnding")
    await rerun(engine.client, engine.partition, child.flow, by="eve", selection=[3])
    await engine.finish(*await engine.claim())
    await trees.settle()
    await trees.child(flow, attempt=2)
    await engine.check()


async def test_a_cleanup_that_asked_before_another_task_did_runs_again_as_the_round_ends(
    engine: Engine,
) -> None:
    trees = Trees(engine)
    await trees.define(task(1), task(2, 1, rule="settled", finally_=True), task(3, 1))
    flow = await engine.register(subflow(1))
    await trees.settle()
    await engine.finish(*await engine.claim())
    cleanup, other = sorted(await engine.claim(), key=lambda claim: claim.task)
    await _round(trees, cleanup, other)
    assert (await engine.flow(cleanup.flow)).ending is not None
    await engine.fire()
    await engine.check()
    (again,) = await engine.claim()
    assert (again.flow, again.task, again.attempt) == (cleanup.flow, 2, 2)
    await engine.finish(again)
    await trees.settle()
    await engine.check()
    assert (await engine.flow(flow)).task(1).round == 1


async def test_a_failure_beside_the_one_that_asks_is_still_seen(engine: Engine) -> None:
    trees = Trees(engine)
    await trees.define(task(1), task(2))
    flow = await engine.register(subflow(1))
    await trees.settle()
    first, second = sorted(await engine.claim(), key=lambda claim: claim.task)
    await engine.suspend(second)
    await _round(trees, first)
    child = await engine.flow(await trees.child(flow))
    assert (child.ended_ms is None, child.status) == (False, Status.SUSPEND)
    held = (await engine.flow(flow)).task(1)
    assert held.error is not None
    assert (held.status, held.error.type) == (Status.SUSPEND, "ChildFailed")
    # What failed runs again, and then the round that was asked for begins.
    await rerun(
        engine.client,
        engine.partition,
        child.flow,
        by="eve",
        selection=[2],
        restored=await engine.restored(child.flow),
    )
    await trees.settle()
    assert [claim.task for claim in await engine.work_off()] == [2]
    await trees.settle()
    assert (await engine.flow(flow)).task(1).round == 1
    await trees.child(flow, attempt=2)
    await engine.check()


async def test_nothing_starts_behind_a_task_that_stays_given_up(engine: Engine) -> None:
    """In a flow without rules, too, in which no rule passes it over again."""
    trees = Trees(engine)
    await trees.define(task(1), task(2), task(3, 2), task(4, 3))
    flow = await engine.register(subflow(1))
    await trees.settle()
    first, second = sorted(await engine.claim(), key=lambda claim: claim.task)
    await engine.suspend(second)
    await _round(trees, first)
    child = await trees.child(flow)
    where = engine.client, engine.partition, child
    assert [one.ended_as for one in (await engine.flow(child)).tasks] == ["c", "x", "c", "c"]
    restored = await engine.restored(child)
    words = "the rule of task 3 passes over it because of task 2: rerun that, or what is before it"
    with pytest.raises(RefusedError, match=words):
        await unignore(*where, by="eve", tasks=[3], restored=restored)
    with pytest.raises(RefusedError, match=words):
        await rerun(*where, by="eve", selection=[3, 4], restored=restored)
    with pytest.raises(RefusedError, match=words):
        effect_of_rerun(await engine.flow(child), [3, 4], "")
    await rerun(*where, by="eve", selection=[2], restored=restored)
    await unignore(*where, by="eve", tasks=[3])  # it waits for task 2 now
    await engine.check()
    (second,) = await engine.claim()
    assert second.task == 2
    await engine.finish(second)
    assert [claim.task for claim in await engine.work_off()] == [3]  # task 4 stays as it was
    await engine.check()


async def test_whoever_asked_and_runs_again_asks_no_more(trees: Trees) -> None:
    engine = trees.engine
    flow = await engine.register(subflow(1))
    await trees.settle()
    await engine.flow_again(*await engine.claim())
    child = await trees.child(flow)
    await rerun(engine.client, engine.partition, child, by="eve", selection=[1])
    assert (await engine.flow(child)).again is None
    await engine.check()
    await engine.fire()
    assert [claim.task for claim in await engine.work_off()] == [1, 2]
    await trees.settle()
    assert (await engine.flow(flow)).task(1).status is Status.FINISH
    await engine.check()


async def test_whoever_asked_and_is_passed_over_asks_no_more(engine: Engine) -> None:
    trees = Trees(engine)
    await trees.define(task(1), task(2, 1))
    flow = await engine.register(subflow(1))
    await trees.settle()
    await engine.flow_again(*await engine.claim())
    child = await trees.child(flow)
    await ignore(engine.client, engine.partition, child, by="eve", tasks=[1], reason="no more")
    assert (await engine.flow(child)).again is None
    await engine.check()
    assert [claim.task for claim in await engine.work_off()] == [2]
    await trees.settle()
    assert (await engine.flow(flow)).task(1).status is Status.FINISH
    await engine.check()


async def test_a_round_of_a_paused_flow_ends_when_it_goes_on(trees: Trees) -> None:
    engine = trees.engine
    flow = await engine.register(subflow(1))
    await trees.settle()
    claims = await engine.claim()
    child = await trees.child(flow)
    await pause(engine.client, engine.partition, child, by="eve")
    await engine.flow_again(*claims)
    await engine.fire()
    assert (await engine.flow(child)).ended_ms is None
    await engine.check()
    await resume(engine.client, engine.partition, child, by="eve")
    await engine.bring_due()
    assert (await engine.flow(child)).ended_ms is not None
    await trees.settle()
    await trees.child(flow, attempt=2)
    await engine.check()


async def test_a_cancel_of_the_trunk_ends_the_loop_wherever_it_is(trees: Trees) -> None:
    engine = trees.engine
    asked = await engine.register(subflow(1))
    later = await engine.register(subflow(1))
    await trees.settle()
    claims = {claim.flow: claim for claim in await engine.claim()}
    await engine.flow_again(claims[child_flow_id(asked, 1, 1)])
    await cancel(engine.client, engine.partition, asked, by="eve")
    await trees.settle()
    assert (await engine.flow(asked)).ended_ms is not None
    await engine.flow_again(claims[child_flow_id(later, 1, 1)], after_ms=60_000)
    await engine.fire()
    await cancel(engine.client, engine.partition, later, by="eve")
    assert (await engine.flow(later)).ended_ms is not None
    await engine.bring_due()
    await trees.settle()
    assert child_flow_id(asked, 1, 2) not in await engine.flows()
    assert child_flow_id(later, 1, 2) not in await engine.flows()
    await engine.check()


async def test_beyond_max_rounds_the_task_is_held_and_says_what_to_do(trees: Trees) -> None:
    engine = trees.engine
    flow = await engine.register(subflow(1, max_rounds=2))
    await trees.settle()
    for _ in range(3):
        await _round(trees, *await engine.claim())
    held = (await engine.flow(flow)).task(1)
    assert held.error is not None
    assert (held.status, held.round, held.error.type) == (Status.SUSPEND, 2, "TooManyRounds")
    assert "max_rounds" in held.error.message
    await rerun(engine.client, engine.partition, flow, by="eve", selection=[1])
    await trees.settle()
    assert (await engine.flow(flow)).task(1).round == 0
    assert (await engine.flow(await trees.child(flow, attempt=4))).registered.parent_round == 0
    await engine.check()


@pytest.mark.leaves_damage
async def test_the_loops_of_the_parent_have_an_end_with_those_of_its_children(trees: Trees) -> None:
    engine = trees.engine
    flow = await engine.register(subflow(1))
    await trees.settle()
    await send(engine.client, "HSET", engine.partition.keys.flow(flow), "N", "10000")
    await engine.flow_again(*await engine.claim())
    await engine.fire()
    (event,) = [one for one in await engine.events() if getattr(one, "error", None) is not None]
    assert event.error.type == "TooManyRounds"  # type: ignore[attr-defined]
    assert "a child flow for some rounds" in event.error.message  # type: ignore[attr-defined]


async def test_a_flow_that_is_nobodys_child_has_no_rounds_and_says_so(engine: Engine) -> None:
    flow = await engine.register(task(1))
    await engine.flow_again(*await engine.claim())
    held = (await engine.flow(flow)).task(1)
    assert held.error is not None
    assert (held.status, held.error.type) == (Status.SUSPEND, "NoParentTask")
    assert "sub-flow" in held.error.message
    await engine.check()


async def test_the_reply_that_was_lost_changes_nothing(trees: Trees) -> None:
    engine = trees.engine
    flow = await engine.register(subflow(1))
    await trees.settle()
    (claim,) = await engine.claim()
    await engine.flow_again(claim)
    assert await engine.flow_again(claim) == ["stale"]
    assert await engine.finish(claim) == ["stale"]
    await engine.fire()
    assert await engine.flow_again(claim) in (["stale"], ["duplicate"])
    await trees.settle()
    assert await engine.finish(claim) in (["stale"], ["duplicate"])
    events = await engine.events()
    assert len([one for one in events if isinstance(one, FlowAgain)]) == 1
    assert len([one for one in events if isinstance(one, TaskAgain)]) == 1
    assert (await engine.flow(flow)).task(1).attempt == 2
    await engine.check()


async def test_a_watcher_that_comes_late_begins_no_child_of_a_round_that_is_over(trees: Trees) -> None:
    engine = trees.engine
    flow = await engine.register(subflow(1))
    await trees.settle()
    await _round(trees, *await engine.claim())
    late = DueChild(f"{flow}:1".encode(), 1, False, "@flow:0:w:%40flow", b"", {})
    assert await begin_children(
        engine.client, engine.partition, [(late, Begun("again", payload=b"0 {}"))]
    ) == ["stale"]
    await engine.check()


async def test_tasks_beside_each_other_loop_one_by_one(engine: Engine) -> None:
    trees = Trees(engine)
    await trees.define(task(1))
    flow = await engine.register(
        subflow(1),
        subflow(2),
        task(3, 1, 2, program="R"),
    )
    await trees.settle()
    first = {claim.flow: claim for claim in await engine.claim()}
    await engine.finish(first[child_flow_id(flow, 2, 1)])
    await _round(trees, first[child_flow_id(flow, 1, 1)])
    state = await engine.flow(flow)
    assert (state.task(1).round, state.task(2).round, state.task(2).status) == (1, 0, Status.FINISH)


async def test_a_flow_that_ended_asking_is_known_from_its_history(trees: Trees) -> None:
    engine = trees.engine
    flow = await engine.register(subflow(1))
    await trees.settle()
    child = await trees.child(flow)
    await _round(trees, *await engine.claim(), given=b'{"a":1}')
    assert outcome_of_child(await engine.flow(child)) == Begun("again", payload=b'0 {"a":1}')


async def test_several_that_ask_in_one_call_end_one_round(engine: Engine) -> None:
    trees = Trees(engine)
    await trees.define(task(1), task(2))
    flow = await engine.register(subflow(1))
    await trees.settle()
    first, second = sorted(await engine.claim(), key=lambda claim: claim.task)
    outcomes = [
        Outcome(first, OutcomeKind.FLOW_AGAIN, b'{"cursor":1}'),
        Outcome(second, OutcomeKind.FLOW_AGAIN, b'{"cursor":2}'),
    ]
    assert (await engine.exchange(outcomes=outcomes)).words == ["ok", "ok"]
    await engine.check()
    await engine.fire()
    await trees.settle()
    parent = (await engine.flow(flow)).task(1)
    assert (parent.round, msgspec.json.decode(parent.given or b"")) == (1, {"cursor": 2})
    await engine.check()


async def test_a_child_of_a_child_loops_too(engine: Engine) -> None:
    trees = Trees(engine)
    await trees.define(task(1))
    await trees.define(subflow(1), task(2, 1, program="B"), name="middle")
    flow = await engine.register(subflow(1, workflow="middle"))
    await trees.settle()
    middle = await trees.child(flow)
    await _round(trees, *await engine.claim())
    assert (await engine.flow(middle)).task(1).round == 1
    await engine.finish(*await engine.claim())
    (second,) = await engine.claim()
    assert (second.flow, second.task) == (middle, 2)
    await _round(trees, second)
    assert (await engine.flow(flow)).task(1).round == 1
    await trees.child(await trees.child(flow, attempt=2))
    await engine.check()


async def test_an_ask_while_a_child_of_the_flow_is_under_way_waits_for_its_end(engine: Engine) -> None:
    trees = Trees(engine)
    await trees.define(
        task(1, program="L"), task(2, 1, program="C", rule="settled", finally_=True), name="leaf"
    )
    await trees.define(task(1), subflow(2, workflow="leaf"))
    flow = await engine.register(subflow(1))
    await trees.settle()
    claims = {claim.message: claim for claim in await engine.claim()}
    asks = next(claim for claim in claims.values() if claim.flow == child_flow_id(flow, 1, 1))
    await _round(trees, asks)
    child = await engine.flow(await trees.child(flow))
    assert (child.is_ending, child.task(2).awaits_end) == (True, True)
    cleanup = await engine.claim()
    assert [claim.task for claim in cleanup] == [2]
    await engine.finish(*cleanup)
    await trees.settle()
    assert (await engine.flow(flow)).task(1).round == 1
    await engine.check()


async def test_a_round_ends_once_whatever_else_of_its_flow_is_due_in_the_same_call(engine: Engine) -> None:
    trees = Trees(engine)
    patient = RetryPolicy(max_attempts=2, delay_ms=1_000)
    await trees.define(task(1), task(2, retry=patient), task(3, on_failure="hold:60"), task(4, 3))
    flow = await engine.register(subflow(1))
    await trees.settle()
    child = await trees.child(flow)
    asks, fails, is_held = await engine.claim()
    assert await engine.flow_again(asks) == ["ok"]
    await engine.fail(fails)
    await engine.suspend(is_held)
    await engine.check()
    now = int(await engine.engine_time())
    later = {f"r:{child}:1": now - 2, f"r:{child}:2": now - 1, f"g:{child}:3": FIRST_TIMEOUT}
    timers = await send(engine.client, "ZRANGE", engine.keys.timers, 0, -1)
    assert {member.decode() for member in timers} == set(later)
    for member, due in later.items():
        await send(engine.client, "ZADD", engine.keys.timers, due, member)
    await engine.fire()
    assert (await engine.flow(child)).ended_ms is not None
    await engine.check()
    assert "timers" not in await engine.key_names()
