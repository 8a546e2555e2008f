"""register: a flow begins once, however often the call is sent."""

import pytest
from redis.exceptions import OutOfMemoryError

from flower_engine.log.client import send
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.invariants.invariants import PLACES_OF_ITEMS
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.register_transition import (
    TASKS_PER_CALL,
    WIDE_ROOTS,
    FlowPlan,
    Start,
    register,
)
from scripts.engine import Engine, chain, task


async def words_of(engine: Engine, flows: list[tuple[str, FlowPlan]]) -> list[str]:
    starts = [Start(flow, plan) for flow, plan in flows]
    return [each.word for each in await register(engine.client, engine.partition, starts)]


async def test_a_registered_flow_is_in_the_log_with_its_whole_plan(engine: Engine) -> None:
    flow = await engine.register(
        task(10), task(20, 10, priority=-3), task(30, 10, program="B:%"), workflow="a:b%c"
    )
    registered = (await engine.events())[-1]
    assert isinstance(registered, FlowRegistered)
    assert (registered.flow, registered.v, registered.workflow) == (flow, 1, "a:b%c")
    assert [(row.seq, row.task_seq, row.program, row.depends_on) for row in registered.tasks] == [
        (1, 10, "A", ()),
        (2, 20, "A", (1,)),
        (3, 30, "B:%", (1,)),
    ]
    assert (await engine.flow(flow)).status is Status.WAIT


async def test_a_call_sent_again_registers_nothing_new(engine: Engine) -> None:
    plan, flow = engine.plan(*chain(2)), engine.new_id()
    assert await words_of(engine, [(flow, plan)]) == ["ok"]
    before = await engine.raw_events()
    assert await words_of(engine, [(flow, plan)]) == ["duplicate"]
    assert await engine.raw_events() == before


async def test_a_flow_that_ended_is_not_started_again(engine: Engine) -> None:
    flow = await engine.register(task(1))
    await engine.work_off()
    plan = engine.plan(task(1))
    assert await words_of(engine, [(flow, plan)]) == ["duplicate"]
    assert await engine.claim() == []


async def test_a_flow_named_twice_in_one_call_is_registered_once(engine: Engine) -> None:
    plan, flow = engine.plan(task(1)), engine.new_id()
    words = await words_of(engine, [(flow, plan), (flow, plan)])
    assert words == ["ok", "duplicate"]
    assert len(await engine.claim()) == 1


async def test_one_call_may_mix_workflows_and_known_flows(engine: Engine) -> None:
    one, two = engine.plan(task(1), workflow="one"), engine.plan(*chain(2), workflow="two")
    known = await engine.register(task(1))
    ids = [engine.new_id() for _ in range(4)]
    flows = [(ids[0], one), (ids[1], two), (known, one), (ids[2], one), (ids[3], two)]
    words = await words_of(engine, flows)
    assert words == ["ok", "ok", "duplicate", "ok", "ok"]
    workflows = {flow.flow: flow.workflow for flow in (await engine.flows()).values()}
    assert [workflows[flow] for flow in ids] == ["one", "two", "one", "two"]


async def test_a_call_of_no_flows_registers_nothing(engine: Engine) -> None:
    assert await words_of(engine, []) == []


async def test_more_tasks_than_fit_one_call_are_registered_in_several(engine: Engine) -> None:
    plan = engine.plan(*chain(TASKS_PER_CALL // 2))
    flows = [(engine.new_id(), plan) for _ in range(5)]
    assert await words_of(engine, flows) == ["ok"] * 5
    assert list(await engine.flows()) == [flow for flow, _ in flows]


async def test_flows_are_ordered_by_registration_with_room_for_their_tasks(engine: Engine) -> None:
    await engine.register(*chain(3))
    await engine.register(*chain(2))
    await engine.register(task(1))
    orders = [flow.order for flow in (await engine.flows()).values()]
    assert orders == [0, 3 + PLACES_OF_ITEMS, 5 + 2 * PLACES_OF_ITEMS]


async def test_roots_up_to_the_limit_are_ready_at_once(engine: Engine) -> None:
    await engine.register(*(task(seq) for seq in range(WIDE_ROOTS)))
    got = await engine.exchange(wanted=2 * WIDE_ROOTS)
    assert (len(got.claims), got.more) == (WIDE_ROOTS, False)


async def test_wider_roots_are_released_in_steps(engine: Engine) -> None:
    width = 2_600
    flow = await engine.register(*(task(seq) for seq in range(width)))
    steps: list[int] = []
    more = True
    while more:
        got = await engine.exchange(wanted=width)
        steps.append(len(got.claims))
        more = got.more
    assert sum(steps) == width
    assert max(steps) <= 500
    assert {state.status for state in (await engine.flow(flow)).tasks} == {Status.RUNNING}


async def test_many_wide_flows_are_all_released(engine: Engine) -> None:
    await engine.register_many(3, *(task(seq) for seq in range(WIDE_ROOTS + 1)))
    await engine.work_off(slots=1_000)
    assert {flow.status for flow in (await engine.flows()).values()} == {Status.FINISH}


async def test_the_largest_flow_can_be_registered(engine: Engine) -> None:
    flow = await engine.register(*chain(10_000))
    assert len((await engine.flow(flow)).tasks) == 10_000
    assert [claim.task for claim in await engine.claim()] == [1]


async def test_when_memory_is_short_register_is_refused_and_work_goes_on(engine: Engine) -> None:
    flow = await engine.register(*chain(3))
    held = await engine.claim()
    await send(engine.client, "CONFIG", "SET", "maxmemory", 1)
    try:
        with pytest.raises(OutOfMemoryError):
            await engine.register(task(1))
        assert await engine.finish(*held) == ["ok"]
        await engine.attend("default")  # a worker that starts only now helps, too
        await engine.work_off("w2")
    finally:
        await send(engine.client, "CONFIG", "SET", "maxmemory", 0)
    flows = await engine.flows()
    assert list(flows) == [flow]
    assert flows[flow].status is Status.FINISH
