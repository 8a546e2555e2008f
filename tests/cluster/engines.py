"""What the tests of this folder share: engines on several servers, load, and what is proved at the end."""

import itertools
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import httpx

from acceptance.running import RunningEngine
from flower_engine.transitions.register_transition import partition_of_key

ALL = ("api", "projector", "watcher", "worker", "worker-2")
PARTITIONS = 4  # on all three masters


def nap(seq: int, seconds: float = 0.02) -> dict[str, Any]:
    parameters = {"SLEEP_TIME_SECOND": str(seconds)}
    return {"taskSeq": seq, "program": "EchoParamTimeSleep", "parameters": parameters}


NAPS = [nap(1), nap(2), nap(3)]


def settings(url: str, **more: str) -> dict[str, str]:
    """The environment of an engine on these servers."""
    own = {"FLOWER_REDIS_URL": url, "FLOWER_PARTITIONS": str(PARTITIONS), "FLOWER_CONCURRENCY": "20"}
    return {**own, **more}


def proved(engine: RunningEngine, flows: Sequence[str]) -> None:
    """They are all there, every invariant holds over all partitions, and `flower verify` finds nothing."""
    verdict = engine.verify()
    assert verdict.problems == []
    assert set(flows) <= set(verdict.flows)
    command = engine.flower("verify")
    assert command.returncode == 0, command.stdout + command.stderr


class Load:
    """Flows that somebody goes on registering; ``flows`` are those that were acknowledged."""

    @property
    def durabilities(self) -> list[str]:
        """What was said to hold of them."""
        return list(self.held.values())

    def __init__(self, url: str, workflow: str, only: int | None, every_seconds: float) -> None:
        self._every_seconds = every_seconds
        self.only = only
        """Where they are to be, by an idempotency key; None: anywhere."""
        self.flows: list[str] = []
        self.held: dict[str, str] = {}
        """Of each, what was said to hold of it."""
        self.refused = 0
        self._url = url
        self._workflow = workflow
        self._keys = (f"key-{number}" for number in itertools.count())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._stop.wait(self._every_seconds):
                try:
                    reply = client.post("/register", json=[self._entry() for _ in range(5)])
                except httpx.HTTPError:
                    self.refused += 1
                    continue
                answered: Any = reply.json() if reply.status_code < 500 else []
                entries = cast(list[dict[str, Any]], answered if isinstance(answered, list) else [])
                known = [entry for entry in entries if "taskFlowId" in entry]
                found = [str(entry["taskFlowId"]) for entry in known]
                self.held |= {str(entry["taskFlowId"]): str(entry["durability"]) for entry in known}
                self.flows += found
                self.refused += len(found) < 5

    def _entry(self) -> dict[str, str]:
        if self.only is None:
            return {"taskId": self._workflow}
        key = next(key for key in self._keys if partition_of_key(key, PARTITIONS) == self.only)
        return {"taskId": self._workflow, "key": key}

    def wait_for(self, engine: RunningEngine, more: int) -> None:
        """Until so many more are acknowledged."""
        before = len(self.flows)
        engine.wait_for("load", lambda: len(self.flows) >= before + more)

    @classmethod
    @contextmanager
    def under(
        cls, engine: RunningEngine, workflow: str, only: int | None = None, every_seconds: float = 0.02
    ) -> "Generator[Load]":
        """It comes as long as the block lasts, five flows at a time."""
        load = cls(engine.url, workflow, only, every_seconds)
        load._thread.start()
        try:
            yield load
        finally:
            load._stop.set()
            load._thread.join()
