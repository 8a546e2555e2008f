"""cancel, pause and resume: whole flows stop, and go on."""

import pytest

from flower_engine.errors import NotUnderWayError, RefusedError
from flower_engine.model.events.operator_events import FlowCancelled
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.transitions import operator_transitions
from flower_engine.transitions.operator_transitions import Operated
from scripts.engine import A_MINUTE_MS, Engine, chain, fan, task


async def cancel(engine: Engine, flow: str) -> Operated:
    done = await operator_transitions.cancel(
        engine.client, engine.partition, flow, by="eve", reason="no need"
    )
    await engine.check()
    return done


async def pause(engine: Engine, flow: str) -> None:
    await operator_transitions.pause(engine.client, engine.partition, flow, by="eve")
    await engine.check()


async def resume(engine: Engine, flow: str) -> None:
    await operator_transitions.resume(engine.client, engine.partition, flow, by="eve")
    await engine.check()


async def test_a_cancelled_flow_ends_and_its_workers_hear_of_it(engine: Engine) -> None:
    tasks = [task(1), task(2, timeout_ms=9_000), task(3), task(4, 1), task(5, queue_timeout_ms=9_000)]
    flow = await engine.register(*tasks, timeout_ms=60_000)
    one, two, three = await engine.claim(3)
    await engine.finish(one)
    await engine.suspend(three)
    assert (await cancel(engine, flow)).tasks == (2, 3, 4, 5)
    state = await engine.flow(flow)
    assert state.status is Status.IGNORE
    assert [each.status for each in state.tasks] == [3, 9, 9, 9, 9]
    event = next(event for event in await engine.events() if isinstance(event, FlowCancelled))
    assert (event.running, event.suspended, event.waiting) == ((2,), (3,), (4, 5))
    assert engine.heartbeat("w1", two) == [(two.queue, two.lease)]
    assert await engine.finish(two) == ["stale"]
    assert await engine.claim() == []
    await engine.check()


async def test_a_delayed_or_retrying_flow_leaves_no_timer_when_cancelled(engine: Engine) -> None:
    delayed = await engine.register(*chain(2), delay_ms=A_MINUTE_MS)
    retrying = await engine.register(task(1, retry=RetryPolicy(max_attempts=2)))
    await engine.fail(*await engine.claim())
    await cancel(engine, delayed)
    await cancel(engine, retrying)
    assert "timers" not in await engine.key_names()


async def test_a_flow_that_has_ended_cannot_be_cancelled(engine: Engine) -> None:
    flow = await engine.register(task(1))
    await engine.work_off()
    with pytest.raises(NotUnderWayError):
        await cancel(engine, flow)


async def test_a_cancelled_flow_goes_on_where_it_was_cut_off(engine: Engine) -> None:
    flow = await engine.register(*chain(3))
    await engine.finish(*await engine.claim())
    await engine.claim()
    await cancel(engine, flow)
    await operator_transitions.rerun(
        engine.client,
        engine.partition,
        flow,
        by="eve",
        selection="failed",
        restored=await engine.restored(flow),
    )
    await engine.check()
    assert [claim.task for claim in await engine.work_off()] == [2, 3]
    assert (await engine.flow(flow)).status is Status.FINISH


async def test_cancelling_in_the_middle_of_a_wide_fan_out_leaves_nothing(engine: Engine) -> None:
    flow = await engine.register(*fan(1_500))
    await engine.finish(*await engine.claim(1))
    await cancel(engine, flow)
    assert await engine.claim() == []
    await operator_transitions.rerun(
        engine.client, engine.partition, flow, by="eve", selection="all", restored=await engine.restored(flow)
    )
    await engine.check()
    assert len(await engine.work_off()) == 1_502


async def test_a_cancelled_suspect_frees_its_worker(engine: Engine) -> None:
    flow = await engine.register(task(1))
    for _ in range(2):
        await engine.crash(*await engine.claim())
    await engine.claim()
    assert "suspects" in await engine.key_names()
    await cancel(engine, flow)
    assert "suspects" not in await engine.key_names()


async def test_nothing_of_a_paused_flow_starts_but_what_runs_may_end(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), task(3, 1, 2), task(4))
    running = await engine.claim(2)
    await pause(engine, flow)
    assert await engine.claim() == []
    await engine.finish(*running)
    await engine.check()
    assert await engine.claim() == []
    await resume(engine, flow)
    assert [claim.task for claim in await engine.work_off()] == [3, 4]
    assert (await engine.flow(flow)).status is Status.FINISH


async def test_the_retry_of_a_paused_flow_waits_for_the_end_of_the_pause(engine: Engine) -> None:
    flow = await engine.register(task(1, retry=RetryPolicy(max_attempts=2, delay_ms=0)))
    await engine.fail(*await engine.claim())
    await pause(engine, flow)
    assert len((await engine.bring_due()).fired) == 1
    assert await engine.claim() == []
    await engine.check()
    await resume(engine, flow)
    assert len(await engine.claim()) == 1


async def test_a_pause_holds_beyond_a_delayed_start(engine: Engine) -> None:
    flow = await engine.register(task(1), delay_ms=20)
    await pause(engine, flow)
    await engine.bring_due()
    assert await engine.claim() == []
    await engine.check()
    await resume(engine, flow)
    assert len(await engine.claim()) == 1


async def test_resuming_before_its_start_does_not_start_a_delayed_flow(engine: Engine) -> None:
    flow = await engine.register(task(1), delay_ms=A_MINUTE_MS)
    await pause(engine, flow)
    await resume(engine, flow)
    assert await engine.claim() == []


async def test_pausing_twice_is_as_good_as_once(engine: Engine) -> None:
    flow = await engine.register(task(1))
    await pause(engine, flow)
    before = await engine.raw_events()
    await pause(engine, flow)
    assert await engine.raw_events() == before


async def test_a_flow_that_is_not_paused_cannot_be_resumed(engine: Engine) -> None:
    flow = await engine.register(task(1))
    with pytest.raises(RefusedError, match="it is not paused"):
        await resume(engine, flow)


async def test_a_wide_flow_may_be_paused_while_its_fan_out_is_being_released(engine: Engine) -> None:
    flow = await engine.register(*fan(1_500))
    await engine.finish(*await engine.claim(1))
    await pause(engine, flow)
    assert await engine.work_off() == []
    await resume(engine, flow)
    assert len(await engine.work_off()) == 1_501
    await engine.check()


async def test_wide_roots_may_be_paused_while_they_are_being_released(engine: Engine) -> None:
    flow = await engine.register(*[task(seq) for seq in range(1, 1_201)])
    await pause(engine, flow)
    assert await engine.work_off() == []
    await resume(engine, flow)
    assert len(await engine.work_off()) == 1_200
    await engine.check()


async def test_a_flow_that_ended_in_a_pause_is_still_paused_when_it_is_rerun(engine: Engine) -> None:
    flow = await engine.register(task(1))
    claims = await engine.claim()
    await pause(engine, flow)
    await engine.finish(*claims)
    where = (engine.client, engine.partition, flow)
    await operator_transitions.rerun(*where, by="eve", selection=[1], restored=await engine.restored(flow))
    await engine.check()
    assert await engine.claim() == []
    await resume(engine, flow)
    assert len(await engine.work_off()) == 1
