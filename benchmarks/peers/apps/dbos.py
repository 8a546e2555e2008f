"""DBOS on Postgres."""

import threading

import sqlalchemy
from dbos import DBOS, DBOSClient, EnqueueOptions

from benchmarks.peers.peer import Peer, Sizes, store_url, worker_module
from benchmarks.peers.work import work

_QUEUE = "peers"
_POLL_SECONDS = 0.01


@DBOS.workflow(name="task")
def task(number: int) -> None:
    work(number)


@DBOS.step(name="step")
def step(number: int) -> None:
    work(number)


@DBOS.workflow(name="line")
def line(number: int, length: int) -> None:
    for _ in range(length):
        step(number)


class DbosPeer(Peer):
    packages = ("dbos", "psycopg", "sqlalchemy")
    store = "postgres"
    is_durable = True
    setting = "2 worker processes, a queue that is polled every 10 ms; Postgres with fsync"
    ordering = "a workflow of steps; an independent task is a workflow without steps"
    sizes = Sizes(backlog=1_500, chains=500, registered=1_500)

    def workers(self) -> list[list[str]]:
        return [worker_module("dbos")] * 2

    def open(self) -> None:
        _launch(listens=False)  # makes the tables and the queue
        DBOS.destroy()
        self.client = DBOSClient(system_database_url=store_url())
        self.engine = sqlalchemy.create_engine(store_url().replace("postgresql:", "postgresql+psycopg:"))

    def close(self) -> None:
        self.client.destroy()

    def single(self, count: int) -> None:
        for _ in range(count):
            self.client.enqueue(_options("task"), 0)

    def bulk(self, count: int) -> bool:
        with self.engine.begin() as transaction:
            for _ in range(count):
                self.client.enqueue_in_transaction(transaction, _options("task"), 0)
        return True

    def chains(self, count: int, length: int, number: int = 0) -> None:
        if count == 1:
            self.client.enqueue(_options("line"), number, length)
            return
        with self.engine.begin() as transaction:
            for _ in range(count):
                self.client.enqueue_in_transaction(transaction, _options("line"), number, length)


def _options(workflow: str) -> EnqueueOptions:
    return {"workflow_name": workflow, "queue_name": _QUEUE}


def _launch(*, listens: bool) -> None:
    DBOS(config={"name": "peers", "system_database_url": store_url(), "log_level": "WARNING"})
    DBOS.listen_queues([_QUEUE] if listens else [])
    DBOS.launch()
    DBOS.register_queue(_QUEUE, polling_interval_sec=_POLL_SECONDS)


PEER = DbosPeer()

if __name__ == "__main__":
    _launch(listens=True)
    threading.Event().wait()
