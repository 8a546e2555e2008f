"""What ``flower bench`` measures where no deployment is named: a ``flower up`` on a throwaway folder, and a
worker beside it."""

import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil

from flower_bench.deployment import Deployment
from flower_bench.roles import service_of
from flower_cli.local.demo_engine import DemoEngine
from flower_cli.local.supervisor import service_command
from flower_engine.embedded.processes import end, spawn

_STOP_SECONDS = 30.0


class OwnDeployment(Deployment):
    """Stores, API, projector and watcher of one run, and at most one worker, which comes when it is asked."""

    def __init__(self, engine: DemoEngine, settings: Mapping[str, str]) -> None:
        stores = engine.stores
        super().__init__(str(engine.client.base_url), stores.redis_url, stores.database_url)
        self._home = engine.home.path
        self._owner = psutil.Process(stores.owner.pid)
        self._settings = settings
        self._worker: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls, **settings: str) -> AsyncGenerator[Self]:
        """Starts an engine, with ``settings`` as its ``FLOWER_*`` variables; ends it with the block."""
        with DemoEngine.demonstrating("--workers", "0", **settings) as engine:
            deployment = cls(engine, settings)
            try:
                yield deployment
            finally:
                deployment.stop_worker()
                await deployment.close()

    def start_worker(self, slots: int | None = None) -> None:
        """One worker process, with the default number of slots where none is given."""
        words = [] if slots is None else ["--concurrency", str(slots)]
        with (Path(self._home) / "log" / "bench-worker.log").open("ab") as output:
            self._worker = spawn(
                service_command("worker", "--home", str(self._home), *words),
                folder=Path.cwd(),
                output=output,
                dies_by=signal.SIGKILL,
                environment={
                    **{name: text for name, text in os.environ.items() if not name.startswith("FLOWER_")},
                    **self._settings,
                },
            )

    def stop_worker(self) -> None:
        """Ends the worker, if there is one."""
        if self._worker:
            end(self._worker, signal.SIGTERM, patience_seconds=_STOP_SECONDS)
            self._worker = None

    def name(self, workflow: str) -> str:
        return f"bench-{workflow}"

    async def hold(self, workflow: str) -> None:
        self.stop_worker()

    async def release(self, workflow: str) -> None:
        self.start_worker()

    async def serve(self) -> None:
        if self._worker is None:
            self.start_worker()
        await self._until_a_worker_lives()

    def processes(self) -> Mapping[str, Sequence[psutil.Process]]:
        found: dict[str, list[psutil.Process]] = {}
        mine = [psutil.Process(self._worker.pid)] if self._worker else []
        for process in (*mine, *self._owner.children()):
            if service := service_of(process):
                found.setdefault(service, []).append(process)
        return found
