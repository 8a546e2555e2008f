"""What it costs to look at a partition: at one in which nothing is due, as a watcher does ten times a second,
and at what a queue asks for."""

import pytest

from flower_engine.insight.queue_demand import read_demand
from flower_engine.log.client import send
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.transitions.watcher_transitions import fire
from scripts.engine import A_MINUTE_MS, Engine, task

COMMANDS_OF_A_LOOK = 8


async def _commands(engine: Engine) -> int:
    stats: dict[str, dict[str, int]] = await send(engine.client, "INFO", "commandstats")
    return sum(one["calls"] for name, one in stats.items() if name != "cmdstat_info")


@pytest.mark.parametrize("waits", [False, True], ids=["no timer", "timers that are not due"])
async def test_a_look_at_what_is_not_due_runs_a_few_commands(engine: Engine, waits: bool) -> None:
    if waits:
        patient = RetryPolicy(max_attempts=2, delay_ms=A_MINUTE_MS)
        await engine.register(task(1, retry=patient), timeout_ms=3_600_000)
        await engine.fail(*await engine.claim())
    await engine.fire()
    await engine.tick()
    before = await _commands(engine)
    fired = await fire(engine.client, engine.partition, lease_ms=A_MINUTE_MS, tick_gap_ms=A_MINUTE_MS)
    assert await _commands(engine) - before <= COMMANDS_OF_A_LOOK
    assert fired.fired == []
    assert (fired.next_ms is not None) == waits
    await engine.check()


async def test_what_a_queue_asks_for_is_seen_at_a_cost_that_does_not_grow_with_what_waits(
    engine: Engine,
) -> None:
    async def cost() -> int:
        before = await _commands(engine)
        await read_demand(engine.client, engine.partition, "default")
        return await _commands(engine) - before

    plain = await cost()
    await engine.register_many(1, task(1))
    few = await cost()
    await engine.register_many(2_000, task(1))
    assert await cost() == few == plain + 6
    for number in range(700):  # as many kinds of tasks
        await engine.register(task(1), workflow=f"of {number}")
    assert await cost() < 1_500
    demand = await read_demand(engine.client, engine.partition, "default")
    assert 600 <= demand.ready <= 2_701, "of the kinds beyond those that were looked at, one each"
