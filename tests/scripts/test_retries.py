"""Retries: what follows a failed attempt."""

import pytest

from flower_engine.model.events.attempt_events import TaskRetrying, TaskSuspended
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from scripts.engine import Engine, chain, task

THREE = RetryPolicy(max_attempts=3, delay_ms=20_000, backoff=1.0, jitter=0.0)


async def retries(engine: Engine) -> list[TaskRetrying]:
    return [event for event in await engine.events() if isinstance(event, TaskRetrying)]


async def test_without_a_policy_the_first_failure_suspends(engine: Engine) -> None:
    flow = await engine.register(*chain(2))
    await engine.fail(*await engine.claim())
    assert (await engine.flow(flow)).task(1).status is Status.SUSPEND
    await engine.check()


async def test_a_failed_task_waits_for_its_retry_and_then_runs_again(engine: Engine) -> None:
    flow = await engine.register(task(1, retry=THREE), task(2, 1))
    await engine.fail(*await engine.claim())
    waiting = (await engine.flow(flow)).task(1)
    assert (waiting.status, waiting.failures, waiting.attempt) == (Status.WAIT, 1, 1)
    assert await engine.claim() == []
    assert (await engine.fire()).fired == []
    await engine.check()
    fired = await engine.bring_due()
    assert fired.fired == [("retry", flow, 1)]
    (claim,) = await engine.claim()
    assert claim.attempt == 2


async def test_the_reply_of_fire_says_when_the_next_timer_is_due(engine: Engine) -> None:
    assert (await engine.fire()).next_ms is None
    await engine.register(task(1, retry=THREE))
    await engine.fail(*await engine.claim())
    next_ms = (await engine.fire()).next_ms
    assert next_ms is not None
    assert 0 < next_ms <= 20_000


async def test_after_the_last_attempt_the_task_is_suspended(engine: Engine) -> None:
    flow = await engine.register(task(1, retry=RetryPolicy(max_attempts=3, delay_ms=0)))
    for _ in range(3):
        await engine.bring_due()
        await engine.fail(*await engine.claim())
    ended = (await engine.flow(flow)).task(1)
    assert (ended.status, ended.attempt, ended.failures) == (Status.SUSPEND, 3, 2)
    assert len(await retries(engine)) == 2
    await engine.check()


async def test_delays_grow_by_the_backoff_up_to_the_longest(engine: Engine) -> None:
    policy = RetryPolicy(max_attempts=5, delay_ms=2, backoff=10.0, max_delay_ms=50, jitter=0.0)
    await engine.register(task(1, retry=policy))
    delays: list[int] = []
    for _ in range(4):
        await engine.fail(*await engine.claim())
        event = (await retries(engine))[-1]
        delays.append(event.due_ms - event.at)
        await engine.bring_due()
    assert delays == [2, 20, 50, 50]


async def test_jitter_spreads_the_delays_of_tasks_that_fail_together(engine: Engine) -> None:
    policy = RetryPolicy(max_attempts=2, delay_ms=10_000, jitter=0.5)
    await engine.register_many(30, task(1, retry=policy))
    await engine.fail(*await engine.claim())
    delays = {event.due_ms - event.at for event in await retries(engine)}
    assert len(delays) > 20
    assert all(5_000 <= delay <= 15_000 for delay in delays)


async def test_an_outcome_for_good_is_not_retried(engine: Engine) -> None:
    flow = await engine.register(task(1, retry=THREE))
    await engine.suspend(*await engine.claim())
    assert (await engine.flow(flow)).task(1).status is Status.SUSPEND


async def test_a_program_that_asks_for_a_retry_gets_it_after_the_time_it_names(engine: Engine) -> None:
    await engine.register(task(1))
    await engine.ask_for_retry(*await engine.claim(), after_ms=123_456)
    (event,) = await retries(engine)
    assert event.due_ms - event.at == 123_456


async def test_without_a_policy_a_program_may_ask_for_retries_without_end(engine: Engine) -> None:
    await engine.register(task(1))
    for _ in range(12):
        await engine.ask_for_retry(*await engine.claim(), after_ms=0)
        await engine.bring_due()
    assert len(await engine.claim()) == 1


async def test_the_policy_bounds_retries_that_a_program_asks_for(engine: Engine) -> None:
    flow = await engine.register(task(1, retry=THREE))
    for _ in range(3):
        await engine.ask_for_retry(*await engine.claim())
        await engine.bring_due()
    assert (await engine.flow(flow)).task(1).status is Status.SUSPEND


async def test_lost_workers_do_not_count_as_failures(engine: Engine) -> None:
    flow = await engine.register(task(1, retry=RetryPolicy(max_attempts=2, delay_ms=0)))
    await engine.tick()
    await engine.lose(*await engine.claim())
    await engine.lapse()
    await engine.fail(*await engine.claim())
    assert (await engine.flow(flow)).task(1).status is Status.WAIT
    await engine.check()


async def test_a_crashed_process_counts_as_a_lost_worker_until_it_is_poison(engine: Engine) -> None:
    flow = await engine.register(task(1))
    for _ in range(2):
        await engine.crash(*await engine.claim())
        await engine.check()
    assert (await engine.flow(flow)).task(1).lost == 2
    await engine.crash(*await engine.claim())
    poison = (await engine.flow(flow)).task(1)
    assert (poison.status, poison.lost) == (Status.SUSPEND, 3)
    assert poison.error is not None
    assert poison.error.type == "ProcessLost"
    assert poison.error.message.startswith("3 workers or processes were lost while they ran this task")
    assert poison.error.message.endswith("process 7 was ended by signal 11")
    await engine.check()


@pytest.mark.parametrize(
    "payload", [b'{"type":"x.Y","message":"a \\"b\\"","traceback":"t"}', b'{"type":"E","message":""}']
)
async def test_a_failure_keeps_its_error_whether_it_is_retried_or_not(engine: Engine, payload: bytes) -> None:
    await engine.register(task(1, retry=RetryPolicy(max_attempts=2, delay_ms=0)))
    for _ in range(2):
        await engine.fail(*await engine.claim(), payload=payload)
        await engine.bring_due()
    events = await engine.events()
    retrying, suspended = (e for e in events if isinstance(e, TaskRetrying | TaskSuspended))
    assert retrying.error == suspended.error
    assert retrying.error.message in ('a "b"', "")


async def test_a_retry_sent_twice_is_one_retry(engine: Engine) -> None:
    await engine.register(task(1, retry=THREE))
    (claim,) = await engine.claim()
    assert await engine.fail(claim) == ["ok"]
    assert await engine.fail(claim) == ["stale"]
    assert len(await retries(engine)) == 1
    await engine.check()
