"""Cleanup: what a cancel and the timeout of a flow spare runs then, and the flow is ending meanwhile."""

import pytest

from flower_engine.errors import NotUnderWayError, RefusedError
from flower_engine.flows.operation_effects import effect_of_cancel
from flower_engine.model.events.operator_events import FlowEnding
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.tasks.status import Status
from flower_engine.transitions import operator_transitions
from flower_engine.transitions.operator_transitions import Operated
from scripts.engine import A_MINUTE_MS, Engine, task

ROWS = (
    task(1),
    task(2, 1),
    task(3, 1, 2, parameters={"rows": {"$from": 1, "optional": True}}, finally_=True),
    task(4, 3),
    task(5, 3, 2),
)
"""Of these a cancel spares 3, and 4, to which only that leads."""


async def cancel(engine: Engine, flow: str) -> Operated:
    done = await operator_transitions.cancel(engine.client, engine.partition, flow, by="eve")
    await engine.check()
    return done


async def rerun(engine: Engine, flow: str, *tasks: int) -> Operated:
    return await operator_transitions.rerun(
        engine.client, engine.partition, flow, by="eve", selection=tasks or "failed", scope="only"
    )


async def statuses(engine: Engine, flow: str) -> list[str]:
    state = await engine.flow(flow)
    return [f"{int(one.status)}{one.ended_as}" for one in state.tasks]


async def test_a_cancel_spares_the_cleanup_and_the_flow_ends_with_it(engine: Engine) -> None:
    flow = await engine.register(*ROWS)
    await engine.finish(*await engine.claim(), payload=b"[7]")
    (second,) = await engine.claim()
    foretold = effect_of_cancel(await engine.flow(flow))
    assert (foretold.cut_off, foretold.cleanup, foretold.ends) == ([2, 5], [3, 4], False)
    assert (await cancel(engine, flow)).tasks == (2, 5)
    assert await statuses(engine, flow) == ["3", "9c", "0", "0", "9c"]
    assert (await engine.flow(flow)).is_ending
    assert engine.heartbeat("w1", second) == [(second.queue, second.lease)]
    assert await engine.finish(second) == ["stale"]
    exchange = await engine.exchange("w1", wanted=5)
    (cleanup,) = exchange.claims
    assert exchange.results == {(flow, 1): b"=[7]"}
    await engine.finish(cleanup)
    await engine.finish(*await engine.claim())
    state = await engine.flow(flow)
    assert (state.status, state.ended_ms is not None) == (Status.IGNORE, True)
    assert await statuses(engine, flow) == ["3", "9c", "3", "3", "9c"]
    await engine.check()


async def test_nothing_is_cleaned_up_of_what_has_not_begun_or_is_done(engine: Engine) -> None:
    fresh = await engine.register(*ROWS)
    delayed = await engine.register(*ROWS, delay_ms=A_MINUTE_MS)
    for flow in (fresh, delayed):
        await cancel(engine, flow)
        assert (await engine.flow(flow)).ended_ms is not None
    done = await engine.register(task(1), task(2, 1, finally_=True), task(3))
    claims = {claim.task: claim for claim in await engine.claim()}
    await engine.finish(claims[1])
    await engine.finish(*await engine.claim())
    await cancel(engine, done)
    assert await statuses(engine, done) == ["3", "3", "9c"]
    assert not [event for event in await engine.events() if isinstance(event, FlowEnding)]


async def test_a_second_cancel_ends_it_at_once(engine: Engine) -> None:
    flow = await engine.register(*ROWS)
    await engine.claim()
    await cancel(engine, flow)
    (cleanup,) = await engine.claim()
    await cancel(engine, flow)
    assert await statuses(engine, flow) == ["9c"] * 5
    assert await engine.finish(cleanup) == ["stale"]
    assert "timers" not in await engine.key_names()
    with pytest.raises(NotUnderWayError):
        await cancel(engine, flow)


async def test_a_timeout_gives_up_all_but_the_cleanup_which_has_a_time_of_its_own(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), *ROWS[2:], timeout_ms=60_000, cleanup_ms=1_000)
    failed, _ = await engine.claim(2)
    await engine.suspend(failed)
    await engine.bring_due()
    assert await statuses(engine, flow) == ["2x", "2x", "0", "0", "9c"]
    await engine.check()
    await engine.claim()
    await engine.bring_due()
    assert await statuses(engine, flow) == ["2x", "2x", "2x", "9c", "9c"]
    state = await engine.flow(flow)
    assert (state.status, state.ended_ms is not None) == (Status.SUSPEND, True)
    error = state.task(3).error
    assert error is not None and error.type == "CleanupTimeout"
    await engine.check()


async def test_only_its_cleanup_may_run_again_while_it_is_ending(engine: Engine) -> None:
    flow = await engine.register(*ROWS)
    await engine.finish(*await engine.claim())
    await engine.claim()
    await cancel(engine, flow)
    for tasks in ((1,), (2,)):
        with pytest.raises(RefusedError, match="it is ending, and task"):
            await rerun(engine, flow, *tasks)
    await engine.suspend(*await engine.claim())
    assert (await rerun(engine, flow)).tasks == (3,)
    await engine.check()
    assert (await engine.flow(flow)).is_ending
    await operator_transitions.pause(engine.client, engine.partition, flow, by="eve")
    assert await engine.claim() == []
    await operator_transitions.resume(engine.client, engine.partition, flow, by="eve")
    await engine.work_off()
    assert (await engine.flow(flow)).status is Status.IGNORE
    await engine.check()


async def test_what_cleaned_up_runs_again_behind_what_is_taken_up_again(engine: Engine) -> None:
    flow = await engine.register(*ROWS)
    await engine.claim()
    await cancel(engine, flow)
    await engine.work_off()
    restored = await engine.restored(flow)
    await operator_transitions.rerun(
        engine.client, engine.partition, flow, by="eve", selection="failed", restored=restored
    )
    await engine.check()
    assert await statuses(engine, flow) == ["0"] * 5
    await engine.work_off()
    state = await engine.flow(flow)
    assert (state.status, state.cancelled, state.ending) == (Status.FINISH, None, None)
    assert [one.attempt for one in state.tasks] == [2, 1, 2, 2, 1]


async def test_the_oldest_flow_gives_its_place_and_cleans_up_beside_the_newer(engine: Engine) -> None:
    await engine.control(FlowControl(scope="workflow", name="etl", max_flows=1, at_max_flows="cancel_oldest"))
    oldest = await engine.register(*ROWS)
    await engine.claim()
    newer = await engine.register(*ROWS)
    await engine.check()
    assert (await engine.flow(oldest)).is_ending
    assert {(claim.flow, claim.task) for claim in await engine.claim()} == {(oldest, 3), (newer, 1)}
    newest = await engine.register(*ROWS)  # and what is ending already goes on
    await engine.check()
    assert (await engine.flow(oldest)).is_ending
    assert (await engine.flow(newer)).is_ending
    assert (await engine.flow(newest)).ending is None


async def test_a_flow_without_a_place_cleans_up_all_the_same(engine: Engine) -> None:
    await engine.control(FlowControl(scope="workflow", name="etl", max_flows=1))
    flow = await engine.register(*ROWS)
    await engine.suspend(*await engine.claim())  # it gives its place back
    other = await engine.register(*ROWS)
    await rerun(engine, flow, 1)  # it waits for a place
    await engine.check()
    await cancel(engine, flow)
    assert {(claim.flow, claim.task) for claim in await engine.claim()} == {(flow, 3), (other, 1)}
    await engine.check()
