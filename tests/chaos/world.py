"""What the engine is told from outside: signals, each until it is heard, and answers to approvals."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import httpx

ASKING, SIGNALLED = "asking", "signalled"
"""The workflows that wait for answers, and for signals ``go``."""

_PATIENCE_SECONDS = 5.0
_GONE = {404, 410}  # not there yet, or it has ended
_LATER = {429, 503}


class Sent(NamedTuple):
    """A signal that was acknowledged."""

    flow: str
    id: str


class Answered(NamedTuple):
    """An answer that was acknowledged as the last one needed."""

    flow: str
    task: int
    attempt: int


class World:
    """Sends signals to those of the flows that ``waiting`` names, and answers whatever approval is asked."""

    def __init__(self, url: str, seed: int, waiting: Callable[[], Sequence[str]]) -> None:
        self.signals: set[Sent] = set()
        self.answers: list[Answered] = []
        self.problems: list[str] = []
        self._url = url
        self._waiting = waiting
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._signal, args=[random.Random(seed + 3)]),
            *(threading.Thread(target=self._answer, args=[random.Random(seed + 4 + n)]) for n in range(2)),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Returns when nothing is under way any more."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _signal(self, choice: random.Random) -> None:
        """Some come before the wait, some twice at one moment, some for flows that have ended."""
        numbers = itertools.count(1)
        with httpx.Client(base_url=self._url, timeout=_PATIENCE_SECONDS, verify=False) as client:
            while not self._stop.wait(choice.uniform(0.02, 0.2)):
                flows = self._waiting()[-40:]
                if flows:
                    self._until_heard(client, choice.choice(flows), f"storm-{next(numbers)}")

    def _until_heard(self, client: httpx.Client, flow: str, signal: str) -> None:
        while True:
            try:
                reply = send(client, flow, signal)
            except httpx.HTTPError:
                time.sleep(0.1)
                continue
            if reply.status_code == 200:
                self.signals.add(Sent(flow, signal))
            elif reply.status_code in _LATER:
                time.sleep(0.1)
                continue
            elif reply.status_code not in _GONE:
                self.problems.append(f"signal: {reply.status_code} {reply.text[:300]}")
            return

    def _answer(self, choice: random.Random) -> None:
        """Two do, so some are answered twice at one moment."""
        with httpx.Client(base_url=self._url, timeout=_PATIENCE_SECONDS, verify=False) as client:
            while not self._stop.wait(choice.uniform(0.05, 0.3)):
                answer_all(client, self.answers, self.problems)


def send(client: httpx.Client, flow: str, signal: str) -> httpx.Response:
    """One sending of a signal, whose payload names it."""
    return client.post(
        f"/flows/{flow}/signals", json={"name": "go", "id": signal, "payload": {"of": f"{flow} {signal}"}}
    )


def answer_all(client: httpx.Client, answers: list[Answered], problems: list[str]) -> None:
    """Answers what is asked now."""
    try:
        asked: list[dict[str, Any]] = client.get("/approvals").json().get("approvals", [])
        for one in asked:
            path = f"/flows/{one['taskFlowId']}/tasks/{one['taskExecSeq']}/answer"
            reply = client.post(path, json={"answer": {"approved": True}, "attempt": one["attempt"]})
            if reply.status_code == 200 and reply.json()["tasks"]:
                answers.append(Answered(one["taskFlowId"], one["taskExecSeq"], one["attempt"]))
            elif reply.status_code not in {200, 409, *_GONE, *_LATER}:
                problems.append(f"answer: {reply.status_code} {reply.text[:300]}")
    except (httpx.HTTPError, ValueError):
        return
