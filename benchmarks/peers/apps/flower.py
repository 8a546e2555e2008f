"""Flower itself, as one more peer: asked over HTTP like any user would, stores durable."""

import http.client
import json
import os
from urllib.parse import urlsplit

from benchmarks.peers.peer import Peer, Sizes
from benchmarks.peers.work import work
from flower_engine import program

_BULK = 1_000  # the most that a call may hold
_HEAVY = 20  # from this Fibonacci number on, a task gets a process


@program("Step")
async def step(number: int) -> None:
    work(number)


@program("HeavyStep", kind="process")
def heavy_step(number: int) -> None:
    work(number)


class FlowerPeer(Peer):
    packages = ("flower-engine", "redis", "hiredis", "uvloop")
    store = "flower"
    is_durable = True
    setting = (
        "the whole engine, every write fsynced; 2 worker processes, 100 slots each; "
        f"a process for Fibonacci numbers from {_HEAVY} on"
    )
    ordering = "a workflow"
    sizes = Sizes(backlog=60_000, chains=30_000, registered=5_000, long_chains=21)
    api: http.client.HTTPConnection

    def workers(self) -> list[list[str]]:
        return [["flower", "worker", "--programs", "benchmarks.peers.apps.flower"]] * 2

    def open(self) -> None:
        self.api = http.client.HTTPConnection(urlsplit(os.environ["PEER_FLOWER_API"]).netloc)
        self._define(1, 0)

    def close(self) -> None:
        self.api.close()

    def prepare(self, length: int, number: int) -> None:
        self._define(length, number)

    def single(self, count: int) -> None:
        for _ in range(count):
            self._ask("POST", f"/register/{_workflow(1, 0)}")

    def bulk(self, count: int) -> bool:
        self._register(_workflow(1, 0), count)
        return True

    def chains(self, count: int, length: int, number: int = 0) -> None:
        self._register(_workflow(length, number), count)

    def _define(self, length: int, number: int) -> None:
        name = "HeavyStep" if number >= _HEAVY else "Step"
        task = {"program": name, "taskPriority": 0, "parameters": {"number": number}}
        tasks = [{"taskSeq": seq, **task} for seq in range(1, length + 1)]
        self._ask("PUT", f"/workflows/{_workflow(length, number)}", {"tasks": tasks})

    def _register(self, workflow: str, count: int) -> None:
        if count == 1:
            self._ask("POST", f"/register/{workflow}")
            return
        for left in range(count, 0, -_BULK):
            self._ask("POST", "/register", [{"taskId": workflow}] * min(left, _BULK))

    def _ask(self, method: str, path: str, body: object = None) -> None:
        text = None if body is None else json.dumps(body)
        self.api.request(method, path, text, {"Content-Type": "application/json"} if text else {})
        reply = self.api.getresponse()
        answer = reply.read()
        if reply.status >= 300:
            raise RuntimeError(f"{method} {path} answered {reply.status}: {answer.decode()}")


def _workflow(length: int, number: int) -> str:
    return f"{length}-times-{number}"


PEER = FlowerPeer()
