"""What a worker does with its leases: it keeps them alive, gives up those that are gone, counts once."""

import asyncio
import signal
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from flower_engine.log.client import send
from flower_engine.log.keys import GROUP
from flower_engine.model.events.attempt_events import TaskFinished, TaskLapsed, TaskStarted
from flower_engine.model.events.events import OutcomeRefused
from flower_engine.model.tasks.status import Status
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.transitions.installation_transitions import halt
from flower_engine.transitions.worker_transitions import live_workers
from flower_watcher.lapse import LapseLoop
from scripts.engine import Engine
from worker.conftest import MakeSettings
from worker.running import InProcess, OwnProcess, eventually, row, the_worker, until, until_settled

StartWorker = Callable[..., InProcess]
SpawnWorker = Callable[..., OwnProcess]


async def count(engine: Engine, kind: type) -> int:
    return sum(isinstance(event, kind) for event in await engine.events())


async def held_leases(engine: Engine) -> list[dict[str, Any]]:
    """Of each its id, and how long its worker has said nothing."""
    return await engine.client.xpending_range(engine.keys.work("default"), GROUP, "-", "+", 100)


async def make_silent(engine: Engine, idle_ms: int, leases: Collection[bytes] | None = None) -> int:
    """Makes every lease, or each of these, look as if its worker had said nothing for so long; returns how
    many there are."""
    work = engine.keys.work("default")
    held = [one for one in await held_leases(engine) if leases is None or one["message_id"] in leases]
    for entry in held:
        given = (entry["consumer"], 0, entry["message_id"], "IDLE", idle_ms)
        await send(engine.client, "XCLAIM", work, GROUP, *given)
    return len(held)


async def is_kept(engine: Engine, lease_ms: int) -> bool:
    """Whether a heartbeat has come for every lease in this time."""
    return all(one["time_since_delivered"] < lease_ms for one in await held_leases(engine))


async def lapse_now(engine: Engine) -> None:
    """Takes every lease away that there is, as the watcher does when a worker was silent for too long."""
    await engine.tick()
    held: set[bytes] = {one["message_id"] for one in await held_leases(engine)}
    assert held
    while await make_silent(engine, 120_000, held):
        await engine.lapse()  # unless a heartbeat came between; what the task gets next is another lease


async def test_each_outcome_counts_once_though_connections_are_cut(
    engine: Engine, start_worker: StartWorker
) -> None:
    flows = await engine.register_many(200, row(1, "Noop"), row(2, "add", 1, a=1), row(3, "Noop", 2))
    start_worker()
    cuts = 0

    async def all_ended_though_cut() -> bool:
        nonlocal cuts
        cuts += await send(engine.client, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        return await send(engine.client, "LLEN", engine.keys.endings) == len(flows)

    await eventually(all_ended_though_cut)
    assert cuts > 0
    assert await count(engine, TaskFinished) == await count(engine, TaskStarted) == 600
    assert await count(engine, OutcomeRefused) == 0


async def test_a_blocked_event_loop_loses_no_lease(
    engine: Engine, spawn_worker: SpawnWorker, tmp_path: Path
) -> None:
    flow = await engine.register(row(1, "block_loop", FOLDER=str(tmp_path)))
    spawn_worker()
    await eventually((tmp_path / "began-1-1").exists)
    await engine.tick()
    for _ in range(3):
        assert await make_silent(engine, 120_000) == 1
        await eventually(lambda: is_kept(engine, 60_000))
        assert (await engine.lapse(lease_ms=60_000)).lapses == []
    (tmp_path / "go").touch()
    (ended,) = await until_settled(engine, flow)
    assert ended.ended_ms is not None
    assert (await count(engine, TaskStarted), await count(engine, TaskLapsed)) == (1, 0)


async def test_a_lost_attempt_is_cancelled_and_says_nothing(
    engine: Engine, start_worker: StartWorker, tmp_path: Path
) -> None:
    flow = await engine.register(row(1, "wait_async", FOLDER=str(tmp_path)))
    start_worker(concurrency=1)
    await eventually((tmp_path / "began-1-1").exists)
    await lapse_now(engine)
    await eventually((tmp_path / "cancelled-1-1").exists)
    await eventually((tmp_path / "began-1-2").exists)  # the slot was free again
    (tmp_path / "go").touch()
    (ended,) = await until_settled(engine, flow)
    assert ended.task(1).attempt == 2
    assert await count(engine, OutcomeRefused) == 0


async def test_a_lost_attempt_on_a_thread_goes_on_and_its_outcome_is_refused(
    engine: Engine, start_worker: StartWorker, tmp_path: Path
) -> None:
    flow = await engine.register(row(1, "wait_thread", FOLDER=str(tmp_path)))
    start_worker(concurrency=1)
    await eventually((tmp_path / "began-1-1").exists)
    first = (await the_worker(engine)).worker
    await lapse_now(engine)
    start_worker(concurrency=1)
    await eventually((tmp_path / "began-1-2").exists)  # by the second: the first one's slot is still taken
    (tmp_path / "go").touch()
    await until_settled(engine, flow)
    await eventually(lambda: _refused(engine))
    (refused,) = await engine.refused()
    ended = await engine.flow(flow)
    assert (refused.flow, refused.task, refused.worker) == (flow, 1, first)
    assert ended.task(1).attempt == 2 and ended.task(1).worker != first
    assert await count(engine, TaskFinished) == 1


async def _refused(engine: Engine) -> bool:
    return await count(engine, OutcomeRefused) > 0


async def test_a_lost_attempt_in_a_process_is_killed(
    engine: Engine, start_worker: StartWorker, tmp_path: Path
) -> None:
    flow = await engine.register(row(1, "wait_process", FOLDER=str(tmp_path)))
    start_worker(processes=1)
    await eventually((tmp_path / "began-1-1").exists)
    await lapse_now(engine)
    await eventually((tmp_path / "began-1-2").exists)
    (tmp_path / "go").touch()
    await until_settled(engine, flow)
    assert await count(engine, OutcomeRefused) == 0
    first, second = ((tmp_path / f"began-1-{attempt}").read_text() for attempt in (1, 2))
    assert first != second


async def test_a_stopped_worker_is_overtaken_and_finds_its_lease_gone(
    engine: Engine, spawn_worker: SpawnWorker, make_settings: MakeSettings, tmp_path: Path
) -> None:
    flow = await engine.register(row(1, "wait_thread", FOLDER=str(tmp_path)))
    first = spawn_worker(concurrency=1, lease_seconds=1.0)
    await eventually((tmp_path / "began-1-1").exists)
    first.send(signal.SIGSTOP)
    settings = make_settings(lease_seconds=1.0)
    watching = asyncio.create_task(LapseLoop(engine.client, engine.partition, settings).run())
    try:
        await until(engine, lambda flows: flows[flow].task(1).status is Status.WAIT)
    finally:
        await cancel_all([watching])
    spawn_worker(concurrency=1)
    await eventually((tmp_path / "began-1-2").exists)
    (tmp_path / "go").touch()
    await until_settled(engine, flow)
    first.send(signal.SIGCONT)
    await eventually(lambda: _refused(engine))
    assert (await engine.flow(flow)).task(1).attempt == 2
    assert await count(engine, TaskFinished) == 1
    await eventually(lambda: "has no lease any more" in first.log() or "was answered" in first.log())


async def test_a_task_that_ends_its_workers_is_suspended_as_poison(
    engine: Engine, spawn_worker: SpawnWorker, make_settings: MakeSettings
) -> None:
    flow = await engine.register(row(1, "kill_worker"))
    settings = make_settings(max_lost=2, lease_seconds=1.0)
    for lost in (1, 2):
        assert await spawn_worker().ended() == -signal.SIGKILL
        watching = asyncio.create_task(LapseLoop(engine.client, engine.partition, settings).run())
        try:  # nobody watches while a worker lives, which may stand still for a lease time
            await until(engine, lambda flows, lost=lost: flows[flow].task(1).lost == lost)
        finally:
            await cancel_all([watching])
    suspended = await engine.flow(flow)
    assert suspended.task(1).status is Status.SUSPEND
    error = suspended.task(1).error
    assert error is not None and error.type == "WorkerLost"


async def test_a_worker_stops_what_runs_when_redis_is_lost_and_begins_anew_when_it_is_recovered(
    engine: Engine, start_worker: StartWorker, tmp_path: Path
) -> None:
    await engine.register(row(1, "wait_async", FOLDER=str(tmp_path)))
    worker = start_worker()
    await eventually((tmp_path / "began-1-1").exists)
    before = await the_worker(engine)
    await halt(engine.client, engine.partition, "a test")
    await eventually((tmp_path / "cancelled-1-1").exists)
    await send(engine.client, "HDEL", engine.keys.meta, "halted_why")
    await send(engine.client, "HSET", engine.keys.meta, "generation", "2")

    async def is_another() -> bool:
        names = {info.worker for info in await live_workers(engine.client, engine.partition)}
        return bool(names - {before.worker})

    await eventually(is_another)
    await worker.stop()
