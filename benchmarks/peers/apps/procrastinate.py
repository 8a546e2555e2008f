"""procrastinate on Postgres."""

from contextlib import AsyncExitStack

from procrastinate import App, PsycopgConnector

from benchmarks.peers.peer import Peer, Sizes, store_url
from benchmarks.peers.work import work

app = App(connector=PsycopgConnector(conninfo=store_url(), min_size=4, max_size=10))
_BULK = 1_000


@app.task(name="step")
async def step(number: int, left: int) -> None:
    work(number)
    if left > 1:
        await step.defer_async(number=number, left=left - 1)


class ProcrastinatePeer(Peer):
    packages = ("procrastinate", "psycopg", "psycopg-pool")
    store = "postgres"
    is_durable = True
    setting = "1 worker process, concurrency 10, LISTEN/NOTIFY and a poll every 50 ms; Postgres with fsync"
    ordering = "a task defers the next"
    sizes = Sizes(backlog=3_000, chains=1_000, registered=3_000)

    def workers(self) -> list[list[str]]:
        words = ["--concurrency", "10", "--fetch-job-polling-interval", "0.05"]
        return [["procrastinate", "--app", "benchmarks.peers.apps.procrastinate.app", "worker", *words]]

    async def open(self) -> None:
        self.stack = AsyncExitStack()
        await self.stack.enter_async_context(app.open_async())
        await app.schema_manager.apply_schema_async()

    async def close(self) -> None:
        await self.stack.aclose()

    async def single(self, count: int) -> None:
        for _ in range(count):
            await step.defer_async(number=0, left=1)

    async def bulk(self, count: int) -> bool:
        await self._defer(count, 1, 0)
        return True

    async def chains(self, count: int, length: int, number: int = 0) -> None:
        await self._defer(count, length, number)

    async def _defer(self, count: int, length: int, number: int) -> None:
        for left in range(count, 0, -_BULK):
            await step.batch_defer_async(*[{"number": number, "left": length}] * min(left, _BULK))


PEER = ProcrastinatePeer()
