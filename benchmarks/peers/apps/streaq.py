"""streaQ on Redis Streams."""

from contextlib import AsyncExitStack

from streaq import Worker

from benchmarks.peers.peer import Peer, Sizes, store_url
from benchmarks.peers.work import work

worker = Worker(redis_url=store_url(), concurrency=100)
_BULK = 1_000


@worker.task(name="step", ttl=0, silent=True)
async def step(number: int) -> int:
    work(number)
    return number


class StreaqPeer(Peer):
    packages = ("streaq", "coredis", "uvloop")
    store = "valkey"
    is_durable = False
    setting = "2 worker processes, concurrency 100 each, silent tasks, no results kept"
    ordering = "dependent tasks (then)"
    sizes = Sizes(backlog=10_000, chains=3_000, registered=5_000)

    def workers(self) -> list[list[str]]:
        return [["streaq", "run", "benchmarks.peers.apps.streaq:worker"]] * 2

    async def open(self) -> None:
        self.stack = AsyncExitStack()
        await self.stack.enter_async_context(worker)

    async def close(self) -> None:
        await self.stack.aclose()

    async def single(self, count: int) -> None:
        for _ in range(count):
            await step.enqueue(0)

    async def bulk(self, count: int) -> bool:
        for left in range(count, 0, -_BULK):
            await worker.enqueue_many([step.enqueue(0) for _ in range(min(left, _BULK))])
        return True

    async def chains(self, count: int, length: int, number: int = 0) -> None:
        for _ in range(count):
            line = step.enqueue(number)
            for _ in range(length - 1):
                line = line.then(step)
            await line


PEER = StreaqPeer()
