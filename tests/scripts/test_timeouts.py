"""Timeouts: of an attempt, of the wait for a worker, of a whole flow."""

from flower_engine.log.client import send
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.transitions.watcher_transitions import fire
from scripts.engine import A_MINUTE_MS, Engine, chain, task


async def test_an_attempt_that_takes_too_long_is_fenced_off_and_suspended(engine: Engine) -> None:
    flow = await engine.register(task(1, timeout_ms=90_000), task(2, 1))
    (claim,) = await engine.claim()
    assert (await engine.fire()).fired == []
    assert (await engine.bring_due()).fired == [("attempt-timeout", flow, 1)]
    ended = (await engine.flow(flow)).task(1)
    assert ended.status is Status.SUSPEND
    assert ended.error is not None
    assert (ended.error.type, ended.error.message) == ("AttemptTimeout", "attempt 1 took longer than 90 s")
    assert engine.heartbeat("w1", claim) == [(claim.queue, claim.lease)], "the worker is told to stop it"
    assert await engine.finish(claim) == ["stale"]
    assert len(await engine.refused()) == 1
    await engine.check()


async def test_a_timed_out_attempt_is_retried_as_its_policy_says(engine: Engine) -> None:
    flow = await engine.register(task(1, timeout_ms=5_000, retry=RetryPolicy(max_attempts=2, delay_ms=0)))
    (late,) = await engine.claim()
    await engine.bring_due()
    await engine.bring_due()
    (claim,) = await engine.claim()
    assert claim.attempt == 2
    assert await engine.finish(late) == ["stale"]
    assert await engine.finish(claim) == ["ok"]
    assert (await engine.flow(flow)).status is Status.FINISH
    await engine.check()


async def test_an_attempt_that_ends_in_time_leaves_no_timer(engine: Engine) -> None:
    await engine.register(task(1, timeout_ms=5_000, queue_timeout_ms=5_000), task(2, 1, timeout_ms=5_000))
    await engine.work_off()
    assert "timers" not in await engine.key_names()
    await engine.check()


async def test_each_attempt_has_the_whole_time_for_itself(engine: Engine) -> None:
    flow = await engine.register(task(1, timeout_ms=5_000))
    await engine.give_back(*await engine.claim())
    assert "timers" not in await engine.key_names()
    await engine.claim()
    (due,) = await send(engine.client, "ZRANGE", engine.keys.timers, 0, -1)
    assert due == f"a:{flow}:1".encode()
    await engine.check()


async def test_a_task_that_no_worker_takes_in_time_is_suspended(engine: Engine) -> None:
    flow = await engine.register(task(1, queue_timeout_ms=2_500), task(2, 1))
    assert (await engine.bring_due()).fired == [("queue-timeout", flow, 1)]
    overdue = (await engine.flow(flow)).task(1)
    assert (overdue.status, overdue.attempt) == (Status.SUSPEND, 0)
    assert overdue.error is not None
    assert overdue.error.type == "QueueTimeout"
    assert await engine.claim() == []
    await engine.check()


async def test_the_wait_for_a_worker_begins_when_the_task_is_ready(engine: Engine) -> None:
    await engine.register(task(1), task(2, 1, queue_timeout_ms=5_000))
    assert "timers" not in await engine.key_names()
    await engine.finish(*await engine.claim(1))
    assert "timers" in await engine.key_names()
    await engine.check()


async def test_of_a_flow_that_takes_too_long_all_that_runs_or_is_ready_is_suspended(engine: Engine) -> None:
    tasks = [task(1), task(2), task(3, retry=RetryPolicy(max_attempts=2)), task(4, 1), task(5)]
    flow = await engine.register(*tasks, timeout_ms=60_000)
    running, finished, failed = await engine.claim(3)
    await engine.finish(finished)
    await engine.fail(failed)
    # task 1 runs, task 2 is finished, task 3 waits for its retry, task 5 is ready, task 4 waits for task 1
    await send(engine.client, "ZADD", engine.keys.timers, 1, f"f:{flow}")
    assert (await engine.fire()).fired == [("flow-timeout", flow, 0)]
    state = await engine.flow(flow)
    assert [each.status for each in state.tasks] == [2, 3, 2, 0, 2]
    assert await engine.claim() == []
    assert await engine.finish(running) == ["stale"]
    await engine.check()


async def test_a_flow_that_ends_in_time_leaves_no_timer(engine: Engine) -> None:
    await engine.register(*chain(2), timeout_ms=60_000)
    assert "timers" in await engine.key_names()
    await engine.work_off()
    assert "timers" not in await engine.key_names()


async def test_after_a_stall_timeouts_are_put_off_but_retries_are_not(engine: Engine) -> None:
    await engine.register(task(1, timeout_ms=5_000), task(2, retry=RetryPolicy(max_attempts=2)))
    _, failed = await engine.claim()
    await engine.fail(failed)
    for member in await send(engine.client, "ZRANGE", engine.keys.timers, 0, -1):
        await send(engine.client, "ZADD", engine.keys.timers, 1, member)
    await send(engine.client, "HSET", engine.keys.meta, "tick", 1)
    fired = await fire(engine.client, engine.partition, lease_ms=A_MINUTE_MS, tick_gap_ms=1_000)
    assert [what for what, _, _ in fired.fired] == ["retry"]
    assert fired.next_ms is not None
    assert A_MINUTE_MS / 2 < fired.next_ms <= A_MINUTE_MS
    await engine.check()


async def test_many_timers_are_moved_in_bounded_calls(engine: Engine) -> None:
    flows = await engine.register_many(25, task(1, retry=RetryPolicy(max_attempts=2, delay_ms=0)))
    await engine.fail(*await engine.claim())
    sizes: list[int] = []
    while fired := (await engine.fire(most=10)).fired:
        sizes.append(len(fired))
    assert sizes == [10, 10, 5]
    assert {claim.flow for claim in await engine.claim()} == set(flows)
