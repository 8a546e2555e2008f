"""A worker waits for Redis and for an installation, and goes on when they are there."""

import asyncio
import contextlib
import logging
import os
import signal
import tempfile
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from flower_engine.embedded.home import Home
from flower_engine.embedded.valkey import EmbeddedValkey
from flower_engine.log.client import connect, connect_blocking
from flower_engine.log.partition import Partition
from flower_engine.model.tasks.status import Status
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.transitions.installation_transitions import install
from memory_folder import memory_folder
from scripts.engine import Engine
from worker.conftest import MakeSettings
from worker.running import InProcess, OwnProcess, eventually, row, the_worker, until_settled


@contextlib.asynccontextmanager
async def own_valkey() -> AsyncGenerator[tuple[EmbeddedValkey, str, Engine]]:
    """A server that this test may stop; in a folder short enough for it to come back at the same address."""
    made = tempfile.TemporaryDirectory(prefix="flower-worker-", dir=memory_folder())
    with made as folder, Home(Path(folder)) as home:
        valkey = EmbeddedValkey(home)
        url = valkey.start()
        try:
            async with connect(url) as client:
                with connect_blocking(url) as blocking:
                    meta = await install(client, 0, "test-installation", 1)
                    yield (
                        valkey,
                        url,
                        Engine(client, blocking, Partition(0, meta.installation, meta.generation)),
                    )
        finally:
            valkey.stop()


async def test_a_worker_goes_on_after_a_restart_of_redis(
    make_settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    async with own_valkey() as (valkey, url, engine):
        worker = InProcess(make_settings(redis_url=url))
        try:
            await until_settled(engine, await engine.register(row(1, "Noop")))
            valkey.stop()
            await eventually(lambda: "does not answer" in caplog.text)
            valkey.start()
            (ended,) = await until_settled(engine, await engine.register(row(1, "Noop")))
            assert ended.ended_ms is not None
            await eventually(lambda: "answers again" in caplog.text)
            await worker.stop()
        finally:
            await worker.kill()


async def test_a_worker_can_be_stopped_while_redis_is_down(
    tmp_path: Path,
    make_settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("flower_worker.drain._HAND_IN_SECONDS", 0.1)
    async with own_valkey() as (valkey, url, engine):
        await engine.register(row(1, "wait_async", FOLDER=str(tmp_path)))
        worker = InProcess(make_settings(redis_url=url, grace_seconds=0))
        try:
            await eventually((tmp_path / "began-1-1").exists)
            valkey.stop()
            await worker.stop()
        finally:
            await worker.kill()
    assert (tmp_path / "cancelled-1-1").exists()
    assert "1 outcomes could not be handed in" in caplog.text


async def test_a_worker_whose_redis_is_away_ends_at_a_second_signal_all_the_same(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    """What it holds lapses then."""
    async with own_valkey() as (valkey, url, engine):
        await engine.register(row(1, "wait_thread", FOLDER=str(tmp_path)))
        worker = OwnProcess(make_settings(redis_url=url, grace_seconds=600), tmp_path / "worker.log")
        await eventually((tmp_path / "began-1-1").exists)
        assert valkey.pid is not None
        os.kill(valkey.pid, signal.SIGSTOP)
        try:
            worker.send(signal.SIGTERM)
            await eventually(lambda: "stopping" in worker.log())
            assert await worker.stop() == 143
        finally:
            os.kill(valkey.pid, signal.SIGCONT)
            worker.kill()
        assert (await engine.flow((await engine.flows()).popitem()[0])).task(1).status is Status.RUNNING


async def test_a_worker_waits_for_an_installation(
    redis_url: str, make_settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    worker = InProcess(make_settings())
    try:
        await eventually(lambda: "installation" in caplog.text)
        async with connect(redis_url) as client:
            with connect_blocking(redis_url) as blocking:
                meta = await install(client, 0, "test-installation", 1)
                engine = Engine(client, blocking, Partition(0, meta.installation, meta.generation))
                await the_worker(engine)
        await worker.stop()
    finally:
        await worker.kill()


async def test_a_worker_that_still_waits_can_be_stopped(make_settings: MakeSettings) -> None:
    await InProcess(make_settings(redis_url="redis://127.0.0.1:9/0")).stop()


async def test_one_worker_serves_two_partitions(
    redis_url: str, make_settings: MakeSettings, start_worker: Callable[..., InProcess]
) -> None:
    async with connect(redis_url) as client:
        with connect_blocking(redis_url) as blocking:
            await client.flushall()  # pyright: ignore[reportUnknownMemberType]
            engines: list[Engine] = []
            for number in (0, 1):
                meta = await install(client, number, "test-installation", 2)
                engines.append(
                    Engine(client, blocking, Partition(number, meta.installation, meta.generation))
                )
            flows = [await engine.register_many(20, row(1, "Noop"), row(2, "Noop", 1)) for engine in engines]
            worker = start_worker(partitions=2, concurrency=3)
            for engine, registered in zip(engines, flows, strict=True):
                await until_settled(engine, *registered)
            await worker.stop()


def test_a_backoff_speaks_once_and_waits_longer_each_time(caplog: pytest.LogCaptureFixture) -> None:
    backoff = StoreBackoff(logging.getLogger("test"), "Redis")
    waits = [backoff.failed(ConnectionError("no")) for _ in range(12)]
    assert waits == sorted(waits) and 0 < waits[0] < waits[-1] == 2.0
    assert caplog.text.count("Redis does not answer") == 1
    backoff.worked()
    backoff.worked()
    assert caplog.text.count("Redis answers again") == 1
    assert backoff.failed(ConnectionError("no")) == waits[0]


async def test_a_task_that_loses_a_cancellation_is_cancelled_again() -> None:
    cancelled = 0

    async def stubborn() -> None:
        nonlocal cancelled
        while cancelled < 2:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled += 1

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await cancel_all([task])
    assert cancelled == 2
