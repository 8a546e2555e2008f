"""Celery on Redis."""

from celery import Celery, chain

from benchmarks.peers.peer import Peer, Sizes, store_url
from benchmarks.peers.work import work

app = Celery("peers", broker=store_url().replace("unix:", "redis+socket:").replace("?db=", "?virtual_host="))
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=64,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="step")
def step(number: int) -> None:
    work(number)


class CeleryPeer(Peer):
    packages = ("celery", "kombu", "redis", "hiredis")
    store = "valkey"
    is_durable = False
    setting = "2 workers, pool solo, prefetch 64, results ignored, no gossip, mingle, heartbeat or events"
    ordering = "chain of immutable signatures"
    sizes = Sizes(backlog=15_000, chains=5_000, registered=5_000)

    def workers(self) -> list[list[str]]:
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
        command = ["celery", "-A", "benchmarks.peers.apps.celery", "worker", "--pool", "solo", *quiet]
        return [[*command, "--hostname", f"{name}@%h"] for name in ("one", "two")]

    def single(self, count: int) -> None:
        for _ in range(count):
            step.delay(0)

    def chains(self, count: int, length: int, number: int = 0) -> None:
        line = chain(*(step.si(number) for _ in range(length)))
        for _ in range(count):
            line.apply_async()


PEER = CeleryPeer()
