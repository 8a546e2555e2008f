"""A partition for every test of the worker, and workers that are ended after it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flower_engine.log.client import connect, connect_blocking
from flower_engine.log.partition import Partition
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.settings_loading import load_settings
from flower_engine.transitions.installation_transitions import install
from flower_worker.child_processes import Processes
from flower_worker.task_logs import task_logs
from scripts.engine import Engine
from worker.running import PROGRAMS, InProcess, OwnProcess

MakeSettings = Callable[..., Settings]


@pytest.fixture
def make_settings(redis_url: str) -> MakeSettings:
    """Settings with short times, and the test's own where they are given."""

    def make(**given: Any) -> Settings:
        usual: dict[str, Any] = {
            "redis_url": redis_url,
            "programs": (PROGRAMS,),
            "concurrency": 10,
            "processes": 2,
            "lease_seconds": 20.0,  # a machine that is busy may stop a heartbeat for a while
            "heartbeat_seconds": 0.1,
            "grace_seconds": 30.0,
        }
        return load_settings(**usual | given)

    return make


@pytest.fixture
async def engine(redis_url: str) -> AsyncIterator[Engine]:
    """An empty partition."""
    async with connect(redis_url) as client:
        with connect_blocking(redis_url) as blocking:
            meta = await install(client, 0, "test-installation", 1)
            yield Engine(client, blocking, Partition(0, meta.installation, meta.generation))


def _nothing_ahead(_processes: Processes) -> asyncio.Future[None]:
    nothing = asyncio.get_running_loop().create_future()
    nothing.set_result(None)
    return nothing


@pytest.fixture
async def start_worker(
    engine: Engine, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., InProcess]]:
    """Starts a worker in this process. Its child processes are made for the jobs that need them: one that is
    made ahead, as workers in processes of their own do, is for nothing in most tests, and costs more CPU than
    all the rest of them."""
    monkeypatch.setattr(Processes, "warm", _nothing_ahead)
    monkeypatch.setattr(task_logs, "_SEND_SECONDS", 60.0)  # what it had to say is there when it has ended
    started: list[InProcess] = []

    def start(**given: Any) -> InProcess:
        started.append(InProcess(make_settings(**given)))
        return started[-1]

    yield start
    for worker in started:
        await worker.kill()


@pytest.fixture
def spawn_worker(
    engine: Engine, make_settings: MakeSettings, tmp_path: Path
) -> Iterator[Callable[..., OwnProcess]]:
    """Starts a worker as a process of its own."""
    started: list[OwnProcess] = []

    def spawn(folder: Path | None = None, **given: Any) -> OwnProcess:
        log = tmp_path / f"worker-{len(started)}.log"
        started.append(OwnProcess(make_settings(**given), log, folder))
        return started[-1]

    yield spawn
    for worker in started:
        worker.kill()
