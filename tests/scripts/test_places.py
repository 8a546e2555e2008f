"""How many flows of a workflow are under way at once, and what happens beyond."""

from flower_engine.model.flow_control.flow_control import AtMaxFlows, FlowControl
from flower_engine.transitions.operator_transitions import cancel, prioritise, rerun
from scripts.engine import Engine, chain, task


async def limit(
    engine: Engine, most: int, at: AtMaxFlows = "queue", *, count_suspended: bool = False
) -> None:
    await engine.control(
        FlowControl(
            scope="workflow", name="etl", max_flows=most, at_max_flows=at, count_suspended=count_suspended
        )
    )


async def test_flows_of_a_workflow_never_run_at_once_with_a_limit_of_one(engine: Engine) -> None:
    await limit(engine, 1)
    flows = await engine.register_many(5, task(1), task(2), task(3, 1, 2))
    ran = await engine.work_off(slots=9)
    assert [claim.flow for claim in ran] == [flow for flow in flows for _ in range(3)]


async def test_a_higher_limit_lets_flows_in(engine: Engine) -> None:
    await limit(engine, 1)
    await engine.register_many(5, task(1))
    assert len(await engine.claim(9)) == 1
    await limit(engine, 3)
    assert len(await engine.claim(9)) == 2
    await engine.control()
    assert len(await engine.claim(9)) == 2


async def test_flows_that_are_under_way_count_when_a_limit_is_set(engine: Engine) -> None:
    one, _ = await engine.register_many(2, task(1))
    await limit(engine, 1)
    await engine.register(task(1))
    claims = await engine.claim(9)
    assert len(claims) == 2
    await engine.finish(claims[0])
    assert claims[0].flow == one
    assert await engine.claim(9) == []
    await engine.finish(claims[1])
    assert len(await engine.claim(9)) == 1


async def test_a_suspended_flow_gives_its_place_back_and_waits_for_one_when_it_goes_on(
    engine: Engine,
) -> None:
    await limit(engine, 1)
    one, two = await engine.register_many(2, *chain(2))
    await engine.suspend(*await engine.claim(9))
    (running,) = await engine.claim(9)
    assert running.flow == two
    await rerun(engine.client, engine.partition, one, by="eve", selection="failed")
    assert await engine.claim(9) == []
    await engine.check()
    assert [claim.flow for claim in await engine.claim(9)] == []
    await engine.finish(running)
    await engine.work_off()


async def test_a_flow_with_another_branch_that_runs_keeps_its_place(engine: Engine) -> None:
    await limit(engine, 1)
    await engine.register_many(2, task(1), task(2))
    one, other = await engine.claim(9)
    await engine.suspend(one)
    assert await engine.claim(9) == []
    await engine.finish(other)
    assert len(await engine.claim(9)) == 2


async def test_suspended_flows_count_where_the_workflow_says_so(engine: Engine) -> None:
    await limit(engine, 1, count_suspended=True)
    await engine.register_many(2, task(1))
    await engine.suspend(*await engine.claim(9))
    assert await engine.claim(9) == []


async def test_beyond_the_limit_registrations_may_be_refused(engine: Engine) -> None:
    await limit(engine, 2, "reject")
    plan = engine.plan(task(1))
    words = [(await engine.start(plan, key=key)).word for key in "abc"]
    assert words == ["ok", "ok", "full"]
    await engine.work_off()
    assert (await engine.start(plan, key="c")).word == "ok"


async def test_beyond_the_limit_registrations_may_be_skipped(engine: Engine) -> None:
    await limit(engine, 1, "skip")
    plan = engine.plan(task(1))
    first = await engine.start(plan)
    second = await engine.start(plan)
    assert (second.word, second.flow) == ("skipped", first.flow)


async def test_beyond_the_limit_the_oldest_may_be_cancelled(engine: Engine) -> None:
    await limit(engine, 1, "cancel_oldest")
    one, two, three = await engine.register_many(3, *chain(2))
    flows = await engine.flows()
    assert [flows[flow].cancelled is not None for flow in (one, two, three)] == [True, True, False]
    (running,) = await engine.claim(9)
    assert running.flow == three
    four = await engine.register(task(1))
    assert await engine.finish(running) == ["stale"]
    assert [claim.flow for claim in await engine.claim(9)] == [four]


async def test_flows_come_in_by_priority_then_by_order(engine: Engine) -> None:
    await limit(engine, 1)
    one, two, three = await engine.register_many(3, task(1))
    urgent = await engine.register(task(1, priority=-5))
    await prioritise(engine.client, engine.partition, three, by="eve", priority=-1)
    ran = await engine.work_off()
    assert [claim.flow for claim in ran] == [one, urgent, three, two]


async def test_a_flow_that_waits_for_a_place_may_be_cancelled(engine: Engine) -> None:
    await limit(engine, 1)
    one, two, three = await engine.register_many(3, task(1))
    await cancel(engine.client, engine.partition, two, by="eve")
    assert [claim.flow for claim in await engine.work_off()] == [one, three]


async def test_another_priority_moves_what_waits(engine: Engine) -> None:
    await engine.register_many(3, task(1))
    flow = await engine.register(*chain(2))
    await prioritise(engine.client, engine.partition, flow, by="eve", priority=-7)
    assert [claim.flow for claim in await engine.work_off(slots=1)][:2] == [flow, flow]
    assert (await engine.flow(flow)).task(2).planned.priority == -7
