"""dramatiq on Redis."""

from typing import ClassVar

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.peers.peer import Peer, Sizes, store_url
from benchmarks.peers.work import work

broker = RedisBroker(url=store_url())
dramatiq.set_broker(broker)


@dramatiq.actor(actor_name="step")
def step(number: int) -> None:
    work(number)


class DramatiqPeer(Peer):
    packages = ("dramatiq", "redis", "hiredis")
    store = "valkey"
    is_durable = False
    setting = "2 worker processes, 8 threads each, prefetch 64, idle poll at most every 10 ms, no results"
    ordering = "pipeline"
    variables: ClassVar = {"dramatiq_worker_timeout": "10", "dramatiq_queue_prefetch": "64"}
    sizes = Sizes(backlog=10_000, chains=3_000, registered=10_000)

    def workers(self) -> list[list[str]]:
        return [["dramatiq", "benchmarks.peers.apps.dramatiq", "--processes", "2", "--threads", "8"]]

    def single(self, count: int) -> None:
        for _ in range(count):
            step.send(0)

    def chains(self, count: int, length: int, number: int = 0) -> None:
        link = step.message_with_options(args=(number,), pipe_ignore=True)
        for _ in range(count):
            dramatiq.pipeline([link] * length).run()


PEER = DramatiqPeer()
