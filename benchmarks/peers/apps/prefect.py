"""Prefect with a server of its own on SQLite: on Postgres it needs the extension pg_trgm."""

import os
import sys
import time
from pathlib import Path

import httpx

from benchmarks.peers.peer import Peer, Sizes, worker_module
from benchmarks.peers.work import work

_PORT = os.environ.get("PEER_PORT", "0")
os.environ.update(  # read by prefect when it is imported
    PREFECT_API_URL=f"http://127.0.0.1:{_PORT}/api",
    PREFECT_HOME=str(Path(os.environ.get("PEER_FOLDER", ".")) / "prefect"),
    PREFECT_LOGGING_LEVEL="ERROR",
    PREFECT_LOGGING_TO_API_ENABLED="false",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_SERVER_ALLOW_EPHEMERAL_MODE="false",
)

from prefect import flow, task  # noqa: E402
from prefect.task_worker import serve  # noqa: E402

_START_SECONDS = 60.0


@task
def step(number: int) -> None:
    work(number)


@flow
def line(number: int, length: int) -> None:
    for _ in range(length):
        step(number)


@task
def start_line(number: int, length: int) -> None:
    line(number, length)


class PrefectPeer(Peer):
    packages = ("prefect", "aiosqlite")
    store = "none"
    is_durable = True
    setting = "1 task worker, 10 at a time; server of one process on SQLite; no logs to the server"
    ordering = "a flow of tasks, started by a background task: a process for each flow would be slower"
    sizes = Sizes(backlog=150, chains=25, registered=150, long_chains=3)

    def servers(self) -> list[list[str]]:
        return [[*worker_module("prefect"), "server"]]

    def workers(self) -> list[list[str]]:
        return [[*worker_module("prefect"), "worker"]]

    def open(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not _is_healthy():
            if time.monotonic() > deadline:
                raise TimeoutError(f"Prefect's server was not ready after {_START_SECONDS:g} s")
            time.sleep(0.1)

    def single(self, count: int) -> None:
        for _ in range(count):
            step.delay(0)

    def chains(self, count: int, length: int, number: int = 0) -> None:
        for _ in range(count):
            start_line.delay(number, length)


def _is_healthy() -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{_PORT}/api/health", trust_env=False).is_success
    except httpx.HTTPError:
        return False


PEER = PrefectPeer()

if __name__ == "__main__":
    if sys.argv[1] == "server":
        words = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", _PORT, "--no-ui"]
        os.execvp(words[0], words)
    serve(step, start_line, limit=10)
