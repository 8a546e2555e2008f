"""What redis-py's client for clusters costs beside its plain one: ``PYTHONPATH=tests python -m
benchmarks.cluster_client [MESSAGES]`` (20,000).

The workload of the floor (``flower_bench/floor.py``: XADD, XREADGROUP and XACK, 100 messages a pipeline) over
four streams: with the plain client on one server, with ``RedisCluster`` on a cluster of three, and with
Flower's client on the same cluster, in turns. Microseconds of CPU a message of the client and of the servers,
so it bears with a machine that does other things, as far as its caches do.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from cluster.servers import ClusterServers
from flower_bench.environment import describe_environment
from flower_engine.log.client import connect, queue_command, send

ROUNDS = 5
PIPELINE = 100
_STREAMS = [f"{{flower:{number}}}:floor" for number in range(4)]
_PAYLOAD = b"x" * 100

Run = Callable[[int], Awaitable[None]]


async def _with_redis_py(client: Any, count: int, *, is_cluster: bool) -> None:
    """The plain client and that of clusters take the same calls, but for the kind of pipeline."""
    for stream in _STREAMS:
        await client.delete(stream)
        await client.xgroup_create(stream, "group", "0", mkstream=True)
    for _ in range(count // PIPELINE):
        adds = client.pipeline() if is_cluster else client.pipeline(transaction=False)
        for number in range(PIPELINE):
            adds.xadd(_STREAMS[number % len(_STREAMS)], {"e": _PAYLOAD})
        ids = await adds.execute()
        for stream in _STREAMS:
            await client.xreadgroup("group", "consumer", {stream: ">"}, count=PIPELINE)
        acks = client.pipeline() if is_cluster else client.pipeline(transaction=False)
        for number, message in enumerate(ids):
            acks.xack(_STREAMS[number % len(_STREAMS)], "group", message)
        await acks.execute()


async def _with_flower(client: Any, count: int) -> None:
    """A pipeline for each partition, as Flower has them; the same number of messages in each turn."""
    for stream in _STREAMS:
        await send(client, "DEL", stream)
        await send(client, "XGROUP CREATE", stream, "group", "0", "MKSTREAM")

    async def turn(stream: str) -> None:
        async with client.pipeline(transaction=False) as adds:
            for _ in range(PIPELINE // len(_STREAMS)):
                queue_command(adds, "XADD", stream, "*", "e", _PAYLOAD)
            ids = await adds.execute()
        await send(
            client, "XREADGROUP", "GROUP", "group", "consumer", "COUNT", PIPELINE, "STREAMS", stream, ">"
        )
        async with client.pipeline(transaction=False) as acks:
            for message in ids:
                queue_command(acks, "XACK", stream, "group", message)
            await acks.execute()

    for _ in range(count // PIPELINE):
        await asyncio.gather(*map(turn, _STREAMS))


async def _measure(run: Run, pids: list[int], count: int) -> tuple[float, float, float]:
    """Microseconds a message: of this process, of the servers, and by the clock."""
    await run(count // 10)  # all is warm
    before, own, began = _of(pids), time.process_time(), time.perf_counter()
    await run(count)
    spent = time.process_time() - own, _of(pids) - before, time.perf_counter() - began
    client, servers, clock = (1e6 * one / count for one in spent)
    return client, servers, clock


def _of(pids: list[int]) -> float:
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


async def main(count: int) -> None:
    """Prints a table."""
    for name, value in describe_environment().items():
        print(f"{name}: {value}")
    with tempfile.TemporaryDirectory() as folder:
        one_of = ClusterServers.started(Path(folder) / "one", masters=1, replicas=0)
        three_of = ClusterServers.started(Path(folder) / "three", masters=3, replicas=0)
        with one_of as one, three_of as three:
            alone, many = [server.pid for server in one.servers], [server.pid for server in three.servers]
            port = three.servers[0].port
            async with (
                Redis(port=one.servers[0].port) as plain,
                RedisCluster(host="127.0.0.1", port=port) as cluster,
                connect(three.url) as own,
            ):
                cases: dict[str, tuple[Run, list[int]]] = {
                    "redis-py, plain, one server": (
                        lambda n: _with_redis_py(plain, n, is_cluster=False),
                        alone,
                    ),
                    "redis-py, RedisCluster, three": (
                        lambda n: _with_redis_py(cluster, n, is_cluster=True),
                        many,
                    ),
                    "Flower's, three": (lambda n: _with_flower(own, n), many),
                }
                found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
                for _ in range(ROUNDS):
                    for name, (run, pids) in cases.items():
                        found[name].append(await _measure(run, pids, count))
                        print(".", end="", flush=True)
    print(f"\n\n{count:,} messages, {ROUNDS} times in turns; microseconds a message (median)\n")
    print("| client | CPU of the client | each time | CPU of the servers | by the clock |")
    print("|---|---|---|---|---|")
    for name, runs in found.items():
        client, servers, clock = (statistics.median(one[place] for one in runs) for place in range(3))
        each = ", ".join(f"{one[0]:.0f}" for one in runs)
        print(f"| {name} | {client:.0f} | {each} | {servers:.0f} | {clock:.0f} |")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
