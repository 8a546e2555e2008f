"""A whole engine of real processes for a test: its own stores, and services to start, kill and stop."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Literal, LiteralString, Self

import httpx
import psycopg

import forked_flower
from acceptance.verifying import Verdict, verify
from flower_cli.local.api_address import ApiAddress
from flower_engine.embedded.embedded_stores import Addresses, EmbeddedStores
from flower_engine.embedded.home import Home
from flower_engine.embedded.processes import tail
from flower_engine.log.client import connect_blocking, send_blocking
from flower_engine.runtime.settings_loading import load_settings
from held_port import held_port
from looking import rest
from memory_folder import memory_folder
from prepared_postgres import prepare_postgres

_PATIENCE_SECONDS = 180.0
_POLL_SECONDS = 0.05
PATIENT = {"FLOWER_LEASE_SECONDS": "60"}
"""For tests in which no worker is lost, and none may seem to be on a machine that is busy."""
TESTS = Path(__file__).parents[1]
WAITING = {"FLOWER_PROGRAMS": "worker.sample_programs", "PYTHONPATH": str(TESTS)}
"""Programs that go on when the test lets them."""
_TRACEBACK = re.compile(r"^.*\n(?:.*\n)??Traceback \(most recent call last\)", re.MULTILINE)
_PROJECTED = "SELECT count(*) FROM kr_flow_stat WHERE task_flow_id = ANY(string_to_array(%s, ' '))"
_ENDED = f"{_PROJECTED} AND finished_ts IS NOT NULL"
_ENDED_OF = "SELECT task_flow_id FROM kr_flow_stat WHERE task_flow_id = ANY(%s) AND finished_ts IS NOT NULL"
_LOOKED_AT = 50
"""So many flows of thousands are asked for in one look: to send all of them with each was most of a test."""


def stall(pid: int, seconds: float) -> None:
    """The process stands still for so long (SIGSTOP)."""
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


class RunningEngine:
    """Services by name; each writes what it says to ``<folder>/<name>.log``. They are copies of a process
    that has imported everything, or, if so asked, start ``anew``."""

    def __init__(
        self,
        folder: Path,
        home: Path,
        stores: EmbeddedStores,
        addresses: Addresses,
        environment: dict[str, str],
        *,
        port: int,
        anew: bool = False,
    ) -> None:
        self._anew = anew
        self._folder = folder
        self._home = home
        self._stores = stores
        self.addresses = addresses
        self._api = ApiAddress("127.0.0.1", port)
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FLOWER_")},
            "FLOWER_HOME": str(home),
            "FLOWER_REDIS_URL": addresses.redis_url,
            "FLOWER_DATABASE_URL": addresses.database_url,
            "FLOWER_PORT": str(self._api.port),
            "FLOWER_LEASE_SECONDS": "2",
            "FLOWER_HEARTBEAT_SECONDS": "0.4",
            "FLOWER_MAX_LOST": "1000",  # what is killed, or stands still for a lease time, is no poison
            **environment,
        }
        self.partitions = int(environment.get("FLOWER_PARTITIONS", "1"))
        self._processes: dict[str, forked_flower.Process] = {}
        self._logged_before: dict[str, int] = {}
        self.client = httpx.Client(base_url=self._api.url, timeout=_PATIENCE_SECONDS, verify=False)

    @property
    def folder(self) -> Path:
        """Where its logs are."""
        return self._folder

    @property
    def home(self) -> Path:
        """Where its stores are: in memory, if nothing else was said, and gone when the engine has ended."""
        return self._home

    @property
    def url(self) -> str:
        """Of its API."""
        return self._api.url

    def set_environment(self, **environment: str) -> None:
        """Adds to what services that are started from now on find in their environment."""
        self._environment |= environment

    @classmethod
    @contextlib.contextmanager
    def started(cls, folder: Path, *services: str, **environment: str) -> Generator[Self]:
        """Stores and the named services, ended when the block is left.

        Whatever the block did to them, those that still run then must end well (exit code 0).
        """
        with cls.started_through(
            lambda addresses: addresses, folder, *services, anew=False, with_tables=True, **environment
        ) as engine:
            yield engine

    @classmethod
    @contextlib.contextmanager
    def started_through(
        cls,
        through: Callable[[Addresses], Addresses],
        folder: Path,
        *services: str,
        anew: bool = False,
        with_tables: bool = False,
        **environment: str,
    ) -> Generator[Self]:
        """The same; services find the stores at the addresses that ``through`` makes of theirs. Stores whose
        addresses are in the environment are used, others are started. Postgres has Flower's tables, if so
        asked; else the first of the services makes them. They are in memory, where FLOWER_HOME does not
        say otherwise."""
        redis_url, database_url = environment.get("FLOWER_REDIS_URL"), environment.get("FLOWER_DATABASE_URL")
        with _folder_of_stores(environment.get("FLOWER_HOME")) as stored, Home(stored) as at_home:
            if database_url is None:
                prepare_postgres(at_home, with_tables=with_tables)
            settings = load_settings(home=stored, redis_url=redis_url, database_url=database_url)
            stores = EmbeddedStores(at_home, settings)
            with stores as addresses, held_port() as port:
                found = through(addresses)
                urls = {"FLOWER_REDIS_URL": found.redis_url, "FLOWER_DATABASE_URL": found.database_url}
                environment = {**urls, **environment}
                engine = cls(folder, stored, stores, addresses, environment, port=port, anew=anew)
                try:
                    for name in services:
                        engine.start(name)
                    if "api" in services:
                        engine.wait_until_ready()
                    with engine.client:
                        yield engine
                    engine.wait_until_begun()
                    codes = engine.stop_all()
                    assert set(codes.values()) <= {0}, f"exit codes {codes}\n{engine.logs()}"
                except BaseException:
                    shutil.copytree(at_home.log, folder / "stores")  # what they said
                    raise
                finally:
                    engine.stop_all()  # where the test failed; else nothing runs any more

    def start(self, name: str, *words: str, **environment: str) -> None:
        """Starts a service; a name such as ``worker-2`` is the second one of its kind."""
        with self._log(name).open("ab") as output:
            self._logged_before[name] = output.tell()
            self._processes[name] = forked_flower.start(
                *("-m", "flower_cli", name.partition("-")[0], *words),
                environment={**self._environment, **environment},
                output=output,
                anew=self._anew,
            )

    def kill(self, name: str) -> None:
        """kill -9, and nothing else."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> None:
        """Asks a service to stop (SIGTERM), as a deployment does; it must end well."""
        process = self._processes.pop(name)
        process.terminate()
        assert process.wait(timeout=_PATIENCE_SECONDS) == 0, f"{name} did not end well\n{self.logs()}"

    def wait_until_killed(self, name: str) -> None:
        """Waits until the service has killed itself, at a point that was chosen for it."""
        self.wait_for(f"the end of {name}", lambda: not self.is_running(name))
        assert self._processes.pop(name).returncode == -signal.SIGKILL

    def stop_all(self) -> dict[str, int]:
        """One SIGTERM to each; returns the exit codes, -9 for what did not end in time."""
        for process in self._processes.values():
            process.terminate()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        for process in self._processes.values():
            try:
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        codes = {name: process.wait() for name, process in self._processes.items()}
        self._processes.clear()
        return codes

    def is_running(self, name: str) -> bool:
        return self._processes[name].poll() is None

    def kill_valkey(self) -> None:
        """kill -9 of the server; ``restart_stores`` brings it back."""
        self.kill_store("valkey")

    def kill_store(self, store: Literal["valkey", "postgres"]) -> None:
        os.kill(self.store_pid(store), signal.SIGKILL)

    def stall_valkey(self, seconds: float) -> None:
        """The server stands still for so long, as on a machine that swaps."""
        stall(self.store_pid("valkey"), seconds)

    def store_pid(self, store: Literal["valkey", "postgres"]) -> int:
        """The main process of a store."""
        found = self._stores.valkey_pid if store == "valkey" else self._stores.postgres_pid
        assert found is not None
        return found

    def service_pid(self, name: str) -> int:
        """The process of a service that runs."""
        return self._processes[name].pid

    def wipe_redis(self) -> None:
        """Redis loses everything (FLUSHALL)."""
        with connect_blocking(self.addresses.redis_url) as client:
            send_blocking(client, "FLUSHALL")

    def copy_redis(self) -> Path:
        """A copy of the server's files as they are now."""
        copied = self._folder / "valkey-copy"
        shutil.copytree(self._home / "valkey", copied)
        return copied

    def set_redis_back(self, copied: Path) -> None:
        """Redis has what it had when it was copied, as after a failover to a replica that was behind."""
        self.kill_valkey()
        self.wait_for("Valkey to be gone", self._stores.has_ended)
        shutil.rmtree(self._home / "valkey")
        shutil.copytree(copied, self._home / "valkey")
        self.restart_stores()

    def restart_stores(self) -> None:
        """Starts again what was killed, as ``flower up`` does by itself."""
        self.wait_for("a store to be gone", lambda: bool(self._stores.restart_ended()))

    @contextlib.contextmanager
    def stores_looked_after(self) -> Generator[None]:
        """Starts stores again that end by themselves, as ``flower up`` does, as long as the block lasts."""
        is_over = threading.Event()

        def look() -> None:
            while not is_over.wait(_POLL_SECONDS):
                self._stores.restart_ended()

        looking = threading.Thread(target=look)
        looking.start()
        try:
            yield
        finally:
            is_over.set()
            looking.join()

    def ask(self, method: str, path: str, body: Any = None) -> None:
        """Has the API do something, which is asked for again while it says that it cannot now (503), as
        people and clients do: it waits for a connection for two seconds, and stores may stand still for
        longer."""
        key = {"Idempotency-Key": uuid.uuid4().hex}

        def is_done() -> bool:
            reply = self.client.request(method, path, json=body, headers=key)
            return reply.status_code != 503 and reply.raise_for_status().is_success

        self.wait_for(f"{method} {path} to be done", is_done)

    def define(self, workflow: str, tasks: Sequence[dict[str, Any]]) -> None:
        self.ask("PUT", f"/workflows/{workflow}", {"tasks": list(tasks)})

    def define_ahead(self, workflow: str, tasks: Sequence[dict[str, Any]]) -> None:
        """Also what no worker takes that lives now."""
        workflows = [{"taskId": workflow, "tasks": list(tasks)}]
        self.ask("POST", "/deploy", {"source": workflow, "workflows": workflows, "ahead": True})

    def register(self, workflow: str, count: int) -> list[str]:
        """Registers ``count`` flows in bulk calls; returns the acknowledged ids."""
        flows: list[str] = []

        def are_taken() -> bool:
            entries = [{"taskId": workflow}] * min(100, count - len(flows))
            reply = self.client.post("/register", json=entries)
            if reply.status_code == 503 and reply.json().get("store") == "Postgres":
                return False  # which had no connection within two seconds to read what they are to be of
            reply.raise_for_status()
            flows.extend(entry["taskFlowId"] for entry in reply.json())
            return True

        while len(flows) < count:
            self.wait_for("registrations to be taken", are_taken)
        return flows

    def flower(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command of the client, as a process of its own."""
        return forked_flower.flower(
            *words,
            environment={**self._environment, "FLOWER_URL": self._api.url, **environment},
            timeout=_PATIENCE_SECONDS,
        )

    def wait_until_ended(self, flows: Sequence[str]) -> None:
        """Waits until the projection shows the end of all these flows."""
        with psycopg.connect(self.addresses.database_url, autocommit=True) as connection:
            left = list(flows)

            def have_ended() -> bool:
                while left:
                    asked = left[-_LOOKED_AT:]  # those that were registered last end last
                    ended = {row[0] for row in connection.execute(_ENDED_OF, [asked])}
                    left[-_LOOKED_AT:] = [flow for flow in asked if flow not in ended]
                    if len(ended) < len(asked):
                        return False
                if _count(connection, _ENDED, " ".join(flows)) == len(flows):
                    return True
                left.extend(flows)  # what had ended was lost, or begun again
                return False

            self.wait_for(f"the end of {len(flows)} flows", have_ended)

    def wait_until_some_ended(self, flows: Sequence[str], count: int) -> None:
        """Waits until the projection shows the end of so many of these flows."""
        self._wait_until_counted(_ENDED, flows, count, f"the end of {count} flows")

    def wait_until_projected(self, flows: Sequence[str]) -> None:
        """Waits until the projection shows all these flows: what is archived survives the loss of Redis."""
        self._wait_until_counted(_PROJECTED, flows, len(flows), f"{len(flows)} flows in the projection")

    def _wait_until_counted(self, query: LiteralString, flows: Sequence[str], count: int, what: str) -> None:
        names = " ".join(flows)  # put together once: a list would be at each look
        with psycopg.connect(self.addresses.database_url, autocommit=True) as connection:
            self.wait_for(what, lambda: _count(connection, query, names) >= count)

    def ended(self, flows: Sequence[str]) -> int:
        """How many of these flows the projection shows the end of."""
        with psycopg.connect(self.addresses.database_url, autocommit=True) as connection:
            return _count(connection, _ENDED, " ".join(flows))

    def wait_until_ready(self) -> None:
        self.wait_for("the API to be ready", lambda: self._api.missing() is None)

    def wait_until_begun(self) -> None:
        """Waits until each service that runs has said something: before that, SIGTERM kills it."""
        for name in self._processes:
            self.wait_for(
                f"{name} to begin",
                lambda name=name: self._log(name).stat().st_size > self._logged_before[name],
            )

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Polls until the condition holds; fails with the logs of all services."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            began = time.monotonic()
            if condition():
                return
            if began >= deadline:
                raise AssertionError(f"waited {_PATIENCE_SECONDS:g} s for {what}\n{self.logs()}")
            rest(began)

    def logs(self) -> str:
        """The last lines of each service."""
        return "\n".join(f"{log.name}:\n{tail(log, lines=15)}" for log in self._folder.glob("*.log"))

    def logs_whole(self) -> str:
        """All that each service said."""
        return "\n".join(log.read_text(errors="replace") for log in self._folder.glob("*.log"))

    def tracebacks(self) -> list[str]:
        """What services logged of errors that they did not expect; those of a worker may be of programs."""
        found: list[str] = []
        for log in sorted(set(self._folder.glob("*.log")) - set(self._folder.glob("worker*.log"))):
            text = log.read_text(errors="replace")
            found += [
                f"{log.name}: {text[at.start() : at.start() + 6_000]}" for at in _TRACEBACK.finditer(text)
            ]
        return found

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def verify(self) -> Verdict:
        """Checks every invariant over log, Redis and Postgres, now that nothing runs."""
        return asyncio.run(verify(self.addresses, self.partitions))


def _count(connection: psycopg.Connection, query: LiteralString, names: str) -> int:
    row = connection.execute(query, [names]).fetchone()
    return int(row[0]) if row else 0


@contextlib.contextmanager
def _folder_of_stores(given: str | None) -> Generator[Path]:
    if given is not None:
        yield Path(given)
        return
    with tempfile.TemporaryDirectory(prefix="flower-engine-", dir=memory_folder()) as made:
        yield Path(made)
