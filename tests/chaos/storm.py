"""The storm: services and stores are killed and stopped, connections cut off, by a seed."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal

import httpx
from redis.exceptions import RedisError

from acceptance.running import RunningEngine, stall
from chaos.nodes import Nodes, step_clock
from chaos.proxy import Proxy
from flower_engine.log.client import connect_blocking, send_blocking
from flower_engine.log.keys import Keys

_PAUSE_SECONDS = (0.1, 0.8)
_LONGEST_STALL_SECONDS = 4.0  # twice a lease: a worker that comes back is a zombie
_LONGEST_STORE_STALL_SECONDS = 1.5
_HOUR_MS = 3_600_000
_NODES_PART = 0.25  # of all harms, where Redis is several servers


class Storm:
    """Does one harm after the other; what it did is counted in ``harms``."""

    def __init__(
        self,
        engine: RunningEngine,
        proxies: Sequence[Proxy],
        services: Sequence[str],
        seed: int,
        say: Callable[[str], None],
        *,
        nodes: Nodes | None = None,
    ) -> None:
        """``nodes``: the servers of Redis, where there are several."""
        self._nodes = nodes
        self.ready_seconds: list[float] = []
        """How long it took after each harm to one of them until the API was ready again."""
        self.harms: Counter[str] = Counter()
        self._engine = engine
        self._proxies = proxies
        self._services = services
        self._choice = random.Random(seed)
        self._say = say

    def rage(self, seconds: float, is_enough: Callable[[], bool]) -> None:
        """Does harm for so long, and until it is enough: on a machine that has much to do little happens."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline or not is_enough():
            (harm,) = self._choice.choices(
                (self._kill, self._stall, self._drop, self._kill_store, self._stall_store, self._step_clock),
                (8, 5, 5, 2, 2, 3),
            )
            if self._nodes is not None and self._choice.random() < _NODES_PART:
                self._harm_nodes(self._nodes)
            else:
                harm()
            time.sleep(self._choice.uniform(*_PAUSE_SECONDS))

    def _harm_nodes(self, nodes: Nodes) -> None:
        what, harm = self._choice.choice(list(nodes.harms().items()))
        self._note(what)
        began = time.monotonic()
        harm(self._choice)
        while not self._is_ready():
            time.sleep(0.05)
        self.ready_seconds.append(time.monotonic() - began)
        nodes.wait_until_whole()

    def _is_ready(self) -> bool:
        try:
            reply = self._engine.client.get("/readyz")
        except httpx.HTTPError:
            return False
        return reply.status_code == 200 and reply.json()["status"] == "ready"

    def _note(self, what: str) -> None:
        self.harms[what] += 1
        self._say(what)

    def _kill(self) -> None:
        name = self._choice.choice(self._services)
        self._note(f"kill -9 {name}")
        self._engine.kill(name)
        time.sleep(self._choice.uniform(0, 1.0))
        self._engine.start(name)

    def _stall(self) -> None:
        name = self._choice.choice(self._services)
        self._note(f"stop {name} for a while")
        stall(self._engine.service_pid(name), self._choice.uniform(0.2, _LONGEST_STALL_SECONDS))

    def _drop(self) -> None:
        self._note("cut connections off")
        for proxy in self._proxies:
            if self._choice.random() < 0.7:
                proxy.drop()

    def _store(self) -> Literal["valkey", "postgres"]:
        """One of those that the engine's data folder has."""
        return "postgres" if self._nodes is not None else self._choice.choice(("valkey", "postgres"))

    def _kill_store(self) -> None:
        store = self._store()
        self._note(f"kill -9 {store}")
        self._engine.kill_store(store)
        time.sleep(self._choice.uniform(0, 1.0))
        self._engine.restart_stores()

    def _stall_store(self) -> None:
        store = self._store()
        self._note(f"stop {store} for a while")
        stall(self._engine.store_pid(store), self._choice.uniform(0.1, _LONGEST_STORE_STALL_SECONDS))

    def _step_clock(self) -> None:
        """What scripts add to Redis' clock changes, which they cannot tell from a clock that steps."""
        if self._nodes is not None:
            with suppress(RedisError, OSError):
                step_clock(self._nodes, self._choice)
                self._note("the clock of a partition steps")
            return
        step_ms = self._choice.choice((-_HOUR_MS, -30_000, 30_000, _HOUR_MS))
        with suppress(RedisError, OSError), connect_blocking(self._engine.addresses.redis_url) as client:
            send_blocking(client, "HINCRBY", Keys(0).meta, "skew", step_ms)
            self._note(f"the clock goes {'back' if step_ms < 0 else 'ahead'}")
