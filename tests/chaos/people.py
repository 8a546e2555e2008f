"""Those who use the engine meanwhile: clients that register until they are heard, operators who interfere."""

import random
import threading
import time
from collections.abc import Sequence
from typing import Any

import httpx

from chaos.ending_flows import BOXED, CLEANING, HOLDING, VOTING
from chaos.world import ASKING, SIGNALLED

_PATIENCE_SECONDS = 5.0
WORKFLOWS = ("line", "diamond", "fan", "limited", "flaky", "forking")
DECIDING = ("tree", "mapping", "chaining", "deciding", "looping", ASKING, SIGNALLED)
"""Those that decide as they run."""
ENDING = (VOTING, BOXED, HOLDING, CLEANING)
"""Those that vote, get mail, hold what fails for a time, and clean up."""
Asked = tuple[str, dict[str, Any]]
OPERATIONS: tuple[Asked, ...] = (
    ("rerun", {"selection": "all"}),
    ("rerun", {"selection": "failed"}),
    ("rerun", {"selection": "all", "scope": "changed"}),
    ("rerun", {"tasks": [1], "scope": "changed"}),
    ("rerun", {"tasks": [2], "scope": "dependents", "keepAnswers": True}),
    ("fork", {"fromTasks": [2]}),
    ("cancel", {"reason": "chaos"}),
    ("pause", {"reason": "chaos"}),
    ("resume", {}),
    ("ignore", {"tasks": [2]}),
    ("unignore", {"tasks": [2]}),
    ("priority", {"priority": -5}),
)
# What an operation may be answered with: done, not there yet, not fitting, too much, not now.
_FINE = {200, 404, 409, 429, 503}


def known_before(asked: Asked) -> bool:
    """Whether the version before (``release/before``) knows it, too."""
    body = asked[1]
    return body.get("scope") != "changed" and "keepAnswers" not in body


class People:
    """``flows``: key -> flow, of every registration that was acknowledged."""

    def __init__(
        self,
        url: str,
        seed: int,
        *,
        clients: int = 2,
        operators: int = 1,
        workflows: Sequence[str] = WORKFLOWS,
        operations: Sequence[Asked] = OPERATIONS,
    ) -> None:
        self.flows: dict[str, str] = {}
        self.signalled: list[str] = []
        """Those of the flows that wait for signals."""
        self.replicated: set[str] = set()
        """Those of the keys of which a replica was said to know."""
        self.problems: list[str] = []
        self.operations = 0
        self._url = url
        self._workflows = workflows
        self._asked = operations
        self._stop = threading.Event()
        names = [f"client-{number}" for number in range(clients)]
        self._threads = [
            *(threading.Thread(target=self._register, args=[name, seed + 1]) for name in names),
            *(threading.Thread(target=self._operate, args=[seed + 2]) for _ in range(operators)),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Returns when every registration under way is acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _register(self, name: str, seed: int) -> None:
        choice, number = random.Random(f"{seed} {name}"), 0
        with httpx.Client(base_url=self._url, timeout=_PATIENCE_SECONDS, verify=False) as client:
            while not self._stop.is_set():
                keys = [f"{name}-{number + more}" for more in range(choice.randint(1, 12))]
                number += len(keys)
                entries = [{"taskId": choice.choice(self._workflows), "key": key} for key in keys]
                self._until_acknowledged(client, entries)
                self._stop.wait(choice.uniform(0.02, 0.3))

    def _until_acknowledged(self, client: httpx.Client, entries: list[dict[str, Any]]) -> None:
        while entries:
            try:
                reply = client.post("/register", json=entries)
            except httpx.HTTPError:
                time.sleep(0.1)
                continue
            if reply.status_code not in (200, 429, 503):
                self.problems.append(f"POST /register: {reply.status_code} {reply.text[:300]}")
                return
            found: list[dict[str, Any]] = reply.json() if reply.status_code == 200 else []
            for sent, entry in zip(entries, found, strict=False):
                if entry["code"] == 200:
                    known = self.flows.setdefault(sent["key"], entry["taskFlowId"])
                    if sent["taskId"] == SIGNALLED:
                        self.signalled.append(known)
                    if entry.get("durability") == "replicated":
                        self.replicated.add(sent["key"])
                    if known != entry["taskFlowId"]:
                        self.problems.append(f"key {sent['key']} gave {known} and {entry['taskFlowId']}")
            entries = [entry for entry in entries if entry["key"] not in self.flows]
            if entries:
                time.sleep(0.1)

    def _operate(self, seed: int) -> None:
        choice = random.Random(seed)
        with httpx.Client(base_url=self._url, timeout=_PATIENCE_SECONDS, verify=False) as client:
            while not self._stop.wait(choice.uniform(0.02, 0.2)):
                flows = list(self.flows.values())[-200:]
                if not flows:
                    continue
                operation, body = choice.choice(self._asked)
                try:
                    reply = client.post(f"/flows/{choice.choice(flows)}/{operation}", json=body)
                except httpx.HTTPError:
                    continue
                self.operations += reply.status_code == 200
                if reply.status_code not in _FINE:
                    self.problems.append(f"{operation}: {reply.status_code} {reply.text[:300]}")
