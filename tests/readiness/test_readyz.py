"""/readyz of services: whoever lives and does not do his work is not ready, and says what he does not do."""

import asyncio
import contextlib
import logging
import os
import re
import signal
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from acceptance.running import PATIENT, RunningEngine
from chaos.proxy import Proxy
from flower_engine.embedded.home import Home
from flower_engine.embedded.postgres import EmbeddedPostgres
from flower_engine.log.client import connect
from flower_engine.log.partition import Partition, read_meta
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.settings_loading import load_settings
from flower_engine.runtime.work_done import at_work, work_done_here
from flower_engine.transitions.installation_transitions import halt, install
from flower_projector.service import serve as serve_projector
from flower_watcher.service import serve as serve_watcher
from flower_worker.service import serve as serve_worker
from memory_folder import memory_folder
from metrics.scraping import TOLD_AT
from prepared_postgres import prepare_postgres
from standing_still import stands_still

_PATIENCE_SECONDS = 120.0
SERVICES = ("projector", "watcher", "worker")
PROGRAMS = {
    "FLOWER_PROGRAMS": "worker.sample_programs",
    "PYTHONPATH": str(Path(__file__).parents[1]),
    "FLOWER_METRICS_PORT": "0",
    **PATIENT,
}


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is late by a second is told, in this process."""
    for module in (
        "flower_engine.runtime.loop",
        "flower_worker.asking",
        "flower_worker.heartbeat",
    ):
        monkeypatch.setattr(f"{module}.PATIENCE_SECONDS", 1.0)


@contextlib.asynccontextmanager
async def served(
    serve: Callable[[Settings, asyncio.Event], Awaitable[None]],
    caplog: pytest.LogCaptureFixture,
    **given: Any,
) -> AsyncGenerator[str]:
    """A service in this process; where it tells of itself."""
    caplog.clear()
    caplog.set_level(logging.INFO)
    stop = asyncio.Event()
    settings = load_settings(metrics_port=0, lease_seconds=1.0, heartbeat_seconds=0.1, **given)
    running = asyncio.create_task(serve(settings, stop))  # type: ignore[arg-type]
    try:
        await until(lambda: TOLD_AT.search(caplog.text) is not None)
        found = TOLD_AT.search(caplog.text)
        assert found is not None
        yield found[1]
    finally:
        stop.set()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.05)


async def until_told(url: str, status: int, *says: str) -> dict[str, Any]:
    """The answer, as soon as it has this status and one of its problems has these words."""
    last: dict[str, Any] = {}

    async def is_told() -> bool:
        async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as client:
            reply = await client.get(f"{url}/readyz")
        last.clear()
        last.update(reply.json())
        problems = last["problems"]
        words = all(any(re.search(word, problem) for problem in problems) for word in says)
        return reply.status_code == status and words

    try:
        await until(is_told)
    except TimeoutError:
        raise AssertionError(f"not told: {says}; but {last}") from None
    return last


async def test_a_worker_that_is_alive_but_deaf_is_not_ready(
    redis_url: str, caplog: pytest.LogCaptureFixture, soon: None
) -> None:
    """Its connections stand and nothing comes over them, nor over new ones: the process looks well."""
    async with connect(redis_url) as client:
        await install(client, 0, "test-installation", 1)
    with Proxy(unquote(urlsplit(redis_url).path)) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        async with served(serve_worker, caplog, redis_url=url) as place:
            answer = await until_told(place, 200)
            assert [one["name"] for one in answer["work"]] == ["queues default of partition 0", "heartbeats"]
            assert answer == answer | {"status": "ready", "service": "worker", "problems": []}
            proxy.swallows = True
            answer = await until_told(
                place,
                503,
                "^queues default of partition 0: ",
                "^heartbeats: Redis has answered none for [0-9]+ s, so leases may have lapsed$",
            )
            assert answer["status"] == "not ready"
            async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as client:
                assert (await client.get(f"{place}/healthz")).json() == {"status": "alive"}
            proxy.swallows = False
            proxy.drop()  # what was swallowed never comes: as after a firewall forgot a connection
            await until_told(place, 200)


_OF_WATCHERS = ("lapse", "timers", "decisions", "workers", "slots", "trees")


async def test_a_watcher_that_nothing_reaches_names_each_loop(
    redis_url: str, database_url: str, caplog: pytest.LogCaptureFixture, soon: None
) -> None:
    async with connect(redis_url) as client:
        await install(client, 0, "test-installation", 1)
    with Proxy(unquote(urlsplit(redis_url).path)) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        async with served(serve_watcher, caplog, redis_url=url, database_url=database_url) as place:
            answer = await until_told(place, 200)
            loops = [f"{what} of partition 0" for what in _OF_WATCHERS]
            assert [one["name"] for one in answer["work"]] == [
                *loops,
                *("flow control", "schedules", "backfills"),
            ]
            proxy.swallows = True
            await until_told(place, 503, *(f"^{name}: it has been due for" for name in loops))
            proxy.swallows = False
            proxy.drop()
            await until_told(place, 200)


@pytest.mark.parametrize(
    ("serve", "module"),
    [
        (serve_watcher, "flower_watcher.service"),
        (serve_worker, "flower_worker.worker"),
        (serve_projector, "flower_projector.service"),
    ],
    ids=["watcher", "worker", "projector"],
)
async def test_a_service_is_at_work_when_each_of_its_loops_has_begun(
    redis_url: str,
    database_url: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    *,
    serve: Callable[[Settings, asyncio.Event], Awaitable[None]],
    module: str,
) -> None:
    begun: list[list[str]] = []

    def noted() -> contextlib.AbstractContextManager[None]:
        here = work_done_here()
        begun.append([] if here is None else [one.name for one in here.standings()])
        return at_work()

    monkeypatch.setattr(f"{module}.at_work", noted)
    async with connect(redis_url) as client:
        await install(client, 0, "test-installation", 1)
    async with served(serve, caplog, redis_url=redis_url, database_url=database_url) as place:
        answer = await until_told(place, 200)
    assert begun == [[one["name"] for one in answer["work"]]]


@pytest.fixture
def postgres() -> Iterator[EmbeddedPostgres]:
    """A Postgres that the test may stop."""
    made = tempfile.TemporaryDirectory(prefix="flower-ready-", dir=memory_folder())
    with made as folder, Home(Path(folder)) as home:
        prepare_postgres(home)
        server = EmbeddedPostgres(home, durable=False)
        yield server
        server.stop()


async def test_a_projector_whose_postgres_stands_still_is_not_ready(
    redis_url: str, postgres: EmbeddedPostgres, caplog: pytest.LogCaptureFixture, soon: None
) -> None:
    database_url = await asyncio.to_thread(postgres.start)
    async with served(serve_projector, caplog, redis_url=redis_url, database_url=database_url) as place:
        answer = await until_told(place, 200)
        assert answer["work"][0]["name"] == "log of partition 0"
        assert postgres.pid is not None
        with stands_still(postgres.pid):
            await until_told(place, 503, "^log of partition 0: it has been due for [0-9]+ s")
        await until_told(place, 200)


async def test_a_service_whose_partition_is_halted_is_at_no_work(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(redis_url) as client:
        await install(client, 0, "test-installation", 1)
        async with served(serve_watcher, caplog, redis_url=redis_url) as place:
            await until_told(place, 200)
            meta = await read_meta(client, 0)
            assert meta is not None
            await halt(client, Partition(0, meta.installation, meta.generation), "for the test")
            answer = await until_told(place, 503, "^it is not at work: ")
            assert answer["work"] == []


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    folder = tmp_path_factory.mktemp("ready")
    with RunningEngine.started(folder, "api", *SERVICES, **PROGRAMS) as running:
        yield running


def ready(engine: RunningEngine, name: str, seconds: float = 30.0) -> int | None:
    """The status of a service's /readyz; None: it does not answer in so much time."""
    found = TOLD_AT.search((engine.folder / f"{name}.log").read_text())
    if found is None:
        return None
    try:
        return httpx.get(f"{found[1]}/readyz", timeout=seconds, trust_env=False, verify=False).status_code
    except httpx.TransportError:
        return None


def test_services_that_do_their_work_are_ready(engine: RunningEngine) -> None:
    for name in SERVICES:
        engine.wait_for(f"{name} to be ready", lambda name=name: ready(engine, name) == 200)
    assert engine.client.get("/readyz").json()["dependencies"][-1]["name"] == "work"


def test_a_watcher_that_was_stopped_does_not_answer_and_is_ready_when_it_goes_on(
    engine: RunningEngine,
) -> None:
    engine.wait_for("the watcher to be ready", lambda: ready(engine, "watcher") == 200)
    pid = engine.service_pid("watcher")
    os.kill(pid, signal.SIGSTOP)
    try:
        assert ready(engine, "watcher", 0.5) is None
    finally:
        os.kill(pid, signal.SIGCONT)
    engine.wait_for("the watcher to be ready", lambda: ready(engine, "watcher") == 200)


def test_a_worker_whose_event_loop_is_blocked_does_not_answer(engine: RunningEngine, tmp_path: Path) -> None:
    engine.wait_for("the worker to be ready", lambda: ready(engine, "worker") == 200)
    blocks = {"taskSeq": 1, "program": "block_loop", "parameters": {"folder": str(tmp_path)}}
    engine.define("blocks", [blocks])
    flows = engine.register("blocks", 1)
    engine.wait_for("the attempt", (tmp_path / "began-1-1").exists)
    try:
        assert ready(engine, "worker", 0.5) is None
    finally:
        (tmp_path / "go").touch()
    engine.wait_until_ended(flows)
    engine.wait_for("the worker to be ready", lambda: ready(engine, "worker") == 200)


def test_a_worker_without_a_free_slot_asks_for_nothing_and_is_ready(
    engine: RunningEngine, tmp_path: Path
) -> None:
    engine.start("worker-2", FLOWER_CONCURRENCY="1", FLOWER_QUEUES="full")
    engine.wait_for("the worker to be ready", lambda: ready(engine, "worker-2") == 200)
    wait = {"taskSeq": 1, "program": "wait_async", "queue": "full", "parameters": {"folder": str(tmp_path)}}
    engine.define_ahead("full", [wait])
    flows = engine.register("full", 1)
    engine.wait_for("the attempt", (tmp_path / "began-1-1").exists)
    began = time.monotonic()
    try:
        while time.monotonic() < began + 0.5:
            assert ready(engine, "worker-2") == 200
    finally:
        (tmp_path / "go").touch()
    engine.wait_until_ended(flows)
    engine.stop("worker-2")
