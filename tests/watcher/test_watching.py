"""The watcher ends the leases of lost workers, and forgets the workers."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from flower_engine.log.client import connect, connect_blocking, send
from flower_engine.log.partition import Partition
from flower_engine.model.events.attempt_events import TaskLapsed
from flower_engine.model.tasks.status import Status
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.settings_loading import load_settings
from flower_engine.transitions.installation_transitions import halt, install
from flower_engine.transitions.watcher_transitions import Lapse
from flower_watcher.decisions import DecisionLoop
from flower_watcher.lapse import LapseLoop
from flower_watcher.service import serve
from flower_watcher.workers import WorkersLoop
from scripts.engine import A_MINUTE_MS, Engine, task
from worker.running import PATIENCE_SECONDS, eventually


@pytest.fixture
async def engine(redis_url: str) -> AsyncIterator[Engine]:
    """An empty partition whose queue ``default`` is attended."""
    async with connect(redis_url) as client:
        with connect_blocking(redis_url) as blocking:
            meta = await install(client, 0, "test-installation", 1)
            engine = Engine(client, blocking, Partition(0, meta.installation, meta.generation))
            await engine.attend("default")
            yield engine


@pytest.fixture
def soon(redis_url: str) -> Settings:
    """For whole services: what they do not do for one lease time, after a stall of this machine, is soon."""
    return load_settings(redis_url=redis_url, lease_seconds=5.0, heartbeat_seconds=1.0, max_lost=2)


@pytest.fixture
def settings(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """For looks at what has just lapsed: a machine that stands still meanwhile is no stall to them."""
    monkeypatch.setattr("flower_watcher.lapse._INTERVALS_TO_A_STALL", 1_000)
    return load_settings(redis_url=redis_url, lease_seconds=60.0, heartbeat_seconds=1.0, max_lost=2)


async def test_a_lapsed_lease_ends_and_is_named(
    engine: Engine, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    flow = await engine.register(task(1))
    (claim,) = await engine.claim()
    watching = LapseLoop(engine.client, engine.partition, settings)
    await engine.tick()
    await engine.lose(claim)
    assert await watching.run_once() == [Lapse("default", flow, 1, "w1", suspended=False)]
    assert (await engine.flow(flow)).task(1).status is Status.WAIT
    assert all(part in caplog.text for part in (flow, "task 1", "w1"))


async def test_one_lost_worker_too_many_suspends_the_task(engine: Engine, settings: Settings) -> None:
    flow = await engine.register(task(1))
    watching = LapseLoop(engine.client, engine.partition, settings)
    await engine.tick()
    for suspended in (False, True):
        (claim,) = await engine.claim()
        await engine.lose(claim)
        (lapse,) = await watching.run_once()
        assert lapse.suspended is suspended
    error = (await engine.flow(flow)).task(1).error
    assert error is not None and error.type == "WorkerLost"


async def test_nothing_lapses_after_a_stall(
    engine: Engine, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    flow = await engine.register(task(1))
    (claim,) = await engine.claim()
    watching = LapseLoop(engine.client, engine.partition, settings)
    await engine.tick()
    await engine.lose(claim)
    long_ago = int(await send(engine.client, "HGET", engine.keys.meta, "tick")) - 10 * A_MINUTE_MS
    await send(engine.client, "HSET", engine.keys.meta, "tick", long_ago)
    assert await watching.run_once() == []
    assert (await engine.flow(flow)).task(1).status is Status.RUNNING
    assert "Redis stood still" in caplog.text


async def test_two_watchers_end_a_lease_once(engine: Engine, settings: Settings) -> None:
    await engine.register_many(20, task(1))
    claims = await engine.claim()
    await engine.tick()
    await engine.lose(*claims)
    loops = [LapseLoop(engine.client, engine.partition, settings) for _ in range(2)]
    ended = await asyncio.gather(*(loop.run_once() for loop in loops))
    assert sum(map(len, ended)) == 20
    assert sum(isinstance(event, TaskLapsed) for event in await engine.events()) == 20


async def test_a_queue_that_is_new_is_watched_before_its_first_lease_can_lapse(
    engine: Engine, settings: Settings
) -> None:
    """Which queues there are is not asked at every look."""
    for looks in range(8):
        queue = f"queue-{looks}"
        watching = LapseLoop(engine.client, engine.partition, settings)
        for _ in range(looks):
            await watching.run_once()
        await engine.attend(queue)
        await engine.register(task(1, queue=queue))
        claims = await engine.claim(queues=(queue,))
        for _ in range(4):  # it looks at least eight times a lease
            await watching.run_once()
        await send(engine.client, "HSET", engine.keys.meta, "grace", 0)
        await engine.tick()
        await engine.lose(*claims)
        assert [ended.queue for ended in await watching.run_once()] == [queue]


async def test_the_watcher_looks_often_enough_for_short_leases(engine: Engine, redis_url: str) -> None:
    short = load_settings(redis_url=redis_url, lease_seconds=0.8, heartbeat_seconds=0.1)
    assert LapseLoop(engine.client, engine.partition, short).interval_seconds <= 0.1


async def workers(engine: Engine) -> list[bytes]:
    return await send(engine.client, "ZRANGE", engine.keys.workers, 0, -1)


async def test_a_worker_that_is_gone_and_holds_nothing_is_forgotten(
    engine: Engine, settings: Settings
) -> None:
    await engine.register(task(1))
    claims = await engine.claim(worker="gone")
    await engine.finish(*claims, worker="gone")
    for worker in ("gone", "alive"):
        engine.heartbeat(worker)
    await send(engine.client, "DEL", engine.keys.worker("gone"))
    watching = WorkersLoop(engine.client, engine.partition, settings)
    assert await watching.run_once() == ["gone"]
    assert await workers(engine) == [b"alive"]
    consumers = await send(engine.client, "XINFO", "CONSUMERS", engine.keys.work("default"), "workers")
    assert consumers == []
    assert await watching.run_once() == []


async def test_no_worker_is_forgotten_because_the_clock_jumped_ahead(
    engine: Engine, settings: Settings
) -> None:
    """The key that shows it lives by that clock."""
    engine.heartbeat("alive")
    await engine.tick()
    await engine.step_clock(60 * A_MINUTE_MS)
    await send(engine.client, "DEL", engine.keys.worker("alive"))
    watching = WorkersLoop(engine.client, engine.partition, settings)
    assert await watching.run_once() == [], "no watcher has seen the jump"
    await LapseLoop(engine.client, engine.partition, settings).run_once()
    assert await watching.run_once() == [], "and now it has"
    engine.heartbeat("alive")
    await send(engine.client, "HSET", engine.keys.meta, "grace", 0)
    await engine.tick()
    assert await watching.run_once() == []
    assert await workers(engine) == [b"alive"]


async def test_a_worker_that_is_gone_is_remembered_while_it_holds_leases(
    engine: Engine, settings: Settings
) -> None:
    await engine.register(task(1))
    (claim,) = await engine.claim(worker="gone")
    engine.heartbeat("gone")
    await send(engine.client, "DEL", engine.keys.worker("gone"))
    watching = WorkersLoop(engine.client, engine.partition, settings)
    assert await watching.run_once() == []
    assert await workers(engine) == [b"gone"]
    await engine.tick()
    await engine.lose(claim, worker="gone")
    await engine.lapse()
    assert await watching.run_once() == ["gone"]


async def waits(engine: Engine, flow: str) -> bool:
    return (await engine.flow(flow)).task(1).status is Status.WAIT


async def ticked(engine: Engine) -> bool:
    return bool(await send(engine.client, "HEXISTS", engine.keys.meta, "tick"))


async def ran(service: asyncio.Task[None]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await service


async def test_the_service_watches_until_it_is_stopped(engine: Engine, soon: Settings) -> None:
    flow = await engine.register(task(1))
    (claim,) = await engine.claim()
    await engine.tick()
    stop = asyncio.Event()
    service = asyncio.create_task(serve(soon, stop))
    try:
        await engine.lose(claim)
        await eventually(lambda: waits(engine, flow))
        stop.set()
        await ran(service)
    finally:
        await cancel_all([service])


async def test_the_service_goes_on_when_its_connections_are_cut(engine: Engine, soon: Settings) -> None:
    flow = await engine.register(task(1))
    (claim,) = await engine.claim()
    await engine.tick()
    stop = asyncio.Event()
    service = asyncio.create_task(serve(soon, stop))
    try:
        for _ in range(5):
            await send(engine.client, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await asyncio.sleep(0.02)
        await engine.lose(claim)
        await eventually(lambda: waits(engine, flow))
    finally:
        stop.set()
        await ran(service)


async def test_the_service_waits_while_redis_is_lost_and_goes_on_when_it_is_recovered(
    engine: Engine, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    stop = asyncio.Event()
    service = asyncio.create_task(serve(settings, stop))
    await eventually(lambda: ticked(engine))
    await halt(engine.client, engine.partition, "a test")
    await eventually(lambda: "waiting for Redis to be recovered" in caplog.text)
    await send(engine.client, "HDEL", engine.keys.meta, "halted_why", "tick")
    await send(engine.client, "HSET", engine.keys.meta, "generation", "2")
    await eventually(lambda: ticked(engine))
    stop.set()
    await ran(service)


async def test_a_service_that_waits_for_redis_can_be_stopped() -> None:
    stop = asyncio.Event()
    service = asyncio.create_task(serve(load_settings(redis_url="redis://127.0.0.1:9/0"), stop))
    await asyncio.sleep(0)
    stop.set()
    await ran(service)


async def test_a_decision_that_no_worker_makes_is_made_by_the_watcher(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    condition = {"condition": ["gt", {"$from": 1}, 2]}
    flow = await engine.register(task(1), task(2, 1, program="@when", parameters=condition))
    (claim,) = await engine.claim()
    await engine.finish(claim, payload=b"3")
    deciding = DecisionLoop(engine.client, engine.partition)
    with monkeypatch.context() as patch:
        patch.setattr("flower_watcher.decisions._LEAST_MS", A_MINUTE_MS)
        assert await deciding.run_once() == 0  # so long workers have

    async def is_made() -> bool:
        return await deciding.run_once() == 1

    await eventually(is_made)
    assert (await engine.flow(flow)).task(2).status is Status.FINISH
