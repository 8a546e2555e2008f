"""A real API on a free port, in a thread of its own, and what tests do around it."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Self

import httpx
import psycopg
import uvloop

from api.known_parameters import remember_parameters
from flower_api.service import serve
from flower_engine.log.client import connect, connect_blocking
from flower_engine.log.partition import Partition, read_meta
from flower_engine.projection.database import connect as connect_postgres
from flower_engine.runtime.settings import Settings
from flower_projector.log_follower import Follower
from scripts.engine import Engine

PATIENCE_SECONDS = 120.0

remember_parameters()


class RunningApi:
    """Serves from construction to :meth:`stop`."""

    def __init__(self, *, port: int = 0, **settings: Any) -> None:
        self.settings = Settings(port=port, **settings)
        self._listening: Future[str] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ended: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="api")
        self._thread.start()
        self.url = self._listening.result(PATIENCE_SECONDS)
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS, verify=False)

    def __enter__(self) -> Self:
        self.wait_for(lambda: self.client.get("/readyz").status_code == 200, pause=0.04)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Asks it to stop, waits for its end, raises what it raised."""
        self.client.close()
        if self._loop is not None and self._stop is not None and not self._ended.done():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._ended.result(PATIENCE_SECONDS)
        self._thread.join()

    def wait_until_it_ends(self) -> None:
        """Waits for an end that nobody asked for; raises what it raised."""
        try:
            self._ended.result(PATIENCE_SECONDS)
        finally:
            self.stop()

    def wait_for(self, condition: Callable[[], bool], pause: float = 0.01) -> None:
        """Polls until the condition holds: ever more seldom, as each look costs CPU, too."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)

    # What people do

    def define(self, workflow: str, *tasks: dict[str, Any]) -> None:
        """Defines a workflow; a task is numbered where it does not say otherwise, and runs A."""
        rows = [{"taskSeq": number, "program": "A", **task} for number, task in enumerate(tasks, start=1)]
        self.client.put(f"/workflows/{workflow}", json={"tasks": rows}).raise_for_status()

    def register(self, workflow: str) -> str:
        """Registers a flow; its id."""
        reply = self.client.post(f"/register/{workflow}")
        assert reply.status_code == 200, reply.text
        return reply.json()["taskFlowId"]

    def flow(self, flow_id: str) -> dict[str, Any]:
        reply = self.client.get(f"/flows/{flow_id}")
        assert reply.status_code == 200, reply.text
        return reply.json()

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Runs a statement as somebody with psql would."""
        with psycopg.connect(self.settings.database_url or "", autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    # What the other services do

    @asynccontextmanager
    async def engine(self, partition: int = 0) -> AsyncGenerator[Engine]:
        """The transitions of one partition."""
        assert self.settings.redis_url is not None
        async with connect(self.settings.redis_url) as client:
            with connect_blocking(self.settings.redis_url) as blocking:
                meta = await read_meta(client, partition)
                assert meta is not None
                engine = Engine(client, blocking, Partition(partition, meta.installation, meta.generation))
                await engine.attend("default")
                yield engine

    async def project(self, *, events: int = 1_000, partition: int = 0) -> None:
        """Projects everything that the log holds now, in batches of so many events."""
        async with (
            self.engine(partition) as engine,
            await connect_postgres(self.settings.database_url or "", "test") as connection,
        ):
            follower = Follower(engine.client, connection, engine.partition, events)
            while await follower.run_once():
                pass

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 # the test is told
            if not self._listening.done():
                self._listening.set_exception(error)
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await serve(self.settings, self._stop, self._listening.set_result)


def details(reply: httpx.Response) -> Sequence[str]:
    """What a problem names, and that it is a well-formed problem."""
    body = reply.json()
    assert reply.headers["content-type"] == "application/problem+json"
    assert body["status"] == reply.status_code
    assert body["type"].startswith("urn:flower:problem:")
    assert body["title"] and body["detail"]
    return [problem["detail"] for problem in body.get("problems", [])] or [body["detail"]]


def moment(text: str) -> datetime:
    """A time of an answer, to be compared: its text has as many digits of a second as there are."""
    return datetime.fromisoformat(text)
