"""``/scaling``: what a queue asks for, for what starts and stops workers (KEDA, or a script)."""

import asyncio
from typing import Annotated

from fastapi import FastAPI, Path
from starlette.responses import Response

from flower_api.openapi import replies, reply
from flower_api.schemas import NAME_PATTERN
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.insight.queue_demand import QueueDemand, read_demand
from flower_engine.log.each_partition import from_all
from flower_engine.log.partition import Partition
from flower_engine.projection.read.gauges_query import longest_ready_ms
from flower_engine.projection.read.view_fields import View
from flower_engine.store_faults import STORE_ERRORS

_POSTGRES_SECONDS = 2.0  # who scales waits for 3 s, mostly
_MOST_HEADS = 20

QueuePath = Annotated[
    str,
    Path(
        min_length=1,
        max_length=256,
        pattern=NAME_PATTERN,
        description="Its name; it may hold slashes. Nobody need know it.",
    ),
]


class ScalingView(View):
    """A queue in numbers. ``ready``: tasks that would start if there were a slot: none that a limit or a
    pause holds back; of very many kinds of tasks that wait, one each at least. ``oldest_ready_seconds``: for
    how long the longest of those that are next has been ready, as far as the tables know; ``running``: tasks
    that workers hold; ``slots``: of the live workers that serve it; ``desired``: the slots that would do for
    all, ``ready + running``."""

    ready: int
    oldest_ready_seconds: float
    running: int
    slots: int
    desired: int


def add_scaling(app: FastAPI, stores: PostgresStores) -> None:
    """Adds the route."""

    @app.get(
        "/scaling/{queue:rest}",
        summary="What a queue asks for, in slots of workers",
        responses=replies({200: (ScalingView, "As it is at this moment")}, problems=(422, 503)),
    )
    async def get_scaling(queue: QueuePath) -> Response:
        """For KEDA's metrics-api scaler, and others: `desired` over the slots of a worker is how many workers
        would do. Zeros for a queue that nobody knows; 503 while no partition can be asked, so that nobody
        takes an engine that is away for one that is idle. What it costs does not grow with what waits."""

        async def look(partition: Partition) -> QueueDemand:
            async with stores.log_readers:
                return await read_demand(stores.redis, partition, queue)

        found = await from_all(stores.redis, stores.living, look)
        heads = [head for one in found for head in one.heads][:_MOST_HEADS]
        slots = {worker.worker: worker.slots for one in found for worker in one.workers}
        ready, running = sum(one.ready for one in found), sum(one.running for one in found)
        return reply(
            ScalingView(
                ready=ready,
                oldest_ready_seconds=await _oldest_seconds(stores, heads) if heads else 0.0,
                running=running,
                slots=sum(slots.values()),
                desired=ready + running,
            )
        )


async def _oldest_seconds(stores: PostgresStores, heads: list[tuple[str, int]]) -> float:
    """0 where Postgres does not know them yet, or is away: the other numbers are those of Redis."""
    try:
        async with asyncio.timeout(_POSTGRES_SECONDS), stores.postgres() as connection:
            return (await longest_ready_ms(connection, heads) or 0) / 1000
    except STORE_ERRORS:  # TimeoutError is an OSError
        return 0.0
