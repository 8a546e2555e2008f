"""What a program forks off, and the signals that it gets, never reach the worker."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from flower_engine.log.client import send
from flower_engine.model.events.attempt_events import TaskStarted
from flower_engine.model.events.events import OutcomeRefused
from flower_engine.model.tasks.status import Status
from scripts.engine import Engine
from worker.forking_programs import WAYS
from worker.running import OwnProcess, eventually, row, until_settled

SpawnWorker = Callable[..., OwnProcess]
PROGRAMS = ("worker.sample_programs", "worker.forking_programs")


@pytest.mark.parametrize("kind", ["thread", "async", "process"])
async def test_no_way_to_fork_reaches_the_worker(
    engine: Engine, spawn_worker: SpawnWorker, kind: str
) -> None:
    flows = {way.__name__: await engine.register(row(1, f"fork_{kind}", WAY=way.__name__)) for way in WAYS}
    worker = spawn_worker(programs=PROGRAMS, concurrency=3, processes=1)
    ended = await until_settled(engine, *flows.values())
    results = {
        name: (msgspec.json.decode(state.task(1).result or b"null"), state.task(1).error)
        for name, state in zip(flows, ended, strict=True)
    }
    assert results == {way.__name__: (expected, None) for way, expected in WAYS.items()}
    assert "stopping" not in worker.log()
    started = [event for event in await engine.events() if isinstance(event, TaskStarted)]
    assert len(started) == len(flows), "nothing ran twice"
    assert not [event for event in await engine.events() if isinstance(event, OutcomeRefused)]
    assert await worker.stop() == 0
    assert worker.log().count("stopping (SIGTERM)") == 1
    assert "ending at once" not in worker.log()


async def test_a_copy_of_the_event_loop_runs_nothing(engine: Engine, spawn_worker: SpawnWorker) -> None:
    flow = await engine.register(row(1, "await_in_a_copy"))
    worker = spawn_worker(programs=PROGRAMS)
    (ended,) = await until_settled(engine, flow)
    assert (ended.status, ended.task(1).result) == (Status.FINISH, b"1")
    assert "await" in worker.log()
    (after,) = await until_settled(engine, await engine.register(row(1, "Noop")))
    assert after.status is Status.FINISH


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_the_whole_group_stops_the_worker_once(
    engine: Engine, spawn_worker: SpawnWorker, tmp_path: Path, number: signal.Signals
) -> None:
    rows = [row(seq, "two_processes", FOLDER=str(tmp_path)) for seq in (1, 2)]
    flow = await engine.register(rows[0], msgspec.structs.replace(rows[1], depends_on=()))
    worker = spawn_worker(programs=PROGRAMS)
    for seq in (1, 2):
        await eventually((tmp_path / f"began-{seq}").exists)
    os.killpg(worker.pid, number)
    assert await worker.ended() == 0
    assert worker.log().count(f"stopping ({number.name})") == 1
    assert "ending at once" not in worker.log()
    ended = [-15, -15] if number is signal.SIGTERM else [1, 1]
    state = await engine.flow(flow)
    assert [msgspec.json.decode(task.result or b"") for task in state.tasks] == [ended, ended]


async def test_a_copy_that_outlives_the_worker_keeps_nothing_of_it_open(
    engine: Engine, spawn_worker: SpawnWorker, tmp_path: Path
) -> None:
    """Neither its child processes, which end with it, nor its connections to Redis."""
    await engine.register(row(1, "wait_long", FOLDER=str(tmp_path)))
    others = await connections(engine)
    worker = spawn_worker(programs=PROGRAMS)
    await eventually((tmp_path / "child").exists)
    flow = await engine.register(row(1, "leave_a_copy", FOLDER=str(tmp_path)))
    await eventually((tmp_path / "copy").exists)
    await until_settled(engine, flow)
    its_own = await connections(engine) - others
    assert its_own
    worker.kill()
    child, copy = (int((tmp_path / name).read_text()) for name in ("child", "copy"))
    try:
        await eventually(lambda: not psutil.pid_exists(child))
        assert psutil.pid_exists(copy)

        async def are_closed() -> bool:
            return not its_own & await connections(engine)

        await eventually(are_closed)
    finally:
        os.kill(copy, signal.SIGKILL)


async def connections(engine: Engine) -> set[str]:
    """The ids of the clients that Redis has now."""
    clients: list[dict[str, str]] = await send(engine.client, "CLIENT LIST")
    return {client["id"] for client in clients}
