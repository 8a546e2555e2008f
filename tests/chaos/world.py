"""What the engine is told from outside: signals, each until it is heard, mail for whoever awaits it first,
and answers to approvals, some by links."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import httpx

from chaos.ending_flows import KEYS, MAIL

ASKING, SIGNALLED = "asking", "signalled"
"""The workflows that wait for answers, and for signals ``go``."""

_PATIENCE_SECONDS = 5.0
_GONE = {404, 410}  # not there yet, or it has ended
_LATER = {429, 503}
_VOTERS = ("ann", "bob")
_MAIL_SECONDS = 3600.0


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
        self.mail: set[str] = set()
        """The ids of signals for one flow each, that were acknowledged or not."""
        self.answers: list[Answered] = []
        self.problems: list[str] = []
        self._url = url
        self._waiting = waiting
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._signal, args=[random.Random(seed + 3)]),
            threading.Thread(target=self._write, args=[random.Random(seed + 6)]),
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

    def _write(self, choice: random.Random) -> None:
        """Mail by name and key, some before anybody awaits it, each sent twice, and kept for who comes."""
        numbers = itertools.count(1)
        with httpx.Client(base_url=self._url, timeout=_PATIENCE_SECONDS) as client:
            while not self._stop.wait(choice.uniform(0.05, 0.3)):
                key, identity = choice.randrange(KEYS), f"mail-{next(numbers)}"
                self.mail.add(identity)
                for _ in range(2):
                    write(client, key, identity, self.problems)

    def _answer(self, choice: random.Random) -> None:
        """Two do, so some are answered twice at one moment."""
        with httpx.Client(base_url=self._url, timeout=_PATIENCE_SECONDS, verify=False) as client:
            while not self._stop.wait(choice.uniform(0.05, 0.3)):
                answer_all(client, self.answers, self.problems)
                vote_all(client, choice.choice(_VOTERS), self.problems)


def write(client: httpx.Client, key: int, identity: str, problems: list[str]) -> None:
    """One sending of mail for the first flow that awaits it."""
    body = {"name": MAIL, "key": f"k{key}", "id": identity, "first": True, "keepSeconds": _MAIL_SECONDS}
    try:
        reply = client.post("/signals", json=body)
    except httpx.HTTPError:
        return
    if reply.status_code not in {200, *_LATER}:
        problems.append(f"mail: {reply.status_code} {reply.text[:300]}")


def send(client: httpx.Client, flow: str, signal: str) -> httpx.Response:
    """One sending of a signal, whose payload names it."""
    return client.post(
        f"/flows/{flow}/signals", json={"name": "go", "id": signal, "payload": {"of": f"{flow} {signal}"}}
    )


def vote_all(client: httpx.Client, name: str, problems: list[str], times: int = 2) -> None:
    """Answers what is asked now by links for this name, each of which is used so often."""
    try:
        asked: list[dict[str, Any]] = client.get("/approvals").json().get("approvals", [])
        for one in asked:
            flow, task = one["taskFlowId"], one["taskExecSeq"]
            made = client.post(f"/flows/{flow}/tasks/{task}/links", json={"for": name})
            if made.status_code != 201:
                _note("link", made, problems)
                continue
            for _ in range(times):
                reply = client.post(made.json()["url"], data={"approved": "true"})
                _note("vote", reply, problems)
    except (httpx.HTTPError, ValueError):
        return


def _note(what: str, reply: httpx.Response, problems: list[str]) -> None:
    if reply.status_code not in {200, 409, *_GONE, *_LATER}:
        problems.append(f"{what}: {reply.status_code} {reply.text[:300]}")


def answer_all(client: httpx.Client, answers: list[Answered], problems: list[str]) -> None:
    """Answers what is asked now."""
    try:
        asked: list[dict[str, Any]] = client.get("/approvals").json().get("approvals", [])
        for one in asked:
            path = f"/flows/{one['taskFlowId']}/tasks/{one['taskExecSeq']}/answer"
            reply = client.post(path, json={"answer": {"approved": True}, "attempt": one["attempt"]})
            if reply.status_code == 200 and reply.json()["tasks"]:
                answers.append(Answered(one["taskFlowId"], one["taskExecSeq"], one["attempt"]))
            else:
                _note("answer", reply, problems)
    except (httpx.HTTPError, ValueError):
        return
