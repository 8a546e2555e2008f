"""SAQ on Redis."""

from typing import Any

from redis.asyncio import Redis
from saq.queue.redis import RedisQueue

from benchmarks.peers.peer import Peer, Sizes, store_url
from benchmarks.peers.work import work

queue = RedisQueue(Redis.from_url(store_url(), max_connections=1_000), name="peers")


async def step(context: dict[str, Any], *, number: int, left: int) -> None:
    work(number)
    if left > 1:
        await queue.enqueue("step", number=number, left=left - 1, ttl=-1)


settings = {"queue": queue, "functions": [("step", step)], "concurrency": 100}


class SaqPeer(Peer):
    packages = ("saq", "redis", "hiredis", "uvloop")
    store = "valkey"
    is_durable = False
    setting = "2 worker processes, concurrency 100 each, no results kept"
    ordering = "a task enqueues the next"
    sizes = Sizes(backlog=10_000, chains=3_000, registered=5_000)

    def workers(self) -> list[list[str]]:
        return [["saq", "benchmarks.peers.apps.saq.settings", "--quiet"]] * 2

    async def open(self) -> None:
        await queue.connect()

    async def close(self) -> None:
        await queue.disconnect()

    async def single(self, count: int) -> None:
        for _ in range(count):
            await queue.enqueue("step", number=0, left=1, ttl=-1)

    async def chains(self, count: int, length: int, number: int = 0) -> None:
        for _ in range(count):
            await queue.enqueue("step", number=number, left=length, ttl=-1)


PEER = SaqPeer()
