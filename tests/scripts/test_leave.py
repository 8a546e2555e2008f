"""attend and leave: workers come and go."""

from typing import Any

from flower_engine.log.client import send
from flower_engine.log.keys import GROUP
from flower_engine.transitions.worker_transitions import leave, live_workers
from scripts.engine import Engine, task


async def consumers(engine: Engine, queue: str) -> set[str]:
    found: list[dict[str, Any]] = await send(engine.client, "XINFO CONSUMERS", engine.keys.work(queue), GROUP)
    return {consumer["name"].decode() for consumer in found}


async def test_attending_twice_changes_nothing(engine: Engine) -> None:
    await engine.register(task(1))
    held = await engine.claim()
    await engine.attend("default", "default")
    assert engine.heartbeat("w1", *held) == []
    assert await engine.finish(*held) == ["ok"]


async def test_a_worker_that_leaves_is_forgotten(engine: Engine) -> None:
    await engine.register(task(1))
    engine.heartbeat("w1")
    await engine.work_off("w1")
    await leave(engine.client, engine.partition, "w1", ["default"])
    assert await live_workers(engine.client, engine.partition) == []
    assert await consumers(engine, "default") == set()
    assert not {name for name in await engine.key_names() if name.endswith(":w1")}


async def test_leaving_twice_changes_nothing(engine: Engine) -> None:
    engine.heartbeat("w1")
    engine.heartbeat("w2")
    for _ in range(2):
        await leave(engine.client, engine.partition, "w1", ["default", "nowhere"])
    assert [worker.worker for worker in await live_workers(engine.client, engine.partition)] == ["w2"]


async def test_leases_of_a_worker_that_left_without_handing_them_back_lapse(engine: Engine) -> None:
    await engine.register(task(1))
    held = await engine.claim(worker="w1")
    await leave(engine.client, engine.partition, "w1", ["default"])
    assert await consumers(engine, "default") == {"w1"}
    await engine.tick()
    await engine.lose(*held)
    (lapsed,) = (await engine.lapse()).lapses
    assert lapsed.worker == "w1"
    await engine.work_off("w2")
