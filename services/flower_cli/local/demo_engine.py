"""The engine of the demo: a whole ``flower up`` on a throwaway folder, talked to as a user would."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg

from flower_cli.local.api_address import ApiAddress
from flower_cli.local.supervisor import service_command
from flower_engine.embedded.home import Home, RunningStores
from flower_engine.embedded.processes import end, spawn, tail
from flower_engine.errors import FlowerError

_START_SECONDS = 60.0
_PROJECTED_SECONDS = 10.0
_STOP_SECONDS = 60.0
_POLL_SECONDS = 0.05

ROW_COLUMNS = (
    "task_exec_seq",
    "depends_task_exec_seq",
    "task_id",
    "task_seq",
    "exec_status",
    "task_priority",
    "parameters",
    "registered_ts",
    "started_ts",
    "finished_ts",
)


class DemoFailedError(FlowerError):
    """The demo could not show what it is for; says where it stopped."""


class DemoEngine:
    """A running engine; leaves nothing behind."""

    def __init__(self, process: subprocess.Popen[bytes], home: Home, log: Path) -> None:
        self.home = home
        self._process = process
        self._log = log
        self.stores = self._wait_until_announced(home)
        assert self.stores.api_url is not None
        # No proxy of the environment may stand between this machine and itself.
        self.client = httpx.Client(base_url=self.stores.api_url, timeout=10.0, trust_env=False)
        self._wait_until_ready(httpx.URL(self.stores.api_url))

    @classmethod
    @contextlib.contextmanager
    def started(cls, *words: str, **settings: str) -> Generator[Self]:
        """Start an engine and end it when the block is left.

        ``words`` are further ones for ``flower up``, ``settings`` its ``FLOWER_*`` variables.
        """
        with tempfile.TemporaryDirectory(prefix="flower-demo-") as folder:
            home, log = Home(Path(folder) / "home"), Path(folder) / "up.log"
            with log.open("wb") as output:
                process = spawn(
                    service_command("up", "--home", str(home.path), "--port", "0", *words),
                    folder=Path.cwd(),
                    output=output,
                    dies_by=signal.SIGTERM,
                    # What is set for a real engine is not for this one.
                    environment={
                        **{name: text for name, text in os.environ.items() if not name.startswith("FLOWER_")},
                        **settings,
                    },
                )
            try:
                engine = cls(process, home, log)
                with engine.client:
                    yield engine
            finally:
                end(process, signal.SIGTERM, patience_seconds=_STOP_SECONDS)

    def define(self, workflow: str, tasks: list[dict[str, Any]]) -> None:
        """Define a workflow through the API."""
        self._ask("PUT", f"/workflows/{workflow}", json={"tasks": tasks})

    def register(self, workflow: str) -> str:
        """Register a flow through the API; returns its id."""
        return str(self._ask("POST", f"/register/{workflow}")["taskFlowId"])

    def flow(self, flow_id: str) -> dict[str, Any]:
        """A flow with its tasks, from the API."""
        return self._ask("GET", f"/flows/{flow_id}")

    def task_rows(self, flow_id: str, count: int) -> list[tuple[Any, ...]]:
        """The flow's rows of kr_task_stat, once so many of them show the end of their task."""
        names = ", ".join(ROW_COLUMNS)
        query = f"SELECT {names} FROM kr_task_stat WHERE task_flow_id = %s ORDER BY task_exec_seq"  # noqa: S608
        deadline = time.monotonic() + _PROJECTED_SECONDS
        with psycopg.connect(self.stores.database_url, autocommit=True) as connection:
            while True:
                rows = connection.execute(query.encode(), [flow_id]).fetchall()
                if len([row for row in rows if row[-1] is not None]) == count:
                    return rows
                if time.monotonic() >= deadline:
                    raise self._failure(f"kr_task_stat does not show the end of flow {flow_id}")
                time.sleep(_POLL_SECONDS)

    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        try:
            reply = self.client.request(method, path, **request)
            reply.raise_for_status()
            return reply.json()
        except httpx.HTTPStatusError as error:
            answer = f"{error.response.status_code}: {error.response.text}"
            raise self._failure(f"{method} {path} answered {answer}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise self._failure(f"{method} {path}: {error!r}") from error

    def _wait_until_announced(self, home: Home) -> RunningStores:
        deadline = time.monotonic() + _START_SECONDS
        while (running := home.announced()) is None:
            self._check_alive(deadline)
        return running

    def _wait_until_ready(self, url: httpx.URL) -> None:
        address = ApiAddress(url.host, url.port or 80)
        deadline = time.monotonic() + _START_SECONDS
        while address.missing() is not None:
            self._check_alive(deadline)

    def _check_alive(self, deadline: float) -> None:
        if self._process.poll() is not None:
            raise self._failure("the engine ended while it was starting")
        if time.monotonic() >= deadline:
            raise self._failure(f"the engine was not ready after {_START_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)

    def _failure(self, what: str) -> DemoFailedError:
        return DemoFailedError(f"{what}\nwhat the engine said last:\n{tail(self._log, lines=20)}")
