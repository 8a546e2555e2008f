"""taskiq on Redis Streams."""

from taskiq_redis import RedisStreamBroker

from benchmarks.peers.peer import Peer, Sizes, store_url
from benchmarks.peers.work import work

broker = RedisStreamBroker(store_url(), consumer_id="0")


@broker.task(task_name="step")
async def step(number: int, left: int) -> None:
    work(number)
    if left > 1:
        await step.kiq(number, left - 1)


class TaskiqPeer(Peer):
    packages = ("taskiq", "taskiq-redis", "redis", "hiredis", "uvloop")
    store = "valkey"
    is_durable = False
    setting = "Redis Streams, 2 worker processes, 100 async tasks each, prefetch 100, no results"
    ordering = "a task enqueues the next (its pipelines need a result backend)"
    sizes = Sizes(backlog=10_000, chains=3_000, registered=10_000)

    def workers(self) -> list[list[str]]:
        words = [
            "--workers",
            "2",
            "--max-async-tasks",
            "100",
            "--max-prefetch",
            "100",
            "--log-level",
            "WARNING",
        ]
        return [["taskiq", "worker", "benchmarks.peers.apps.taskiq:broker", *words]]

    async def open(self) -> None:
        await broker.startup()

    async def close(self) -> None:
        await broker.shutdown()

    async def single(self, count: int) -> None:
        for _ in range(count):
            await step.kiq(0, 1)

    async def chains(self, count: int, length: int, number: int = 0) -> None:
        for _ in range(count):
            await step.kiq(number, length)


PEER = TaskiqPeer()
