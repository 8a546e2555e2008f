"""What benchmarks of Redis alone share: a Redis of their own, an empty partition on it, words as numbers."""

import asyncio
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from flower_bench.environment import describe_environment
from flower_engine.embedded.home import Home
from flower_engine.embedded.valkey import EmbeddedValkey
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.partition import Partition
from flower_engine.transitions import loader, worker_transitions
from flower_engine.transitions.installation_transitions import install
from flower_engine.transitions.watcher_transitions import lapse
from flower_engine.transitions.worker_transitions import (
    Claim,
    Outcome,
    Service,
    attend,
    finish_and_claim,
)


async def empty_partition(client: AsyncRedis) -> Partition:
    """Everything is gone, and there is one partition, which a watcher has looked at."""
    await send(client, "FLUSHALL", "SYNC")
    meta = await install(client, 0, "benchmark", 1)
    partition = Partition(0, meta.installation, meta.generation)
    await attend(client, partition, ["default"])
    await lapse(client, partition, queues=[], lease_ms=30_000, tick_gap_ms=10_000, max_lost=3)
    return partition


class Exchange:
    """The calls of one worker, one after the other: it runs A, of the queue ``default``."""

    def __init__(self, client: AsyncRedis, partition: Partition) -> None:
        self._client, self._partition, self._number = client, partition, 0
        self._service = Service(("default",), ("A",)).args()

    async def __call__(self, outcomes: list[Outcome], wanted: int) -> list[Claim]:
        """Hands in these outcomes and claims so many."""
        return (await self.answered(outcomes, wanted)).claims

    async def answered(self, outcomes: list[Outcome], wanted: int) -> worker_transitions.Exchange:
        """The same, with all that was answered."""
        self._number += 1
        return await finish_and_claim(
            self._client, self._partition, "w1", self._number, answered=self._number - 1, outcomes=outcomes,
            wanted=wanted, service_args=self._service,
        )  # fmt: skip


class Meter:
    """CPU of Redis' main thread, of each call of a script."""

    def __init__(self, process: int) -> None:
        self._file = Path(f"/proc/{process}/task/{process}/schedstat")
        self.longest: dict[str, float] = {}
        meter, run = self, loader.Script.run

        async def measured(script: loader.Script, client: AsyncRedis, meta: str, args: Any) -> Any:
            before = meter.ms()
            reply = await run(script, client, meta, args)
            meter.longest[script.name] = max(meter.longest.get(script.name, 0.0), meter.ms() - before)
            return reply

        loader.Script.run = measured  # type: ignore[method-assign]

    def ms(self) -> float:
        """What it has spent so far."""
        return int(self._file.read_text().split()[0]) / 1e6


async def meter_of(client: AsyncRedis) -> Meter:
    """That of the Redis behind a client."""
    info: dict[str, Any] = await send(client, "INFO", "server")
    return Meter(int(info["process_id"]))


def run_on_redis(main: Callable[..., Coroutine[Any, Any, None]], *defaults: int) -> None:
    """Says what is measured on; runs ``main`` with the address of a Redis, and the numbers of the command, or
    these instead of those that were left out."""
    for name, value in describe_environment().items():
        print(f"{name}: {value}")
    numbers = [int(word) for word in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder, Home(Path(folder)) as home:
        valkey = EmbeddedValkey(home, durable=False)
        address = valkey.start()
        try:
            asyncio.run(main(address, *numbers, *defaults[len(numbers) :]))
        finally:
            valkey.stop()
