"""Operators' calls late, twice, and on flows in unlucky moments: what a review found, each once broken."""

import uuid
from typing import Any
from unittest.mock import patch

from flower_engine.model.tasks.status import Status
from flower_engine.transitions import operator_transitions
from flower_engine.transitions.operator_transitions import Operated
from scripts.engine import A_MINUTE_MS, Engine, chain, fan, task

WIDE = 1_200


async def operate(engine: Engine, verb: str, flow: str, number: int = 0, **more: Any) -> Operated:
    """An operation; the same number (but 0) makes it the same one, sent again."""
    operation = uuid.UUID(int=number) if number else uuid.uuid4()
    with patch("flower_engine.transitions.operator_transitions.uuid.uuid4", return_value=operation):
        call = getattr(operator_transitions, verb)
        done = await call(engine.client, engine.partition, flow, by="eve", **more)
    await engine.check()
    return done


async def test_wide_roots_that_were_all_ignored_come_back_and_stop_nobody(engine: Engine) -> None:
    flow = await engine.register(*[task(seq) for seq in range(1, WIDE + 1)])
    await operate(engine, "ignore", flow, tasks=list(range(1, WIDE + 1)))
    await operate(engine, "unignore", flow, tasks=[1, WIDE], restored=await engine.restored(flow))
    other = await engine.register(task(1))
    assert {(claim.flow, claim.task) for claim in await engine.work_off()} == {
        *((flow, 1), (flow, WIDE), (other, 1))
    }
    await engine.check()


async def test_a_flow_cancelled_before_its_start_still_waits_for_it(engine: Engine) -> None:
    flow = await engine.register(task(1), delay_ms=A_MINUTE_MS)
    await operate(engine, "cancel", flow)
    await operate(engine, "rerun", flow, selection="failed", restored=await engine.restored(flow))
    assert await engine.claim() == []
    assert "timers" in await engine.key_names()


async def test_a_refused_rerun_of_such_a_flow_leaves_no_timer(engine: Engine) -> None:
    flow = await engine.register(task(1), delay_ms=A_MINUTE_MS)
    await operate(engine, "cancel", flow)
    try:
        await operate(engine, "rerun", flow, selection=[2], restored=await engine.restored(flow))
    except operator_transitions.RefusedError:
        assert "timers" not in await engine.key_names()
    else:
        raise AssertionError("there is no task 2")


async def test_a_flow_put_back_begins_at_its_start(engine: Engine) -> None:
    flow = await engine.register(task(1), delay_ms=60)
    await operate(engine, "ignore", flow, tasks=[1])
    await operate(engine, "unignore", flow, tasks=[1], restored=await engine.restored(flow))
    assert [what for what, _, _ in (await engine.bring_due()).fired] == ["start"]
    assert len(await engine.work_off()) == 1


async def test_the_time_of_a_flow_does_not_run_before_its_start(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), delay_ms=A_MINUTE_MS, timeout_ms=1)
    await operate(engine, "ignore", flow, tasks=[1])
    await operate(engine, "unignore", flow, tasks=[1])
    assert (await engine.fire()).fired == []


async def test_an_operation_sent_again_late_does_nothing_more(engine: Engine) -> None:
    flow = await engine.register(task(1))
    first = await operate(engine, "pause", flow, 7)
    await operate(engine, "resume", flow)
    assert (await operate(engine, "pause", flow, 7)).version == first.version
    assert len(await engine.claim()) == 1, "it is not paused again"


async def test_a_rerun_sent_again_after_its_end_does_not_run_again(engine: Engine) -> None:
    flow = await engine.register(task(1))
    await engine.work_off()
    restored = await engine.restored(flow)
    first = await operate(engine, "rerun", flow, 7, selection=[1], restored=restored)
    await engine.work_off()
    again = await operate(engine, "rerun", flow, 7, selection=[1], restored=restored)
    assert again.version == first.version
    assert await engine.claim() == []


async def test_a_late_outcome_of_a_cancelled_task_is_refused_also_after_a_rerun(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2))
    (late,) = await engine.claim(1)
    await operate(engine, "cancel", flow)
    await operate(engine, "rerun", flow, selection=[2], restored=await engine.restored(flow))
    assert await engine.finish(late) == ["stale"]
    assert len(await engine.refused()) == 1


async def test_a_late_outcome_of_a_poison_task_is_refused(engine: Engine) -> None:
    await engine.register(task(1))
    await engine.tick()
    (late,) = await engine.claim()
    await engine.lose(late)
    await engine.lapse(max_lost=1)
    assert await engine.finish(late) == ["stale"]
    assert len(await engine.refused()) == 1


async def test_a_flow_that_goes_on_after_its_timeout_has_the_whole_time_again(engine: Engine) -> None:
    flow = await engine.register(*chain(2), timeout_ms=60_000)
    await engine.suspend(*await engine.claim())
    await engine.bring_due()
    assert "timers" not in await engine.key_names()
    await operate(engine, "ignore", flow, tasks=[1])
    assert "timers" in await engine.key_names()
    await engine.work_off()
    assert (await engine.flow(flow)).status is Status.FINISH


async def test_what_a_wide_fan_out_has_still_to_release_has_the_priority_that_was_given_meanwhile(
    engine: Engine,
) -> None:
    flow = await engine.register(*fan(WIDE))
    await engine.finish(*await engine.claim())
    assert "fanout" in await engine.key_names(), "its dependents are released in steps"
    await operate(engine, "prioritise", flow, priority=5)
    while "fanout" in await engine.key_names():
        assert await engine.claim(0) == []
    lanes = [name.split(":")[2] for name in await engine.key_names() if name.startswith("lane:")]
    assert lanes == ["5"]
    assert len(await engine.work_off()) == WIDE + 1
    await engine.check()
