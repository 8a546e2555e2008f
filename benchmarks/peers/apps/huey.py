"""huey on Redis."""

from huey import RedisHuey
from redis import ConnectionPool

from benchmarks.peers.peer import Peer, Sizes, store_url
from benchmarks.peers.work import work

huey = RedisHuey("peers", results=False, connection_pool=ConnectionPool.from_url(store_url()))


@huey.task()
def step(number: int) -> None:
    work(number)


class HueyPeer(Peer):
    packages = ("huey", "redis", "hiredis")
    store = "valkey"
    is_durable = False
    setting = "2 worker processes, no results, no periodic tasks, quiet"
    ordering = "pipeline (then)"
    sizes = Sizes(backlog=20_000, chains=5_000, registered=20_000)

    def workers(self) -> list[list[str]]:
        words = ["-k", "process", "-w", "2", "--no-periodic", "--quiet", "-C"]
        return [["huey_consumer", "benchmarks.peers.apps.huey.huey", *words]]

    def single(self, count: int) -> None:
        for _ in range(count):
            step(0)

    def chains(self, count: int, length: int, number: int = 0) -> None:
        for _ in range(count):
            line = step.s(number)
            for _ in range(length - 1):
                line = line.then(step, number)
            huey.enqueue(line)


PEER = HueyPeer()
