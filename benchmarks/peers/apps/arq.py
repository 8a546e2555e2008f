"""arq."""

from typing import Any, ClassVar

import uvloop
from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from arq.worker import func, run_worker

from benchmarks.peers.peer import Peer, Sizes, store_url, worker_module
from benchmarks.peers.work import work

SETTINGS = RedisSettings.from_dsn(store_url())


async def step(context: dict[str, Any], number: int, left: int) -> None:
    work(number)
    if left > 1:
        await context["redis"].enqueue_job("step", number, left - 1)


class WorkerSettings:
    functions: ClassVar = [func(step, name="step", keep_result=0)]
    redis_settings = SETTINGS
    max_jobs = 100
    poll_delay = 0.005
    log_results = False


class ArqPeer(Peer):
    packages = ("arq", "redis", "hiredis", "uvloop")
    store = "valkey"
    is_durable = False
    setting = (
        "1 worker process on uvloop, 100 jobs (two take each other's jobs), poll every 5 ms, no results kept"
    )
    ordering = "a task enqueues the next"
    sizes = Sizes(backlog=10_000, chains=3_000, registered=5_000)
    redis: ArqRedis

    def workers(self) -> list[list[str]]:
        return [worker_module("arq")]

    async def open(self) -> None:
        self.redis = await create_pool(SETTINGS)

    async def close(self) -> None:
        await self.redis.aclose()

    async def single(self, count: int) -> None:
        for _ in range(count):
            await self.redis.enqueue_job("step", 0, 1)

    async def chains(self, count: int, length: int, number: int = 0) -> None:
        for _ in range(count):
            await self.redis.enqueue_job("step", number, length)


PEER = ArqPeer()

if __name__ == "__main__":
    uvloop.install()
    run_worker(WorkerSettings)
