"""What it costs to look at a partition in which nothing is due: a watcher does so ten times a second."""

import pytest

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
