"""What a storm does to the servers of a cluster, or of a set that sentinels watch.

Before the next harm to them all servers are there again, and replicas have what their primaries have: whoever
loses two of two loses data, and nobody promised otherwise.
"""

import random
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

from cluster.servers import ClusterServers, SentinelServers, Server, wait_for
from flower_engine.log.client import connect_blocking, send_blocking
from flower_engine.log.keys import Keys

Deployment = Literal["single", "cluster", "sentinel"]
_PARTITIONS = 4  # on all three masters
_LONGEST_FREEZE_SECONDS = 5.0  # more than twice of what a node may be silent: another one takes its place
_HOUR_MS = 3_600_000


class Nodes(Protocol):
    """The servers of Redis, and what may be done to them."""

    @property
    def url(self) -> str:
        """For FLOWER_REDIS_URL."""
        ...

    @property
    def partitions(self) -> int:
        """How many there are to be."""
        ...

    def harms(self) -> dict[str, Callable[[random.Random], None]]:
        """By what is said of them. Each returns when the servers are whole again, or soon will be."""
        ...

    def wait_until_whole(self) -> None:
        """Until all servers are there and replicas follow."""
        ...


@contextmanager
def started(deployment: Deployment, folder: Path) -> Generator[Nodes]:
    """The servers, until the block is left."""
    if deployment == "cluster":
        with ClusterServers.started(folder / "cluster") as servers:
            yield _Cluster(servers)
    else:
        with SentinelServers.started(folder / "watched") as watched:
            yield _Sentinels(watched)


def step_clock(nodes: Nodes, choice: random.Random) -> None:
    """What scripts of a partition add to Redis' clock changes, which they cannot tell from a clock that
    steps."""
    step_ms = choice.choice((-_HOUR_MS, -30_000, 30_000, _HOUR_MS))
    with connect_blocking(nodes.url) as client:
        send_blocking(client, "HINCRBY", Keys(choice.randrange(nodes.partitions)).meta, "skew", step_ms)


class _Cluster:
    partitions = _PARTITIONS

    def __init__(self, servers: ClusterServers) -> None:
        self._servers = servers
        self.url = servers.url

    def harms(self) -> dict[str, Callable[[random.Random], None]]:
        return {
            "kill -9 a master": self._kill,
            "stop a master for a while": self._freeze,
            "move a slot": self._move,
        }

    def wait_until_whole(self) -> None:
        wait_for("the cluster to be whole", self._servers.is_whole)

    def _kill(self, choice: random.Random) -> None:
        partition = choice.randrange(_PARTITIONS)
        master = self._servers.master_of(partition)
        master.kill()
        self._servers.wait_for_failover(master, partition)
        time.sleep(choice.uniform(0, 1.0))
        master.start()

    def _freeze(self, choice: random.Random) -> None:
        _freeze(self._servers.master_of(choice.randrange(_PARTITIONS)), choice)

    def _move(self, choice: random.Random) -> None:
        partition = choice.randrange(_PARTITIONS)
        source, slot = self._servers.master_of(partition), self._servers.slot_of(partition)
        others = [one for one in self._servers.apart(_PARTITIONS) if one is not source]
        if not others:  # one has them all
            return
        target = choice.choice(others)
        where = ("SLOTSRANGE", slot, slot, "NODE", self._servers.id_of(target))
        source.send("CLUSTER", "MIGRATESLOTS", *where)
        wait_for("the slot to be there", lambda: self._servers.master_of(partition) is target)


class _Sentinels:
    partitions = 1

    def __init__(self, servers: SentinelServers) -> None:
        self._servers = servers
        self.url = servers.url

    def harms(self) -> dict[str, Callable[[random.Random], None]]:
        return {
            "kill -9 the primary": self._kill,
            "stop the primary for a while": self._freeze,
            "kill -9 a sentinel": self._kill_sentinel,
        }

    def wait_until_whole(self) -> None:
        wait_for("the set to be whole", self._servers.is_whole)

    def _kill(self, choice: random.Random) -> None:
        primary = self._servers.primary()
        primary.kill()
        self._servers.wait_for_failover(primary)
        time.sleep(choice.uniform(0, 1.0))
        primary.start()

    def _freeze(self, choice: random.Random) -> None:
        _freeze(self._servers.primary(), choice)

    def _kill_sentinel(self, choice: random.Random) -> None:
        sentinel = choice.choice(self._servers.sentinels)
        sentinel.kill()
        time.sleep(choice.uniform(0, 1.0))
        sentinel.start()


def _freeze(server: Server, choice: random.Random) -> None:
    server.freeze()
    time.sleep(choice.uniform(0.2, _LONGEST_FREEZE_SECONDS))
    server.thaw()
