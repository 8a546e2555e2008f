"""A worker that is told to stop lets attempts end, or hands them back, and signs off."""

import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from flower_engine.log.client import send
from flower_engine.log.keys import GROUP
from flower_engine.model.events.attempt_events import TaskLapsed, TaskReturned, TaskSuspended
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.installation_transitions import halt
from flower_engine.transitions.operator_transitions import cancel
from flower_engine.transitions.worker_transitions import live_workers
from scripts.engine import Engine
from worker.running import InProcess, OwnProcess, eventually, row, the_worker, until, until_settled

StartWorker = Callable[..., InProcess]
SpawnWorker = Callable[..., OwnProcess]


async def consumers(engine: Engine) -> int:
    return len(await send(engine.client, "XINFO", "CONSUMERS", engine.keys.work("default"), GROUP))


async def pending(engine: Engine) -> int:
    return (await send(engine.client, "XPENDING", engine.keys.work("default"), GROUP))["pending"]


async def test_attempts_end_within_the_grace_time_and_nothing_new_begins(
    engine: Engine, spawn_worker: SpawnWorker, tmp_path: Path
) -> None:
    flows = await engine.register_many(
        3,
        row(1, "wait_async", FOLDER=str(tmp_path)),
        row(2, "wait_thread", FOLDER=str(tmp_path)),
        row(3, "Noop", 1),
    )
    worker = spawn_worker()
    await the_worker(engine)
    await until(
        engine, lambda found: all(found[flow].task(task).attempt == 1 for flow in flows for task in (1, 2))
    )
    worker.send(signal.SIGTERM)
    await eventually(lambda: "takes no more tasks" in worker.log())
    (tmp_path / "go").touch()
    assert await worker.ended() == 0
    for flow in flows:
        state = await engine.flow(flow)
        assert [task.status for task in state.tasks] == [Status.FINISH, Status.FINISH, Status.WAIT]
    assert await live_workers(engine.client, engine.partition) == []
    assert (await consumers(engine), await pending(engine)) == (0, 0)


async def test_attempts_that_can_be_stopped_are_handed_back_after_the_grace_time(
    engine: Engine, spawn_worker: SpawnWorker, tmp_path: Path
) -> None:
    flow = await engine.register(
        row(1, "wait_async", FOLDER=str(tmp_path)), row(2, "wait_process", FOLDER=str(tmp_path))
    )
    worker = spawn_worker(grace_seconds=0.1)
    for task in (1, 2):
        await eventually((tmp_path / f"began-{task}-1").exists)
    assert await worker.stop() == 0
    assert (tmp_path / "cancelled-1-1").exists()
    returned = [event.task for event in await engine.events() if isinstance(event, TaskReturned)]
    assert sorted(returned) == [1, 2]
    assert (await consumers(engine), await pending(engine)) == (0, 0)
    (tmp_path / "go").touch()
    spawn_worker()
    (ended,) = await until_settled(engine, flow)
    assert [task.attempt for task in ended.tasks] == [2, 2]


@pytest.mark.parametrize("program", ["wait_thread", "block_loop"])
async def test_what_cannot_be_stopped_is_handed_back_with_the_process(
    engine: Engine, spawn_worker: SpawnWorker, tmp_path: Path, program: str
) -> None:
    """However often its workers are restarted; the next one need not wait for a lease to lapse."""
    rows = (row(1, program, FOLDER=str(tmp_path)), row(2, "wait_process", FOLDER=str(tmp_path)))
    flow = await engine.register(*rows)
    for attempt in (1, 2, 3):
        worker = spawn_worker(grace_seconds=0.1, lease_seconds=600, heartbeat_seconds=0.1, max_lost=2)
        await eventually((tmp_path / f"began-1-{attempt}").exists)
        if program == "block_loop":
            worker.send(signal.SIGTERM)
            await eventually(lambda worker=worker: "stopping" in worker.log())
        code = await worker.stop()
        state = (await engine.flow(flow)).task(1)
        assert (state.status, state.lost, state.attempt) == (Status.WAIT, 0, attempt), worker.log()
        assert (await consumers(engine), await pending(engine)) == (0, 0)
        assert code == (0 if program == "wait_thread" else 143)
        assert "handed" in worker.log()
    events = await engine.events()
    assert not [event for event in events if isinstance(event, TaskLapsed | TaskSuspended)]


async def test_a_second_signal_hands_back_all_that_runs(
    engine: Engine, spawn_worker: SpawnWorker, tmp_path: Path
) -> None:
    kinds = ("wait_async", "wait_thread", "wait_process", "ignore_cancellation")
    rows = [row(seq, kind, FOLDER=str(tmp_path)) for seq, kind in enumerate(kinds, start=1)]
    flow = await engine.register(*(msgspec.structs.replace(one, depends_on=()) for one in rows))
    worker = spawn_worker(grace_seconds=600, lease_seconds=600, heartbeat_seconds=0.1)
    for seq in range(1, 5):
        await eventually((tmp_path / f"began-{seq}-1").exists)
    child = int((tmp_path / "began-3-1").read_text())
    worker.send(signal.SIGTERM)
    await eventually(lambda: "takes no more tasks" in worker.log())
    assert await worker.stop() == 143
    state = await engine.flow(flow)
    assert [(task.status, task.lost) for task in state.tasks] == [(Status.WAIT, 0)] * 4
    assert await live_workers(engine.client, engine.partition) == []
    await eventually(lambda: not psutil.pid_exists(child))


async def test_a_program_that_ignores_its_end_is_left_to_the_end_of_the_process(
    engine: Engine, start_worker: StartWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flower_worker.drain._STOP_SECONDS", 0.1)
    monkeypatch.setattr("flower_worker.drain._HAND_IN_SECONDS", 0.1)
    flow = await engine.register(row(1, "ignore_cancellation", FOLDER=str(tmp_path)))
    worker = start_worker(grace_seconds=0)
    await eventually((tmp_path / "began-1-1").exists)
    await worker.stop()
    assert (tmp_path / "cancelled-1-1").exists()
    assert (await engine.flow(flow)).task(1).status is Status.RUNNING
    (tmp_path / "go").touch()


@pytest.mark.parametrize("program", ["ignore_cancellation", "wait_thread"])
async def test_a_program_of_a_cancelled_flow_that_goes_on_keeps_no_worker_from_its_end(
    engine: Engine, spawn_worker: SpawnWorker, tmp_path: Path, program: str
) -> None:
    flow = await engine.register(row(1, program, FOLDER=str(tmp_path)))
    worker = spawn_worker(grace_seconds=600, heartbeat_seconds=0.1)
    await eventually((tmp_path / "began-1-1").exists)
    await cancel(engine.client, engine.partition, flow, by="somebody", reason="")
    await eventually(lambda: "has no lease any more" in worker.log())
    assert await worker.stop() == 0, worker.log()
    assert "ending at once" not in worker.log()
    assert await live_workers(engine.client, engine.partition) == []


async def test_a_program_that_outlived_a_loss_of_redis_keeps_no_worker_from_its_end(
    engine: Engine, spawn_worker: SpawnWorker, tmp_path: Path
) -> None:
    await engine.register(row(1, "ignore_cancellation", FOLDER=str(tmp_path)))
    worker = spawn_worker(grace_seconds=600, heartbeat_seconds=0.1)
    await eventually((tmp_path / "began-1-1").exists)
    await halt(engine.client, engine.partition, "a test")
    await send(engine.client, "HDEL", engine.keys.meta, "halted_why")
    await send(engine.client, "HSET", engine.keys.meta, "generation", "2")
    await eventually(lambda: worker.log().count(" serves queues ") == 2)
    assert await worker.stop() == 0, worker.log()
    assert "ending at once" not in worker.log()


async def test_stopping_suspends_no_task(engine: Engine, start_worker: StartWorker, tmp_path: Path) -> None:
    await engine.register_many(5, row(1, "wait_async", FOLDER=str(tmp_path)))
    worker = start_worker(grace_seconds=0)
    await eventually((tmp_path / "began-1-1").exists)
    await worker.stop()
    events = await engine.events()
    assert not [event for event in events if isinstance(event, TaskSuspended)]
    assert (await consumers(engine), await pending(engine)) == (0, 0)


async def test_an_idle_worker_stops_at_once(engine: Engine, start_worker: StartWorker) -> None:
    worker = start_worker(grace_seconds=3600)
    await the_worker(engine)
    await worker.stop()
    assert await live_workers(engine.client, engine.partition) == []
