"""Registrations with a key, a start time, or tasks taken over from another flow."""

from flower_engine.log.client import send
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.register_transition import WIDE_ROOTS, Start, register
from scripts.engine import A_MINUTE_MS, Engine, chain, task


async def test_the_same_key_gives_the_same_flow(engine: Engine) -> None:
    plan = engine.plan(*chain(2))
    first = await engine.start(plan, key='order "7"', by="alice")
    again = await engine.start(plan, key='order "7"')
    assert (first.word, again.word) == ("ok", "known")
    assert (again.flow, again.workflow) == (first.flow, "etl")
    (registered,) = [event for event in await engine.events() if isinstance(event, FlowRegistered)]
    assert (registered.key, registered.by) == ('order "7"', "alice")


async def test_a_key_that_another_workflow_has_names_its_flow(engine: Engine) -> None:
    first = await engine.start(engine.plan(task(1), workflow="a b"), key="k")
    other = await engine.start(engine.plan(task(1), workflow="c"), key="k")
    assert (other.word, other.flow, other.workflow) == ("known", first.flow, "a b")


async def test_of_two_with_a_key_in_one_call_the_first_is_registered(engine: Engine) -> None:
    plan = engine.plan(task(1))
    starts = [Start(engine.new_id(), plan, key="k"), Start(engine.new_id(), plan, key="k")]
    one, two = await register(engine.client, engine.partition, starts)
    assert (one.word, two.word, two.flow) == ("ok", "known", one.flow)
    resent = await register(engine.client, engine.partition, starts)
    assert [each.word for each in resent] == ["duplicate", "known"]


async def test_a_key_is_still_known_when_its_flow_has_ended(engine: Engine) -> None:
    plan = engine.plan(task(1))
    first = await engine.start(plan, key="k")
    await engine.work_off()
    assert (await engine.start(plan, key="k")).flow == first.flow


async def test_a_delayed_flow_starts_when_its_time_comes(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), task(3, 1, 2), delay_ms=A_MINUTE_MS)
    state = await engine.flow(flow)
    assert state.registered.start_ms == state.registered_ms + A_MINUTE_MS
    assert await engine.claim() == []
    assert (await engine.fire()).fired == []
    await engine.check()


async def test_a_start_in_the_past_is_a_start_now(engine: Engine) -> None:
    await engine.register(task(1), start_ms=1)
    assert len(await engine.claim()) == 1
    assert "timers" not in await engine.key_names()


async def test_when_the_time_has_come_all_roots_are_ready(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), task(3, 1, 2), delay_ms=20, timeout_ms=60_000)
    assert (await engine.bring_due()).fired == [("start", flow, 0)]
    await engine.check()
    assert [claim.task for claim in await engine.claim()] == [1, 2]
    (timer,) = await send(engine.client, "ZRANGE", engine.keys.timers, 0, -1)
    assert timer == f"f:{flow}".encode(), "the flow's time runs from its start"


async def test_a_fork_takes_over_what_is_final(engine: Engine) -> None:
    rows = [task(1), task(2, 1), task(3, 1, 2), task(4, 1), task(5, 4)]
    plan = engine.plan(*rows, forked_from="the first", taken={1: b'{"rows":[1]}', 2: b"null"}, ignored=[4])
    flow = (await engine.start(plan)).flow
    await engine.check()
    state = await engine.flow(flow)
    assert [each.status for each in state.tasks] == [3, 3, 0, 9, 0]
    assert (state.task(1).result, state.left) == (b'{"rows":[1]}', 2)
    assert [claim.task for claim in await engine.work_off()] == [3, 5]
    assert (await engine.flow(flow)).status is Status.FINISH
    await engine.check()


async def test_a_wide_fork_starts_tasks_behind_several_that_were_taken_over(engine: Engine) -> None:
    """Its roots are released in steps, and none of them waits for anything that would be counted."""
    rows = [task(1), task(2), *[task(seq, 1, 2) for seq in range(3, WIDE_ROOTS + 5)]]
    plan = engine.plan(*rows, forked_from="the first", taken={1: b"1", 2: b"2"})
    flow = (await engine.start(plan)).flow
    await engine.check()
    assert len(await engine.work_off()) == WIDE_ROOTS + 2
    assert (await engine.flow(flow)).status is Status.FINISH
    await engine.check()
