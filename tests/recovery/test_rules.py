"""Flows with rules go on after a recovery as they would have: counts, what was begun with, what is held."""

from flower_engine.log.client import send
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.operator_transitions import cancel, ignore
from recovery.both import Both
from scripts.engine import task


async def begun(both: Both) -> str:
    """A flow in which every kind of end is to be told, and of what was to be passed over a part is left."""
    engine = both.engine
    flow = await engine.register(
        task(1, on_failure="give_up"),
        task(2, on_failure="hold:7200"),
        task(3, on_failure="pass", stand_in=[3]),
        task(4),
        task(5, 1),
        task(6, 3, 4, rule="any"),
        task(7, 2, rule="failed"),
        task(8, 5, 6, 7, rule="settled"),
        task(9, 3, 4, rule="finished"),
    )
    for claim in await engine.claim():
        if claim.task < 4:
            await engine.suspend(claim)
    (six, seven) = sorted(await engine.claim(), key=lambda claim: claim.task)
    assert (six.task, seven.task) == (6, 7)
    await engine.finish(seven)
    return flow


async def test_a_flow_with_rules_goes_on_after_a_recovery(both: Both) -> None:
    flow = await begun(both)
    await both.project()
    before = await both.engine.flow(flow)
    await both.wipe()
    await both.recover()
    state = (await both.check())[flow]
    assert [task.ended_as for task in state.tasks] == [task.ended_as for task in before.tasks]
    assert state.task(6).used == (3,)
    timer = await send(both.client, "ZSCORE", both.engine.keys.timers, f"g:{flow}:2")
    assert timer is not None, "what is held for a time is given up all the same"
    await both.engine.bring_due()
    assert {claim.task for claim in await both.engine.work_off()} == {4, 6, 8}
    state = (await both.check())[flow]
    assert (state.status, state.ended_ms is not None) == (Status.SUSPEND, True)


async def test_what_was_still_to_be_passed_over_is_so_after_a_recovery(both: Both) -> None:
    """The note of a wide passing-over goes with Redis; the flow does not wait for ever."""
    width = 1_200
    flow = await both.engine.register(
        task(1, on_failure="give_up"), *(task(seq, 1) for seq in range(2, width + 2))
    )
    await both.engine.suspend(*await both.engine.claim())
    await both.project()
    assert any(task.status is Status.WAIT for task in (await both.engine.flow(flow)).tasks)
    await both.wipe()
    await both.recover()
    await both.engine.work_off()
    state = (await both.check())[flow]
    assert {task.ended_as for task in state.tasks} == {"x", "n"}


async def test_a_flow_that_is_ending_goes_on_with_its_cleanup_after_a_recovery(both: Both) -> None:
    engine = both.engine
    rows = (task(1), task(2), task(3, 1, 2, finally_=True), task(4, 3))
    cancelled = await engine.register(*rows, cleanup_ms=60_000)
    late = await engine.register(*rows, timeout_ms=60_000)
    claims = await engine.claim(3)
    assert {(claim.flow, claim.task) for claim in claims} == {(cancelled, 1), (cancelled, 2), (late, 1)}
    await cancel(both.client, engine.partition, cancelled, by="eve")
    await send(both.client, "ZADD", engine.keys.timers, 1, f"f:{late}")
    await engine.fire()
    timers = [f"f:{flow}" for flow in (cancelled, late)]
    before = [await send(both.client, "ZSCORE", engine.keys.timers, timer) for timer in timers]
    await both.project()
    await both.wipe()
    await both.recover()
    flows = await both.check()
    assert [flows[flow].is_ending for flow in (cancelled, late)] == [True, True]
    assert [await send(both.client, "ZSCORE", engine.keys.timers, timer) for timer in timers] == before
    assert [claim.task for claim in await engine.work_off()] == [3, 3, 4, 4]
    flows = await both.check()
    assert [flows[flow].status for flow in (cancelled, late)] == [Status.IGNORE, Status.SUSPEND]


async def test_what_was_passed_over_at_once_stays_so_after_a_recovery(both: Both) -> None:
    engine = both.engine
    flow = await engine.register(task(1), task(2), task(3, 1), task(4, 2, 3), task(5, 4))
    held, done = await engine.claim()
    await engine.suspend(held)
    await engine.finish(done)
    await ignore(engine.client, engine.partition, flow, by="ann", tasks=[1, 3], result=b"7")
    await both.project()
    before = await engine.flow(flow)
    await both.wipe()
    await both.recover()
    state = (await both.check())[flow]
    assert [(one.status, one.ended_as, one.ignored_by, one.result) for one in state.tasks] == [
        (one.status, one.ended_as, one.ignored_by, one.result) for one in before.tasks
    ]
    assert [claim.task for claim in await engine.work_off()] == [4, 5]
    assert (await both.check())[flow].ended_ms is not None
