"""Redis' clock goes back, or jumps ahead: what is due comes as if nothing had happened."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from flower_engine.insight import overview
from flower_engine.insight.live_state import read_live_state
from flower_engine.insight.overview import read_overview
from flower_engine.log.client import send
from flower_engine.log.engine_clock import read_engine_time
from flower_engine.log.keys import GROUP
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.transitions import watcher_transitions
from flower_engine.transitions.loader import Script
from flower_engine.transitions.watcher_transitions import fire, lapse
from scripts.engine import A_MINUTE_MS, Engine, task

HOUR_MS = 60 * A_MINUTE_MS
DUE_MS = 10 * A_MINUTE_MS
LEASE_MS = 10_000
GAP_MS = 60_000
Begin = Callable[[Engine], Awaitable[None]]
SLACK_MS = 20_000
"""How long a busy machine may take over a test."""


async def look(engine: Engine, *, queues: tuple[str, ...] = ("default",)) -> int:
    """A watcher looks, and would take an hour of silence for a stall; for how long nothing lapses."""
    found = await lapse(
        engine.client, engine.partition, queues=queues, lease_ms=LEASE_MS, tick_gap_ms=GAP_MS, max_lost=3
    )
    return found.stalled_ms


async def watched(engine: Engine) -> None:
    """A watcher has looked before, so that the next look sees no stall."""
    await look(engine)
    await send(engine.client, "HSET", engine.keys.meta, "grace", 0)


async def next_due(engine: Engine) -> int:
    fired = await fire(engine.client, engine.partition, lease_ms=LEASE_MS, tick_gap_ms=GAP_MS)
    assert fired.fired == []
    assert fired.next_ms is not None
    return fired.next_ms


async def a_retry(engine: Engine) -> None:
    await engine.register(
        task(1, retry=RetryPolicy(max_attempts=2, delay_ms=DUE_MS, max_delay_ms=DUE_MS, jitter=0.0))
    )
    await engine.fail(*await engine.claim())


async def a_start(engine: Engine) -> None:
    await engine.register(task(1), delay_ms=DUE_MS)


async def an_attempt_timeout(engine: Engine) -> None:
    await engine.register(task(1, timeout_ms=DUE_MS))
    await engine.claim()


async def a_queue_timeout(engine: Engine) -> None:
    await engine.register(task(1, queue_timeout_ms=DUE_MS))


async def a_flow_timeout(engine: Engine) -> None:
    await engine.register(task(1), timeout_ms=DUE_MS)


TIMEOUTS = [an_attempt_timeout, a_queue_timeout, a_flow_timeout]


@pytest.mark.parametrize("is_seen_first", [True, False], ids=["seen by the watcher", "seen by a script"])
@pytest.mark.parametrize("begin", [a_retry, a_start, *TIMEOUTS])
async def test_what_is_due_in_ten_minutes_is_so_after_the_clock_went_back(
    engine: Engine, begin: Begin, is_seen_first: bool
) -> None:
    await watched(engine)
    await begin(engine)
    await engine.step_clock(-HOUR_MS)
    if is_seen_first:
        await look(engine)
    else:
        await engine.register(task(1, program="B"), workflow="other")
    assert await next_due(engine) <= DUE_MS
    assert await look(engine) == 0, "it is no stall"
    assert DUE_MS - SLACK_MS < await next_due(engine) <= DUE_MS


@pytest.mark.parametrize("begin", TIMEOUTS)
async def test_no_time_runs_out_because_the_clock_jumped_ahead(engine: Engine, begin: Begin) -> None:
    await watched(engine)
    await begin(engine)
    before = await next_due(engine)
    await engine.step_clock(HOUR_MS)
    jumped = await next_due(engine)  # before a watcher sees it: a silence of GAP_MS is none
    assert before - GAP_MS - SLACK_MS < jumped <= before - GAP_MS + SLACK_MS
    assert await look(engine) > 0
    await look(engine)
    assert before - SLACK_MS < await next_due(engine) <= before + SLACK_MS


async def test_after_a_stall_no_time_runs_out_for_one_lease_time(engine: Engine) -> None:
    """A worker that comes back hands its outcome in first."""
    await watched(engine)
    flow = await engine.register(task(1, timeout_ms=1))
    (claim,) = await engine.claim()
    while not await is_over(engine, f"a:{flow}:1"):
        await engine.step_clock(1)
    await engine.step_clock(HOUR_MS)
    assert await look(engine) > 0
    assert 0 < await next_due(engine) <= LEASE_MS
    assert await engine.finish(claim) == ["ok"]
    assert "timers" not in await engine.key_names()


async def is_over(engine: Engine, member: str) -> bool:
    """Whether a timeout is due."""
    time, clock_ms = await read_engine_time(engine.client, engine.keys)
    due: float = await send(engine.client, "ZSCORE", engine.keys.timers, member)
    return int(due) - 2**50 <= time.steady(time.now(clock_ms))


async def test_a_timeout_set_before_the_watcher_sees_a_jump_is_little_longer(engine: Engine) -> None:
    await watched(engine)
    await engine.step_clock(HOUR_MS)
    await a_flow_timeout(engine)
    await look(engine)
    assert DUE_MS - SLACK_MS < await next_due(engine) <= DUE_MS + GAP_MS


async def test_no_lease_lapses_because_the_clock_jumped_ahead(engine: Engine) -> None:
    flow = await engine.register(task(1))
    await watched(engine)
    (claim,) = await engine.claim()
    await engine.lose(claim)  # as a jump makes it look
    await engine.step_clock(HOUR_MS)
    assert await look(engine) > 0
    assert engine.heartbeat("w1", claim) == []
    await send(engine.client, "HSET", engine.keys.meta, "grace", 0)
    assert await look(engine) == 0
    assert (await engine.flow(flow)).task(1).status is Status.RUNNING


async def test_leases_begin_anew_after_the_clock_went_back_some_in_each_look(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = watcher_transitions._lapse  # pyright: ignore[reportPrivateUsage]
    in_small = Script(script.name, RESTAMP_LEASES="4")
    assert in_small.text != script.text
    # This order: what is put back is worked out from the text, if nobody has asked for it before.
    monkeypatch.setattr(script, "sha", in_small.sha)
    monkeypatch.setattr(script, "text", in_small.text)
    await engine.attend("other")
    await watched(engine)
    await engine.register_many(8, task(1))
    await engine.register_many(3, task(1, queue="other"))
    claims = {
        "w1": await engine.claim(5),
        "w2": [*await engine.claim(5, worker="w2"), *await engine.claim(worker="w2", queues=["other"])],
    }
    for worker, held in claims.items():
        await engine.lose(*held, worker=worker)
    assert await kept(engine) == 0
    await engine.step_clock(-HOUR_MS)
    found: list[int] = []
    while not found or await send(engine.client, "HEXISTS", engine.keys.meta, "restamp"):
        assert await look(engine, queues=()) == 0
        found.append(await kept(engine))
    assert found[:3] == [4, 8, 11]
    assert await look(engine, queues=("default", "other")) == 0
    for worker, held in claims.items():
        assert engine.heartbeat(worker, *held) == [], "each lease is still its worker's"
        assert await engine.finish(*held, worker=worker) == ["ok"] * len(held)


async def kept(engine: Engine) -> int:
    """How many leases were kept within the last minute."""
    found = 0
    for queue in ("default", "other"):
        work = engine.keys.work(queue)
        pending: list[Any] = await engine.client.xpending_range(work, GROUP, "-", "+", 100)
        found += sum(one["time_since_delivered"] < A_MINUTE_MS for one in pending)
    return found


async def test_a_worker_that_is_gone_is_not_shown_until_the_clock_is_where_it_was(engine: Engine) -> None:
    await watched(engine)
    engine.heartbeat("gone", remember_ms=HOUR_MS)  # as its key looks once the clock went back
    engine.heartbeat("alive", remember_ms=LEASE_MS)
    await engine.step_clock(-HOUR_MS)
    await look(engine)
    for worker in ("gone", "alive"):
        assert 0 < await send(engine.client, "PTTL", engine.keys.worker(worker)) <= LEASE_MS


async def test_events_never_go_back_in_time(engine: Engine) -> None:
    await watched(engine)
    for step_ms in (0, -HOUR_MS, -HOUR_MS, HOUR_MS, -2 * HOUR_MS):
        await engine.register(task(1))
        await look(engine)
        await engine.register(task(1))  # behind the tick
        await engine.step_clock(step_ms)
        await engine.work_off()
    times = [event.at for event in await engine.events()]
    assert times == sorted(times)


async def test_time_goes_on_after_the_clock_went_back_and_nobody_watches(engine: Engine) -> None:
    await watched(engine)
    await engine.step_clock(-HOUR_MS)
    await engine.register(task(1, program="B"))
    stood = await engine.engine_time()
    await asyncio.sleep(0.05)
    assert await engine.engine_time() > stood


async def test_engine_time_is_the_model(engine: Engine) -> None:
    """Each look leaves in meta what the model says for the clock that it saw."""
    await watched(engine)
    for step_ms in (HOUR_MS, -HOUR_MS, 0, HOUR_MS, 0, -2 * HOUR_MS, 0):
        await engine.step_clock(step_ms)
        before, _ = await read_engine_time(engine.client, engine.keys)
        await look(engine)
        after, _ = await read_engine_time(engine.client, engine.keys)
        clock_ms = after.tick - after.skew
        expected = before.ticked(clock_ms, lease_ms=LEASE_MS, gap_ms=GAP_MS)
        assert after == expected


async def test_a_start_by_the_clock_comes_when_the_clock_shows_it(engine: Engine) -> None:
    await watched(engine)
    await engine.step_clock(HOUR_MS)
    await look(engine)  # engine time is most of an hour ahead from here on
    time, clock_ms = await read_engine_time(engine.client, engine.keys)
    assert time.skew > HOUR_MS / 2
    near = await engine.register(task(1), start_ms=clock_ms + A_MINUTE_MS)
    start_ms = (await engine.flow(near)).registered.start_ms
    assert abs(start_ms - (clock_ms + A_MINUTE_MS + time.skew - A_MINUTE_MS // 10)) < SLACK_MS
    day_ms = 24 * HOUR_MS  # by then engine time has come back to the clock
    far = await engine.register(task(1), start_ms=clock_ms + day_ms)
    assert (await engine.flow(far)).registered.start_ms == clock_ms + day_ms
    past = await engine.register(task(1), start_ms=clock_ms - 1)
    assert (await engine.flow(past)).registered.start_ms == 0


async def test_a_rate_holds_after_the_clock_went_back(engine: Engine) -> None:
    await engine.control(FlowControl(scope="workflow", name="etl", rate=2, rate_period_seconds=60.0))
    await engine.register_many(5, task(1))
    await watched(engine)
    assert len(await engine.claim()) == 2
    await engine.step_clock(-HOUR_MS)
    reply = await engine.exchange(wanted=10)
    assert reply.claims == []
    assert reply.opens_ms is not None
    assert reply.opens_ms <= A_MINUTE_MS + 1_000


async def test_what_only_reads_is_not_stopped_by_a_clock_that_went_back(engine: Engine) -> None:
    await watched(engine)
    flow = await engine.register(task(1))
    await engine.step_clock(-HOUR_MS)
    assert set((await read_live_state(engine.client, engine.partition)).flows) == {flow}


async def test_an_event_at_a_time_that_a_result_claims_changes_no_time(engine: Engine) -> None:
    await engine.register(task(1))
    await watched(engine)
    await engine.finish(*await engine.claim(), payload=b'{"type":"x","at":99999999999999}')
    await engine.step_clock(-HOUR_MS)
    before = await engine.engine_time()
    await look(engine)
    assert await engine.engine_time() < before + SLACK_MS


async def test_what_started_of_late_is_counted_in_engine_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "_RECENT_MS", HOUR_MS // 2)  # a test may take more than 5 s
    await watched(engine)
    await engine.register_many(3, task(1))
    await engine.step_clock(HOUR_MS)
    await look(engine)
    await engine.work_off()
    seen = await read_overview(engine.client, engine.partition)
    assert (seen.starts, seen.finishes) == (3, 3)
