"""The engine that is measured: ``flower up`` without workers on a throwaway folder; workers come later."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Self

import httpx

from flower_cli.demo_engine import DemoEngine
from flower_cli.supervisor import service_command
from flower_engine.embedded.processes import end, spawn
from flower_engine.log.client import connect

_STOP_SECONDS = 30.0
# The whole run stays in the log, so that it can be read back.
_TAIL_EVENTS = "10000000"


class BenchEngine:
    """Stores, API, projector and watcher of one run, and at most one worker."""

    def __init__(self, engine: DemoEngine) -> None:
        url = httpx.URL(str(engine.client.base_url))
        self.host, self.port = url.host, url.port or 80
        self.database_url = engine.stores.database_url
        self.redis = connect(engine.stores.redis_url)
        self.client = httpx.AsyncClient(base_url=str(url), timeout=30.0)
        self.define = engine.define
        self._worker: subprocess.Popen[bytes] | None = None
        self._home = engine.home.path

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Generator[Self]:
        """Starts an engine and ends it when the block is left."""
        with DemoEngine.started("--workers", "0", FLOWER_LOG_TAIL_EVENTS=_TAIL_EVENTS) as demo:
            engine = cls(demo)
            try:
                yield engine
            finally:
                engine.stop_worker()

    def start_worker(self, slots: int | None = None) -> None:
        """One worker process, with the default number of slots where none is given."""
        words = [] if slots is None else ["--concurrency", str(slots)]
        log = Path(self._home) / "log" / "bench-worker.log"
        with log.open("ab") as output:
            self._worker = spawn(
                service_command("worker", "--home", str(self._home), *words),
                folder=Path.cwd(),
                output=output,
                dies_by=signal.SIGKILL,
                environment=os.environ,
            )

    def stop_worker(self) -> None:
        if self._worker:
            end(self._worker, signal.SIGTERM, patience_seconds=_STOP_SECONDS)
            self._worker = None
