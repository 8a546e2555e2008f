"""Limits, rates and pauses: what may run at once, and what wakes when there is room again."""

import asyncio

import pytest

from flower_engine.log.client import send
from flower_engine.model.definitions.definition import Keying, WorkflowDefinition, plan_flow
from flower_engine.model.flow_control.flow_control import FlowControl, Strike
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.flow_control_transitions import part_of_limit, read_held, set_control
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.strike_transition import sweep
from scripts.engine import Engine, chain, task

ALL = ("A", "B")


@pytest.mark.parametrize(
    "control",
    [
        FlowControl(scope="global", max_running=3),
        FlowControl(scope="queue", name="default", max_running=3),
        FlowControl(scope="workflow", name="etl", max_running=3),
        FlowControl(scope="program", name="A", max_running=3),
    ],
    ids=lambda control: control.scope,
)
async def test_no_more_run_at_once_than_a_limit_allows(engine: Engine, control: FlowControl) -> None:
    await engine.control(control)
    await engine.register_many(10, task(1))
    first = await engine.claim(8)
    assert len(first) == 3
    assert await engine.claim(8, "w2") == []
    await engine.finish(*first[:2])
    assert len(await engine.claim(8, "w2")) == 2
    await engine.check()
    await engine.finish(*first[2:])
    await engine.control()
    assert len(await engine.claim(8, "w3")) == 5


async def test_the_call_that_frees_a_unit_takes_it(engine: Engine) -> None:
    await engine.control(FlowControl(scope="program", name="A", max_running=1))
    await engine.register_many(5, *chain(2))
    assert len(await engine.work_off(slots=4)) == 10


async def test_a_limit_that_is_set_while_tasks_run_counts_them(engine: Engine) -> None:
    await engine.register_many(10, task(1))
    running = await engine.claim(5)
    await engine.control(FlowControl(scope="program", name="A", max_running=6))
    assert len(await engine.claim(5, "w2")) == 1
    await engine.finish(*running)
    await engine.check()


async def test_a_higher_limit_acts_at_once_and_rings(engine: Engine) -> None:
    await engine.control(FlowControl(scope="program", name="A", max_running=1))
    await engine.register_many(4, task(1))
    await engine.claim(4)
    await engine.claim(4, "w2")
    assert await engine.bells() == {}
    await engine.control(FlowControl(scope="program", name="A", max_running=3))
    assert await engine.bells() != {}
    assert len(await engine.claim(4, "w2")) == 2


async def test_a_freed_unit_rings_for_others_where_the_caller_does_not_take_it(engine: Engine) -> None:
    await engine.control(FlowControl(scope="program", name="A", max_running=1))
    await engine.register_many(3, task(1))
    running = await engine.claim(2)
    await engine.claim(2, "w2")
    assert await engine.bells() == {}
    await engine.finish(*running)
    assert await engine.bells() != {}


async def test_what_a_limit_stops_holds_up_nothing_else(engine: Engine) -> None:
    await engine.control(FlowControl(scope="program", name="A", max_running=1))
    await engine.register_many(50, task(1), workflow="limited")
    await engine.register_many(3, task(1, program="B", priority=5), workflow="free")
    claims = await engine.claim(20, programs=ALL)
    assert len(claims) == 4


async def test_priority_holds_among_what_a_limit_stops(engine: Engine) -> None:
    await engine.control(FlowControl(scope="program", name="A", max_running=1))
    await engine.register_many(3, task(1), workflow="low")
    (running,) = await engine.claim(9)
    await engine.claim(9)
    urgent = await engine.register(task(1, priority=-20), workflow="high")
    await engine.finish(running)
    assert [claim.flow for claim in await engine.claim(9)] == [urgent]


async def test_a_lane_that_two_limits_stop_wakes_with_the_second(engine: Engine) -> None:
    await engine.control(
        FlowControl(scope="program", name="A", max_running=1),
        FlowControl(scope="workflow", name="etl", max_running=1),
    )
    await engine.register(task(1), workflow="other")
    await engine.register(task(1, program="B"), task(2), workflow="etl")
    both = await engine.claim(9, programs=ALL)
    assert len(both) == 2
    await engine.claim(9, programs=ALL)
    await engine.finish(both[0])
    await engine.claim(9, programs=ALL)
    await engine.finish(both[1])
    assert len(await engine.claim(9, programs=ALL)) == 1


async def test_heavy_tasks_use_more_and_are_not_overtaken(engine: Engine) -> None:
    await engine.control(FlowControl(scope="program", name="A", max_running=3))
    light = await engine.register(task(1), workflow="a")
    await engine.register(task(1, units=3), workflow="b")
    running = await engine.claim(1)
    assert [claim.flow for claim in running] == [light]
    assert await engine.claim(9) == []
    await engine.register(task(1, priority=5), workflow="late")
    assert await engine.claim(9) == []
    await engine.finish(*running)
    assert len(await engine.claim(9)) == 1
    await engine.check()


async def test_a_task_heavier_than_its_limit_runs_alone(engine: Engine) -> None:
    await engine.control(FlowControl(scope="program", name="A", max_running=2))
    await engine.register(task(1, units=9))
    assert len(await engine.claim(9)) == 1


def keyed(customer: str, keying: Keying, name: str = "etl") -> FlowPlan:
    tasks = (task(1, parameters={"customer": customer}),)
    return FlowPlan(name, plan_flow(WorkflowDefinition(name=name, tasks=tasks, keying=keying)))


@pytest.mark.parametrize("scope", ["workflow", "program"])
async def test_a_limit_per_key_counts_each_value_for_itself(engine: Engine, scope: str) -> None:
    keying = Keying(limit_by="customer") if scope == "workflow" else Keying(programs={"A": "customer"})
    name = "etl" if scope == "workflow" else "A"
    await engine.control(
        FlowControl(scope=scope, name=name, limit_by="customer", max_per_key=1)  # pyright: ignore[reportArgumentType]
    )
    for customer in ("x", "x", "x", "y", "a/b:c", "a/b:c"):
        await engine.start(keyed(customer, keying))
    claims = await engine.claim(9)
    assert len(claims) == 3
    await engine.finish(*claims)
    assert len(await engine.claim(9)) == 2


async def test_fair_keys_are_served_in_turn(engine: Engine) -> None:
    keying = Keying(fair_by="customer")
    for _ in range(40):
        await engine.start(keyed("big", keying))
    await engine.start(keyed("small", keying))
    flows = await engine.flows()
    first = [flows[claim.flow].task(1).planned.fair_key for claim in await engine.claim(9)]
    assert "small" in first


async def test_a_workflow_of_twice_the_weight_gets_twice_as_much(engine: Engine) -> None:
    await engine.control(FlowControl(scope="workflow", name="a", weight=2.0))
    await engine.register_many(300, task(1), workflow="a")
    await engine.register_many(300, task(1), workflow="b")
    flows = await engine.flows()
    served = [flows[(await engine.claim(1))[0].flow].workflow for _ in range(120)]
    assert 80 - 8 <= served.count("a") <= 80 + 8


async def test_partial_claims_do_not_favour_anybody(engine: Engine) -> None:
    await engine.register_many(300, task(1), workflow="a")
    await engine.register_many(300, task(1), workflow="b")
    flows = await engine.flows()
    served = [flows[claim.flow].workflow for _ in range(20) for claim in await engine.claim(12)]
    assert abs(served.count("a") - served.count("b")) <= 8


@pytest.mark.parametrize(
    "control",
    [
        FlowControl(scope="global", is_paused=True),
        FlowControl(scope="queue", name="default", is_paused=True),
        FlowControl(scope="workflow", name="etl", is_paused=True),
        FlowControl(scope="program", name="A", is_paused=True),
    ],
    ids=lambda control: control.scope,
)
async def test_nothing_starts_in_a_pause_and_what_runs_ends(engine: Engine, control: FlowControl) -> None:
    await engine.register_many(3, *chain(2))
    running = await engine.claim(1)
    await engine.control(control)
    assert await engine.finish(*running) == ["ok"]
    assert await engine.claim(9) == []
    await engine.check()
    await engine.control()
    assert await engine.bells() != {}
    assert len(await engine.work_off()) == 5


async def test_in_any_period_no_more_start_than_the_rate(engine: Engine) -> None:
    await engine.control(FlowControl(scope="program", name="A", rate=5, rate_period_seconds=0.3))
    await engine.register_many(12, task(1))
    starts: list[float] = []
    loop = asyncio.get_running_loop()
    while len(starts) < 12:
        reply = await engine.exchange("w1", wanted=20)
        starts += [loop.time()] * len(reply.claims)
        if not reply.claims:
            assert reply.opens_ms is not None
            await asyncio.sleep(reply.opens_ms / 1000)
    at = [event.at for event in await engine.events() if event.__struct_config__.tag == "task.started"]
    assert all(later - first >= 300 for first, later in zip(at, at[5:], strict=False))


async def test_what_was_read_before_somebody_else_changed_something_is_not_taken(engine: Engine) -> None:
    client, partition, key = engine.client, engine.partition, engine.partition.keys.limits
    held = await read_held(client, partition)
    for most in (1, 2):
        assert await engine.control(FlowControl(scope="program", name="A", max_running=most)) == ["p:A"]
    late = FlowControl(scope="program", name="A", max_running=7)
    assert await set_control(client, partition, partitions=1, held=held, controls=[late]) is None
    assert await send(client, "HGET", key, "p:A") == b"2 - - 0"


async def test_looking_alone_stands_in_nobodys_way_but_signing_does(engine: Engine) -> None:
    client, partition = engine.client, engine.partition
    row = FlowControl(scope="program", name="A", max_running=1)
    held = await read_held(client, partition)
    same = await read_held(client, partition)
    assert await set_control(client, partition, partitions=1, held=same, controls=[]) == []
    signed = await set_control(client, partition, partitions=1, held=same, controls=[], must_sign=True)
    assert signed == []
    assert await set_control(client, partition, partitions=1, held=held, controls=[row]) is None


async def test_struck_tasks_are_passed_over_and_what_is_behind_them_goes_on(engine: Engine) -> None:
    await engine.control(strikes=[Strike(id="s1", program="A", parameter="n", value=7, by="alice")])
    flow = await engine.register(task(1, parameters={"n": 7}), task(2, 1, parameters={"n": 8}))
    (ran,) = await engine.work_off()
    assert ran.task == 2
    state = (await engine.flow(flow)).task(1)
    assert state.status is Status.IGNORE
    assert (state.ignored_by, state.ignore_reason) == ("alice", "strike s1")


async def test_a_lane_keeps_its_board_when_its_program_gets_one(engine: Engine) -> None:
    """Found by the state machine: it stood on two boards."""
    await engine.register(task(1, program="B"), workflow="x")
    await engine.register(task(1, program="B", priority=-1), workflow="y")
    assert await engine.claim(1, programs=["A"]) == []
    await engine.register(task(1, program="B"), workflow="x")
    await engine.check()
    assert len(await engine.claim(9, programs=["B"])) == 3


def test_a_limit_is_split_over_the_partitions() -> None:
    assert [part_of_limit(7, partition, 3) for partition in range(3)] == [3, 2, 2]
    assert [part_of_limit(1, partition, 3) for partition in range(3)] == [1, 1, 1]


async def test_a_share_whose_next_task_is_too_heavy_does_not_close_the_limit_to_those_after_it(
    engine: Engine,
) -> None:
    await engine.control(FlowControl(scope="program", name="A", max_running=4))
    await engine.register(task(1, units=4), workflow="holder")
    (holder,) = await engine.claim(9)
    await engine.register(task(1, units=2), task(2, units=3), workflow="alpha")
    light = await engine.register(task(1), workflow="beta")
    assert await engine.claim(9) == []
    await engine.finish(holder)
    claims = await engine.claim(9)
    assert [claim.task for claim in claims] == [1, 1]
    assert claims[1].flow == light
    await engine.check()


async def test_a_sweep_passes_over_what_waits_and_what_is_behind_it_goes_on(engine: Engine) -> None:
    for customer in ("a", "b"):
        parameters = {"customer": customer}
        await engine.register_many(
            3, task(1, parameters=parameters), task(2, 1, program="B"), task(3, 2, parameters=parameters)
        )
    await engine.control(
        FlowControl(scope="program", name="A", max_running=1),
        FlowControl(scope="program", name="B", is_paused=True),
    )
    running = await engine.claim(1)
    await engine.control(
        FlowControl(scope="program", name="A", max_running=1),
        strikes=[Strike(id="s", program="A", parameter="customer", value="b", by="eve", reason="gone")],
    )
    assert await sweep(engine.client, engine.partition, ["B"]) == 0
    assert await sweep(engine.client, engine.partition, ["A"]) == 3
    assert await sweep(engine.client, engine.partition, ["A"]) == 0
    await engine.check()
    struck = [flow for flow in (await engine.flows()).values() if flow.task(1).status is Status.IGNORE]
    assert [flow.task(1).planned.parameters for flow in struck] == [{"customer": "b"}] * 3
    assert {flow.task(2).is_ready for flow in struck} == {True}
    await engine.finish(*running)
    await engine.work_off(programs=ALL)
    await engine.check()
    assert {flow.task(3).status for flow in struck} == {Status.WAIT}, "as it was before"
    after = {name: flow.task(3).status for name, flow in (await engine.flows()).items()}
    assert [after[flow.flow] for flow in struck] == [Status.IGNORE] * 3


async def test_a_strike_meets_a_value_of_its_own_type_only(engine: Engine) -> None:
    values = [1, 1.0, "1", True, None]
    flows = [await engine.register(task(1, parameters={"n": value})) for value in values]
    await engine.control(strikes=[Strike(id="s", program="A", parameter="n", value=1.0)])
    await sweep(engine.client, engine.partition, ["A"])
    found = await engine.flows()
    assert [found[flow].status.word for flow in flows] == ["Finish", "Finish", "Wait", "Wait", "Wait"]
    await engine.check()


async def test_a_wide_fan_out_of_what_is_struck_is_released_in_steps(engine: Engine) -> None:
    await engine.register(
        task(1, parameters={"x": 1}), *(task(seq, 1, program="B") for seq in range(2, 1_300))
    )
    await engine.control(strikes=[Strike(id="s", program="A", parameter="x", value=1)])
    assert await sweep(engine.client, engine.partition, ["A"]) == 1
    assert len(await engine.work_off(programs=ALL)) == 1_298
    await engine.check()
