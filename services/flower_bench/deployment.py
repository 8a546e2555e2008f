"""The Flower that is measured, as workloads see it: one that runs already (``running_deployment.py``), or a
throwaway one that the command starts."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx
import psutil

from flower_engine.errors import FlowerError
from flower_engine.log.client import connect, one_server, send
from flower_engine.projection.database import Connection
from flower_engine.projection.database import connect as connect_postgres

BULK_FLOWS = 1_000
_API_SECONDS = 60.0
_WORKER_SECONDS = 30.0
_POLL_SECONDS = 0.05


class BenchError(FlowerError):
    """A workload could not be measured; says where it stopped."""


class Deployment(ABC):
    """Its API, its stores, and how a backlog is kept from its workers until it is complete."""

    def __init__(self, url: str, redis_url: str, database_url: str, token: str | None = None) -> None:
        address = httpx.URL(url)
        self.host, self.port = address.host, address.port or 80
        self.authority = address.netloc.decode()  # as whom it is asked: it answers for some hosts only
        self.headers = {"Authorization": f"Bearer {token}"} if token else dict[str, str]()
        # No proxy of the environment may stand between the load and the API.
        self.api = httpx.AsyncClient(
            base_url=url,
            headers=self.headers,
            timeout=_API_SECONDS,
            trust_env=False,
            verify=address.scheme == "https",
        )
        self.redis = connect(redis_url)
        self.redis_url = redis_url
        self.database_url = database_url

    @abstractmethod
    def name(self, workflow: str) -> str:
        """The full name of a workflow of the suite here."""

    @abstractmethod
    async def hold(self, workflow: str) -> None:
        """From now on no task of it starts."""

    @abstractmethod
    async def release(self, workflow: str) -> None:
        """What was held may start."""

    @abstractmethod
    async def serve(self) -> None:
        """Returns when a worker serves."""

    @abstractmethod
    def processes(self) -> Mapping[str, Sequence[psutil.Process]]:
        """The processes on this machine by service: ``api``, ``worker``, ``projector``, ``watcher``."""

    async def define(self, workflow: str, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Defines a workflow through the API."""
        reply = await self.api.put(f"/workflows/{quote(workflow, safe='')}", json={"tasks": list(tasks)})
        _check(reply, f"workflow {workflow}")

    async def register(self, workflow: str) -> str:
        """Registers a flow; returns its id."""
        reply = await self.api.post(f"/register/{quote(workflow, safe='')}")
        return str(_check(reply, f"a flow of {workflow}")["taskFlowId"])

    async def register_many(self, workflow: str, count: int) -> None:
        """Registers so many flows in bulk calls."""
        for first in range(0, count, BULK_FLOWS):
            body = [{"taskId": workflow}] * min(BULK_FLOWS, count - first)
            for entry in _check(await self.api.post("/register", json=body), f"flows of {workflow}"):
                if "taskFlowId" not in entry:
                    raise BenchError(f"a flow of {workflow} was not registered: {entry}")

    async def workers(self) -> list[dict[str, Any]]:
        """The live workers, as the API lists them."""
        return _check(await self.api.get("/workers"), "the workers")["workers"]

    async def slots(self) -> int:
        """How many tasks all workers together run at once."""
        return sum(int(worker["slots"]) for worker in await self.workers())

    async def clock_offset_ms(self) -> float:
        """What Redis' clock says more than this process's, in ms."""
        before = time.time_ns()
        seconds, microseconds = await send(one_server(self.redis, 0), "TIME")
        after = time.time_ns()
        return int(seconds) * 1e3 + int(microseconds) / 1e3 - (before + after) / 2e6

    async def connect_postgres(self) -> Connection:
        """A connection in autocommit."""
        return await connect_postgres(self.database_url, "bench")

    async def close(self) -> None:
        """Ends its connections."""
        await self.api.aclose()
        await self.redis.aclose()

    async def _until_a_worker_lives(self) -> None:
        deadline = time.monotonic() + _WORKER_SECONDS
        while not await self.workers():
            if time.monotonic() >= deadline:
                raise BenchError(f"no worker came up within {_WORKER_SECONDS:g} s")
            await asyncio.sleep(_POLL_SECONDS)


def _check(reply: httpx.Response, what: str) -> Any:
    if reply.is_error:
        raise BenchError(f"{what}: the API answered {reply.status_code}: {reply.text[:500]}")
    return reply.json()
