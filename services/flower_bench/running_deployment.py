"""A deployment that runs already: its workers are those it has, and a backlog is built behind a pause."""

import contextlib
import socket
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Self
from urllib.parse import quote

import httpx
import psutil

from flower_bench.deployment import BenchError, Deployment
from flower_bench.roles import service_of
from flower_engine.errors import SettingsError


class RunningDeployment(Deployment):
    """Its workflows have names that nobody else uses, and are deleted at the end; their flows stay."""

    def __init__(self, url: str, redis_url: str, database_url: str, token: str | None) -> None:
        super().__init__(url, redis_url, database_url, token)
        self._run = f"{time.time_ns() // 1_000_000:x}"
        self._defined: list[str] = []
        self._held: list[str] = []
        self._worker_pids: set[int] = set()

    @classmethod
    @contextlib.asynccontextmanager
    async def joined(
        cls, url: str, redis_url: str, database_url: str, token: str | None
    ) -> AsyncGenerator[Self]:
        """Checks that it is there and has workers; takes back what was defined when the block is left.

        Raises:
            SettingsError: the API does not answer, or no worker lives; says what to do.
        """
        deployment = cls(url, redis_url, database_url, token)
        try:
            await deployment.serve()
            yield deployment
        finally:
            await deployment._clean()
            await deployment.close()

    def name(self, workflow: str) -> str:
        return f"bench-{self._run}-{workflow}"

    async def define(self, workflow: str, tasks: Sequence[Mapping[str, Any]]) -> None:
        self._defined.append(workflow)
        await super().define(workflow, tasks)

    async def hold(self, workflow: str) -> None:
        self._held.append(workflow)
        reply = await self.api.put(_limit(workflow), json={"isPaused": True, "reason": "flower bench"})
        if reply.is_error:
            raise BenchError(f"workflow {workflow} cannot be paused: {reply.status_code}: {reply.text[:500]}")

    async def release(self, workflow: str) -> None:
        self._held.remove(workflow)
        (await self.api.delete(_limit(workflow))).raise_for_status()

    async def serve(self) -> None:
        try:
            workers = await self.workers()
        except httpx.HTTPError as error:
            raise SettingsError(
                f"--api: {self.api.base_url} does not answer ({error!r}): start that deployment first"
            ) from error
        if not workers:
            raise SettingsError(f"{self.api.base_url} has no live worker: start one with 'flower worker'")
        here = socket.gethostname()
        self._worker_pids = {int(worker["pid"]) for worker in workers if worker["host"] == here}

    def processes(self) -> Mapping[str, Sequence[psutil.Process]]:
        """Those on this machine that were given the same Redis, and the workers that the API names."""
        found: dict[str, list[psutil.Process]] = {}
        for process in psutil.process_iter():
            service = service_of(process)
            if service and (process.pid in self._worker_pids or self._has_this_redis(process)):
                found.setdefault(service, []).append(process)
        return found

    def _has_this_redis(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error, OSError):
            return process.environ().get("FLOWER_REDIS_URL") == self.redis_url
        return False

    async def _clean(self) -> None:
        with contextlib.suppress(httpx.HTTPError):  # it may be gone; then there is nothing to take back
            for workflow in self._held:
                await self.api.delete(_limit(workflow))
            for workflow in self._defined:
                await self.api.delete(f"/workflows/{quote(workflow, safe='')}")


def _limit(workflow: str) -> str:
    return f"/limits/workflow/{quote(workflow, safe='')}"
