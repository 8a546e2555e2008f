"""The workloads, each on a stage of its own. Times are taken where things happen, by one clock."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.peers.messages import Description, Order
from benchmarks.peers.peer import Sizes
from benchmarks.peers.stage import Stage

LIMIT_SECONDS = 120.0
CHAIN = 3
LONG_CHAIN = 40
LIGHT = (40, 10)
"""The published case's light tasks: how many, and which Fibonacci number each computes."""
HEAVY = (10, 33)
_LIGHT_REPEATS = 5
_REST_SECONDS = 0.2


class Published(NamedTuple):
    """One flow of the published case, in ms. With tasks at the same time, the inside may exceed the total."""

    total_ms: float
    inside_ms: float

    @property
    def outside_ms(self) -> float:
        return self.total_ms - self.inside_ms


def backlog(stage: Stage, sizes: Sizes) -> float:
    """Tasks per second of a worker that meets independent tasks: first start to last end."""
    if not stage.client.tell(Order("bulk", sizes.backlog), LIMIT_SECONDS).is_known:
        stage.client.tell(Order("single", sizes.backlog), LIMIT_SECONDS)
    return _worked_off(stage, sizes.backlog)


def chains(stage: Stage, sizes: Sizes) -> float:
    """Tasks per second of a worker that meets flows of three tasks: first start to last end."""
    stage.client.tell(Order("prepare", 0, CHAIN), LIMIT_SECONDS)
    stage.client.tell(Order("chains", sizes.chains, CHAIN), LIMIT_SECONDS)
    return _worked_off(stage, sizes.chains * CHAIN)


def long_chain(stage: Stage, sizes: Sizes) -> float:
    """Milliseconds from the enqueue call to the end of a chain of 40 with nothing else to do; the median."""
    with stage.workers():
        times = [flow.total_ms for flow in _flows(stage, LONG_CHAIN, 0, sizes.long_chains)]
    return statistics.median(times)


def register_single(stage: Stage, sizes: Sizes) -> float | None:
    """Enqueue calls per second of one process, one call after the other; no worker runs."""
    return _registered(stage, "single", sizes.registered)


def register_bulk(stage: Stage, sizes: Sizes) -> float | None:
    """Tasks per second that one process enqueues in bulk."""
    return _registered(stage, "bulk", sizes.registered * 4)


def light(stage: Stage, sizes: Sizes) -> Published:
    """The published case's light flow; the one with the median total."""
    with stage.workers():
        found = _flows(stage, *LIGHT, min(_LIGHT_REPEATS, sizes.long_chains))
    return sorted(found)[len(found) // 2]


def heavy(stage: Stage, sizes: Sizes) -> Published:
    """The published case's heavy flow, once."""
    with stage.workers():
        return _flows(stage, *HEAVY, 1)[0]


def _worked_off(stage: Stage, tasks: int) -> float:
    with stage.workers():
        found = stage.wait_for(tasks, LIMIT_SECONDS)
    return tasks / (found.last_ended_ns - found.first_began_ns) * 1e9


def _registered(stage: Stage, do: str, count: int) -> float | None:
    stage.client.tell(Order(do, 1), LIMIT_SECONDS)  # connects
    done = stage.client.tell(Order(do, count), LIMIT_SECONDS)
    if not done.is_known:
        return None
    return count / (done.ended_ns - done.began_ns) * 1e9


def _flows(stage: Stage, length: int, number: int, repeats: int) -> list[Published]:
    """Flows one after the other, behind one of the same length that warms everything up."""
    stage.client.tell(Order("prepare", 0, length, number), LIMIT_SECONDS)
    stage.client.tell(Order("prepare", 0, length, 1), LIMIT_SECONDS)
    stage.client.tell(Order("chains", 1, length, 1), LIMIT_SECONDS)
    before = stage.wait_for(length, LIMIT_SECONDS)
    found: list[Published] = []
    for _ in range(repeats):
        time.sleep(_REST_SECONDS)  # the peer still writes down the end of the flow before
        began_ns = stage.client.tell(Order("chains", 1, length, number), LIMIT_SECONDS).began_ns
        after = stage.wait_for(before.tasks + length, LIMIT_SECONDS)
        inside_ms = (after.inside_ns - before.inside_ns) / 1e6
        found.append(Published((after.last_ended_ns - began_ns) / 1e6, inside_ms))
        before = after
    return found


def sizes_of(peer: Description, scale: float) -> Sizes:
    """How much a peer gets; ``scale`` is 1 in a real run."""
    return Sizes(*(max(1, round(size * scale)) for size in peer.sizes))


class Workload(NamedTuple):
    """A workload and how its figure is read."""

    title: str
    unit: str
    measure: Callable[[Stage, Sizes], float | Published | None]
    """None: the peer has no such call."""
    more_is_better: bool = True


BACKLOG = Workload("backlog", "tasks/s", backlog)
CHAINS = Workload("chains of 3", "tasks/s", chains)
LONG = Workload("chain of 40", "ms", long_chain, more_is_better=False)
SINGLE = Workload("register", "calls/s", register_single)
BULK = Workload("register in bulk", "tasks/s", register_bulk)
SPEEDS = (BACKLOG, CHAINS, LONG, SINGLE, BULK)
PUBLISHED = (
    Workload(f"{LIGHT[0]} x fibonacci({LIGHT[1]})", "ms", light, more_is_better=False),
    Workload(f"{HEAVY[0]} x fibonacci({HEAVY[1]})", "ms", heavy, more_is_better=False),
)
