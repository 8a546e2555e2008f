"""Engine time never goes back, whatever Redis' clock does, and comes back to it."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from flower_engine.model.values.engine_time import SLOWER, EngineTime

GAP_MS, LEASE_MS, INTERVAL_MS = 2_000, 10_000, 500
T0 = 1_790_000_000_000
HOUR_MS = 3_600_000


class Step(NamedTuple):
    """The clock steps, then so much time passes, then a watcher looks, or nobody does."""

    by_ms: int
    passes_ms: int
    is_seen: bool


CLOCK_STEPS = st.sampled_from([0, 0, 0, -HOUR_MS, -700, 700, HOUR_MS])
STEPS = st.lists(st.builds(Step, CLOCK_STEPS, st.integers(0, 5_000), st.booleans()), max_size=40)


def tick(time: EngineTime, clock_ms: int, last_ms: int = 0) -> EngineTime:
    return time.ticked(clock_ms, lease_ms=LEASE_MS, gap_ms=GAP_MS, last_event_ms=last_ms)


@given(STEPS)
def test_engine_time_is_never_before_the_last_look_and_timeouts_never_come_early(steps: list[Step]) -> None:
    clock_ms, time, passed, since_steady = T0, tick(EngineTime(), T0), 0, 0
    begun = time.steady(time.now(T0))
    for step in steps:
        clock_ms += step.by_ms
        clock_ms += step.passes_ms
        passed += step.passes_ms
        now_ms = time.now(clock_ms)
        assert now_ms >= time.tick
        # A jump between two looks counts for timeouts as far as a silence does, and no further.
        since_steady += step.passes_ms + (GAP_MS if step.by_ms > 0 else 0)
        assert time.steady(now_ms) - begun <= since_steady
        if step.is_seen:
            time = tick(time, clock_ms)
            assert time.now(clock_ms) == time.tick == now_ms


def test_a_clock_that_goes_back_an_hour_is_not_seen_in_engine_time() -> None:
    time = tick(EngineTime(), T0)
    stepped = tick(time, T0 - HOUR_MS + INTERVAL_MS, last_ms=T0 + INTERVAL_MS)
    assert stepped.tick == T0 + INTERVAL_MS
    assert stepped.now(T0 - HOUR_MS + 2 * INTERVAL_MS) == T0 + 2 * INTERVAL_MS - INTERVAL_MS // SLOWER
    assert (stepped.held, stepped.grace) == (time.held, time.grace), "it is no stall"


def test_engine_time_comes_back_to_the_clock() -> None:
    clock_ms = T0 - HOUR_MS
    time = tick(tick(EngineTime(), T0), clock_ms)
    looks = 0
    while time.skew:
        clock_ms += INTERVAL_MS
        time = tick(time, clock_ms)
        looks += 1
    assert abs(looks * INTERVAL_MS - SLOWER * HOUR_MS) <= 2 * SLOWER * INTERVAL_MS + looks * SLOWER
    assert time.held == tick(EngineTime(), T0).held


def test_a_stall_or_a_jump_ahead_counts_for_no_timeout() -> None:
    time = tick(EngineTime(), T0)
    before = time.steady(time.now(T0))
    jumped = tick(time, T0 + HOUR_MS)
    assert jumped.steady(jumped.now(T0 + HOUR_MS)) == before
    assert jumped.grace == T0 + HOUR_MS + LEASE_MS
